"""Training that goes on: epoch by epoch, with what the first rows had fitted."""

import pickle
from typing import Any

import numpy as np
import pytest

from regimen.errors import EngineError, OptionError
from regimen.estimators import RegimenClassifier, RegimenRegressor

TECHNIQUES = {
    "plain": {},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "norm, mixup, noise": {"normalization": "batch", "mixup": 0.4, "input_noise": 0.1},
    "penalties": {"l1": 1e-3, "max_norm": 1.0, "decoupled_weight_decay": 0.1, "optimizer": "sgd"},
    "two networks": {"networks": 2},
}


def made(kind: Any, **arguments: Any) -> Any:
    settings = {"hidden": (8,), "lr": 0.01, "batch_size": 12, "random_state": 3, "schedule": "none"} | arguments
    return kind(engine="reference", n_jobs=1, **settings)


@pytest.mark.parametrize("arguments", TECHNIQUES.values(), ids=TECHNIQUES)
@pytest.mark.parametrize("kind", [RegimenClassifier, RegimenRegressor])
def test_calls_with_the_same_rows_are_epochs_of_one_fit(flowers: Any, yields: Any, kind: Any, arguments: Any) -> None:
    x, y = flowers if kind is RegimenClassifier else yields
    whole, parts = made(kind, epochs=4, **arguments).fit(x, y), made(kind, **arguments)
    for _ in range(4):
        parts = parts.partial_fit(x, y, **({"classes": np.unique(y)} if kind is RegimenClassifier else {}))
    for one, other in zip(whole.model_.states, parts.model_.states, strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(other[name], value)
    assert parts.n_iter_ == 4
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-12)


def test_weights_of_rows_count_as_in_fit(yields: Any) -> None:
    x, y = yields
    weights = np.linspace(0.5, 3.0, len(x))
    whole, parts = made(RegimenRegressor, epochs=2).fit(x, y, sample_weight=weights), made(RegimenRegressor)
    for _ in range(2):
        parts.partial_fit(x, y, sample_weight=weights)
    np.testing.assert_array_equal(parts.predict(x), whole.predict(x))


@pytest.mark.parametrize("heavier", [4.0, None], ids=["heavier", "as before"])
def test_later_weights_count_against_those_of_the_first_call(flowers: Any, heavier: float | None) -> None:
    x, y = flowers
    classes, step = np.unique(y), {"optimizer": "sgd", "batch_size": 1000, "dropout": 0.0, "weight_decay": 0.0}
    first = np.full(len(x), 2.0)
    moved = []
    for weights in (first, None if heavier is None else np.full(len(x), heavier)):
        model = made(RegimenClassifier, **step).partial_fit(x, y, classes=classes, sample_weight=first)
        before = model.model_.states[0]["0.weight"].copy()
        moved.append(model.partial_fit(x, y, sample_weight=weights).model_.states[0]["0.weight"] - before)
    # One step of plain gradient descent is as long as the weights are heavy; None weighs 1.
    np.testing.assert_allclose(moved[1], moved[0] * ((heavier or 1.0) / 2.0), rtol=1e-3, atol=1e-7)


def test_a_pickle_goes_on_where_it_was(flowers: Any) -> None:
    x, y = flowers
    model = made(RegimenClassifier).partial_fit(x, y, classes=np.unique(y))
    copy = pickle.loads(pickle.dumps(model)).partial_fit(x, y)
    np.testing.assert_array_equal(copy.predict_proba(x), model.partial_fit(x, y).predict_proba(x))


def test_scales_are_those_of_the_first_rows(yields: Any) -> None:
    x, y = yields
    model = made(RegimenRegressor).partial_fit(x[:40], y[:40])
    fitted = model.model_.preparation
    model.partial_fit(x[40:] * 3.0 + 1.0, y[40:] * 2.0)
    assert model.model_.preparation == fitted
    assert fitted.target_mean == pytest.approx(y[:40].mean())


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2.0, 50)], ids=["alike", "weighted"])
def test_later_targets_are_learnt_in_the_scale_of_the_first(yields: Any, weights: Any) -> None:
    x, y = yields
    # A rate too small to move anything: the loss is that of the initial network.
    model = made(RegimenRegressor, lr=1e-12).partial_fit(x[:40], y[:40])
    later = 5.0 * y[40:] + 300.0
    model.partial_fit(x[40:], later, sample_weight=weights)
    residuals = (later - model.predict(x[40:])) / y[:40].std()
    assert model.loss_curve_[-1] == pytest.approx(np.average(residuals**2, weights=weights), rel=1e-4)


def test_no_step_of_an_epoch_is_ever_used_again(flowers: Any) -> None:
    x, y = flowers
    model = made(RegimenClassifier, batch_size=10)
    used = []
    for rows in (90, 20, 90, 50):
        before = model._progress.steps if hasattr(model, "_progress") else 0
        model.partial_fit(x[:rows], y[:rows], classes=np.unique(y))
        used.append((before, model._progress.steps, rows // 10))
    for before, after, batches in used:
        assert after - batches >= before


def test_after_fit_it_goes_on_from_there(flowers: Any) -> None:
    x, y = flowers
    model = made(RegimenClassifier, epochs=30).fit(x, y)
    before = model.predict_proba(x)
    after = model.partial_fit(x, y).predict_proba(x)
    assert 0.0 < np.abs(after - before).max() < 0.3
    assert model.n_iter_ == 31
    assert len(model.loss_curve_) == 31


def test_networks_that_train_on_lose_the_temperature_of_those_before(flowers: Any) -> None:
    model = made(RegimenClassifier, epochs=3, calibration="temperature").fit(*flowers)
    model.set_params(calibration="none").partial_fit(*flowers)
    assert not hasattr(model, "temperature_")


def test_a_class_may_come_later_but_must_be_announced(flowers: Any) -> None:
    x, y = flowers
    roses = y == "rose"
    model = made(RegimenClassifier).partial_fit(x[roses], y[roses], classes=["aster", "rose", "tulip"])
    assert model.predict_proba(x).shape == (len(x), 3)
    model.partial_fit(x, y)
    with pytest.raises(ValueError, match="expected labels among the classes"):
        model.partial_fit(x, np.full(len(y), "daisy"))
    with pytest.raises(ValueError, match="expected the classes of the first call"):
        model.partial_fit(x, y, classes=["aster", "rose"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        made(RegimenClassifier).partial_fit(x, y)


def test_a_frame_may_lack_levels_in_later_calls(mixed: Any, ripe: Any) -> None:
    model = made(RegimenClassifier).partial_fit(mixed, ripe, classes=[False, True])
    model.partial_fit(mixed[:5], ripe[:5])
    assert np.isfinite(model.predict_proba(mixed)).all()


def test_what_needs_the_end_of_training_is_refused(flowers: Any, yields: Any) -> None:
    classes = np.unique(flowers[1])
    with pytest.raises(OptionError, match="'auto' for partial_fit"):
        made(RegimenClassifier, recipe="auto").partial_fit(*flowers, classes=classes)
    with pytest.raises(OptionError, match="'none' for partial_fit"):
        made(RegimenClassifier, calibration="temperature").partial_fit(*flowers, classes=classes)
    with pytest.raises(EngineError, match="not finite after this epoch"):
        made(RegimenRegressor, lr=1e30, optimizer="sgd").partial_fit(*yields)
