"""Arrays and frames in memory as tables: rows with any mix of numbers, text, categories, booleans and dates."""

import datetime
import numbers
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regimen.data.assembly import features_of
from regimen.data.columns import MISSING, WORDS, describe
from regimen.data.naming import refuse_duplicates
from regimen.data.sources import Source
from regimen.data.tables import MAX_LEVELS, Column, Features, Rows, Table
from regimen.errors import DataError
from regimen.records import Task


def is_frame(x: object) -> bool:
    """Return whether `x` has named columns of own types: a frame of pandas or polars, or a table of Arrow.

    Example:
        >>> is_frame(pl.DataFrame({"a": [1]})), is_frame(np.ones((2, 2)))
        (True, False)
    """
    return isinstance(x, pl.DataFrame) or hasattr(x, "iloc") or hasattr(x, "__arrow_c_stream__")


def read_frame(x: Any, *, where: str = "X") -> pl.DataFrame:
    """Return a frame of pandas, polars or Arrow as a polars frame whose column names are text.

    Categories stay categories, whatever their levels look like; pandas' objects become numbers, booleans or dates where
    all of a column are, else text.

    Args:
        x: The frame, `[rows, columns]`; `is_frame` must hold.
        where: What it is called in messages.

    Raises:
        DataError: Two columns have the same name.

    Example:
        >>> read_frame(pl.DataFrame({"a": [1, 2]})).columns
        ['a']
    """
    if hasattr(x, "iloc"):
        series = [_from_pandas(str(name), x.iloc[:, position]) for position, name in enumerate(x.columns)]
    else:
        frame = x if isinstance(x, pl.DataFrame) else pl.DataFrame(x)
        series = frame.get_columns()
    refuse_duplicates(where, [column.name for column in series])
    return pl.DataFrame(series)


def _from_pandas(name: str, column: Any) -> pl.Series:
    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, np.dtype) and kind in "biuf":
        return pl.Series(name, column.to_numpy())
    if kind == "M":
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return pl.Series(name, column.to_numpy().astype("datetime64[us]"))
    if kind in "iuf":
        return pl.Series(name, column.to_numpy(dtype=np.float64, na_value=np.nan))
    missing = column.isna().to_numpy()
    cells = [None if absent else cell for cell, absent in zip(column, missing, strict=True)]
    if hasattr(column, "cat"):
        return pl.Series(name, [None if cell is None else str(cell) for cell in cells], dtype=pl.Categorical)
    return _of_objects(name, cells)


def _of_objects(name: str, cells: list[Any]) -> pl.Series:
    """Return a column in the one type that all its cells have, else as text."""
    filled = [cell for cell in cells if cell is not None]
    if filled and all(isinstance(cell, bool | np.bool_) for cell in filled):
        return pl.Series(name, [None if cell is None else bool(cell) for cell in cells], dtype=pl.Boolean)
    if filled and all(isinstance(cell, numbers.Real) for cell in filled):
        return pl.Series(name, [None if cell is None else float(cell) for cell in cells], dtype=pl.Float64)
    if filled and all(isinstance(cell, datetime.date) for cell in filled):
        return pl.Series(name, cells)
    return pl.Series(name, [None if cell is None else str(cell) for cell in cells], dtype=pl.String)


def describe_rows(
    x: npt.NDArray[np.float64] | pl.DataFrame, names: Sequence[str]
) -> tuple[tuple[Column, ...], list[str]]:
    """Return what the columns of an array or a frame are, and the decisions about them in words.

    Every column is kept, constant ones and those that number the rows too; left out is only what holds nothing that
    can be learnt from (empty columns of text, nested values).

    Args:
        x: Numbers `[rows, columns]`, or a frame from `read_frame`.
        names: Names of the columns.

    Raises:
        DataError: No column is left.
    """
    if isinstance(x, np.ndarray):
        return tuple(Column(name=name, kind="number") for name in names), []
    columns, notes = [], []
    words, filled = _different_words(x), _with_numbers(x)
    for name, cells in zip(names, x.get_columns(), strict=True):
        if cells.dtype in (pl.Categorical, pl.Enum) or _only_words(words.get(cells.name, ())):
            columns.append(Column(name=name, kind="category"))
            continue
        if cells.name in filled:
            columns.append(Column(name=name, kind="number"))
            continue
        column, note = describe(cells.alias(name), whole=True, decimal_comma=False)
        if column is not None:
            columns.append(column)
        if note:
            notes.append(note)
    if not columns:
        raise DataError(f"X: expected at least one column to learn from, got none ({'; '.join(notes)}); add columns")
    return tuple(columns), notes


