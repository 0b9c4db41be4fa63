"""The table as it is studied: numbers, coded categories, target, and every decision taken about it in words."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.data.row_weights import RowWeights
from regimen.data.structure import Structure
from regimen.records import Task

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Kind = Literal["number", "category", "date", "boolean"]

# A category has at most this many features; a column with as many levels or more shares the last among the rare ones.
MAX_LEVELS = 32

_DATE_PARTS = ("days", "month", "weekday")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of the user's table that carries a feature, with what is needed to read it again.

    Attributes:
        name: As in the header.
        kind: `number`; `boolean` (0 or 1); `date` (days since 1970, month, weekday); `category`.
        levels: Of a category: the text of each code.
        date_format: Of a date given as text: its pattern, as in `strftime`.
        decimal_comma: Whether numbers are written as 1,5.
        missing: Words that stand for a missing number in this column.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    date_format: str = ""
    decimal_comma: bool = False
    missing: tuple[str, ...] = ()

    @property
    def number_names(self) -> tuple[str, ...]:
        """Names of the numbers that the column gives: none for a category, three for a date."""
        if self.kind == "category":
            return ()
        if self.kind == "date":
            return tuple(f"{self.name} ({part})" for part in _DATE_PARTS)
        return (self.name,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """Rows to learn from or to predict, without a target.

    Attributes:
        name: What the rows are called in messages and reports.
        columns: The columns, in the order of the file.
        numbers: float64 `[rows, numbers]`, the numbers of all columns that have some; missing is NaN.
        codes: int32 `[rows, categories]`, indices into each category's `levels`; missing is -1.
        notes: Decisions taken about the user's table, in plain words.
    """

    name: str
    columns: tuple[Column, ...]
    numbers: Floats
    codes: Codes
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    @property
    def category_columns(self) -> tuple[Column, ...]:
        """The columns behind `codes`, in its order."""
        return tuple(column for column in self.columns if column.kind == "category")

    @property
    def categories(self) -> npt.NDArray[np.object_]:
        """Text of every category, object `[rows, categories]`; missing is None."""
        text = np.full(self.codes.shape, None, dtype=object)
        for j, column in enumerate(self.category_columns):
            text[:, j] = np.array([*column.levels, None], dtype=object)[self.codes[:, j]]
        return text


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Table(Features):
    """A table with its target; equal and hashed by content.

    Attributes:
        task: `classification` or `regression`.
        target: Name of the target column.
        y: int64 class codes, or float64 targets in their own unit, `[rows]`; never missing.
        classes: Labels as in the file, in the order of their codes; empty for regression.
        test_rows: Rows that came from a test file, or None.
        validation_rows: Rows that came from a validation file, or None.
        structure: Groups or times of the rows, or None.
        weights: How much each row counts, or None where all count alike.
        digest: SHA-256 of the content as hex; neither the name nor the notes enter.
    """

    task: Task
    target: str
    y: npt.NDArray[Any]
    classes: tuple[str, ...] = ()
    test_rows: Rows | None = None
    validation_rows: Rows | None = None
    structure: Structure | None = None
    weights: RowWeights | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        arrays: list[npt.NDArray[Any] | None] = [self.numbers, self.codes, self.y, self.test_rows, self.validation_rows]
        described = (self.task, self.target, self.columns, self.classes, [array is None for array in arrays])
        digest = hashlib.sha256(msgspec.json.encode(described))
        for array in arrays:
            if array is not None:
                # All processes and cached preparations share these arrays.
                array.setflags(write=False)
                digest.update(canonical_bytes(array))
        if self.structure is not None:
            digest.update(self.structure.content)
        if self.weights is not None:
            digest.update(self.weights.content)
        object.__setattr__(self, "digest", digest.hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def drawn_rows(self) -> Rows:
        """Rows that came from the main file: those from which parts are drawn."""
        return rows_of_no_part(self.n, self.test_rows, self.validation_rows)


def rows_of_no_part(n: int, *parts: Rows | None) -> Rows:
    """Return the row numbers below `n` that none of the given parts holds.

    Example:
        >>> rows_of_no_part(5, np.array([1, 3]), None).tolist()
        [0, 2, 4]
    """
    taken = np.zeros(n, dtype=bool)
    for rows in parts:
        if rows is not None:
            taken[rows] = True
    return np.flatnonzero(~taken)


def canonical_bytes(array: npt.NDArray[Any]) -> bytes:
    """Return shape and content so that equal values give equal bytes: little-endian, one NaN, no negative zero.

    Example:
        >>> canonical_bytes(np.array([-0.0])) == canonical_bytes(np.array([0.0]))
        True
    """
    if array.dtype.kind == "f":
        array = array + 0.0
        array[np.isnan(array)] = np.nan
    little = array.astype(array.dtype.newbyteorder("<"), order="C")
    return f"{little.dtype.str}{little.shape}".encode() + little.tobytes()
