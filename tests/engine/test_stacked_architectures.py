"""Ten architectures as users write them: stacked where that is possible, else told why; equal to each trained alone."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from regimen.data import Images, Split, Table, from_arrays, from_images
from regimen.engine import train, train_one
from regimen.models import own_module
from regimen.run import Recipe, Run
from regimen.techniques import SGD

ARCHITECTURES = runpy.run_path(str(Path(__file__).parents[1] / "models" / "architectures.py"))["ARCHITECTURES"]
ROWS, KEEP = 100, ("outputs", "weights")
NOT_STACKED = {
    "gru": "torch.vmap has no rule for aten::gru.input",
    "transformer": "it draws random numbers of its own from PyTorch's generator",
    "control flow": "its forward decides by the values of tensors, which differ from run to run",
}


@pytest.fixture(scope="module")
def digits() -> Images:
    x, y = load_digits(return_X_y=True)
    return from_images((15 * x[:ROWS]).astype(np.uint8).reshape(ROWS, 1, 8, 8), y[:ROWS], name="digits")


@pytest.fixture(scope="module")
def diabetes() -> Table:
    x, y = load_diabetes(return_X_y=True)
    return from_arrays(x[:ROWS], y[:ROWS], task="regression", name="diabetes")


def runs_of(name: str, digits: Images, diabetes: Table, **changes: Any) -> list[Run]:
    architecture = ARCHITECTURES[name]
    data, metric = (diabetes, "rmse") if architecture.outputs == 1 else (digits, "accuracy")
    rows = np.arange(ROWS)
    split = Split(train=rows[:61], validation=rows[61:80], test=rows[80:])
    recipe = Recipe(**({"epochs": 1, "batch_size": 10, "lr": 0.02, "optimizer": SGD()} | changes))
    model = own_module(architecture.make)
    return [Run(recipe=recipe, model=model, data=data, split=split, key=key, metric=metric) for key in (1, 2)]


def assert_equal_to_each_alone(runs: list[Run], engine: str, why: str) -> None:
    for run, found in zip(runs, train(runs, engine="stacked", processes=1, keep=KEEP), strict=True):
        expected = train_one(run, keep=KEEP)
        assert (found.engine, found.why) == (engine, why)
        assert (found.status, found.epoch, found.steps) == (expected.status, expected.epoch, expected.steps)
        assert np.allclose(found.curves.train_loss, expected.curves.train_loss, rtol=2e-5)
        for part in KEEP:
            ours, theirs = getattr(found, part), getattr(expected, part)
            assert list(ours) == list(theirs)
            for name, values in theirs.items():
                assert np.max(np.abs(ours[name] - values)) <= 2e-5 * max(np.max(np.abs(values)), 1e-2), name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_stacked_or_told_why_and_equal_to_each_alone(
    digits: Images, diabetes: Table, name: str
) -> None:
    runs = runs_of(name, digits, diabetes)
    why = NOT_STACKED.get(name)
    assert_equal_to_each_alone(runs, "reference" if why else "stacked", f"stacked: {why}" if why else "")


def test_a_transformer_without_dropout_is_stacked(digits: Images, diabetes: Table) -> None:
    """That inside of its attention is PyTorch's own, and is all that stands in the way."""
    assert_equal_to_each_alone(runs_of("transformer", digits, diabetes, dropout_scale=0.0), "stacked", "")


def test_normalization_and_dropout_that_a_recipe_inserts_are_stacked(digits: Images, diabetes: Table) -> None:
    changes: dict[str, Any] = {"normalization": "batch", "dropout": 0.3, "input_dropout": 0.1}
    assert_equal_to_each_alone(runs_of("lenet", digits, diabetes, **changes), "stacked", "")


def test_drop_path_of_residual_branches_is_stacked(digits: Images, diabetes: Table) -> None:
    assert_equal_to_each_alone(runs_of("residual mlp", digits, diabetes, drop_path=0.3), "stacked", "")
