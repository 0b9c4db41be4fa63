"""Reads the target column: which task it poses, and its values as class codes or as numbers."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regimen.data.columns import LARGEST, parsed, with_nulls
from regimen.data.naming import counted, listed
from regimen.data.tables import Rows
from regimen.errors import DataError
from regimen.records import Task

# Whole numbers with more different values than this are amounts, not labels.
INTEGER_CLASSES = 20
# Texts are labels whatever they look like; beyond this number they are rather names or sentences.
TEXT_CLASSES = 100
# Labels repeat: at least this many rows for each, on average.
ROWS_PER_INTEGER_CLASS, ROWS_PER_TEXT_CLASS = 10, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The target column of one file.

    Attributes:
        task: `classification` or `regression`.
        y: int64 codes or float64 values of the rows in `rows`.
        classes: Label of each code; empty for regression.
        rows: Positions in the file of the rows that have a target.
        notes: Decisions in words.
    """

    task: Task
    y: npt.NDArray[Any]
    classes: tuple[str, ...]
    rows: Rows
    notes: tuple[str, ...]


def chosen(answer: Target, there: npt.NDArray[np.bool_], *, recode: bool) -> Target:
    """Return the target of some of its rows.

    Args:
        answer: The target.
        there: Which of its rows.
        recode: Whether a class that is left without rows goes, as in the main file, and codes count anew.
    """
    kept = replace(answer, y=answer.y[there], rows=answer.rows[there])
    if not recode or not kept.classes or there.all():
        return kept
    codes, y = np.unique(kept.y, return_inverse=True)
    return replace(kept, y=y.astype(np.int64), classes=tuple(kept.classes[code] for code in codes))


def read_target(cells: pl.Series, where: str, task: Task | None = None) -> Target:
    """Return the target of the main file, with its task inferred unless it is given.

    Text, booleans and whole numbers with few different values are classes; other numbers are amounts.

    Raises:
        DataError: Nothing can be learnt from the column: no or only one value, text where numbers belong, infinite
            values, values of which hardly one repeats as classes.
    """
    cells, rows, notes = _filled(cells, where)
    numbers = _numbers(cells)
    inferred = task or _inferred(cells, numbers, where)
    if inferred == "regression":
        if task is None and numbers is not None and _whole(numbers) and cells.n_unique() <= TEXT_CLASSES:
            notes += (
                f"target {cells.name!r}: its {cells.n_unique()} different whole numbers are read as amounts; if they "
                "are classes, set task to classification",
            )
        return Target(task=inferred, y=_amounts(cells, numbers, rows, where), classes=(), rows=rows, notes=notes)
    labels = _labels(cells, numbers, rows, where)
    classes = _in_order(labels, numeric=numbers is not None)
    if len(classes) == 1:
        raise DataError(
            f"{where}: expected at least two different values in target {cells.name!r}, got {classes[0]!r} in every "
            "row; name another target"
        )
    if task is None and numbers is not None and len(classes) > 2:
        notes += (
            f"target {cells.name!r}: its {len(classes)} different whole numbers are read as classes; if they are "
            "amounts, set task to regression",
        )
    if len(classes) > max(2, len(cells) // ROWS_PER_TEXT_CLASS):
        raise DataError(
            f"{where}: expected classes that repeat in target {cells.name!r}, got {len(classes):,} different values in "
            f"{counted(len(cells), 'row')}; name another target, or set task to regression if they are amounts"
        )
    return Target(task="classification", y=_coded(labels, classes), classes=classes, rows=rows, notes=notes)


def read_known_target(cells: pl.Series, where: str, task: Task, classes: tuple[str, ...]) -> Target:
    """Return the target of a further file, in the task and classes of the main file.

    Raises:
        DataError: The column has no value, a class that the main file lacks, or no number where there were numbers.
    """
    cells, rows, notes = _filled(cells, where)
    numbers = _numbers(cells)
    if task == "regression":
        return Target(task=task, y=_amounts(cells, numbers, rows, where), classes=(), rows=rows, notes=notes)
    labels = _labels(cells, numbers, rows, where)
    unseen = sorted(set(labels.unique()) - set(classes))
    if unseen:
        raise DataError(
            f"{where}: expected only classes of the training file in target {cells.name!r} ({listed(classes)}), got "
            f"{listed(unseen)}; leave out those rows or add such rows to the training file"
        )
    absent = [label for label in classes if label not in set(labels.unique())]
    if absent:
        notes += (f"{where} has no row of class {listed(absent)}",)
    return Target(task=task, y=_coded(labels, classes), classes=classes, rows=rows, notes=notes)


def _filled(cells: pl.Series, where: str) -> tuple[pl.Series, Rows, tuple[str, ...]]:
    if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"{where}: expected numbers or text in target {cells.name!r}, got values of type {cells.dtype}; name "
            "another"
        )
    if cells.dtype.is_temporal():
        cells = cells.cast(pl.String)
    cells = with_nulls(cells)
    rows = np.flatnonzero(cells.is_not_null().to_numpy())
    if not len(rows):
        raise DataError(
            f"{where}: expected values in target {cells.name!r}, got missing cells only; name another target"
        )
    notes: tuple[str, ...] = ()
    if len(rows) < len(cells):
        notes = (f"left out {counted(len(cells) - len(rows), 'row')} of {where} without a target",)
    return cells.drop_nulls(), rows, notes


