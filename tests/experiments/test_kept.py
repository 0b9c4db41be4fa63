"""Finished runs are kept: an interrupted experiment goes on where it was, and a quick one keeps nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regimen.data import from_images
from regimen.experiments.context import Context
from regimen.experiments.kept import kept
from regimen.experiments.known_pictures import watched
from regimen.models import MLP
from regimen.records import Curves, RunResult
from regimen.run import Recipe, Run
from regimen.store import FILE

RESULT = RunResult(
    identity="", status="finished", metric=0.5, train_loss=1.0, validation_loss=2.0, epoch=1, epochs_run=1, steps=3,
    seconds=0.1, curves=Curves(train_loss=(1.0,), validation_loss=(2.0,), metric=(0.5,)),
)  # fmt: skip


def runs(count: int = 2) -> list[Run]:
    draws = np.random.default_rng(0)
    data = from_images(
        draws.integers(0, 256, (40, 1, 4, 4)), [0, 1] * 20, test=(draws.integers(0, 256, (10, 1, 4, 4)), [0, 1] * 5)
    )
    recipe = Recipe(epochs=2)
    split = watched(data)
    assert (len(split.train), len(split.validation)) == (40, 10)
    return [
        Run(recipe=recipe, model=MLP(hidden=(3,)), data=data, split=split, key=key, metric="accuracy")
        for key in range(count)
    ]


def test_runs_that_are_kept_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    context = Context(folder=tmp_path / "new" / "folder", processes=1, on_progress=told.append)
    with kept(context) as store:
        first = store.train(runs(1), share=0.5)
        assert store.remarks() == ()
    asked: list[int] = []
    monkeypatch.setattr(
        "regimen.experiments.kept.train", lambda missing, **_: asked.append(len(missing)) or [RESULT] * len(missing)
    )
    with kept(context) as store:
        again = store.train(runs(2), share=0.5)
        assert store.remarks() == (f"1 of 2 runs had been finished before and were taken from {FILE} in the folder.",)
    assert asked == [1]
    assert again == [first[0], RESULT]
    assert told == [0.5, 0.25]


def test_a_kept_run_without_the_arrays_that_are_asked_for_is_trained_again(tmp_path: Path) -> None:
    context = Context(folder=tmp_path, processes=1)
    with kept(context) as store:
        store.train(runs(1), share=1.0)
        (with_weights,) = store.train(runs(1), share=1.0, keep=("weights",))
        assert store.found == 0
        assert with_weights.weights is not None
    with kept(context) as store:
        (found,) = store.train(runs(1), share=1.0, keep=("weights",))
        assert store.found == 1
        assert found.weights is not None


def work(step: Callable[[], None]) -> RunResult:
    step()
    step()
    return RESULT


def test_a_run_in_plain_pytorch_is_kept_by_its_description(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(step: Callable[[], None]) -> RunResult:
        calls.append(1)
        return work(step)

    told: list[float] = []
    context = Context(folder=tmp_path, on_progress=told.append)
    for lr in (0.1, 0.1, 0.2):
        with kept(context) as store:
            result = store.posted({"what": "a test", "lr": lr}, counted, steps=2, share=0.6)
            assert replace(result, identity="", engine=RESULT.engine) == RESULT
    assert len(calls) == 2
    assert told == pytest.approx([0.3, 0.3, 0.6, 0.3, 0.3])


@pytest.mark.parametrize("size", ["quick", "standard"])
def test_the_quick_size_keeps_nothing(size: str, tmp_path: Path) -> None:
    with kept(Context(size=size, folder=tmp_path)) as store:  # type: ignore[arg-type]
        store.posted({"what": "a test"}, work, steps=2, share=1.0)
    assert (tmp_path / FILE).exists() == (size == "standard")


def test_without_a_folder_nothing_is_kept() -> None:
    with kept(Context()) as store:
        assert store.posted({"what": "a test"}, work, steps=2, share=1.0).metric == 0.5
        assert store.store is None
