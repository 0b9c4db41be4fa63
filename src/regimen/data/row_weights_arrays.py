"""Weights of rows that stand beside arrays: rows of weight 0 are left out of all of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.data.row_weights import Floats, RowWeights
from regimen.data.row_weights_reading import SAMPLE_WEIGHT, note_on_zeros, of_values, read_weights, weights_column
from regimen.data.sample_targets import as_array
from regimen.data.structure import Structure
from regimen.errors import DataError, OptionError

Array = npt.NDArray[Any]


@dataclass(kw_only=True, slots=True)
class BesideArrays:
    """The weights of all rows, those of a further part after those of the main one.

    Attributes:
        where: What the arrays are called in messages.
        rows: Rows of the main part, those of weight 0 included.
        column: What the weights are called.
        notes: What is to be said, in words.

    Example:
        >>> weighed = BesideArrays.of([0, 1, 3], 3, "arrays")
        >>> weighed.kept(np.array([[7.0], [8.0], [9.0]]), ["a", "b", "c"])[1].tolist()
        ['b', 'c']
        >>> weighed.weights().values.tolist()
        [1.0, 3.0]
    """

    where: str
    rows: int
    column: str = SAMPLE_WEIGHT
    notes: list[str] = field(default_factory=list)
    _parts: list[Floats] = field(default_factory=list)

    @classmethod
    def of(cls, sample_weight: Any, rows: int, where: str) -> "BesideArrays":
        """Read the weights of the main part.

        Args:
            sample_weight: Weight of each row, `[rows]`, an array, a tensor, a column or a list; or None.
            rows: How many there must be.
            where: What the arrays are called in messages.

        Raises:
            DataError: There is not one number for each row, a number is missing, infinite or below 0, or all are 0.
        """
        if sample_weight is None:
            return cls(where=where, rows=rows)
        cells = weights_column(sample_weight, rows, where)
        return cls(where=where, rows=rows, column=cells.name, _parts=[read_weights(cells, where, what="")])

    def kept(self, x: Array, y: Any) -> tuple[Array, Any]:
        """Return inputs and targets of the main part without rows of weight 0.

        Raises:
            DataError: There is not one target for each row.
        """
        return self._without_zeros(x, y, self.where) if self._parts else (x, y)

    def part(self, given: tuple[Any, ...], part: str) -> tuple[Any, Any]:
        """Return inputs and targets of a further part, `(x, y)`, or `(x, y, weights)` where the others have weights.

        Raises:
            OptionError: Its rows have weights where the others have none, or none where they have.
            DataError: There is not one weight for each row, or it is none.
        """
        if len(given) != (3 if self._parts else 2):
            form, beside = ("(x, y, weights)", "beside") if self._parts else ("(x, y)", "without")
            raise OptionError(f"{part}: expected {form} {beside} {SAMPLE_WEIGHT}, got {len(given)} values")
        if not self._parts:
            return given[0], given[1]
        where, x = f"{self.where}: {part}", as_array(given[0])
        self._parts.append(read_weights(weights_column(given[2], len(x), where), where, what=""))
        return self._without_zeros(x, given[1], where)

    def structure(self, structure: Structure | None) -> Structure | None:
        """Return groups or times of the main part without rows of weight 0."""
        if structure is None or not self._parts:
            return structure
        return structure.of(np.flatnonzero(self._parts[0]))

    def weights(self) -> RowWeights | None:
        """Return the weights of the rows of all parts, and note what is to be said of them; None if all are equal."""
        if not self._parts:
            return None
        every = np.concatenate(self._parts)
        found, note = of_values(every[every > 0], self.column)
        self.notes.append(note)
        return found

    def _without_zeros(self, x: Array, y: Any, where: str) -> tuple[Array, Any]:
        there = self._parts[-1] > 0
        if there.all():
            return x, y
        targets = as_array(y)
        if targets.ndim == 0 or len(targets) != len(there):
            raise DataError(f"{where}: expected one target for each of {len(there)} rows, got {list(targets.shape)}")
        self.notes.append(note_on_zeros(there, where, self.column))
        return x[there], targets[there]
