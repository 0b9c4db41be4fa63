"""A run that is told to end does so within a step, also a large one, and in the middle of an evaluation."""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from regimen.data import Split, from_arrays
from regimen.engine.native import NativeTraining
from regimen.kernels.native import Kernels
from regimen.kernels.native_types import Ending
from regimen.models import MLP
from regimen.run import Recipe, Run

MakeRun = Callable[..., Run]
# Only to fail rather than to hang: nothing is asserted about time.
PATIENCE = 60_000


@contextmanager
def under_way(kernels: Kernels, training: NativeTraining) -> Iterator[int]:
    """Train in a pool of one thread, which is closed afterwards."""
    pool = kernels.functions.regimen_open(1)
    assert pool
    try:
        training.submit(kernels, pool)
        yield pool
    finally:
        kernels.functions.regimen_close(pool)


def wait_until(reached: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not reached():
        assert time.monotonic() - started < PATIENCE / 1000
        time.sleep(0)


@pytest.mark.parametrize("changes", [{}, {"model": MLP(hidden=(512, 512)), "batch_size": 163}], ids=["small", "large"])
def test_at_most_the_step_under_way_is_finished_after_the_flag(
    kernels: Kernels, make_run: MakeRun, changes: dict[str, object]
) -> None:
    training = NativeTraining(make_run(epochs=100_000, **changes), (), tag=4)
    run = training.native
    with under_way(kernels, training) as pool:
        wait_until(lambda: run.steps_run > 0)
        kernels.functions.regimen_cancel(pool)
        told = run.steps_run
        assert kernels.functions.regimen_wait(pool, PATIENCE) == 4
    assert told <= run.steps_run <= told + 1
    assert run.status == Ending.CANCELLED


def test_an_evaluation_of_many_rows_is_not_finished_after_the_flag(best_kernels: Kernels) -> None:
    # 20,000 rows through 1.1 million weights: some hundred times the training step before.
    rows = 20_008
    source = np.random.default_rng(4)
    table = from_arrays(source.normal(size=(rows, 4)), np.arange(rows) % 2, task="classification", name="long")
    split = Split(train=np.arange(8), validation=np.arange(8, rows), test=np.arange(0))
    recipe = Recipe(epochs=1000, batch_size=8)
    run = Run(recipe=recipe, model=MLP(hidden=(1024, 1024)), data=table, split=split, key=1, metric="accuracy")
    training = NativeTraining(run, (), tag=0)
    with under_way(best_kernels, training) as pool:
        # The training part is measured first: now the validation part is under way.
        wait_until(lambda: bool(training.losses["train"][0]))
        best_kernels.functions.regimen_cancel(pool)
        assert best_kernels.functions.regimen_wait(pool, PATIENCE) == 0
    assert training.native.status == Ending.CANCELLED
    assert training.losses["validation"][0] == 0.0
    assert training.native.epochs_run == 1


def test_closing_ends_what_is_under_way_and_begins_nothing_that_waits(kernels: Kernels, make_run: MakeRun) -> None:
    trainings = [NativeTraining(make_run(epochs=100_000, key=key), (), tag=key) for key in range(3)]
    pool = kernels.functions.regimen_open(1)
    assert pool
    for training in trainings:
        kernels.functions.regimen_submit(pool, ctypes.byref(training.native))
    wait_until(lambda: trainings[0].native.steps_run > 0)
    kernels.functions.regimen_close(pool)
    assert [training.native.status for training in trainings] == [Ending.CANCELLED, Ending.WAITING, Ending.WAITING]
    assert [training.native.steps_run > 0 for training in trainings] == [True, False, False]
