"""A list of runs in, a list of results out: the one door to all engines."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

from regimen.data import Table
from regimen.engine.reference import train_one
from regimen.engine.workers import WorkerPool
from regimen.errors import OptionError, nearest
from regimen.records import RunResult
from regimen.run import Run

ENGINES = ("auto", "reference")


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """Which engine trains, and for each candidate why it was or was not taken."""

    name: str
    reasons: dict[str, str]


def choose_engine(name: str = "auto") -> EngineChoice:
    """Return the engine that `name` stands for.

    Raises:
        OptionError: There is no such engine.
    """
    if name not in ENGINES:
        raise OptionError(f"--engine: no such engine {name!r}{nearest(name, ENGINES)}")
    return EngineChoice(name="reference", reasons={"reference": "trains every model; the only engine so far"})


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one intra-op thread inside, which makes results exactly repeatable."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    # macOS has no affinity; there all cores are ours.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Trainer:
    """Trains lists of runs and keeps its worker processes from one list to the next.

    Args:
        tables: Every table that a run will name.
        engine: `auto` or `reference`.
        processes: Runs trained at a time, >= 1; default one for each processor core.

    Raises:
        OptionError: There is no such engine, or `processes` is below 1.
    """

    def __init__(self, tables: Collection[Table], *, engine: str = "auto", processes: int | None = None) -> None:
        self.choice = choose_engine(engine)
        if processes is not None and processes < 1:
            raise OptionError(f"--processes: expected at least 1, got {processes}")
        self.processes = processes or available_cores()
        self._tables = list(tables)
        self._pool: WorkerPool | None = None

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
        for index, result in self._results(runs, keep):
            results[index] = result
            if on_result is not None:
                on_result(index, result)
        return [results[index] for index in range(len(runs))]

    def _results(self, runs: Sequence[Run], keep: Collection[str]) -> Iterator[tuple[int, RunResult]]:
        if self.processes == 1 or len(runs) == 1:
            for index, run in enumerate(runs):
                with one_thread():
                    result = train_one(run, keep=keep)
                yield index, result
        elif runs:
            if self._pool is None:
                self._pool = WorkerPool(self._tables, self.processes)
            yield from self._pool.train(runs, keep)

    def close(self) -> None:
        """Let the worker processes go."""
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
    keep: Collection[str] = (),
    on_result: Callable[[int, RunResult], None] | None = None,
) -> list[RunResult]:
    """Train `runs` and return their results in order; see `Trainer`.

    Example:
        >>> train([])
        []
    """
    with Trainer({run.data for run in runs}, engine=engine, processes=processes) as trainer:
        return trainer.train(runs, keep=keep, on_result=on_result)