def _numbers(cells: pl.Series) -> pl.Series | None:
    """Return the filled cells as float64, or None if they are no numbers."""
    if cells.dtype.is_numeric():
        return cells.cast(pl.Float64)
    if cells.dtype == pl.String:
        numbers = parsed(cells)
        return None if numbers.null_count() else numbers
    return None


def _inferred(cells: pl.Series, numbers: pl.Series | None, where: str) -> Task:
    different = cells.n_unique()
    if numbers is not None:
        few = few_enough(different, len(cells))
        return "classification" if few and _whole(numbers) else "regression"
    if different > min(TEXT_CLASSES, max(2, len(cells) // ROWS_PER_TEXT_CLASS)):
        raise DataError(
            f"{where}: expected labels that repeat or numbers in target {cells.name!r}, got {different:,} different "
            f"texts in {counted(len(cells), 'row')}, such as {str(cells[0])!r}; name another target"
        )
    return "classification"


def few_enough(different: int, rows: int) -> bool:
    """Tell whether whole numbers, of which so many are different in so many rows, are labels rather than amounts.

    Example:
        >>> few_enough(2, 15), few_enough(3, 30), few_enough(3, 15), few_enough(21, 10_000)
        (True, True, False, False)
    """
    return different <= min(INTEGER_CLASSES, max(2, rows // ROWS_PER_INTEGER_CLASS))


def _whole(numbers: pl.Series) -> bool:
    values = numbers.to_numpy()
    return bool(np.isfinite(values).all() and (values % 1 == 0).all())


def _amounts(cells: pl.Series, numbers: pl.Series | None, rows: Rows, where: str) -> npt.NDArray[np.float64]:
    expected = f"{where}: expected numbers in target {cells.name!r} for regression"
    if numbers is None:
        words = parsed(cells).is_null().arg_true() if cells.dtype == pl.String else [0]
        raise DataError(
            f"{expected}, got {str(cells[words[0]])!r} in row {rows[words[0]] + 1}; correct the cell, leave it empty, "
            "or set task to classification"
        )
    _refuse_infinite(cells, numbers, rows, where)
    values = numbers.to_numpy().astype(np.float64)
    if values.min() == values.max():
        raise DataError(
            f"{where}: expected at least two different values in target {cells.name!r}, got {cells[0]} in every row; "
            "name another target"
        )
    return values


def _refuse_infinite(cells: pl.Series, numbers: pl.Series, rows: Rows, where: str) -> None:
    infinite = np.flatnonzero(~(np.abs(numbers.to_numpy()) <= LARGEST))
    if len(infinite):
        first = int(infinite[0])
        raise DataError(
            f"{where}: expected finite numbers below {LARGEST:.1e} in target {cells.name!r}, got {cells[first]} in row "
            f"{rows[first] + 1}; correct the cell or leave it empty"
        )


def _labels(cells: pl.Series, numbers: pl.Series | None, rows: Rows, where: str) -> pl.Series:
    """Return the class of each cell as text; whole numbers lose the `.0` that missing cells had given them."""
    if numbers is None:
        return cells.cast(pl.String)
    _refuse_infinite(cells, numbers, rows, where)
    values, inverse = np.unique(numbers.to_numpy(), return_inverse=True)
    names = np.array([str(int(value)) if value == int(value) else repr(float(value)) for value in values], dtype=object)
    return pl.Series(cells.name, names[inverse], dtype=pl.String)


def _in_order(labels: pl.Series, *, numeric: bool) -> tuple[str, ...]:
    """Return the different labels, in the order of the numbers if they are numbers."""
    different = sorted(labels.unique())
    return tuple(sorted(different, key=float) if numeric else different)


def _coded(labels: pl.Series, classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    codes = {label: code for code, label in enumerate(classes)}
    return labels.replace_strict(codes, return_dtype=pl.Int64).to_numpy().copy()
