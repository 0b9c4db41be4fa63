"""A run that diverges is scored as the constant prediction it is worth, and its neighbours do not notice."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regimen.data import Table
from regimen.engine import train, train_one
from regimen.run import Run
from regimen.techniques import EMA, SGD, EarlyStopping

MakeRun = Callable[..., Run]
DIVERGING: dict[str, dict[str, Any]] = {
    "rate": {"optimizer": SGD(momentum=0.9), "lr": 1e6},
    "overflow": {"lr": 1e38},
    "noise": {"input_noise": 3e38},
    "later": {"optimizer": SGD(momentum=0.99), "lr": 1e3, "weight_decay": 1.0, "epochs": 40},
    "averaged": {"optimizer": SGD(momentum=0.9), "lr": 1e6, "averaging": EMA()},
    "stopping": {"optimizer": SGD(momentum=0.9), "lr": 1e6, "early_stopping": EarlyStopping()},
}
each_way = pytest.mark.parametrize("way", DIVERGING)


@each_way
def test_a_run_whose_loss_is_not_finite_is_diverged_and_says_what_helps(make_run: MakeRun, way: str) -> None:
    result = train_one(make_run(**DIVERGING[way]))
    assert result.status == "diverged"
    assert result.message == f"the loss was not finite after epoch {result.epoch}; lower lr or set clip_norm"


@each_way
def test_a_diverged_run_is_scored_as_the_best_constant_prediction(make_run: MakeRun, way: str) -> None:
    run = make_run(**DIVERGING[way])
    result = train_one(run, keep=("outputs",))
    y, validation = run.data.y[run.split.train], run.data.y[run.split.validation]
    if run.recipe.early_stopping is None:
        shares = (np.bincount(y) + 1) / (len(y) + 3)
        assert result.validation_loss == pytest.approx(-np.log(shares[validation]).mean(), rel=1e-6)
        assert result.train_loss == pytest.approx(-np.log(shares[y]).mean(), rel=1e-6)
    assert result.metric == (validation == np.bincount(y).argmax()).mean()
    assert result.outputs is not None
    assert {name: len(value) for name, value in result.outputs.items()} == {"validation": 12, "test": 7}
    assert len({tuple(row) for value in result.outputs.values() for row in value.tolist()}) == 1


def test_a_diverged_regression_predicts_the_mean_of_its_training_rows(make_run: MakeRun, regression: Table) -> None:
    run = make_run(data=regression, **DIVERGING["rate"])
    result = train_one(run, keep=("outputs",))
    assert result.status == "diverged"
    errors = regression.y[run.split.validation] - regression.y[run.split.train].mean()
    assert result.metric == pytest.approx(math.sqrt(np.mean(errors**2)), rel=1e-6)


@each_way
def test_the_curves_of_a_diverged_run_end_before_the_epoch_it_diverged_in(make_run: MakeRun, way: str) -> None:
    result = train_one(make_run(**DIVERGING[way]))
    curves = result.curves
    assert len(curves.train_loss) == len(curves.validation_loss) == len(curves.metric) == result.epoch - 1
    assert np.isfinite(curves.train_loss).all()
    assert np.isfinite(curves.validation_loss).all()
    assert result.epochs_run == result.epoch
    assert result.steps == 4 * result.epoch


def test_one_of_the_ways_diverges_after_good_epochs(make_run: MakeRun) -> None:
    assert train_one(make_run(**DIVERGING["later"])).epoch > 1


@each_way
def test_a_diverged_run_has_no_weights_to_keep(make_run: MakeRun, way: str) -> None:
    assert train_one(make_run(**DIVERGING[way]), keep=("weights",)).weights is None


@each_way
def test_the_neighbours_of_a_diverging_run_are_bitwise_untouched(make_run: MakeRun, way: str) -> None:
    good = [make_run(dropout=0.5), make_run(normalization="batch", key=8)]
    alone = [train_one(run, keep=("weights",)) for run in good]
    together = [good[0], make_run(**DIVERGING[way]), good[1]]
    beside = train(together, engine="reference", processes=1, keep=("weights",))
    assert [result.status for result in beside] == ["finished", "diverged", "finished"]
    for one, other in zip(alone, (beside[0], beside[2]), strict=True):
        assert one.curves == other.curves
        assert one.weights is not None
        assert other.weights is not None
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_step_that_is_not_finite_only_on_the_way_is_not_divergence(make_run: MakeRun) -> None:
    """Adam at lr 100 is bad but finite: it is scored as it is."""
    result = train_one(make_run(lr=100.0))
    assert result.status == "finished"
    assert result.train_loss > 10