def _with_numbers(x: pl.DataFrame) -> set[str]:
    """Return the columns of numbers that hold one; with `_only_words`, spares most columns the slower `describe`."""
    numeric = [name for name, dtype in x.schema.items() if dtype.is_numeric()]
    floats = {name for name in numeric if x.schema[name].is_float()}
    if not numeric or not x.height:
        return set()
    cells = ((pl.col(name).is_not_nan() if name in floats else pl.col(name).is_not_null()).any() for name in numeric)
    return {name for name, any_number in zip(numeric, x.select(cells).row(0), strict=True) if any_number}


def _different_words(x: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the different cells of each column of text."""
    names = [name for name, dtype in x.schema.items() if dtype == pl.String]
    if not names or not x.height:
        return {}
    return dict(zip(names, x.select(pl.col(names).drop_nulls().unique().implode()).row(0), strict=True))


def _only_words(different: Sequence[str]) -> bool:
    """Return whether a column of text with these cells is a category beyond doubt, without trying numbers and dates.

    Those trials are a third of the time in which an estimator fits 1,000 rows of 20 columns.
    """
    if len(different) > MAX_LEVELS + len(MISSING):
        return False
    words = {word.strip() for word in different} - set(MISSING)
    if (
        not words
        or len(words) >= MAX_LEVELS
        or sorted({word.lower() for word in words}) in [list(pair) for pair in WORDS]
    ):
        return False
    # Numbers and dates have digits, but for the words that mean infinity or no number.
    return not any(re.search(r"\d|inf|nan", word, re.IGNORECASE) for word in words)


def read_rows(
    x: npt.NDArray[np.float64] | pl.DataFrame,
    columns: Sequence[Column],
    names: Sequence[str],
    *,
    name: str = "X",
    notes: Sequence[str] = (),
) -> Features:
    """Return an array or a frame as features.

    Args:
        x: Numbers `[rows, columns]`, or a frame from `read_frame`.
        columns: What `describe_rows` found, when the rows trained on were described.
        names: Names of all columns of `x`, in order.
        name: What the rows are called in messages.
        notes: Decisions about the columns, in words.

    Raises:
        DataError: A cell is not of its column's kind.

    Example:
        >>> x = np.array([[1.0, 2.0], [3.0, np.nan]])
        >>> columns, _ = describe_rows(x, ["a", "b"])
        >>> read_rows(x, columns, ["a", "b"]).numbers.shape
        (2, 2)
    """
    if isinstance(x, np.ndarray):
        strange = [column.name for column in columns if column.kind not in ("number", "boolean")]
        if strange:
            raise DataError(
                f"{name}: expected a frame with the columns trained on, of which {strange[0]!r} is no number, got an "
                "array; give a pandas or polars frame"
            )
        places = [names.index(column.name) for column in columns]
        return Features(
            name=name,
            columns=tuple(columns),
            numbers=x[:, places].astype(np.float64),
            codes=np.empty((len(x), 0), dtype=np.int32),
            notes=tuple(notes),
        )
    frame = pl.DataFrame([cells.alias(label) for label, cells in zip(names, x.get_columns(), strict=True)])
    source = Source(name=name, where=name, frame=frame, whole=True)
    features = features_of(source, columns, np.arange(frame.height))
    return replace(features, notes=(*notes, *features.notes))


def with_target(
    features: Features, y: npt.NDArray[Any], *, task: Task, classes: Sequence[str] = (), target: str = "y"
) -> Table:
    """Return features and target as a table, without the rules by which files are refused.

    Args:
        features: The rows.
        y: int64 codes into `classes`, or float64 amounts, `[rows]`.
        task: `classification` or `regression`.
        classes: Text of each class.
        target: Name of the target.

    Example:
        >>> x = np.arange(6.0).reshape(3, 2)
        >>> columns, _ = describe_rows(x, ["a", "b"])
        >>> with_target(read_rows(x, columns, ["a", "b"]), np.arange(3.0), task="regression").n
        3
    """
    return Table(
        name=features.name,
        columns=features.columns,
        numbers=features.numbers,
        codes=features.codes,
        notes=features.notes,
        task=task,
        target=target,
        y=y,
        classes=tuple(classes),
    )


def rows_of(features: Features, rows: Rows) -> Features:
    """Return some of the rows, in the given order, without a target.

    Args:
        features: The rows to choose from.
        rows: Positions.
    """
    return Features(
        name=features.name, columns=features.columns, numbers=features.numbers[rows], codes=features.codes[rows]
    )
