"""Temperature scaling: what it finds, and what it leaves alone."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from regimen.data import METRICS
from regimen.estimators import RegimenClassifier
from regimen.estimators.calibration import fit_temperature, soften
from regimen.estimators.training import divide

log_loss = METRICS["log_loss"].function


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_of_a_stream_of_draws_is_found_again(temperature: float) -> None:
    source = np.random.default_rng(1)
    logits = source.normal(size=(20_000, 3)) * 2.0
    y = np.array([source.choice(3, p=shares) for shares in softmax(logits, axis=1)])
    # The slope of the log loss has a standard deviation of about 1 % of its curvature over so many rows.
    assert fit_temperature(logits * temperature, y) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_has_a_lower_loss() -> None:
    source = np.random.default_rng(2)
    logits = source.normal(size=(50, 4)) * 5.0
    y = np.where(source.random(50) < 0.7, logits.argmax(axis=1), source.integers(0, 4, 50))
    best = fit_temperature(logits, y)
    losses = [log_loss(y, logits / t) for t in (best, best * 1.02, best / 1.02, 1.0)]
    assert min(losses) == losses[0]


@pytest.mark.parametrize("rows", [8, 200])
def test_in_the_temperature_a_weight_is_a_number_of_repetitions(rows: int) -> None:
    source = np.random.default_rng(3)
    logits = source.normal(size=(rows, 3)) * 4.0
    y = np.where(np.arange(rows) % 4 < 3, logits.argmax(axis=1), source.integers(0, 3, rows))
    weights = np.where(np.arange(rows) % 4 == 3, 5, 1)
    repeated = fit_temperature(logits.repeat(weights, axis=0), y.repeat(weights))
    assert fit_temperature(logits, y, 0.5 * weights) == pytest.approx(repeated, rel=1e-4)
    assert fit_temperature(logits, y) < 0.9 * repeated


def test_softening_is_the_softmax_of_divided_logits() -> None:
    logits = np.array([[800.0, 0.0], [1.0, 2.0]])
    np.testing.assert_allclose(soften(logits, 2.0), softmax(logits / 2.0, axis=1))


def test_a_calibrated_classifier_predicts_the_same_classes_less_surely(flowers: Any) -> None:
    x, y = flowers
    settings: dict[str, Any] = {"hidden": (64,), "epochs": 60, "lr": 0.02, "dropout": 0.0, "random_state": 0}
    plain = RegimenClassifier(validation_fraction=0.3, **settings).fit(x, y)
    calibrated = RegimenClassifier(calibration="temperature", validation_fraction=0.3, **settings).fit(x, y)
    assert calibrated.temperature_ > 1.5  # memorised rows make it too sure
    np.testing.assert_array_equal(calibrated.predict(x), plain.predict(x))
    logits = np.log(plain.predict_proba(x))
    np.testing.assert_allclose(calibrated.predict_proba(x), soften(logits, calibrated.temperature_), rtol=1e-9)
    assert not hasattr(plain, "temperature_")


def test_the_temperature_is_that_of_the_rows_held_out(flowers: Any) -> None:
    x, y = flowers
    model = RegimenClassifier(hidden=(8,), epochs=10, calibration="temperature", networks=2, random_state=0).fit(x, y)
    assert len(model.validation_curve_) == 10
    rows = divide(model._new_table(x, y), 0, 0.15).validation
    assert len(rows) == round(0.15 * len(x))
    codes = np.searchsorted(model.classes_, y[rows])
    shares = RegimenClassifier.predict_proba(model, x)[rows]
    assert fit_temperature(np.log(shares), codes) == pytest.approx(1.0, rel=1e-3)


def test_weights_of_rows_held_out_count_in_the_temperature(flowers: Any) -> None:
    x, y = flowers
    weights = np.where(y == "rose", 20.0, 1.0)
    model = RegimenClassifier(hidden=(8,), epochs=10, calibration="temperature", random_state=0)
    shares = model.fit(x, y, sample_weight=weights).predict_proba(x)
    rows = divide(model._new_table(x, y), 0, 0.15).validation
    codes = np.searchsorted(model.classes_, y[rows])
    held_out = np.log(shares[rows])
    assert fit_temperature(held_out, codes, weights[rows]) == pytest.approx(1.0, rel=1e-3)
    assert abs(fit_temperature(held_out, codes) - 1.0) > 0.05
