"""Worker processes of one thread each, for contestants that train runs side by side or need another instruction set."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Self

import torch
from rivals import Contestant, Job, Outcome, Setting
from threadpoolctl import threadpool_limits


def one_thread(isa: str | None = None) -> None:
    """Let this process compute with one thread in PyTorch and BLAS, and the native engine use that instruction set."""
    if isa is not None:
        os.environ["REGIMEN_ISA"] = isa
    torch.set_num_threads(1)
    threadpool_limits(1)


class Workers:
    """Processes that stay from one repeat to the next, so that their start and imports are nobody's time.

    Args:
        count: How many.
        isa: Of the native engine in them; None for the best.
    """

    def __init__(self, count: int, isa: str | None = None) -> None:
        self.count = count
        self._pool = ProcessPoolExecutor(
            count, mp_context=multiprocessing.get_context("spawn"), initializer=one_thread, initargs=(isa,)
        )

    def train(self, contestant: Contestant, job: Job, settings: Sequence[Setting]) -> list[Outcome]:
        """Divide the runs among the processes and return all outcomes."""
        shares = [settings[first :: self.count] for first in range(min(self.count, len(settings)))]
        jobs = [job] * len(shares)
        return [outcome for part in self._pool.map(contestant, jobs, shares) for outcome in part]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
