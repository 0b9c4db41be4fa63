"""Metrics under scikit-learn's names, in plain NumPy: they are computed after every epoch of every run."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from regimen.data.kinds import Data
from regimen.data.tables import Floats
from regimen.errors import OptionError, nearest
from regimen.records import Task

Unit = Literal["points", "target", "plain"]
# By default two points matter, however few rows there are to see them: of 6 rows one is 16.7 points, and noise of that
# size would pass as equivalent.
MOST_EFFECT = 0.02


class _Score(Protocol):
    __name__: str

    def __call__(self, y: npt.NDArray[Any], outputs: npt.NDArray[Any], weights: Floats | None = None, /) -> float: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A score of predictions against targets.

    Attributes:
        name: As in scikit-learn.
        task: The task it is for.
        higher_is_better: Its direction.
        unit: `points` (0 to 1, printed times 100), `target` (units of the target) or `plain`.
        function: Of y `[rows]`; raw logits `[rows, classes]`, or predictions in target units `[rows]` or `[rows, 1]`;
            and, as scikit-learn's `sample_weight`, the weight of each row, > 0, `[rows]`; None counts all rows alike.
    """

    name: str
    task: Task
    higher_is_better: bool
    unit: Unit
    function: _Score


def accuracy(y: npt.NDArray[Any], logits: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return the share of rows whose largest logit is that of their class.

    Example:
        >>> accuracy(np.array([0, 1]), np.array([[2.0, 1.0], [3.0, 1.0]]))
        0.5
    """
    return float(np.average(logits.argmax(axis=1) == y, weights=weights))


def balanced_accuracy(y: npt.NDArray[Any], logits: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return the recall averaged over the classes that occur in `y`."""
    count = _shares(y, weights, logits.shape[1])
    right = _shares(y, weights, logits.shape[1], logits.argmax(axis=1) == y)
    present = count > 0
    return float((right[present] / count[present]).mean())


def f1_macro(y: npt.NDArray[Any], logits: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return F1 = 2 TP / (2 TP + FP + FN), averaged over the classes that occur in `y` or are predicted."""
    predicted = logits.argmax(axis=1)
    count = _shares(y, weights, logits.shape[1]) + _shares(predicted, weights, logits.shape[1])
    right = _shares(y, weights, logits.shape[1], predicted == y)
    present = count > 0
    return float((2.0 * right[present] / count[present]).mean())


def roc_auc(y: npt.NDArray[Any], logits: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return the area under the ROC curve; for more than two classes one against the rest, averaged over those in `y`.

    NaN where `y` holds one class only.
    """
    if logits.shape[1] == 2:
        return _area(y == 1, logits[:, 1] - logits[:, 0], weights)
    probabilities = np.exp(_log_softmax(logits))
    present = np.unique(y)
    return float(np.mean([_area(y == code, probabilities[:, code], weights) for code in present]))


def log_loss(y: npt.NDArray[Any], logits: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return the mean of -log p of the true class, in nats, p = softmax(logits)."""
    return float(-np.average(_log_softmax(logits)[np.arange(len(y)), y], weights=weights))


def rmse(y: npt.NDArray[Any], predictions: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return the root of the mean squared error, in target units.

    Example:
        >>> rmse(np.array([1.0, 3.0]), np.array([[4.0], [0.0]]))
        3.0
    """
    return float(np.sqrt(np.average((y - predictions.reshape(len(y))) ** 2, weights=weights)))


def mae(y: npt.NDArray[Any], predictions: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return the mean absolute error, in target units."""
    return float(np.average(np.abs(y - predictions.reshape(len(y))), weights=weights))


def r2(y: npt.NDArray[Any], predictions: npt.NDArray[Any], weights: Floats | None = None) -> float:
    """Return R² = 1 - SS_residual / SS_total; 0 where `y` is constant and not met, 1 where it is met."""
    each = 1.0 if weights is None else weights
    residual = float(np.sum(each * (y - predictions.reshape(len(y))) ** 2))
    total = float(np.sum(each * (y - np.average(y, weights=weights)) ** 2))
    if total == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total


def _log_softmax(logits: npt.NDArray[Any]) -> Floats:
    shifted: Floats = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    total: Floats = np.exp(shifted).sum(axis=1, keepdims=True)
    return shifted - np.log(total)


def _shares(
    codes: npt.NDArray[Any], weights: Floats | None, classes: int, which: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[Any]:
    """Return how many rows each code has, or their weight; of some rows alone."""
    if which is not None:
        codes, weights = codes[which], None if weights is None else weights[which]
    return np.bincount(codes, weights=weights, minlength=classes)


def _area(positive: npt.NDArray[np.bool_], scores: npt.NDArray[Any], weights: Floats | None) -> float:
    """Return P(score of a positive > score of a negative), ties one half, from mean ranks (Mann and Whitney 1947).

    With weights, each pair of rows counts the product of theirs.
    """
    if weights is not None:
        return _weighted_area(positive, scores, weights)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    n = int(positive.sum())
    if n in (0, len(positive)):
        return float("nan")
    return float((ranks[positive].sum() - n * (n + 1) / 2.0) / (n * (len(positive) - n)))


def _weighted_area(positive: npt.NDArray[np.bool_], scores: npt.NDArray[Any], weights: Floats) -> float:
    values, inverse = np.unique(scores, return_inverse=True)
    above, below = (
        np.bincount(inverse, weights=np.where(which, weights, 0.0), minlength=len(values))
        for which in (positive, ~positive)
    )
    if not above.any() or not below.any():
        return float("nan")
    return float(above @ (np.cumsum(below) - below / 2.0) / (above.sum() * below.sum()))


def _metric(task: Task, unit: Unit, function: _Score, *, higher_is_better: bool) -> Metric:
    name = function.__name__
    return Metric(name=name, task=task, higher_is_better=higher_is_better, unit=unit, function=function)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            _metric("classification", "points", accuracy, higher_is_better=True),
            _metric("classification", "points", balanced_accuracy, higher_is_better=True),
            _metric("classification", "points", f1_macro, higher_is_better=True),
            _metric("classification", "points", roc_auc, higher_is_better=True),
            _metric("classification", "plain", log_loss, higher_is_better=False),
            _metric("regression", "target", rmse, higher_is_better=False),
            _metric("regression", "target", mae, higher_is_better=False),
            _metric("regression", "plain", r2, higher_is_better=True),
        )
    }
)


def find_metric(name: str, task: Task) -> Metric:
    """Return the metric of that name.

    Raises:
        OptionError: There is none, or it is for the other task.
    """
    fitting = [known for known, metric in METRICS.items() if metric.task == task]
    if name in METRICS and name not in fitting:
        raise OptionError(f"metric: expected one for {task} ({', '.join(fitting)}), got {name!r}")
    if name not in METRICS:
        raise OptionError(f"metric: no such name {name!r}{nearest(name, fitting)}")
    return METRICS[name]


def default_metric(data: Data) -> Metric:
    """Return `rmse`, or `accuracy`, or `balanced_accuracy` if the rarest class has under half its equal share.

    Example:
        >>> from regimen.data import load
        >>> default_metric(load("wine")).name
        'accuracy'
    """
    if data.task == "regression":
        return METRICS["rmse"]
    counts = np.bincount(data.y, minlength=len(data.classes))
    rare = counts.min() < 0.5 * len(data.y) / len(counts)
    return METRICS["balanced_accuracy" if rare else "accuracy"]


def smallest_effect(metric: Metric, baseline: float, n_validation: int, *, most: float | None = MOST_EFFECT) -> float:
    """Return the difference below which a technique does not matter, in the metric's own unit.

    max(0.005, 1 / n_validation), but at most `most`, where the best value is 1, else 2 % of the baseline's value.

    Args:
        metric: The metric.
        baseline: The baseline's mean, in the metric's unit.
        n_validation: Rows that a run is scored on, at least 1.
        most: What it never exceeds where the best value is 1, above 0; None for no bound, as in studies that were
            planned before there was one.

    Example:
        >>> smallest_effect(METRICS["accuracy"], 0.9, 6)
        0.02
        >>> smallest_effect(METRICS["accuracy"], 0.9, 100), smallest_effect(METRICS["rmse"], 50.0, 100)
        (0.01, 1.0)
    """
    if metric.higher_is_better:
        found = max(0.005, 1.0 / n_validation)
        return found if most is None else min(found, most)
    return 0.02 * abs(baseline)
