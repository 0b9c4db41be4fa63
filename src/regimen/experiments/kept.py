"""Finished runs of an experiment are kept in its folder, so that an interrupted one goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from regimen.engine import train
from regimen.experiments.context import Context
from regimen.records import RunResult
from regimen.run import Run
from regimen.store import FILE, Store

# Raise this when a change alters what the plain PyTorch loops of the experiments compute.
POSTED_NUMERICS = 1
PLAIN = "plain PyTorch"


class Kept:
    """Trains what is not in the store yet; the size `quick` keeps nothing.

    Args:
        context: Its folder holds the store.
        store: Where finished runs lie, or None.
    """

    def __init__(self, context: Context, store: Store | None) -> None:
        self.context, self.store = context, store
        self.found = self.asked = 0

    def train(self, runs: Sequence[Run], *, share: float, keep: Collection[str] = ()) -> list[RunResult]:
        """Return the results of `runs` in order, trained by the engine where they are not kept.

        Args:
            runs: What to train.
            share: Of the experiment, told as progress while the runs finish.
            keep: `outputs`, `weights` or both, see `regimen.engine.train`.
        """
        step = self.context.counter(len(runs), share)
        results: dict[int, RunResult] = {}
        for index, run in enumerate(runs):
            result = self._load(run.identity, "engine")
            if result is not None and all(getattr(result, name) is not None for name in keep):
                results[index] = result
                step()
        missing = [index for index in range(len(runs)) if index not in results]
        self.asked, self.found = self.asked + len(runs), self.found + len(results)

        def finish(place: int, result: RunResult) -> None:
            self._save(result, "engine")
            step()

        trained = train(
            [runs[index] for index in missing],
            # Worker processes need seconds to start, which a quick experiment has not.
            processes=1 if self.context.size == "quick" else self.context.processes,
            keep=keep,
            on_result=finish,
        )
        results |= dict(zip(missing, trained, strict=True))
        return [results[index] for index in range(len(runs))]

    def posted(
        self, described: Mapping[str, Any], work: Callable[[Callable[[], None]], RunResult], *, steps: int, share: float
    ) -> RunResult:
        """Return the result of a run in plain PyTorch, which `work` does where it is not kept.

        Args:
            described: All that defines the run, as plain values.
            work: Does the run; it calls its argument `steps` times, evenly.
            steps: How often.
            share: Of the experiment, told as progress.
        """
        text = json.dumps({"numerics": POSTED_NUMERICS, **described}, sort_keys=True)
        identity = hashlib.sha256(text.encode()).hexdigest()
        self.asked += 1
        result = self._load(identity, PLAIN)
        if result is not None:
            self.found += 1
            self.context.advance(share)
            return result
        result = replace(work(self.context.counter(steps, share)), identity=identity, engine=PLAIN)
        self._save(result, PLAIN)
        return result

    def remarks(self) -> tuple[str, ...]:
        """Return the sentence that tells of work done before, if there was some."""
        if not self.found:
            return ()
        return (
            f"{self.found} of {self.asked} runs had been finished before and were taken from {FILE} in the folder.",
        )

    def _load(self, identity: str, engine: str) -> RunResult | None:
        return None if self.store is None else self.store.load(identity, engine)

    def _save(self, result: RunResult, engine: str) -> None:
        if self.store is not None:
            self.store.save(result, engine)


@contextmanager
def kept(context: Context) -> Iterator[Kept]:
    """Open the store in the folder of an experiment, making it where there is none.

    Raises:
        StoreError: The store is in use or damaged.
    """
    if context.folder is None or context.size == "quick":
        yield Kept(context, None)
        return
    context.folder.mkdir(parents=True, exist_ok=True)
    with Store(context.folder, create=not (context.folder / FILE).exists()) as store:
        yield Kept(context, store)
