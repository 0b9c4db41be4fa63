"""Worker processes: several runs at a time, each with one thread, none outliving its parent."""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from regimen.data import Data
from regimen.engine.reference import train_one
from regimen.errors import EngineError
from regimen.records import RunResult
from regimen.run import Run


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one intra-op thread inside, which makes results exactly repeatable."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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


def _train(fields: dict[str, Any], digest: str, keep: tuple[str, ...]) -> RunResult:
    return train_one(Run(data=_tables[digest], **fields), keep=keep)


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
        # Spawned, not forked: a fork of a process whose torch has started threads can hang.
        self._executor = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(self._tables,),
        )

    def train(self, runs: Sequence[Run], keep: Collection[str]) -> Iterator[tuple[int, RunResult]]:
        """Yield the index and result of each run as it finishes.

        Raises:
            EngineError: A worker process died (killed, or out of memory).
        """
        futures = {}
        try:
            # The executor starts its processes as it gets work.
            with _interrupts_held_back():
                for index, run in enumerate(runs):
                    fields = {
                        name: getattr(run, name) for name in ("recipe", "model", "split", "key", "metric")
                    }  # all but the table
                    futures[self._executor.submit(_train, fields, run.data.digest, tuple(keep))] = index
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise EngineError(
                "a worker process died (killed from outside, or out of memory); what was finished is kept; "
                "try again with one process if memory is short, and in a script call it under "
                "`if __name__ == '__main__':`, which new processes need"
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Let the processes go; runs in progress end on their own."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._tables.unlink(missing_ok=True)
