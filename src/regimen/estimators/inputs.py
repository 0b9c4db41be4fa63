"""What users hand to an estimator, checked as scikit-learn checks it and read as rows of a table."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.utils.validation import _check_sample_weight, check_X_y, validate_data

from regimen.data import Preparation
from regimen.data.frames import is_frame, read_frame
from regimen.run import SavedModel

Weights = npt.NDArray[np.float64]
Cells = npt.NDArray[np.float64] | pl.DataFrame


def read_cells(
    estimator: Any, x: Any, *, reset: bool, y: Any = None, numeric: bool = False
) -> tuple[Cells, npt.NDArray[Any]]:
    """Return the rows as float64 `[rows, columns]`, or as a frame where some column is no number; and `y`, one column.

    Sets or checks `n_features_in_` and `feature_names_in_` of the estimator, as every estimator of scikit-learn does.

    Args:
        estimator: Whose input it is.
        x: Array-like of numbers, or a frame of pandas, polars or Arrow. Missing cells are NaN or the frame's own.
        reset: Whether the estimator is being fitted; else the columns must be those fitted on.
        y: Targets, or None at prediction.
        numeric: Whether targets are amounts.

    Raises:
        ValueError: Shapes, types or values are none that can be learnt from.
        TypeError: The input is sparse.
    """
    # Without the argument scikit-learn expects no targets; with None it says that they are missing.
    answers = {"y": y, "y_numeric": numeric} if reset or y is not None else {}
    if is_frame(x):
        frame = read_frame(x)
        if any(not cells.dtype.is_numeric() for cells in frame.get_columns()):
            return _mixed(estimator, x, frame, answers, reset=reset)
    found = validate_data(
        estimator,
        x,
        **answers,
        reset=reset,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        ensure_min_samples=2 if reset else 1,
    )
    return found if isinstance(found, tuple) else (found, _NOTHING)


_NOTHING: npt.NDArray[Any] = np.empty(0)


def _mixed(
    estimator: Any, x: Any, frame: pl.DataFrame, answers: dict[str, Any], *, reset: bool
) -> tuple[pl.DataFrame, npt.NDArray[Any]]:
    """Check a frame whose columns are not all numbers: its names and number of rows; its cells are the table's care."""
    validate_data(estimator, x, skip_check_array=True, reset=reset, **{"y": answers["y"]} if answers else {})
    if not answers:
        return frame, _NOTHING
    # One column of numbers stands for the frame: the targets are then checked as beside any array.
    counted = np.zeros((frame.height, 1))
    _, targets = check_X_y(counted, answers["y"], y_numeric=answers["y_numeric"], ensure_min_samples=2 if reset else 1)
    return frame, targets


def read_weights(sample_weight: Any, rows: int) -> Weights | None:
    """Return the weight of each row, None if none are given.

    Raises:
        ValueError: Not one number >= 0 for each row, or no weight above 0.
    """
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, np.empty((rows, 1)), dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return np.asarray(weights)


def equal_weights(weights: Weights | None) -> bool:
    """Return whether all rows count alike."""
    return weights is None or bool((weights == weights[0]).all())


def mean_weight(weights: Weights | None) -> float:
    """Return the mean of the weights, by which they are divided; exactly their value if they are equal."""
    if weights is None:
        return 1.0
    return float(weights[0] if equal_weights(weights) else weights.mean())


def preparation_of(model: SavedModel) -> Preparation:
    """Return what was fitted on the rows: an estimator's networks were prepared for a table, never for images."""
    assert isinstance(model.preparation, Preparation)
    return model.preparation


def column_names(estimator: Any) -> list[str]:
    """Return the names of the columns fitted on; x0, x1, … where they had none."""
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else [str(name) for name in names]
