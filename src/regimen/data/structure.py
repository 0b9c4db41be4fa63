"""How rows belong together or follow each other: what no split may tear apart."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from regimen.errors import DataError

By = Literal["group", "time"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Structure:
    """The group of every row, or its place in time.

    Attributes:
        by: `group`: rows of one group are never in two parts. `time`: what is scored is later than what is trained on.
        column: What groups or times are called: the name of their column.
        values: int64 `[rows]`: the code of each row's group; or the rank of its time, equal times equal.

    Raises:
        DataError: The values are no codes.

    Example:
        >>> Structure(by="group", column="patient", values=np.array([0, 0, 1])).count
        2
    """

    by: By
    column: str
    values: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.by not in ("group", "time") or self.values.ndim != 1 or self.values.dtype != np.int64:
            raise DataError(
                f"expected a code for each row, by group or time, got {self.values.dtype} {list(self.values.shape)} by "
                f"{self.by!r}; give group or time to load, from_arrays or from_samples"
            )
        self.values.setflags(write=False)

    @property
    def content(self) -> bytes:
        """What enters the digest of the data."""
        return self.by.encode() + self.values.astype("<i8").tobytes()

    @property
    def count(self) -> int:
        """Number of different groups or times."""
        return len(np.unique(self.values))

    def of(self, rows: npt.NDArray[np.int64]) -> "Structure":
        """Return the same of some rows, in their order."""
        return Structure(by=self.by, column=self.column, values=self.values[rows])
