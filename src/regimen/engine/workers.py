"""Worker processes: several runs at a time, each with one thread, none outliving its parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

import torch

from regimen.data import Table
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
_tables: dict[str, Table] = {}


def _start(tables: dict[str, Table]) -> None:
    """Set up a worker: one thread, Ctrl-C left to the parent, and an end when the parent ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _tables.update(tables)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _train(fields: dict[str, Any], digest: str, keep: tuple[str, ...]) -> RunResult:
    return train_one(Run(data=_tables[digest], **fields), keep=keep)


class WorkerPool:
    """Processes that train runs of given tables.

    Args:
        tables: Every table that a run will name.
        processes: How many, >= 1.
    """

    def __init__(self, tables: Collection[Table], processes: int) -> None:
        # Spawned, not forked: a fork of a process whose torch has started threads can hang.
        self._executor = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=({table.digest: table for table in tables},),
        )

    def train(self, runs: Sequence[Run], keep: Collection[str]) -> Iterator[tuple[int, RunResult]]:
        """Yield the index and result of each run as it finishes.

        Raises:
            EngineError: A worker process died (killed, or out of memory).
        """
        futures = {}
        try:
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
                "try again with --processes 1 if memory is short"
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Let the processes go; runs in progress end on their own."""
        self._executor.shutdown(wait=False, cancel_futures=True)
