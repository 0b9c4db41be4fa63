"""Metrics are those of scikit-learn under the same names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as sklearn_metrics

from regimen.data import METRICS, Table, default_metric, find_metric, from_arrays, load, smallest_effect
from regimen.errors import OptionError


def sklearn_score(name: str, y: np.ndarray, logits: np.ndarray) -> float:
    """Return scikit-learn's value for logits of all classes."""
    labels = np.arange(logits.shape[1])
    predicted, probabilities = logits.argmax(axis=1), softmax(logits, axis=1)
    if name == "accuracy":
        return sklearn_metrics.accuracy_score(y, predicted)
    if name == "balanced_accuracy":
        # The recall of the classes in y: scikit-learn warns about others that are predicted.
        return sklearn_metrics.recall_score(y, predicted, labels=np.unique(y), average="macro")
    if name == "f1_macro":
        return sklearn_metrics.f1_score(y, predicted, average="macro")
    if name == "log_loss":
        return sklearn_metrics.log_loss(y, probabilities, labels=labels)
    if logits.shape[1] == 2:
        return sklearn_metrics.roc_auc_score(y, probabilities[:, 1])
    areas = [sklearn_metrics.roc_auc_score(y == code, probabilities[:, code]) for code in np.unique(y)]
    return float(np.mean(areas))


CLASSIFICATION = [name for name, metric in METRICS.items() if metric.task == "classification"]


@pytest.mark.parametrize("name", CLASSIFICATION)
@given(
    classes=st.integers(2, 6), rows=st.integers(2, 60), seed=st.integers(0, 10**6), ties=st.booleans(), data=st.data()
)
def test_classification_agrees_with_scikit_learn(
    name: str, classes: int, rows: int, seed: int, ties: bool, data: st.DataObject
) -> None:
    draws = np.random.default_rng(seed)
    # Classes may be absent from y, and predicted nevertheless.
    y = draws.integers(0, data.draw(st.integers(2, classes)), rows)
    y[:2] = [0, 1]
    logits = draws.normal(size=(rows, classes)) * 3
    if ties:
        # Equal rows: probabilities that are equal only in exact arithmetic are told apart by the last bit.
        logits = logits[draws.integers(0, rows, rows)]
    expected = sklearn_score(name, y, logits)
    assert METRICS[name].function(y, logits) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_balanced_accuracy_and_roc_auc_are_scikit_learns_where_all_classes_are_present() -> None:
    draws = np.random.default_rng(10)
    y = draws.integers(0, 4, 200)
    logits = draws.normal(size=(200, 4))
    assert METRICS["balanced_accuracy"].function(y, logits) == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(y, logits.argmax(axis=1))
    )
    assert METRICS["roc_auc"].function(y, logits) == pytest.approx(
        sklearn_metrics.roc_auc_score(y, softmax(logits, axis=1), multi_class="ovr")
    )


@given(rows=st.integers(2, 60), seed=st.integers(0, 10**6), column=st.booleans())
def test_regression_agrees_with_scikit_learn(rows: int, seed: int, column: bool) -> None:
    draws = np.random.default_rng(seed)
    y, predictions = draws.normal(50, 9, rows), draws.normal(50, 9, rows)
    outputs = predictions[:, None] if column else predictions
    expected = {
        "rmse": sklearn_metrics.root_mean_squared_error(y, predictions),
        "mae": sklearn_metrics.mean_absolute_error(y, predictions),
        "r2": sklearn_metrics.r2_score(y, predictions),
    }
    assert {name: METRICS[name].function(y, outputs) for name in expected} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("value", [5.0, 4.0])
def test_r2_of_a_constant_target_is_scikit_learns(value: float) -> None:
    y, predictions = np.full(9, 5.0), np.full((9, 1), value)
    assert METRICS["r2"].function(y, predictions) == sklearn_metrics.r2_score(y, predictions)


def test_log_loss_stays_finite_for_logits_that_overflow_their_exponential() -> None:
    y, logits = np.array([0, 1]), np.array([[1000.0, -1000.0], [1000.0, -1000.0]], dtype=np.float32)
    assert METRICS["log_loss"].function(y, logits) == 1000.0


def test_the_area_of_one_class_alone_is_undefined() -> None:
    assert np.isnan(METRICS["roc_auc"].function(np.zeros(5, dtype=np.int64), np.ones((5, 2))))


@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(METRICS)))
def test_direction_says_whether_the_truth_scores_higher_than_its_opposite(seed: int, name: str) -> None:
    metric, draws = METRICS[name], np.random.default_rng(seed)
    y = draws.permutation(np.arange(30) % 3) if metric.task == "classification" else draws.normal(size=30)
    truth = np.eye(3)[y] if metric.task == "classification" else y[:, None]
    assert (metric.function(y, truth) > metric.function(y, -truth)) == metric.higher_is_better


def table_with_rare_class(rare: int, rows: int) -> Table:
    y = (np.arange(rows) < rare).astype(np.int64)
    return from_arrays(np.random.default_rng(11).normal(size=(rows, 2)), y)


