"""Weights of rows: what they mean exactly, and what they do not touch."""

from typing import Any

import numpy as np
import pytest

from regimen.estimators import RegimenClassifier, RegimenRegressor

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


def test_a_study_inside_of_fit_goes_by_the_weights_of_the_rows_trained_on(flowers: Any) -> None:
    x, y = flowers
    weights = np.where(y == "rose", 20.0, 1.0)
    kept = {"hidden": (4,), "epochs": 2, "validation_fraction": 0.2, "n_jobs": 1, "random_state": 0}
    model = RegimenClassifier(recipe="auto", budget="13runs", **kept).fit(x, y, sample_weight=weights)
    assert model.study_.data.weights == "sample_weight"
    unweighted = RegimenClassifier(recipe="auto", budget="13runs", **kept).fit(x, y).study_
    assert model.study_.baseline.mean != unweighted.baseline.mean
    assert unweighted.data.weights == ""
