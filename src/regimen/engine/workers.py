"""Worker processes: several runs at a time, each with one thread, none outliving its parent."""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from regimen.data import Data
from regimen.engine.reference import train_one
from regimen.engine.stacked_bundles import train_stacked
from regimen.engine.surroundings import undisturbed
from regimen.errors import EngineError
from regimen.records import RunResult
from regimen.run import Run

# Tables of this worker process, by digest: sent once to each worker instead of with every run.
_tables: dict[str, Data] = {}


def _start(tables: Path) -> None:
    """Set up a worker: one thread, Ctrl-C left to the parent, and an end when the parent ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        _tables.update(pickle.loads(tables.read_bytes()))
    except FileNotFoundError:
        os._exit(0)  # the pool was closed before this worker was up
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel, tables), daemon=True).start()


def _end_with(sentinel: int, tables: Path) -> None:
    wait([sentinel])
    tables.unlink(missing_ok=True)
    os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back inside, and keep it from the processes that are started inside, which inherit the mask.

    A worker ignores Ctrl-C by itself only after it has imported torch, which takes seconds: until then the signal,
    which a terminal sends to all, would end it with a traceback.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    held: list[int] = []
    # The mask alone would not do: another thread of this process may take the signal, and Python raises it here.
    handler = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)


# Names, for the processes that a pool starts, the file by which one tells that it runs the script itself.
UNGUARDED = "REGIMEN_UNGUARDED"


def end_where_imported() -> None:
    """End this process if it is a worker that is about to train because it imports the script which started it."""
    # New processes import the script of their parent before all else; one without the usual guard then runs anew.
    told = os.environ.get(UNGUARDED)
    if told and getattr(multiprocessing.current_process(), "_inheriting", False):
        Path(told).touch()
        os._exit(1)


def _train(fields: list[dict[str, Any]], digest: str, keep: tuple[str, ...], stacked: bool) -> list[RunResult]:
    runs = [Run(data=_tables[digest], **one) for one in fields]
    # The script that started this process has been imported here, and may have set what it likes.
    with undisturbed():
        if not stacked:
            return [train_one(run, keep=keep) for run in runs]
        results = dict(train_stacked(runs, keep))
    return [results[index] for index in range(len(runs))]


class WorkerPool:
    """Processes that train runs of given tables.

    Args:
        tables: Every table that a run will name.
        processes: How many, >= 1.
    """

    def __init__(self, tables: Collection[Data], processes: int) -> None:
        # By file, not as an argument: a pipe takes 64 KiB, and for more the parent would wait until each worker in turn
        # has imported torch.
        handle, path = tempfile.mkstemp(prefix="regimen-", suffix=".tables")
        self._tables = Path(path)
        with os.fdopen(handle, "wb") as file:
            pickle.dump({table.digest: table for table in tables}, file)
        self.processes = processes
        self._unguarded = self._tables.with_suffix(".unguarded")
        os.environ[UNGUARDED] = str(self._unguarded)
        self._executor = self._started()

    def _started(self) -> ProcessPoolExecutor:
        # Spawned, not forked: a fork of a process whose torch has started threads can hang.
        return ProcessPoolExecutor(
            self.processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(self._tables,),
        )

    def train(
        self, runs: Sequence[Run], keep: Collection[str], bundles: Sequence[Sequence[int]] = ()
    ) -> Iterator[tuple[int, RunResult]]:
        """Yield the index and result of each run as it finishes.

        Where a process dies (killed, or out of memory), what the processes had is trained again in half as many, and
        bundles in halves.

        Args:
            runs: What to train.
            keep: `outputs`, `weights` or both, see `train_one`.
            bundles: Indices of runs that are trained together by the stacked engine; all others are trained alone.

        Raises:
            EngineError: The last process died too.
        """
        together = {index for bundle in bundles for index in bundle}
        tasks = [tuple(bundle) for bundle in bundles] + [(i,) for i in range(len(runs)) if i not in together]
        while tasks:
            left = dict.fromkeys(tasks)
            try:
                for task, results in self._finished(runs, keep, tasks, together):
                    del left[task]
                    yield from zip(task, results, strict=True)
                return
            except BrokenProcessPool as error:
                if self._unguarded.exists():
                    raise EngineError(
                        "new processes import the script that starts them, and this one trains as it is imported: put "
                        "what it does under `if __name__ == '__main__':`, or ask for one process"
                    ) from None
                if self.processes == 1:
                    raise EngineError(
                        "a worker process died (killed from outside, or out of memory); what was finished is kept; "
                        "try again with one process if memory is short"
                    ) from error
            self._executor.shutdown(wait=False, cancel_futures=True)
            self.processes //= 2
            self._executor = self._started()
            tasks = [
                half for task in left for half in (task[: (len(task) + 1) // 2], task[(len(task) + 1) // 2 :]) if half
            ]

    def _finished(
        self, runs: Sequence[Run], keep: Collection[str], tasks: Sequence[tuple[int, ...]], together: Collection[int]
    ) -> Iterator[tuple[tuple[int, ...], list[RunResult]]]:
        """Yield tasks and the results of their runs as they are finished.

        Raises:
            BrokenProcessPool: A process died, and all that was finished before has been yielded.
        """
        futures: dict[Future[list[RunResult]], tuple[int, ...]] = {}
        broken: BrokenProcessPool | None = None
        try:
            # The executor starts its processes as it gets work.
            with _interrupts_held_back():
                for task in tasks:
                    fields = [_all_but_the_table(runs[index]) for index in task]
                    stacked = task[0] in together
                    digest = runs[task[0]].data.digest
                    futures[self._executor.submit(_train, fields, digest, tuple(keep), stacked)] = task
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    broken = error
                else:
                    yield futures[future], future.result()
        except BrokenProcessPool as error:  # it broke before all was submitted
            broken = error
        finally:
            if not all(future.done() for future in futures):
                # By the executor, not future by future: it fails over cancelled ones when a process dies (Python 3.11).
                self._executor.shutdown(wait=False, cancel_futures=True)
                self._executor = self._started()
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Let the processes go; runs in progress end on their own."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if os.environ.get(UNGUARDED) == str(self._unguarded):
            del os.environ[UNGUARDED]  # processes that are still starting have it in their own
        for file in (self._tables, self._unguarded):
            file.unlink(missing_ok=True)


def _all_but_the_table(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in ("recipe", "model", "split", "key", "metric")}
