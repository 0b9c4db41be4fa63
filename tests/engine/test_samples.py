"""Samples train as the table of the same numbers does, in every engine, and take only what can be done to them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import regimen.engine.reference
from regimen.data import Samples, Split, from_arrays, from_samples
from regimen.engine import Trainer, choose_engine, train_one, why_not
from regimen.engine.reference import Training
from regimen.engine.size import against_native
from regimen.errors import OptionError, RecipeError
from regimen.models import MLP, ConvNet, own_module
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.techniques import SGD, EarlyStopping

ROWS = np.arange(60)
SPLIT = Split(train=ROWS[:41], validation=ROWS[41:53], test=ROWS[53:])
X = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
Y = ROWS % 3
TOKENS = from_samples(np.random.default_rng(2).integers(0, 9, (60, 12)), Y)
RECIPES = {
    "plain": Recipe(epochs=3, lr=0.02, batch_size=10),
    "everything": Recipe(
        epochs=3,
        lr=0.02,
        batch_size=10,
        optimizer=SGD(momentum=0.9),
        dropout=0.3,
        input_dropout=0.1,
        mixup=0.4,
        input_noise=0.2,
        early_stopping=EarlyStopping(patience=2),
        label_smoothing=0.1,
    ),
}


def run_on(data: Any, recipe: Recipe = RECIPES["plain"], **changes: Any) -> Run:
    metric = "accuracy" if data.task == "classification" else "rmse"
    return Run(
        **{"recipe": recipe, "model": MLP(hidden=(8,)), "data": data, "split": SPLIT, "key": 5, "metric": metric}
        | changes
    )


def assert_same(one: RunResult, other: RunResult, tolerance: float = 0.0) -> None:
    assert one.outputs is not None and other.outputs is not None
    for part in ("validation", "test"):
        np.testing.assert_allclose(one.outputs[part], other.outputs[part], rtol=0, atol=tolerance)
    np.testing.assert_allclose(one.curves.train_loss, other.curves.train_loss, rtol=0, atol=tolerance)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_samples_train_as_an_unscaled_table_of_the_same_numbers_whatever_the_recipe_scales(recipe: Recipe) -> None:
    table = run_on(from_arrays(X, Y, task="classification"), recipe.replace(input_scaling="none"))
    expected = train_one(table, keep=("outputs",))
    for scaling in ("standard", "none"):
        assert_same(
            train_one(run_on(from_samples(X, Y), recipe.replace(input_scaling=scaling)), keep=("outputs",)), expected
        )


def test_amounts_of_samples_train_as_those_of_a_table() -> None:
    y = 50.0 + 3.0 * X[:, 0]
    recipe = RECIPES["plain"].replace(input_scaling="none")
    expected = train_one(run_on(from_arrays(X, y), recipe), keep=("outputs",))
    found = train_one(run_on(from_samples(X, y), recipe), keep=("outputs",))
    assert_same(found, expected)
    assert found.metric == expected.metric


def test_the_shape_of_a_sample_changes_nothing_for_a_perceptron() -> None:
    flat = train_one(run_on(from_samples(X, Y)), keep=("outputs",))
    assert_same(train_one(run_on(from_samples(X.reshape(60, 2, 3, 2), Y)), keep=("outputs",)), flat)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("shape", [(12,), (3, 4), (3, 2, 2)], ids=str)
def test_the_native_engine_trains_samples_of_any_shape_as_the_reference_does(
    recipe: Recipe, shape: tuple[int, ...]
) -> None:
    if choose_engine().name != "native":
        pytest.skip("no kernels")
    run = run_on(from_samples(X.reshape(60, *shape), Y), recipe)
    with Trainer([run.data], engine="native", processes=1) as trainer:
        [found] = trainer.train([run], keep=("outputs",))
    assert found.engine == "native"
    assert_same(found, train_one(run, keep=("outputs",)), tolerance=2e-5)


def test_large_samples_are_gathered_batch_by_batch_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_on(from_samples(X, Y), RECIPES["everything"])
    expected = train_one(run, keep=("outputs",))
    monkeypatch.setattr(regimen.engine.reference, "GATHERED_BYTES", 0)
    assert_same(train_one(run, keep=("outputs",)), expected)


def test_a_convolutional_network_trains_on_samples_shaped_like_images() -> None:
    samples = from_samples(np.random.default_rng(1).normal(size=(60, 2, 12, 12)), Y)
    assert train_one(run_on(samples, model=ConvNet(), recipe=Recipe(epochs=1))).status == "finished"
    with pytest.raises(OptionError, match=r"needs images, got inputs of shape \[12, 12\]"):
        run_on(from_samples(samples.x[:, 0], Y), model=ConvNet())


@pytest.mark.parametrize(
    ("samples", "changes", "message"),
    [
        (TOKENS, {"input_noise": 0.1}, "input_noise: needs numbers, and the samples of samples are whole numbers"),
        (TOKENS, {"mixup": 0.1}, "mixup: needs numbers"),
        (TOKENS, {"input_dropout": 0.1}, "input_dropout: needs numbers"),
        (from_samples(X.reshape(60, 3, 2, 2), Y), {"cutmix": 1.0}, "cutmix: needs images, and samples is samples"),
    ],
)
def test_what_can_not_be_done_to_samples_is_refused(samples: Samples, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        run_on(samples, Recipe(**changes), model=own_module(Words))


def test_a_described_network_is_refused_for_whole_numbers() -> None:
    with pytest.raises(OptionError, match=r"mlp:8 has no embedding, .* take a module of your own"):
        run_on(TOKENS)


class Words(nn.Module):
    """Embeds whole numbers, and averages them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 6)
        self.end = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(torch.relu(self.embedding(x).mean(1)))


def test_a_module_of_ones_own_is_fed_whole_numbers() -> None:
    run = run_on(TOKENS, model=own_module(Words), recipe=Recipe(epochs=30, lr=0.05))
    assert why_not(run) is not None and against_native(run, "auto") is not None
    result = train_one(run)
    assert result.status == "finished" and result.train_loss < 0.9 * np.log(3)


@pytest.mark.parametrize("by", ["group", "time"])
def test_the_stop_part_inside_a_run_is_of_whole_groups_or_the_latest_rows(by: str) -> None:
    values = np.random.default_rng(3).permutation(60) // (5 if by == "group" else 1)
    samples = from_samples(X, Y, **{by: values})  # type: ignore[arg-type]
    training = Training(run_on(samples, RECIPES["everything"]), ())
    trained = training.rows.numpy()
    stopped = np.setdiff1d(SPLIT.train, trained)
    assert training.stop is not None and len(training.stop[0]) == len(stopped) > 0
    if by == "group":
        assert not set(values[trained]) & set(values[stopped])
    else:
        assert values[stopped].min() > values[trained].max()
    plain = Training(run_on(from_samples(X, Y), RECIPES["everything"]), ())
    assert not np.array_equal(plain.rows.numpy(), trained)


def test_groups_are_part_of_what_identifies_a_run() -> None:
    first = run_on(from_samples(X, Y))
    assert first.identity == run_on(from_samples(X, Y, name="again")).identity
    assert replace(first, data=from_samples(X, Y, group=ROWS // 5)).identity != first.identity
