"""The ledger: every run of a study, trained once, stored as it finishes, found again on resume."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from regimen.records import RunRecord, RunResult
from regimen.run import Run
from regimen.store import Store

Phase = Literal["search", "combine", "confirm", "final"]


class Watch:
    """Is told what a study does; this one stays silent. Subclass it to show progress."""

    def planned(self, runs: int) -> None:
        """Take the largest number of runs the study can take."""

    def phase(self, name: str, runs: int) -> None:
        """Take the start of a phase and its number of runs."""

    def finished(self, result: RunResult, *, stored: bool, arm: str) -> None:
        """Take a finished run of an arm; `stored` says that it was found in the store, not trained."""

    def entered(self, entry: "Entry") -> None:
        """Take the same finished run with its place in the study and its description, after `finished`."""

    def note(self, text: str) -> None:
        """Take a decision or an intermediate finding, in words."""


class Trains(Protocol):
    """What a study needs of a trainer; `regimen.engine.Trainer` is one."""

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        """Return the results of `runs`, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A run and its place in the study."""

    arm: str
    pair: int
    run: Run


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished run and its place in the study."""

    phase: Phase
    arm: str
    pair: int
    run: Run
    result: RunResult

    def record(self) -> RunRecord:
        """Return the row of the raw results."""
        result = self.result
        return RunRecord(
            arm=self.arm,
            phase=self.phase,
            pair=self.pair,
            seed=self.run.key,
            status=result.status,
            metric=_finite(result.metric),
            train_loss=_finite(result.train_loss),
            validation_loss=_finite(result.validation_loss),
            epoch=result.epoch,
            seconds=result.seconds,
        )


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


@dataclass(kw_only=True)
class Ledger:
    """Trains what is not yet stored, stores it, and remembers all in order.

    Attributes:
        trainer: Trains the runs.
        engine: Its name, part of what identifies stored work.
        store: Where finished runs are kept; None keeps them in memory only.
        watch: Is told of every finished run.
        entries: All finished runs, in the order of the jobs.
    """

    trainer: Trains
    engine: str
    store: Store | None = None
    watch: Watch = field(default_factory=Watch)
    entries: list[Entry] = field(default_factory=list)

    def execute(self, phase: Phase, jobs: Sequence[Job], *, keep: Collection[str] = ()) -> list[RunResult]:
        """Return the results of `jobs`, in order; equal runs are trained once.

        Args:
            phase: Where in the study.
            jobs: What to train.
            keep: `outputs`, `weights` or both; a stored run without them is trained again.
        """
        self.watch.phase(phase, len(jobs))
        done: dict[str, RunResult] = {}
        missing: dict[str, Job] = {}
        for job in jobs:
            stored = None if self.store is None else self.store.load(job.run.identity, self.engine)
            if stored is not None and all(getattr(stored, name) is not None for name in keep):
                done[job.run.identity] = stored
                self.watch.finished(stored, stored=True, arm=job.arm)
                self.watch.entered(Entry(phase, job.arm, job.pair, job.run, stored))
            else:
                missing[job.run.identity] = job

        def keep_result(index: int, result: RunResult) -> None:
            done[result.identity] = result
            if self.store is not None:
                self.store.save(result, self.engine)
            job = missing[result.identity]
            self.watch.finished(result, stored=False, arm=job.arm)
            self.watch.entered(Entry(phase, job.arm, job.pair, job.run, result))

        self.trainer.train([job.run for job in missing.values()], keep=keep, on_result=keep_result)
        self.entries += [Entry(phase, job.arm, job.pair, job.run, done[job.run.identity]) for job in jobs]
        return [done[job.run.identity] for job in jobs]

    def of(self, phase: Phase, arm: str) -> list[RunResult]:
        """Return the results of one arm in one phase, in the order of the pairs."""
        found = sorted((e.pair, i) for i, e in enumerate(self.entries) if e.phase == phase and e.arm == arm)
        return [self.entries[i].result for _, i in found]
