"""Weights of rows: the loss that is minimized, what is measured, and what all engines make of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch.nn import functional as F

from regimen.data import Table, prepare
from regimen.data.row_weights import RowWeights
from regimen.engine import train, train_one
from regimen.engine.objective import Objective, WeightedObjective
from regimen.engine.reference import Training
from regimen.engine.stacked_bundles import train_stacked
from regimen.engine.surroundings import one_thread
from regimen.run import Run
from regimen.techniques import SGD, EarlyStopping

MakeRun = Callable[..., Run]
KEEP = ("outputs", "weights")


def weighted(table: Table, values: Any = None) -> Table:
    """Return the table with weights of its rows, drawn where none are given."""
    drawn = np.random.default_rng(9).exponential(size=table.n) + 0.05
    return replace(table, weights=RowWeights(column="w", values=drawn if values is None else values))


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


def test_weights_are_one_in_the_mean_over_the_training_rows_and_stay_with_their_rows(
    make_run: MakeRun, classification: Table
) -> None:
    data = weighted(classification)
    assert data.weights is not None
    run = make_run(data=data, early_stopping=EarlyStopping(patience=1))
    training = Training(run, ())
    assert training.stop is not None
    values, rows = data.weights.values, run.split.train
    expected = {row: values[row] / values[rows].mean() for row in rows.tolist()}
    kept = dict(zip(training.rows.tolist(), training.y[:, 1].tolist(), strict=True))
    assert kept == pytest.approx({row: expected[row] for row in kept}, rel=1e-6)
    # Those of the stop part are the others.
    stopped = sorted(expected[row] for row in set(expected) - set(kept))
    assert sorted(training.stop[1][:, 1].tolist()) == pytest.approx(stopped, rel=1e-6)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_losses_and_metric_of_held_out_rows_are_weighted(
    make_run: MakeRun, classification: Table, regression: Table, task: str
) -> None:
    data = weighted(classification if task == "classification" else regression)
    assert data.weights is not None
    run = make_run(data=data)
    result = train_one(run, keep=("outputs",))
    assert result.outputs is not None
    rows = run.split.validation
    weights, outputs = data.weights.values[rows], result.outputs["validation"].astype(np.float64)
    if task == "classification":
        losses = F.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(data.y[rows]), reduction="none").numpy()
        metric = sklearn_metrics.accuracy_score(data.y[rows], outputs.argmax(axis=1), sample_weight=weights)
    else:
        prepared = prepare(data, run.split)
        losses = (outputs[:, 0] - prepared.y["validation"].numpy()) ** 2
        predictions = prepared.predictions(outputs)[:, 0]
        metric = sklearn_metrics.root_mean_squared_error(data.y[rows], predictions, sample_weight=weights)
    assert result.validation_loss == pytest.approx(np.average(losses, weights=weights), rel=1e-6)
    assert result.metric == pytest.approx(metric, rel=1e-9)


def test_whole_weights_are_repetitions_in_one_batch(make_run: MakeRun, classification: Table) -> None:
    times = np.random.default_rng(3).integers(1, 4, classification.n)
    run = make_run(
        data=weighted(classification, times.astype(float)), batch_size=4096, optimizer=SGD(), lr=0.1, epochs=9,
        input_scaling="none",
    )  # fmt: skip
    repeated = replace(
        classification,
        numbers=classification.numbers.repeat(times, axis=0),
        codes=classification.codes.repeat(times, axis=0),
        y=classification.y.repeat(times),
    )
    of = np.arange(classification.n).repeat(times)
    split = replace(
        run.split, **{part: np.flatnonzero(np.isin(of, getattr(run.split, part))) for part in ("train", "validation")}
    )
    found, expected = train_one(run, keep=KEEP), train_one(replace(run, data=repeated, split=split), keep=KEEP)
    assert found.weights is not None and expected.weights is not None
    for name, value in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], value, rtol=1e-4, atol=1e-6)
    for loss in ("train_loss", "validation_loss", "metric"):
        assert getattr(found, loss) == pytest.approx(getattr(expected, loss), rel=1e-5), loss
    plain = train_one(replace(run, data=classification), keep=KEEP)
    assert plain.weights is not None
    assert max(np.abs(plain.weights[name] - found.weights[name]).max() for name in plain.weights) > 1e-3


BUNDLES: dict[str, list[dict[str, Any]]] = {
    "plain": [{}, {"lr": 0.003}],
    "class weights": [{"class_weights": "balanced"}, {"class_weights": "balanced", "label_smoothing": 0.1}, {}],
    "mixup": [{"mixup": 0.4}, {"mixup": 1.0, "class_weights": "balanced", "label_smoothing": 0.1}, {}],
    "label smoothing": [{"label_smoothing": 0.2}, {}],
    "early stopping": [{"early_stopping": EarlyStopping(patience=p, min_delta=0.02), "epochs": 9} for p in (1, 3)],
}


@pytest.mark.parametrize("bundle", BUNDLES)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_stacked_engine_weighs_as_the_reference_does(
    make_run: MakeRun, classification: Table, regression: Table, bundle: str, task: str
) -> None:
    of_classes = ("class_weights", "label_smoothing")
    data = weighted(classification if task == "classification" else regression)
    changes = [
        {name: value for name, value in one.items() if task == "classification" or name not in of_classes}
        for one in BUNDLES[bundle]
    ]
    runs = [make_run(data=data, key=5 + i, **one) for i, one in enumerate(changes)]
    with one_thread():
        found = dict(train_stacked(runs, KEEP))
        for i, run in enumerate(runs):
            ours, theirs = found[i], train_one(run, keep=KEEP)
            assert (ours.engine, ours.why) == ("stacked", "")
            assert ours.epoch == theirs.epoch
            assert ours.weights is not None and theirs.weights is not None
            for name, value in theirs.weights.items():
                np.testing.assert_allclose(ours.weights[name], value, rtol=0, atol=2e-5 * np.abs(value).max())
            for loss in ("train_loss", "validation_loss", "metric"):
                np.testing.assert_allclose(getattr(ours.curves, loss), getattr(theirs.curves, loss), rtol=2e-5)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_diverged_run_counts_as_the_best_weighted_constant(
    make_run: MakeRun, classification: Table, regression: Table, task: str
) -> None:
    data = weighted(classification if task == "classification" else regression)
    assert data.weights is not None
    run = make_run(data=data, lr=1e30, optimizer=SGD())
    result = train_one(run, keep=("outputs",))
    assert result.status == "diverged" and result.outputs is not None
    weights = data.weights.of(run.split.train)
    constant = result.outputs["validation"][0].astype(np.float64)
    if task == "classification":
        counts = np.bincount(data.y[run.split.train], weights=weights) + 1.0
        np.testing.assert_allclose(np.exp(constant), counts / counts.sum(), rtol=1e-5)
    else:
        found = prepare(data, run.split).predictions(constant)[0]
        assert found == pytest.approx(np.average(data.y[run.split.train], weights=weights), rel=1e-5)


def test_worker_processes_get_the_weights(make_run: MakeRun, classification: Table) -> None:
    runs = [make_run(data=weighted(classification), key=key, epochs=1) for key in (1, 2)]
    found = train(runs, engine="reference", processes=2)
    with one_thread():
        assert [result.metric for result in found] == [train_one(run).metric for run in runs]
    assert found[0].train_loss != train_one(make_run(key=1, epochs=1)).train_loss
