"""Large networks go to the reference under `auto`, where the native engine gains nothing, and say so."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regimen.data import Split, from_arrays, from_images
from regimen.engine import against_native, size, train
from regimen.engine.size import too_large, weights
from regimen.errors import OptionError
from regimen.kernels.native import find_kernels, why_no_kernels
from regimen.models import MLP
from regimen.run import Recipe, Run
from regimen.techniques import EarlyStopping

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


@pytest.mark.parametrize(
    ("share", "stops", "goes_native"), [(4.0, False, True), (3.9, False, False), (8.0, True, True), (7.9, True, False)]
)
def test_auto_sends_images_that_would_fill_the_memory_to_the_reference(
    monkeypatch: pytest.MonkeyPatch, share: float, stops: bool, goes_native: bool
) -> None:
    if find_kernels() is None:
        pytest.skip(why_no_kernels())
    size._free_at_first.cache_clear()
    pixels = np.random.default_rng(1).integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
    images = from_images(pixels, np.arange(60) % 2)
    rows = np.arange(60)
    run = Run(
        recipe=Recipe(epochs=1, early_stopping=EarlyStopping() if stops else None),
        model=MLP(hidden=(4,)),
        data=images,
        split=Split(train=rows[:40], validation=rows[40:], test=rows[60:]),
        key=1,
        metric="accuracy",
    )
    monkeypatch.setattr(size, "free_memory", lambda: int(share * 4 * pixels.size))
    (found,) = train([run], processes=1)
    assert found.engine == ("native" if goes_native else "reference")
    assert goes_native or found.why.startswith("would keep the images as 0.0 GiB of float32 (at most 25% of the ")
    assert against_native(run, "native") is None
    size._free_at_first.cache_clear()
    monkeypatch.setattr(size, "free_memory", lambda: int(0.5 * share * 4 * pixels.size))
    assert (against_native(run, "native") is None) == goes_native
    monkeypatch.setattr(size, "free_memory", lambda: int(share * 4 * pixels.size))
    size._free_at_first.cache_clear()
    assert (against_native(run, "auto") is None) == goes_native
    monkeypatch.setattr(size, "free_memory", lambda: 0)
    assert (against_native(run, "auto") is None) == goes_native, "the same for all runs on the same images"
    size._free_at_first.cache_clear()


def test_native_asked_for_refuses_images_that_would_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_kernels() is None:
        pytest.skip(why_no_kernels())
    size._free_at_first.cache_clear()
    images = from_images(np.random.default_rng(2).integers(0, 256, (60, 1, 4, 4)).astype(np.uint8), np.arange(60) % 2)
    rows = np.arange(60)
    split = Split(train=rows[:40], validation=rows[40:], test=rows[60:])
    run = Run(recipe=Recipe(epochs=1), model=MLP(hidden=(4,)), data=images, split=split, key=1, metric="accuracy")
    monkeypatch.setattr(size, "free_memory", lambda: 1000)
    message = r"--engine native: would keep the images as .* \(at most 50% of the .* were free\); use --engine auto"
    with pytest.raises(OptionError, match=message):
        train([run], engine="native", processes=1)
    size._free_at_first.cache_clear()
