"""Decides what each column of the user's table is, and turns its cells into numbers or coded categories."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from regimen.data.naming import counted, listed
from regimen.data.tables import MAX_LEVELS, Codes, Column, Floats
from regimen.errors import DataError

# "none" and "unknown" are not among them: tables use them as levels ("none" is a level of nine columns of soybean).
MISSING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "<NA>", "#N/A", "null", "NULL")
WORDS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"))
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
)
# What every date of these formats starts with: most columns of text are spared the nine trials.
_DATE_START = re.compile(r"[+-]?\d+[-/.]")
# Larger numbers are infinite for a network.
LARGEST = float(np.finfo(np.float32).max)
# A column is a number although some cells are words, where at least this share is numbers and they are many.
_MOSTLY, _MANY = 0.95, 20
# Above this share of different texts, a column names rows.
_DIFFERENT = 0.9
_IDENTIFIER = re.compile(r"(?i:(^|[_\s-])(id|uuid|guid|index)$|^unnamed_\d+$)|[a-z]I[dD]$")


def describe(cells: pl.Series, *, whole: bool, decimal_comma: bool) -> tuple[Column | None, str]:
    """Return what a feature column is, and the decision about it in words where there was one.

    Args:
        cells: The column, only rows with a target.
        whole: Keep constant and identifier-like columns.
        decimal_comma: Whether numbers may be written as 1,5.

    Returns:
        The column, or None if it is left out; the decision, or "".
    """
    name = cells.name
    cells = with_nulls(cells)
    filled = cells.drop_nulls()
    if filled.is_empty():
        return None, f"left out column {name!r}: it is empty"
    if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Object, pl.Time, pl.Duration):
        return None, f"left out column {name!r}: values of type {cells.dtype} are not supported"
    different = filled.n_unique()
    if not whole and different == 1 and len(filled) == len(cells):
        return None, f"left out column {name!r}: it is constant ({filled[0]})"
    column, note = _kind(name, filled, decimal_comma)
    if whole:
        return column, note
    if column.kind == "category" and different > max(_MANY, _DIFFERENT * len(filled)):
        example = f"{different:,} different texts in {counted(len(filled), 'row')}, such as {filled[0]!r}"
        return None, f"left out column {name!r}: it tells rows apart ({example})"
    if column.kind == "number" and _is_identifier(name, numbers_of(cells, column, where="")[:, 0]):
        return None, f"left out column {name!r}: it numbers the rows"
    return column, note


def _kind(name: str, filled: pl.Series, decimal_comma: bool) -> tuple[Column, str]:
    if filled.dtype == pl.Boolean:
        return Column(name=name, kind="boolean"), ""
    if filled.dtype.is_temporal():
        return Column(name=name, kind="date"), ""
    if filled.dtype.is_numeric():
        return Column(name=name, kind="number"), ""
    distinct = filled.unique(maintain_order=True)
    numeric = parsed(distinct)
    if numeric.null_count() == 0:
        return Column(name=name, kind="number"), ""
    if decimal_comma and parsed(distinct, decimal_comma=True).null_count() == 0:
        return Column(name=name, kind="number", decimal_comma=True), f"column {name!r}: the comma is a decimal comma"
    if sorted(distinct.str.to_lowercase().unique()) in [list(pair) for pair in WORDS]:
        return Column(name=name, kind="boolean"), ""
    for date_format in DATE_FORMATS if _DATE_START.match(distinct[0]) else ():
        if _dates(distinct, date_format).null_count() == 0:
            return Column(name=name, kind="date", date_format=date_format), _date_note(name, distinct, date_format)
    words = distinct.filter(numeric.is_null())
    others = filled.is_in(words.to_list())
    if len(distinct) - len(words) > _MANY and others.sum() <= (1 - _MOSTLY) * len(filled):
        column = Column(name=name, kind="number", missing=tuple(sorted(words)))
        return column, (
            f"column {name!r}: {counted(int(others.sum()), 'cell')} without a number taken as missing "
            f"({listed(column.missing[:5])})"
        )
    note = ""
    if len(distinct) >= MAX_LEVELS:
        note = f"column {name!r}: {len(distinct)} levels; the {MAX_LEVELS - 1} most frequent stay, the others share one"
    return Column(name=name, kind="category"), note


def _date_note(name: str, distinct: pl.Series, date_format: str) -> str:
    other = {"%m/%d/%Y": "%d/%m/%Y"}.get(date_format)
    if other and _dates(distinct, other).null_count() == 0:
        return f"column {name!r}: read as month/day/year; day/month/year would fit as well"
    return ""


def _is_identifier(name: str, numbers: Floats) -> bool:
    if not np.isfinite(numbers).all() or (numbers % 1 != 0).any() or len(np.unique(numbers)) < len(numbers):
        return False
    return bool(_IDENTIFIER.search(name)) or numbers.max() - numbers.min() == len(numbers) - 1


def with_nulls(cells: pl.Series) -> pl.Series:
    """Return the column with null for every missing cell, and text without blanks around it."""
    filled = _with_nulls(cells.name, cells.dtype)
    return cells if filled is None else cells.to_frame().select(filled).to_series()


def _with_nulls(name: str, dtype: pl.DataType) -> pl.Expr | None:
    """Return what `with_nulls` does to a column of a type; None where that is nothing."""
    if dtype.is_float():
        return pl.col(name).fill_nan(None)
    if dtype in (pl.Null, pl.Categorical, pl.Enum, pl.String):
        text = pl.col(name).cast(pl.String).str.strip_chars()
        return pl.when(text.is_in(MISSING)).then(None).otherwise(text).alias(name)
    return None


def parsed(text: pl.Series, *, decimal_comma: bool = False) -> pl.Series:
    """Return text as float64, null where it is no number."""
    if decimal_comma:
        text = text.str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def _dates(text: pl.Series, date_format: str) -> pl.Series:
    return text.str.to_datetime(date_format, strict=False, time_unit="us", ambiguous="null").dt.replace_time_zone(None)


def numbers_of(cells: pl.Series, column: Column, *, where: str, rows: npt.NDArray[np.int64] | None = None) -> Floats:
    """Return the cells of a number, boolean or date as float64 `[rows, numbers]`, missing as NaN.

    Args:
        cells: The column of some file.
        column: What it was when it was first described.
        where: What the file is called in messages.
        rows: Number of each cell in the file, from 1, for messages; None counts on.

    Raises:
        DataError: A cell is not of the column's kind.
    """
    cells = with_nulls(cells)
    if column.kind == "date":
        values = cells if cells.dtype.is_temporal() else _parsed_dates(cells, column)
    elif column.kind == "boolean":
        values = _parsed_booleans(cells)
    else:
        values = _parsed_numbers(cells, column)
    words = cells.is_not_null() & values.is_null()
    if column.missing and cells.dtype == pl.String:
        words = words & ~cells.is_in(column.missing)
    if words.any():
        first = words.arg_true()[0]
        row = first + 1 if rows is None else rows[first]
        expected = {"date": "dates", "boolean": "yes or no", "number": "numbers"}[column.kind]
        raise DataError(
            f"{where}: expected {expected} in column {column.name!r}, got {str(cells[first])!r} in row {row}; "
            "correct the cell or leave it empty"
        )
    if column.kind == "date":
        # Moments with a time zone become those of UTC.
        if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
            values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        moments = values.cast(pl.Datetime("us"))
        days = moments.cast(pl.Int64).cast(pl.Float64) / 86_400e6
        parts = [days, moments.dt.month(), moments.dt.weekday()]
    else:
        parts = [values]
    return np.stack([part.cast(pl.Float64).fill_null(float("nan")).to_numpy() for part in parts], axis=1)


def _parsed_numbers(cells: pl.Series, column: Column) -> pl.Series:
    if cells.dtype == pl.String:
        plain = parsed(cells)
        if column.decimal_comma:
            plain = plain.fill_null(parsed(cells, decimal_comma=True)) if plain.null_count() else plain
        return plain
    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        return cells.cast(pl.Float64)
    return pl.Series(cells.name, [None] * len(cells), dtype=pl.Float64)


def _parsed_booleans(cells: pl.Series) -> pl.Series:
    if cells.dtype == pl.Boolean:
        return cells.cast(pl.Float64)
    text = cells.cast(pl.String).str.to_lowercase()
    codes = {word: float(code) for pair in WORDS for code, word in enumerate(pair)} | {"0": 0.0, "1": 1.0}
    return text.replace_strict(codes, default=None, return_dtype=pl.Float64)


def _parsed_dates(cells: pl.Series, column: Column) -> pl.Series:
    text = cells.cast(pl.String)
    if column.date_format:
        return _dates(text, column.date_format)
    # Dates of a Parquet file were typed; the same column as text may have any of the forms.
    attempts = [_dates(text, date_format) for date_format in DATE_FORMATS]
    return min(attempts, key=lambda dates: dates.null_count())


def codes_of(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[list[Column], Codes]:
    """Return categories with the levels that occur, in the order of their text, and their cells as codes.

    Args:
        frame: Has the columns. All are read in three passes, since each call of polars costs what hundreds of cells do.
        columns: The categories.

    Returns:
        The columns with their levels; int32 `[rows, columns]`, -1 for a missing cell.
    """
    if not columns:
        return [], np.empty((frame.height, 0), dtype=np.int32)
    names = [column.name for column in columns]
    filled = (_with_nulls(name, frame.schema[name]) for name in names)
    texts = frame.select(
        (pl.col(name) if cells is None else cells).cast(pl.String) for name, cells in zip(names, filled, strict=True)
    )
    different = texts.select(pl.all().drop_nulls().unique().implode()).row(0) if frame.height else ((),) * len(names)
    levels = [tuple(sorted(of_column)) for of_column in different]
    codes = texts.select(
        pl.col(name).cast(pl.Enum(of_column)).to_physical().cast(pl.Int32).fill_null(-1)
        for name, of_column in zip(names, levels, strict=True)
    )
    found = [replace(column, levels=of_column) for column, of_column in zip(columns, levels, strict=True)]
    return found, codes.to_numpy().astype(np.int32, copy=False)


def plain_numbers(frame: pl.DataFrame, columns: Sequence[Column]) -> dict[str, Floats]:
    """Return the columns that are numbers already, float64 `[rows]`, missing as NaN; read together, as categories are.

    Args:
        frame: Has the columns.
        columns: Any; those that need more than a conversion of their type are left to `numbers_of`.
    """
    plain = [column.name for column in columns if column.kind == "number" and frame.schema[column.name].is_numeric()]
    if not plain:
        return {}
    cells = frame.select(pl.col(plain).cast(pl.Float64).fill_null(float("nan")))
    return {name: cells[name].to_numpy() for name in plain}
