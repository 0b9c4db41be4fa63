"""Large networks go to the reference under `auto`, where the native engine gains nothing, and say so."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regimen.data import Split, from_arrays
from regimen.engine import against_native, train
from regimen.engine.size import too_large, weights
from regimen.kernels.native import find_kernels, why_no_kernels
from regimen.models import MLP
from regimen.run import Recipe, Run

MakeRun = Callable[..., Run]


@pytest.mark.parametrize(
    ("hidden", "batch_size", "goes_native"),
    [
        ((8,), 60, True),
        ((1024, 1024, 1024), 60, True),  # 2.1 million
        ((2000, 1990), 60, True),  # 4.0 million, just below
        ((2000, 2000), 60, False),  # just above
        ((2000, 2000), 33, False),
        ((2000, 2000), 32, True),
    ],
)
def test_auto_sends_large_networks_in_large_batches_to_the_reference(
    make_run: MakeRun, hidden: tuple[int, ...], batch_size: int, goes_native: bool
) -> None:
    reason = too_large(make_run(model=MLP(hidden=hidden), batch_size=batch_size))
    assert (reason is None) == goes_native
    if reason is not None:
        assert reason.startswith(f"is no faster with 4.0 million weights in batches of {batch_size} ")


def test_weights_are_those_of_all_linear_layers(make_run: MakeRun) -> None:
    assert weights(make_run(model=MLP(hidden=(8, 5)))) == 4 * 8 + 8 * 5 + 5 * 3


def test_levels_of_categories_are_inputs() -> None:
    colours = np.array([["red"], ["green"], ["blue"]] * 20)
    table = from_arrays(colours, np.arange(60) % 2, task="classification", name="colours")
    rows = np.arange(60)
    split = Split(train=rows[:40], validation=rows[40:], test=rows[60:])
    run = Run(recipe=Recipe(), model=MLP(hidden=(10,)), data=table, split=split, key=1, metric="accuracy")
    assert weights(run) == 3 * 10 + 10 * 2


def test_native_asked_for_trains_any_size_and_auto_records_why_not(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_kernels() is None:
        pytest.skip(why_no_kernels())
    monkeypatch.setattr("regimen.engine.size.MOST_WEIGHTS", 100)
    monkeypatch.setattr("regimen.engine.size.SMALL_BATCH", 9)
    runs: list[Any] = [make_run(), make_run(model=MLP(hidden=(20,))), make_run(model=MLP(hidden=(20,)), batch_size=9)]
    assert [against_native(run, "native") for run in runs] == [None] * 3
    found = train(runs, processes=1)
    assert [result.engine for result in found] == ["native", "reference", "native"]
    assert (
        found[1].why
        == "is no faster with 0.0 million weights in batches of 10 (at most 0.0001 million, or batches of 9)"
    )
    assert [result.engine for result in train(runs, engine="native", processes=1)] == ["native"] * 3
