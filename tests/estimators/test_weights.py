"""Weights of rows: what they mean exactly, and what they do not touch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from regimen import Recipe
from regimen.engine.objective import Objective
from regimen.errors import OptionError
from regimen.estimators import RegimenClassifier, RegimenRegressor
from regimen.estimators.training import divide
from regimen.estimators.weighting import WeightedObjective, WeightedTraining
from regimen.models import MLP
from regimen.run import Run
from regimen.techniques import EarlyStopping

# One batch of all rows and plain gradient descent: there a weight is a number of repetitions.
WHOLE = {"hidden": (8,), "epochs": 20, "batch_size": 1000, "optimizer": "sgd", "lr": 0.1, "dropout": 0.0,
         "input_scaling": "none", "random_state": 0}  # fmt: skip


@pytest.mark.parametrize("kind", [RegimenClassifier, RegimenRegressor])
def test_weights_that_are_all_equal_change_nothing(flowers: Any, yields: Any, kind: Any) -> None:
    x, y = flowers if kind is RegimenClassifier else yields
    model = kind(hidden=(8,), epochs=5, random_state=0)
    without = model.fit(x, y).predict(x)
    np.testing.assert_array_equal(model.fit(x, y, sample_weight=np.full(len(x), 3.0)).predict(x), without)


def test_rows_of_weight_zero_are_not_there(flowers: Any) -> None:
    x, y = flowers
    weights = np.random.default_rng(1).integers(0, 3, len(x)).astype(float)
    model = RegimenClassifier(hidden=(8,), epochs=5, random_state=0)
    with_zeros = model.fit(x, y, sample_weight=weights).predict_proba(x)
    kept = weights > 0
    np.testing.assert_array_equal(model.fit(x[kept], y[kept], sample_weight=weights[kept]).predict_proba(x), with_zeros)
    assert model.engine_ == "reference"


@pytest.mark.parametrize("extra", [{}, {"label_smoothing": 0.1}], ids=["plain", "smoothed"])
def test_in_one_batch_a_weight_is_a_number_of_repetitions(flowers: Any, extra: dict[str, float]) -> None:
    x, y = flowers
    weights = np.random.default_rng(1).integers(1, 4, len(x))
    model = RegimenClassifier(**WHOLE, **extra)
    weighted = model.fit(x, y, sample_weight=weights)
    found, loss = weighted.predict_proba(x), weighted.loss_curve_[-1]
    repeated = model.fit(x.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(found, repeated.predict_proba(x), atol=1e-5)
    assert loss == pytest.approx(repeated.loss_curve_[-1], rel=1e-5)
    assert np.abs(found - model.fit(x, y).predict_proba(x)).max() > 1e-3


def test_the_same_holds_for_amounts(yields: Any) -> None:
    x, y = yields
    # Mirrored targets of -1 and 1: repeated or not, their mean is 0 and their spread 1, which weights do not enter.
    signs = np.sign(y - np.median(y))
    x, y = np.concatenate([x, -x]), np.concatenate([signs, -signs])
    weights = np.tile(np.random.default_rng(1).integers(1, 4, len(signs)), 2)
    model = RegimenRegressor(**WHOLE)
    found = model.fit(x, y, sample_weight=weights).predict(x)
    repeated = model.fit(x.repeat(weights, axis=0), y.repeat(weights)).predict(x)
    np.testing.assert_allclose(found, repeated, atol=1e-5)
    assert np.abs(found - model.fit(x, y).predict(x)).max() > 1e-3


@pytest.mark.parametrize("class_weights", [None, [1.0, 2.0, 0.5]], ids=["alike", "by class"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_of_one_give_the_loss_of_pytorch(class_weights: Any, smoothing: float) -> None:
    source = torch.Generator().manual_seed(1)
    outputs, y = torch.randn(12, 3, generator=source), torch.randint(0, 3, (12,), generator=source)
    by_class = None if class_weights is None else torch.tensor(class_weights)
    weighted = WeightedObjective(task="classification", label_smoothing=smoothing, class_weights=by_class)
    targets = torch.stack([y.float(), torch.ones(12)], dim=1)
    expected = F.cross_entropy(outputs, y, weight=by_class, label_smoothing=smoothing)
    torch.testing.assert_close(weighted.training_loss(outputs, targets), expected)
    plain = Objective(task="classification", label_smoothing=smoothing, class_weights=by_class)
    assert weighted.plain_loss(outputs, targets) == pytest.approx(plain.plain_loss(outputs, y), rel=1e-12)
    assert weighted.plain_loss(outputs, y) == plain.plain_loss(outputs, y)


def test_class_weights_and_weights_of_rows_multiply() -> None:
    outputs, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, 1.0])
    weights, by_class = torch.tensor([3.0, 1.0]), torch.tensor([5.0, 1.0])
    objective = WeightedObjective(task="classification", class_weights=by_class)
    losses = F.cross_entropy(outputs, y.long(), reduction="none")
    expected = (3.0 * 5.0 * losses[0] + 1.0 * 1.0 * losses[1]) / (5.0 + 1.0)  # as PyTorch divides
    torch.testing.assert_close(objective.training_loss(outputs, torch.stack([y, weights], dim=1)), expected)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_batches_of_any_size_add_up_to_the_loss_of_all_rows(task: Any) -> None:
    source = torch.Generator().manual_seed(2)
    outputs, y = torch.randn(12, 2, generator=source), torch.randint(0, 2, (12,), generator=source).float()
    weights = torch.rand(12, generator=source) * 9.0
    targets = torch.stack([y, weights / weights.mean()], dim=1)
    objective = WeightedObjective(task=task)
    whole = objective.training_loss(outputs, targets)
    assert float(whole) == pytest.approx(objective.plain_loss(outputs, targets), rel=1e-6)
    for size in (1, 3, 6):
        parts = [objective.training_loss(outputs[i : i + size], targets[i : i + size]) for i in range(0, 12, size)]
        torch.testing.assert_close(torch.stack(parts).mean(), whole)


@pytest.mark.parametrize(("batch_size", "lr", "epochs"), [(1, 0.02, 40), (8, 0.16, 40), (1000, 0.5, 200)])
def test_a_class_is_as_likely_as_its_weight_says_whatever_the_batch(batch_size: int, lr: float, epochs: int) -> None:
    # A column that says nothing: the best constant is the weighted share, 25 * 1 / (25 * 1 + 75 * 3) = 0.1.
    x, y = np.zeros((100, 1)), np.repeat([0, 1], [75, 25])
    x[::2] = 1e-6
    model = RegimenClassifier(
        hidden=(), epochs=epochs, batch_size=batch_size, lr=lr, optimizer="sgd", averaging="ema", dropout=0.0,
        input_scaling="none", random_state=0,
    )  # fmt: skip
    weighted = model.fit(x, y, sample_weight=np.where(y == 1, 1.0, 3.0)).predict_proba(x)[:, 1]
    np.testing.assert_allclose(weighted, 0.1, atol=0.02)


def test_weights_reach_the_rows_that_early_stopping_leaves(flowers: Any) -> None:
    x, y = flowers
    weights = np.where(y == "rose", 20.0, 1.0)
    model = RegimenClassifier(hidden=(8,), epochs=30, lr=0.05, early_stopping=True, random_state=0)
    often = (model.fit(x, y, sample_weight=weights).predict(x) == "rose").mean()
    assert often > (model.fit(x, y).predict(x) == "rose").mean() + 0.1


def test_each_row_keeps_its_weight_on_either_side_of_the_stop_part(yields: Any) -> None:
    x, y = yields
    model = RegimenRegressor(hidden=(4,))
    table = model._new_table(*model._checked(x, y, None, reset=True)[:2])
    weights = np.arange(1.0, len(x) + 1.0)
    run = Run(
        recipe=Recipe(early_stopping=EarlyStopping()), model=MLP(hidden=(4,)), data=table,
        split=divide(table, 0, None), key=7, metric="rmse",
    )  # fmt: skip
    training = WeightedTraining(run, weights / weights.mean())
    assert training.stop is not None
    standardized = ((y - y.mean()) / y.std()).astype(np.float32)
    seen = []
    for targets in (training.y, training.stop[1]):
        for value, weight in targets.tolist():
            row = int(np.abs(standardized - value).argmin())
            assert weight == pytest.approx(weights[row] / weights.mean(), rel=1e-6)
            seen.append(row)
    assert sorted(seen) == list(range(len(x)))


def test_a_study_refuses_weights(flowers: Any) -> None:
    x, y = flowers
    with pytest.raises(OptionError, match="a study has no weights"):
        RegimenClassifier(recipe="auto", budget="40runs").fit(x, y, sample_weight=np.arange(len(x)))
