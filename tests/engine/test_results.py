"""What a run returns: curves, metrics, outputs and weights; and that validation rows decide nothing."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from regimen.data import METRICS, Split, Table, from_arrays, prepare
from regimen.engine import train_one
from regimen.records import RunResult
from regimen.run import Run
from regimen.techniques import EMA, SGD, SWA, EarlyStopping

MakeRun = Callable[..., Run]
EVERYTHING: dict[str, Any] = {
    "dropout": 0.3, "mixup": 0.2, "normalization": "batch", "averaging": EMA(decay=0.9),
    "early_stopping": EarlyStopping(patience=2), "class_weights": "balanced", "label_smoothing": 0.1,
    "input_noise": 0.1, "epochs": 12,
}  # fmt: skip


def without_seconds(result: RunResult) -> dict[str, Any]:
    """Return all that must repeat exactly, arrays as bytes so that they compare."""
    fields = {
        field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.name != "seconds"
    }
    for name in ("outputs", "weights"):
        if fields[name] is not None:
            fields[name] = {key: (value.dtype, value.shape, value.tobytes()) for key, value in fields[name].items()}
    return fields


# --- curves and metrics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 4])
def test_curves_have_an_entry_for_every_epoch_and_end_at_the_returned_one(make_run: MakeRun, epochs: int) -> None:
    result = train_one(make_run(epochs=epochs))
    assert (result.status, result.epoch, result.epochs_run, result.steps) == ("finished", epochs, epochs, epochs * 4)
    curves = dataclasses.asdict(result.curves)
    assert {len(values) for values in curves.values()} == {epochs}
    assert {name: values[-1] for name, values in curves.items()} == {name: getattr(result, name) for name in curves}


def test_a_longer_run_without_a_schedule_begins_as_the_shorter_one(make_run: MakeRun) -> None:
    short, long = (train_one(make_run(epochs=epochs, dropout=0.5, mixup=0.2)) for epochs in (2, 5))
    for name in ("train_loss", "validation_loss", "metric"):
        assert getattr(long.curves, name)[:2] == getattr(short.curves, name)


def test_losses_and_metric_are_the_plain_criterion_of_the_kept_outputs(make_run: MakeRun) -> None:
    run = make_run(**(EVERYTHING | {"early_stopping": None}))
    result = train_one(run, keep=("outputs", "weights"))
    prepared = prepare(run.data, run.split)
    assert result.outputs is not None
    outputs = torch.from_numpy(result.outputs["validation"])
    loss = F.cross_entropy(outputs.double(), prepared.y["validation"]).item()
    assert result.validation_loss == loss
    assert result.metric == (outputs.argmax(1) == prepared.y["validation"]).double().mean().item()
    network = run.network(prepared.features, prepared.outputs).eval()
    assert result.weights is not None
    network.load_state_dict({name: torch.from_numpy(value) for name, value in result.weights.items()})
    with torch.no_grad():
        assert torch.equal(network(prepared.x["validation"]), outputs)
        loss = F.cross_entropy(network(prepared.x["train"]).double(), prepared.y["train"]).item()
    assert result.train_loss == loss


def test_the_metric_of_a_regression_is_in_the_unit_of_the_target(make_run: MakeRun, regression: Table) -> None:
    run = make_run(data=regression, epochs=30)
    result = train_one(run, keep=("outputs",))
    assert result.outputs is not None
    rows = run.split.train
    predicted = result.outputs["validation"][:, 0] * regression.y[rows].std() + regression.y[rows].mean()
    errors = predicted - regression.y[run.split.validation]
    assert result.metric == pytest.approx(math.sqrt(np.mean(errors**2)), rel=1e-6)
    assert result.validation_loss == pytest.approx(np.mean((errors / regression.y[rows].std()) ** 2), rel=1e-5)


@pytest.mark.parametrize("metric", [name for name, found in METRICS.items() if found.task == "classification"])
def test_every_metric_can_be_followed_and_none_changes_the_training(make_run: MakeRun, metric: str) -> None:
    followed = train_one(dataclasses.replace(make_run(), metric=metric), keep=("weights",))
    plain = train_one(make_run(), keep=("weights",))
    assert all(map(math.isfinite, followed.curves.metric))
    assert without_seconds(followed)["weights"] == without_seconds(plain)["weights"]


def test_the_identity_of_the_run_is_on_its_result(make_run: MakeRun) -> None:
    run = make_run()
    assert train_one(run).identity == run.identity


def test_progress_is_told_after_every_epoch(make_run: MakeRun) -> None:
    seen: list[int] = []
    train_one(make_run(epochs=3), on_epoch=seen.append)
    assert seen == [1, 2, 3]


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "outputs", "weights"),
    [
        ((), False, False),
        (("outputs",), True, False),
        (("weights",), False, True),
        (("outputs", "weights"), True, True),
    ],
    ids=str,
)
def test_outputs_and_weights_are_kept_only_on_request(
    make_run: MakeRun, keep: tuple[str, ...], outputs: bool, weights: bool
) -> None:
    result = train_one(make_run(), keep=keep)
    assert (result.outputs is not None, result.weights is not None) == (outputs, weights)


def test_outputs_of_validation_and_test_rows_are_kept_in_their_order(make_run: MakeRun) -> None:
    result = train_one(make_run(), keep=("outputs",))
    assert result.outputs is not None
    assert {name: value.shape for name, value in result.outputs.items()} == {"validation": (12, 3), "test": (7, 3)}
    assert {value.dtype for value in result.outputs.values()} == {np.dtype("float32")}


def test_kept_weights_are_named_as_in_the_state_of_the_network(make_run: MakeRun) -> None:
    run = make_run(normalization="batch", averaging=SWA())
    result = train_one(run, keep=("weights",))
    assert result.weights is not None
    assert list(result.weights) == list(run.network(4, 3).state_dict())


def test_a_split_without_validation_and_test_rows_trains_and_has_no_metric(make_run: MakeRun) -> None:
    none = np.empty(0, dtype=np.int64)
    result = train_one(make_run(split=Split(train=np.arange(60), validation=none, test=none)), keep=("outputs",))
    assert result.status == "finished"
    assert math.isfinite(result.train_loss)
    assert math.isnan(result.metric)
    assert math.isnan(result.validation_loss)
    assert result.outputs == {}


# --- what decides -----------------------------------------------------------------------------------------------------


def table_with(table: Table, rows: np.ndarray, source: np.random.Generator) -> Table:
    """Return the table with random labels in the given rows."""
    y = table.y.copy()
    y[rows] = source.permutation(y[rows]) if table.task == "classification" else source.normal(size=len(rows)) * 1e3
    return from_arrays(table.numbers, y, task=table.task)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(
    "recipe", [{}, EVERYTHING, {"early_stopping": EarlyStopping(patience=1)}], ids=["plain", "all", "stop"]
)
def test_garbage_in_the_labels_of_validation_and_test_changes_no_weight_and_no_epoch(
    make_run: MakeRun, request: pytest.FixtureRequest, split: Split, task: str, recipe: dict[str, Any]
) -> None:
    table = request.getfixturevalue(task)
    if task == "regression":
        recipe = {name: value for name, value in recipe.items() if name not in ("label_smoothing", "class_weights")}
    garbage = table_with(table, np.concatenate([split.validation, split.test]), np.random.default_rng(0))
    clean, other = (train_one(make_run(data=data, **recipe), keep=("weights", "outputs")) for data in (table, garbage))
    assert clean.validation_loss != other.validation_loss
    for name in ("status", "epoch", "epochs_run", "train_loss", "weights", "outputs"):
        assert without_seconds(clean)[name] == without_seconds(other)[name], name


def test_other_validation_rows_change_no_weight(make_run: MakeRun, split: Split) -> None:
    fewer = dataclasses.replace(split, validation=split.validation[:3])
    one, other = (train_one(make_run(split=rows), keep=("weights",)) for rows in (split, fewer))
    assert without_seconds(one)["weights"] == without_seconds(other)["weights"]


def test_without_early_stopping_no_row_is_taken_from_training(make_run: MakeRun) -> None:
    plain, patient = (train_one(make_run(epochs=2, early_stopping=rule)) for rule in (None, EarlyStopping(patience=9)))
    assert plain.steps == 2 * 4  # 41 rows
    assert patient.steps == 2 * 4  # 34 rows: 10, 10, 10, 4
    assert plain.train_loss != patient.train_loss


def test_a_run_that_patience_does_not_end_is_finished_at_its_best_epoch(make_run: MakeRun) -> None:
    result = train_one(make_run(epochs=25, lr=0.05, early_stopping=EarlyStopping(patience=25)))
    assert result.status == "finished"
    assert result.epochs_run == 25
    assert result.epoch < 25
    assert result.train_loss == result.curves.train_loss[result.epoch - 1]


# --- repeatability ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [{}, EVERYTHING], ids=["plain", "everything"])
def test_the_same_run_gives_the_same_result_to_the_bit(make_run: MakeRun, recipe: dict[str, Any]) -> None:
    first = train_one(make_run(**recipe), keep=("outputs", "weights"))
    torch.manual_seed(99)
    second = train_one(make_run(**recipe), keep=("outputs", "weights"))
    assert without_seconds(first) == without_seconds(second)


def test_another_key_gives_another_result(make_run: MakeRun) -> None:
    assert train_one(make_run(key=1)).curves != train_one(make_run(key=2)).curves


def test_training_does_not_write_into_the_shared_tensors(make_run: MakeRun) -> None:
    run = make_run(**EVERYTHING)
    prepared = prepare(run.data, run.split)
    before = {part: value.clone() for part, value in prepared.x.items()}
    train_one(run)
    assert all(torch.equal(before[part], value) for part, value in prepared.x.items())


def test_batch_size_in_evaluation_changes_nothing_of_the_training(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_one(make_run(dropout=0.5, optimizer=SGD()), keep=("weights",))
    monkeypatch.setattr("regimen.engine.reference.EVALUATION_ROWS", 5)
    parts = train_one(make_run(dropout=0.5, optimizer=SGD()), keep=("weights",))
    assert without_seconds(whole)["weights"] == without_seconds(parts)["weights"]
    assert parts.curves.validation_loss == pytest.approx(whole.curves.validation_loss, rel=1e-6)
