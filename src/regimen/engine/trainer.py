"""A list of runs in, a list of results out: the one door to all engines."""

import multiprocessing
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from regimen.data import Data
from regimen.data.keeping import keep_for
from regimen.data.machine import available_cores as available_cores
from regimen.engine.devices import CPU, device_name, training_device
from regimen.engine.native import train_native
from regimen.engine.reference import train_one
from regimen.engine.size import against_native
from regimen.engine.stacked_bundles import train_stacked
from regimen.engine.stacked_choice import Chooser, Stacking
from regimen.engine.surroundings import undisturbed
from regimen.engine.workers import WorkerPool, end_where_imported
from regimen.errors import OptionError, nearest
from regimen.kernels.native import find_kernels, why_no_kernels
from regimen.records import RunResult
from regimen.run import Run

ENGINES = ("auto", "native", "stacked", "reference")


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """Which engine trains, and for each candidate why it was or was not taken."""

    name: str
    reasons: dict[str, str]


def choose_engine(name: str = "auto", device: str | None = None) -> EngineChoice:
    """Return the engine that `name` stands for.

    Args:
        name: Of `ENGINES`.
        device: See `regimen.engine.devices.training_device`. On a graphics card `auto` is `stacked`.

    Raises:
        OptionError: There is no such engine or device, `native` is asked for and not installed, or the engine trains on
            the processor only and another device is asked for.
    """
    if name not in ENGINES:
        raise OptionError(f"--engine: no such engine {name!r}{nearest(name, ENGINES)}")
    place = training_device(device)
    if place != CPU:
        if name in ("native", "reference"):
            raise OptionError(f"--engine {name} trains on the processor; leave --device or --engine out")
        reasons = {"stacked": f"trains on {device_name(place)}", "reference": "trains what cannot be stacked"}
        return EngineChoice(name="stacked", reasons=reasons)
    kernels = find_kernels()
    if name == "native" and kernels is None:
        raise OptionError(f"--engine native: {why_no_kernels()}")
    if name in ("reference", "stacked"):
        reasons = {name: "asked for"} | ({"reference": "trains what cannot be stacked"} if name == "stacked" else {})
        return EngineChoice(name=name, reasons=reasons)
    stacked = "bundles of many runs, where a measurement at the start says that they are faster"
    if kernels is None:
        reasons = {"reference": "trains every model", "stacked": stacked, "native": why_no_kernels()}
        return EngineChoice(name="reference", reasons=reasons)
    reasons = {"native": f"whole runs in C++, one on each core ({kernels.isa})"}
    if name == "auto":
        reasons |= {"stacked": stacked, "reference": "trains what the others cannot, or not faster"}
    return EngineChoice(name="native", reasons=reasons)


class Trainer:
    """Trains lists of runs and keeps its worker processes from one list to the next.

    Args:
        tables: Every table that a run will name.
        engine: `auto` (each run where it trains fastest, see `regimen.engine.size` and `stacked_choice`),
            `native`, `stacked` (what cannot be stacked goes to the reference engine) or `reference`.
        processes: Runs trained at a time (in threads, if native), >= 1; default one for each processor core.
        device: `auto` or `cpu`: the processor; `cuda`: what can be stacked trains on the graphics card, the rest in the
            reference engine.

    Raises:
        OptionError: There is no such engine or device, or `processes` is below 1.
    """

    def __init__(
        self,
        tables: Collection[Data],
        *,
        engine: str = "auto",
        processes: int | None = None,
        device: str | None = None,
    ) -> None:
        end_where_imported()
        self.choice = choose_engine(engine, device)
        self.device = training_device(device)
        self.engine = engine
        if processes is not None and processes < 1:
            raise OptionError(f"--processes: expected at least 1, got {processes}")
        self.processes = processes or available_cores()
        self._tables = list(tables)
        self._pool: WorkerPool | None = None
        self._chooser = Chooser(engine=engine, processes=self.processes, device=self.device)
        self._let_go = keep_for(self)

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        """Return the results in the order of the runs; equal whatever the number of processes.

        Args:
            runs: What to train.
            keep: `outputs`, `weights` or both, see `train_one`.
            on_result: Called with index and result as each run finishes, in any order.
        """
        results: dict[int, RunResult] = {}
        # Closed at once, also when `on_result` raises: nothing may go on training behind the caller's back.
        with closing(self._results(runs, keep)) as finished:
            for index, result in finished:
                results[index] = result
                if on_result is not None:
                    on_result(index, result)
        return [results[index] for index in range(len(runs))]

    def _results(self, runs: Sequence[Run], keep: Collection[str]) -> Generator[tuple[int, RunResult], None, None]:
        reasons = [against_native(run, self.engine) if self.choice.name == "native" else "" for run in runs]
        refused = {reason for reason in reasons if reason}
        if self.engine == "native" and refused:
            raise OptionError(f"--engine native: {'; '.join(sorted(refused))}; use --engine auto")
        native = [index for index, reason in enumerate(reasons) if reason is None]
        others = [index for index, reason in enumerate(reasons) if reason is not None]
        for i, result in train_native([runs[index] for index in native], threads=self.processes, keep=keep):
            yield native[i], result
        left = [runs[index] for index in others]
        stacks = self.engine in ("auto", "stacked")
        stacking = self._chooser.stacking(left) if stacks else Stacking(bundles=[], reasons={})
        for i, result in self._pytorch_results(left, keep, stacking.bundles):
            why = "; ".join(filter(None, (reasons[others[i]], stacking.reasons.get(i), result.why)))
            yield others[i], replace(result, why=why)

    def _pytorch_results(
        self, runs: Sequence[Run], keep: Collection[str], bundles: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, RunResult]]:
        """Train in plain PyTorch: bundles together, all others alone, in worker processes if there is a choice."""
        together = {index for bundle in bundles for index in bundle}
        alone = [index for index in range(len(runs)) if index not in together]
        # A daemonic process, such as a worker of `multiprocessing.Pool`, may have no children.
        spread = self.processes > 1 and not multiprocessing.current_process().daemon
        # A graphics card is this process's alone: others would need its memory a second time.
        if self.device == CPU and spread and len(bundles) + len(alone) > 1:
            yield from self._workers().train(runs, keep, bundles)
            return
        for bundle in bundles:
            results = train_stacked([runs[index] for index in bundle], keep, self.device)
            while True:
                with undisturbed():
                    found = next(results, None)
                if found is None:
                    break
                yield bundle[found[0]], found[1]
        if spread and len(alone) > 1:
            for i, result in self._workers().train([runs[index] for index in alone], keep, []):
                yield alone[i], result
            return
        for index in alone:
            with undisturbed():
                result = train_one(runs[index], keep=keep)
            yield index, result

    def _workers(self) -> WorkerPool:
        if self._pool is None:
            self._pool = WorkerPool(self._tables, self.processes)
        return self._pool

    def close(self) -> None:
        """Let the worker processes go, and what was prepared, unless others still train."""
        self._let_go()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def train(
    runs: Sequence[Run],
    *,
    engine: str = "auto",
    processes: int | None = None,
    device: str | None = None,
    keep: Collection[str] = (),
    on_result: Callable[[int, RunResult], None] | None = None,
) -> list[RunResult]:
    """Train `runs` and return their results in order; see `Trainer`.

    Example:
        >>> train([])
        []
    """
    with Trainer({run.data for run in runs}, engine=engine, processes=processes, device=device) as trainer:
        return trainer.train(runs, keep=keep, on_result=on_result)
