"""Reads groups and times of rows, from a column of a table or from values beside arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regimen.data.columns import describe, numbers_of, with_nulls
from regimen.data.naming import counted, listed
from regimen.data.sample_targets import as_array
from regimen.data.split import FEWEST_GROUPS
from regimen.data.structure import By, Structure
from regimen.data.tables import Column
from regimen.errors import DataError, OptionError

# With fewer, the origins of the pairs are all but the same.
FEWEST_TIMES = 10

# Text of each row's group, None where it is missing; or its time as a number, NaN where it is missing.
Marks = npt.NDArray[Any]


def asked(group: Any, time: Any) -> tuple[By, Any] | None:
    """Return which of the two options is given, and its value.

    Raises:
        OptionError: Both are.
    """
    if group is not None and time is not None:
        raise OptionError(
            "--group, --time: expected one of them, got both; rows that belong together and have an order are divided "
            "by --time if its values are those of whole groups, such as the day of a group's first row"
        )
    if group is not None:
        return "group", group
    return None if time is None else ("time", time)


def read_marks(
    cells: pl.Series, by: By, where: str, *, decimal_comma: bool = False, like: Column | None = None
) -> tuple[Marks, Column | None, tuple[str, ...]]:
    """Return the mark of each row, what the column of times is, and what was decided about it.

    Args:
        cells: The column: anything for groups; numbers or dates, also as text, for times.
        by: What it holds.
        where: What the file is called in messages.
        decimal_comma: Whether numbers may be written as 1,5.
        like: What the column of times was in the main file, for a further one.

    Raises:
        DataError: Times are neither numbers nor dates, or a cell of a further file is of another kind.
    """
    if by == "group":
        if cells.dtype.is_nested() or cells.dtype == pl.Object:
            raise DataError(f"{where}: expected groups as text or numbers in {cells.name!r}, got {cells.dtype}")
        return np.array(with_nulls(cells).cast(pl.String).to_list(), dtype=object), None, ()
    filled = with_nulls(cells).drop_nulls()
    if cells.dtype == pl.String and len(filled) and filled.str.contains(r"^\d{4}-\d{2}$").all():
        cells = with_nulls(cells) + "-01"
    column, note = (like, "") if like is not None else describe(cells, whole=True, decimal_comma=decimal_comma)
    if column is None or column.kind not in ("number", "date"):
        example = f", such as {_first_other(cells, decimal_comma)}" if len(filled) else ""
        raise DataError(
            f"{where}: expected numbers or dates in the time column {cells.name!r}, got others{example}; write dates "
            "as 2026-01-31"
        )
    return numbers_of(cells, column, where=where)[:, 0], column, (note,) if note else ()


def _first_other(cells: pl.Series, decimal_comma: bool) -> str:
    """Return the first value that alone is neither number nor date, and its row; of a thousand values."""
    filled = [(row, value) for row, value in enumerate(with_nulls(cells), 1) if value is not None]
    for row, value in filled[:1000]:
        column, _ = describe(pl.Series(cells.name, [value]), whole=True, decimal_comma=decimal_comma)
        if column is None or column.kind not in ("number", "date"):
            return f"{value!r} in row {row}"
    return repr(filled[0][1])


def structure_of(
    marks: Sequence[Marks], by: By, column: str, where: str, *, parts: Sequence[str] = ()
) -> tuple[Structure, tuple[str, ...]]:
    """Return the structure of all rows, and what is to be said of it.

    Args:
        marks: Those of the main file and of each further part, without missing ones.
        by: What they are.
        column: What they are called.
        where: What the data are called in messages.
        parts: `test` or `validation` for each further part.

    Raises:
        DataError: There are too few groups or times, or a given part contradicts them.
    """
    main = marks[0]
    values, codes = np.unique(np.concatenate(list(marks)), return_inverse=True)
    several, few = ("groups", FEWEST_GROUPS) if by == "group" else ("times", FEWEST_TIMES)
    many = len(np.unique(main))
    if many < few:
        raise DataError(
            f"{where}: expected at least {few} different {several} in {column!r}, got {many}; name another column, or "
            f"leave --{by} out"
        )
    for part, further in zip(parts, marks[1:], strict=True):
        _check_part(main, further, by, column, f"{where}: {part}", part)
    structure = Structure(by=by, column=column, values=codes.astype(np.int64).reshape(-1))
    if by == "time":
        return structure, (
            f"rows are divided by the time {column!r} ({counted(many, 'time')}): the latest are the test part, and "
            "validation rows are always later than those trained on",
        )
    sizes = np.bincount(structure.values[: len(main)], minlength=len(values))
    sizes = sizes[sizes > 0]
    span = counted(int(sizes.min()), "row")
    if sizes.max() > sizes.min():
        span = f"{sizes.min():,} to {counted(int(sizes.max()), 'row')}"
    return structure, (f"rows are divided by {column!r}: {many:,} groups of {span}, none of which is in two parts",)


def _check_part(main: Marks, further: Marks, by: By, column: str, where: str, part: str) -> None:
    if by == "group":
        both = sorted(set(main.tolist()) & set(further.tolist()))
        if both:
            raise DataError(
                f"{where}: expected no group of the other rows, got {listed([str(name) for name in both[:5]])} of "
                f"{column!r} in both ({counted(len(both), 'group')}); leave these rows out"
            )
    elif part == "validation":
        raise OptionError("--validation: --time decides which rows validate; leave one of them out")
    elif further.min() <= main.max():
        raise DataError(
            f"{where}: expected rows later in {column!r} than all others, got some that are not; leave these rows out"
        )


def structure_of_values(
    group: Any, time: Any, rows: int, where: str, *, given: Sequence[str] = ()
) -> tuple[Structure | None, tuple[str, ...]]:
    """Return the structure that values beside arrays give, None where none are.

    Args:
        group: Group of each row, `[rows]`, text or numbers; or None. A series keeps its name in notes.
        time: Time of each row, `[rows]`, numbers, dates or their text; or None.
        rows: How many there must be.
        where: What the data are called in messages.
        given: Parts that were given in arrays of their own.

    Raises:
        DataError: There is not one value for each row, or there are too few different ones.
        OptionError: Both are given, or one beside given parts, whose groups or times are not known.
    """
    found = asked(group, time)
    if found is None:
        return None, ()
    by, values = found
    if given:
        raise OptionError(
            f"{given[0]}: expected no {given[0]} rows of their own beside {by}, whose {by}s would not be known; leave "
            "one of them out"
        )
    cells = series_of(values, by, rows, where)
    marks, _, notes = read_marks(cells, by, where)
    missing = missing_marks(marks)
    if missing.any():
        first = int(np.flatnonzero(missing)[0]) + 1
        raise DataError(f"{where}: expected a {by} for every row, got none in row {first}; fill it in")
    name = getattr(values, "name", None)
    structure, said = structure_of([marks], by, name if isinstance(name, str) and name else by, where)
    return structure, (*notes, *said)


def series_of(values: Any, by: By, rows: int, where: str) -> pl.Series:
    """Return values beside arrays as a column.

    Raises:
        DataError: There is not one for each row, or they are no cells.
    """
    if isinstance(values, pl.Series):
        cells = values.alias(by)
    else:
        array = as_array(values)
        if array.dtype.kind == "O":
            array = np.array([None if cell is None or cell != cell else str(cell) for cell in array], dtype=object)
            cells = pl.Series(by, array.tolist(), dtype=pl.String)
        elif array.ndim == 1 and array.dtype.kind in "biufUM":
            cells = pl.Series(by, array.astype("datetime64[us]") if array.dtype.kind == "M" else array)
        else:
            raise DataError(f"{where}: expected a {by} for each of {rows} rows, got {array.dtype} {list(array.shape)}")
    if len(cells) != rows:
        raise DataError(f"{where}: expected a {by} for each of {rows} rows, got {len(cells)}")
    return cells


def missing_marks(marks: Marks) -> npt.NDArray[np.bool_]:
    """Return which rows have no mark."""
    if marks.dtype == object:
        return np.array([mark is None for mark in marks], dtype=bool)
    return np.isnan(marks)
