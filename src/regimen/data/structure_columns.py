"""The column of a table that says which rows belong together, or follow each other, in the main file and in others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from regimen.data.naming import counted, hint, listed
from regimen.data.sources import Source
from regimen.data.structure import By, Structure
from regimen.data.structure_reading import Marks, missing_marks, read_marks, structure_of
from regimen.data.tables import Column
from regimen.data.targets import Target, chosen
from regimen.errors import DataError


@dataclass(kw_only=True, slots=True)
class Marked:
    """Gathers the marks of the rows that are kept, file by file, in the order in which `keep` and `further` are called.

    Attributes:
        by: What the column holds.
        column: Its name.
        where: What the main file is called in messages.
        notes: What is to be said, in words.
    """

    by: By
    column: str
    where: str
    notes: list[str] = field(default_factory=list)
    _all: Marks
    _like: Column | None
    _kept: list[Marks] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, by: By, column: str, *, target: str) -> "Marked":
        """Read the column of the main file.

        Raises:
            DataError: There is no such column, it is the target, or its cells are no times.
        """
        names = source.frame.columns
        if column not in names:
            raise DataError(
                f"{source.where}: expected a column with the {by} of each row, got {column!r}, which the table lacks"
                f"{hint(column, names)} (columns: {listed(names)})"
            )
        if column == target:
            raise DataError(f"{source.where}: expected a {by} column other than the target, got {column!r}")
        marks, like, notes = read_marks(source.frame[column], by, source.where, decimal_comma=source.decimal_comma)
        return cls(by=by, column=column, where=source.where, notes=list(notes), _all=marks, _like=like)

    def keep(self, answer: Target) -> Target:
        """Return the target of the main file without rows that have no mark; a class that is left without rows goes.

        Raises:
            DataError: No row has both.
        """
        there, marks = self._filled(answer, self._all, self.where)
        self._kept.append(marks)
        return chosen(answer, there, recode=True)

    def further(self, file: Source, answer: Target) -> Target:
        """Return the same of a further file."""
        marks, _, _ = read_marks(file.frame[self.column], self.by, file.where, like=self._like)
        there, filled = self._filled(answer, marks, file.where)
        self._kept.append(filled)
        return chosen(answer, there, recode=False)

    def structure(self, parts: Sequence[str]) -> Structure:
        """Return the structure of all rows kept, and note what is to be said of it.

        Raises:
            DataError: There are too few groups or times, or a given part contradicts them.
        """
        structure, said = structure_of(self._kept, self.by, self.column, self.where, parts=parts)
        self.notes += said
        return structure

    def _filled(self, answer: Target, marks: Marks, where: str) -> tuple[npt.NDArray[np.bool_], Marks]:
        marks = marks[answer.rows]
        there = ~missing_marks(marks)
        if not there.any():
            raise DataError(f"{where}: expected values in the {self.by} column {self.column!r}, got missing cells only")
        if not there.all():
            rows = counted(int((~there).sum()), "row")
            self.notes.append(f"left out {rows} of {where} without a value in the {self.by} column {self.column!r}")
        return there, marks[there]
