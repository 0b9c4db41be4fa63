"""The native engine weighs rows as the reference does, on every instruction set."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from regimen.data import RowWeights, Table
from regimen.engine import train, train_one
from regimen.engine.native import why_not
from regimen.records import RunResult
from regimen.run import Run
from regimen.techniques import EMA, SGD, SWA, EarlyStopping

MakeRun = Callable[..., Run]
KEEP = ("outputs", "weights")

CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"dropout": 0.5},
    "batch norm": {"normalization": "batch", "dropout": 0.3, "optimizer": SGD(momentum=0.9)},
    "label smoothing": {"label_smoothing": 0.2},
    "class weights": {"class_weights": "balanced", "label_smoothing": 0.1},
    "mixup": {"mixup": 0.4},
    "mixup, class weights": {"mixup": 0.4, "class_weights": "balanced", "label_smoothing": 0.1},
    "clipping, l1": {"clip_norm": 0.1, "l1": 1e-2, "optimizer": SGD(momentum=0.9)},
    "ema": {"averaging": EMA(decay=0.9), "epochs": 2},
    "swa, batch norm": {
        "averaging": SWA(start=0.3), "normalization": "batch", "epochs": 3, "optimizer": SGD(momentum=0.9)
    },
    "early stopping": {"early_stopping": EarlyStopping(patience=1, min_delta=0.3), "epochs": 9},
    "one row a batch": {"batch_size": 1, "lr": 1e-3, "optimizer": SGD(momentum=0.9)},
    "one batch": {"batch_size": 4096, "epochs": 5},
}  # fmt: skip
FOR_CLASSES = ("label_smoothing", "class_weights")


def weighted(table: Table) -> Table:
    values = np.random.default_rng(9).exponential(size=table.n) + 0.05
    return replace(table, weights=RowWeights(column="w", values=values))


def agree(found: RunResult, expected: RunResult, tolerance: float) -> None:
    """Networks, outputs and curves equal up to rounding; everything counted, exactly."""
    for name in ("identity", "status", "epoch", "epochs_run", "steps", "message"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("train_loss", "validation_loss", "metric"):
        np.testing.assert_allclose(getattr(found.curves, name), getattr(expected.curves, name), rtol=tolerance)
    for name in KEEP:
        for part, values in getattr(expected, name).items():
            np.testing.assert_allclose(
                getattr(found, name)[part], values, atol=tolerance * np.abs(values).max(), rtol=0
            )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_weighted_rows_are_trained_and_scored_as_by_the_reference(
    engine: str, make_run: MakeRun, classification: Table, regression: Table, change: str, task: str
) -> None:
    data = weighted(classification if task == "classification" else regression)
    changes = {
        name: value for name, value in CHANGES[change].items() if task == "classification" or name not in FOR_CLASSES
    }
    run = make_run(data=data, **changes)
    assert why_not(run) is None
    [found] = train([run], engine="native", processes=1, keep=KEEP)
    assert found.engine == "native"
    agree(found, train_one(run, keep=KEEP), 2e-5 if task == "classification" else 1e-4)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss"])
def test_every_weighted_metric_is_that_of_the_reference(
    engine: str, make_run: MakeRun, classification: Table, metric: str
) -> None:
    run = make_run(data=weighted(classification), metric=metric, epochs=3, dropout=0.5)
    [found] = train([run], engine="native", processes=1)
    expected = train_one(run)
    np.testing.assert_allclose(found.curves.metric, expected.curves.metric, rtol=2e-5)
    [plain] = train([make_run(metric=metric, epochs=3, dropout=0.5)], engine="native", processes=1)
    assert not np.allclose(found.curves.metric, plain.curves.metric, rtol=1e-3)


@pytest.mark.parametrize("change", ["plain", "mixup, class weights", "early stopping"])
def test_weights_of_one_give_what_no_weights_give(
    engine: str, make_run: MakeRun, classification: Table, change: str
) -> None:
    ones = replace(classification, weights=RowWeights(column="w", values=np.ones(classification.n)))
    [found] = train([make_run(data=ones, **CHANGES[change])], engine="native", processes=1, keep=KEEP)
    [expected] = train([make_run(**CHANGES[change])], engine="native", processes=1, keep=KEEP)
    agree(replace(found, identity=expected.identity), expected, 2e-5)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_diverged_run_is_scored_as_by_the_reference(
    engine: str, make_run: MakeRun, classification: Table, regression: Table, task: str
) -> None:
    data = weighted(classification if task == "classification" else regression)
    run = make_run(data=data, lr=1e30, optimizer=SGD())
    [found] = train([run], engine="native", processes=1)
    expected = train_one(run)
    assert found.status == expected.status == "diverged"
    for name in ("train_loss", "validation_loss", "metric"):
        assert getattr(found, name) == getattr(expected, name), name