@pytest.mark.parametrize(("rare", "name"), [(50, "accuracy"), (25, "accuracy"), (24, "balanced_accuracy")])
def test_the_metric_is_balanced_where_the_rarest_class_has_under_half_its_equal_share(rare: int, name: str) -> None:
    assert default_metric(table_with_rare_class(rare, 100)).name == name


def test_the_metric_of_amounts_is_rmse() -> None:
    assert default_metric(load("diabetes")).name == "rmse"


@pytest.mark.parametrize(
    ("name", "baseline", "rows", "expected"),
    [
        ("accuracy", 0.9, 1000, 0.005),
        ("accuracy", 0.9, 50, 0.02),
        ("accuracy", 0.9, 60, 1 / 60),
        ("accuracy", 0.9, 49, 0.02),
        ("accuracy", 0.9, 6, 0.02),
        ("r2", 0.4, 6, 0.02),
        ("balanced_accuracy", 0.5, 200, 0.005),
        ("rmse", 55.0, 100, 1.1),
        ("mae", 40.0, 100, 0.8),
        ("log_loss", 0.5, 100, 0.01),
        ("r2", 0.4, 1000, 0.005),
    ],
)
def test_the_smallest_effect_is_half_a_point_or_one_row_or_two_percent(
    name: str, baseline: float, rows: int, expected: float
) -> None:
    assert smallest_effect(METRICS[name], baseline, rows) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("acuracy", "classification", "did you mean 'accuracy'"),
        ("rmse", "classification", r"one for classification \(accuracy, .*got 'rmse'"),
        ("f1_macro", "regression", r"one for regression \(rmse, mae, r2\), got 'f1_macro'"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(name: str, task: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        find_metric(name, task)  # type: ignore[arg-type]


def test_metrics_can_not_be_changed_by_a_caller() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        METRICS["accuracy"] = METRICS["rmse"]  # type: ignore[index]


@pytest.mark.parametrize("name", CLASSIFICATION)
@given(classes=st.integers(2, 5), rows=st.integers(10, 60), seed=st.integers(0, 10**6), ties=st.booleans())
def test_weighted_scores_of_classes_are_scikit_learns(
    name: str, classes: int, rows: int, seed: int, ties: bool
) -> None:
    draws = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), draws.integers(0, classes, rows - classes)])
    logits = draws.normal(size=(rows, classes)) * 3
    if ties:
        logits = logits[draws.integers(0, rows, rows)]
    weights = draws.exponential(size=rows) + 1e-3
    found = METRICS[name].function(y, logits, weights)
    labels = np.arange(classes)
    if name in ("accuracy", "balanced_accuracy", "f1_macro"):
        score = {
            "accuracy": sklearn_metrics.accuracy_score,
            "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
            "f1_macro": lambda *answers, **weighted: sklearn_metrics.f1_score(*answers, average="macro", **weighted),
        }[name]
        expected = score(y, logits.argmax(axis=1), sample_weight=weights)
    elif name == "log_loss":
        expected = sklearn_metrics.log_loss(y, softmax(logits, axis=1), labels=labels, sample_weight=weights)
    elif classes == 2:
        # Ties of the two logits' difference are those of the probability.
        expected = sklearn_metrics.roc_auc_score(y, logits[:, 1] - logits[:, 0], sample_weight=weights)
    else:
        probabilities = softmax(logits, axis=1)
        areas = [
            sklearn_metrics.roc_auc_score(y == code, probabilities[:, code], sample_weight=weights) for code in labels
        ]
        expected = np.mean(areas)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(rows=st.integers(2, 60), seed=st.integers(0, 10**6))
def test_weighted_errors_are_scikit_learns(rows: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    y, predictions, weights = draws.normal(50, 9, rows), draws.normal(50, 9, rows), draws.exponential(size=rows) + 1e-3
    expected = {
        "rmse": sklearn_metrics.root_mean_squared_error(y, predictions, sample_weight=weights),
        "mae": sklearn_metrics.mean_absolute_error(y, predictions, sample_weight=weights),
        "r2": sklearn_metrics.r2_score(y, predictions, sample_weight=weights),
    }
    assert {name: METRICS[name].function(y, predictions, weights) for name in expected} == pytest.approx(expected)


@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(METRICS)))
def test_whole_weights_score_as_repeated_rows(seed: int, name: str) -> None:
    metric, draws = METRICS[name], np.random.default_rng(seed)
    y = draws.permutation(np.arange(30) % 3) if metric.task == "classification" else draws.normal(size=30)
    outputs = draws.normal(size=(30, 3 if metric.task == "classification" else 1))
    weights = draws.integers(1, 4, 30)
    repeated = metric.function(y.repeat(weights), outputs.repeat(weights, axis=0))
    assert metric.function(y, outputs, weights.astype(float)) == pytest.approx(repeated, rel=1e-9)


def test_the_weighted_area_of_one_class_alone_is_undefined() -> None:
    assert np.isnan(METRICS["roc_auc"].function(np.zeros(5, dtype=np.int64), np.ones((5, 2)), np.ones(5)))
