"""Targets of samples: which task they pose, and their values as class codes or as amounts."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from regimen.data.columns import LARGEST
from regimen.data.naming import hint, listed
from regimen.data.targets import ROWS_PER_TEXT_CLASS, TEXT_CLASSES, few_enough
from regimen.errors import DataError, OptionError
from regimen.records import Task

Targets = npt.NDArray[Any]
# Up to this every whole number is a float64.
LARGEST_WHOLE = 2.0**53


def as_array(values: Any) -> npt.NDArray[Any]:
    """Return an array or tensor, on whatever device, or nested lists as an array.

    Example:
        >>> as_array([[1, 2]]).shape
        (1, 2)
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no bfloat16, and its float16 gains nothing here.
        values = values.float() if values.is_floating_point() else values
        return np.asarray(values.numpy())
    return np.asarray(values)


def floats_as_labels(
    y: Any, *, task: Task | None = None, classes: Sequence[str] | None = None
) -> tuple[Targets, tuple[str, ...]]:
    """Return targets with floats that are labels as int64, by the rule of tables, and what was decided in words.

    Floats are labels if they are whole numbers of which few are different: at most 20, and at most one for ten rows
    (two always).

    Args:
        y: Targets, an array, a tensor or a list.
        task: `classification` makes all whole numbers labels, `regression` none; None reads it from the values.
        classes: Label of each code, which makes all whole numbers codes; or None.

    Example:
        >>> floats_as_labels([0.0, 1.0, 0.0])[0]
        array([0, 1, 0])
    """
    array = as_array(y)
    if task == "regression" or array.dtype.kind != "f" or not array.size or array.size != len(array):
        return array, ()
    if not (np.abs(array) <= LARGEST_WHOLE).all() or (array % 1 != 0).any():
        return array, ()
    if task == "classification" or classes is not None:
        return array.astype(np.int64), ()
    different = len(np.unique(array))
    few = few_enough(different, len(array))
    if not few and different > TEXT_CLASSES:
        return array, ()
    read, others, other = ("classes", "amounts", "regression") if few else ("amounts", "classes", "classification")
    note = (
        f"the targets are floats: their {different} different whole numbers are read as {read}; if they are {others}, "
        f"set task to {other}"
    )
    return array.astype(np.int64) if few else array, (note,)


def sample_targets(
    y: Any, rows: int, *, where: str, task: Task | None = None, classes: Sequence[str] | None = None
) -> tuple[Task, Targets, tuple[str, ...]]:
    """Return task, int64 codes or float64 amounts `[rows]`, and the label of each code.

    Whole numbers, booleans and text are classes, floats are amounts (see `floats_as_labels` before), unless the task is
    given.

    Args:
        y: Targets `[rows]` or `[rows, 1]`, an array, a tensor or a list.
        rows: How many there must be.
        where: What the samples are called in messages.
        task: `classification` or `regression`; None reads it from the type of the targets.
        classes: Label of each code; None takes the different values in their order.

    Raises:
        DataError: They are not one target for each row that could be learnt.
        OptionError: There is no such task.

    Example:
        >>> sample_targets([3, 7, 3], 3, where="x")[1:]
        (array([0, 1, 0]), ('3', '7'))
    """
    if task is not None and task not in get_args(Task):
        raise OptionError(f"task: expected classification or regression, got {task!r}{hint(str(task), get_args(Task))}")
    array = _column(as_array(y), rows, where)
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array):
        array = array.astype(str)
    if array.dtype.kind not in "iubfU":
        raise DataError(f"{where}: expected targets as numbers or text, got {array.dtype}; convert them")
    if array.dtype.kind == "f" and not (np.abs(array) <= LARGEST).all():
        bad = int(np.flatnonzero(~(np.abs(array) <= LARGEST))[0])
        raise DataError(f"{where}: expected finite targets, got {array[bad]} in row {bad + 1}; leave out such rows")
    if task == "classification" or (task is None and (classes is not None or array.dtype.kind != "f")):
        return "classification", *_codes(array, where, classes)
    if array.dtype.kind == "U":
        raise DataError(f"{where}: expected numbers as targets of regression, got text; set task to classification")
    amounts = array.astype(np.float64)
    if amounts.min() == amounts.max():
        raise DataError(f"{where}: expected targets that differ, got {amounts[0]:g} in every row")
    return "regression", amounts, ()


def _column(array: Targets, rows: int, where: str) -> Targets:
    """Return the targets `[rows]`; those in one column lose it, as they do everywhere."""
    if array.ndim == 2 and array.shape == (rows, 1):
        return array[:, 0]
    if array.ndim == 2 and len(array) == rows and array.dtype.kind in "iubf":
        ones = ((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()
        if ones:
            raise DataError(
                f"{where}: expected one target for each row, got one-hot rows {list(array.shape)}; "
                "give the classes themselves, y.argmax(1)"
            )
    if array.shape != (rows,):
        raise DataError(
            f"{where}: expected one target for each of {rows} rows, got targets of shape {list(array.shape)}; "
            "a network for several targets at once cannot be studied yet"
            if array.ndim > 1 and len(array) == rows
            else f"{where}: expected one target for each of {rows} rows, got targets of shape {list(array.shape)}"
        )
    return array


def _codes(array: Targets, where: str, classes: Sequence[str] | None) -> tuple[Targets, tuple[str, ...]]:
    if array.dtype.kind == "f":
        if (array % 1 != 0).any():
            raise DataError(f"{where}: expected labels as whole numbers or text, got {array[array % 1 != 0][0]}")
        array = array.astype(np.int64)
    if classes is None:
        values, codes = np.unique(array, return_inverse=True)
        if len(values) > max(2, len(array) // ROWS_PER_TEXT_CLASS):
            raise DataError(
                f"{where}: expected classes that repeat, got {len(values):,} different targets in {len(array):,} rows; "
                "set task to regression if they are amounts"
            )
        return codes.astype(np.int64), tuple(map(str, values.tolist()))
    labels = tuple(map(str, classes))
    if len(set(labels)) != len(labels):
        raise DataError(f"{where}: expected different classes, got {listed(labels)}; rename them")
    if array.dtype.kind == "U":
        unseen = sorted(set(array.tolist()) - set(labels))
        if unseen:
            raise DataError(f"{where}: expected only the classes {listed(labels)}, got {listed(unseen)}; name all")
        return np.array([labels.index(label) for label in array.tolist()], dtype=np.int64), labels
    if array.min() < 0 or array.max() >= len(labels):
        raise DataError(
            f"{where}: expected codes from 0 to {len(labels) - 1}, one for each class, got {array.min()} to "
            f"{array.max()}; name all classes"
        )
    return array.astype(np.int64), labels
