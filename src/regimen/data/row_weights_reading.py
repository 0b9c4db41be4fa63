"""Reads weights of rows, from a column of a table or from values beside arrays; rows of weight 0 count for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from regimen.data.columns import LARGEST, parsed, with_nulls
from regimen.data.naming import counted, hint, listed
from regimen.data.row_weights import Floats, RowWeights
from regimen.data.sample_targets import as_array
from regimen.data.sources import Source
from regimen.data.tables import Rows
from regimen.data.targets import Target, chosen
from regimen.errors import DataError

# What weights beside arrays are called.
SAMPLE_WEIGHT = "sample_weight"


@dataclass(kw_only=True, slots=True)
class Weighed:
    """Gathers the weights of rows, file by file, in the order in which `keep` and `further` are called.

    Attributes:
        column: Name of the column of weights.
        where: What the main file is called in messages.
        notes: What is to be said, in words.
    """

    column: str
    where: str
    notes: list[str] = field(default_factory=list)
    _source: Source
    _all: list[Floats] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, column: str, *, target: str, other: str | None = None) -> "Weighed":
        """Find the column in the main file.

        Args:
            source: The main file.
            column: Its name.
            target: Name of the target column.
            other: Name of the column of groups or times, or None.

        Raises:
            DataError: There is no such column, or it is the target or that of groups or times.
        """
        names = source.frame.columns
        if column not in names:
            raise DataError(
                f"{source.where}: expected a column with the weight of each row, got {column!r}, which the table lacks"
                f"{hint(column, names)} (columns: {listed(names)})"
            )
        if column in (target, other):
            what = "the target" if column == target else "that of groups or times"
            raise DataError(f"{source.where}: expected a column of weights other than {what}, got {column!r}")
        return cls(column=column, where=source.where, _source=source)

    def keep(self, answer: Target) -> Target:
        """Return the target of the main file without rows of weight 0; a class that is left without rows goes.

        Raises:
            DataError: A row with a target has no weight, or none that is finite and >= 0; or all are 0.
        """
        return self._without_zeros(self._source, answer, recode=True)

    def further(self, file: Source, answer: Target) -> Target:
        """Return the same of a further file."""
        return self._without_zeros(file, answer, recode=False)

    def weights(self, answers: Sequence[Target]) -> RowWeights | None:
        """Return the weights of the rows of all files, and note what is to be said of them; None if all are equal.

        Args:
            answers: The rows of each file that are left, in the order of the calls.
        """
        values = np.concatenate([all_[answer.rows] for all_, answer in zip(self._all, answers, strict=True)])
        found, note = of_values(values, self.column)
        self.notes.append(note)
        return found

    def _without_zeros(self, file: Source, answer: Target, *, recode: bool) -> Target:
        cells = file.frame[self.column]
        every = np.zeros(len(cells))
        every[answer.rows] = read_weights(
            cells[answer.rows], file.where, numbers=answer.rows + 1, decimal_comma=file.decimal_comma
        )
        self._all.append(every)
        there = every[answer.rows] > 0
        note = note_on_zeros(there, file.where, self.column)
        self.notes += [note] if note else []
        return chosen(answer, there, recode=recode)


def read_weights(
    cells: pl.Series, where: str, *, numbers: Rows | None = None, decimal_comma: bool = False, what: str = "column "
) -> Floats:
    """Return a column of weights, float64 `[rows]`, each finite and >= 0, at least one above 0.

    Args:
        cells: The column.
        where: What the file or the arrays are called in messages.
        numbers: Number of each row in the file, from 1; None counts on.
        decimal_comma: Whether numbers may be written as 1,5.
        what: What stands before the column's name in messages.

    Raises:
        DataError: A row has no weight, or none that is finite and >= 0; or all are 0.
    """
    cells = with_nulls(cells)
    if cells.dtype == pl.String:
        values = parsed(cells)
        values = values.fill_null(parsed(cells, decimal_comma=True)) if decimal_comma else values
    elif cells.dtype.is_numeric() or cells.dtype in (pl.Boolean, pl.Null):
        values = cells.cast(pl.Float64)
    else:
        raise DataError(f"{where}: expected numbers as weights in {what}{cells.name!r}, got {cells.dtype}")
    weights = np.array(values.fill_null(float("nan")).to_numpy(), dtype=np.float64)
    bad = np.flatnonzero(~((weights >= 0) & (weights <= LARGEST)))
    if len(bad):
        first = int(bad[0])
        row = first + 1 if numbers is None else numbers[first]
        got = "none" if cells[first] is None else repr(cells[first])
        raise DataError(
            f"{where}: expected a finite weight of at least 0 for every row in {what}{cells.name!r}, got {got} in row "
            f"{row}; correct it, or leave the row out"
        )
    if not weights.any():
        raise DataError(
            f"{where}: expected weights of which some are above 0 in {what}{cells.name!r}, got 0 in every row"
        )
    return weights + 0.0  # no negative zero


def of_values(values: Floats, column: str) -> tuple[RowWeights | None, str]:
    """Return weights above 0 for what they are, None where all rows count alike, and what is to be said of them.

    Example:
        >>> of_values(np.array([2.0, 2.0]), "w")
        (None, "the weights in 'w' are equal: every row counts alike")
    """
    if (values == values[0]).all():
        return None, f"the weights in {column!r} are equal: every row counts alike"
    weights = RowWeights(column=column, values=values)
    return weights, (
        f"rows count by their weights in {column!r}, {values.min():g} to {values.max():g}, in training and in every "
        f"score: {counted(len(values), 'row')} vary as {weights.worth:,.0f} of equal weight would"
    )


def note_on_zeros(there: Any, where: str, column: str) -> str:
    """Return what is to be said of rows of weight 0, or nothing where there are none."""
    zeros = int((~there).sum())
    return f"left out {counted(zeros, 'row')} of {where} whose weight in {column!r} is 0" if zeros else ""


def weights_column(sample_weight: Any, rows: int, where: str) -> pl.Series:
    """Return weights beside arrays as a column.

    Raises:
        DataError: There is not one number for each row.
    """
    if isinstance(sample_weight, pl.Series):
        cells = sample_weight.alias(sample_weight.name or SAMPLE_WEIGHT)
    else:
        array = as_array(sample_weight)
        if array.dtype.kind == "O":
            array = np.array([np.nan if cell is None or cell != cell else cell for cell in array.tolist()])
        if array.shape == (rows, 1):
            array = array[:, 0]
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise DataError(
                f"{where}: expected {SAMPLE_WEIGHT} as one number for each of {rows} rows, got {array.dtype} "
                f"{list(array.shape)}"
            )
        cells = pl.Series(SAMPLE_WEIGHT, array.astype(np.float64))
    if len(cells) != rows:
        raise DataError(f"{where}: expected {SAMPLE_WEIGHT} for each of {rows} rows, got {len(cells)}")
    return cells
