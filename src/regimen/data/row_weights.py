"""How much each row counts: in the loss that is minimized, and in every loss and metric that is measured."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.errors import DataError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RowWeights:
    """The weight of every row of a table, of images or of samples.

    Only ratios matter: wherever rows are averaged, their weights are divided by their mean there.

    Attributes:
        column: What the weights are called: the name of their column.
        values: float64 `[rows]`, finite and above 0.

    Raises:
        DataError: The values are no weights.

    Example:
        >>> RowWeights(column="w", values=np.array([1.0, 2.0, 5.0])).of(np.array([0, 2])).tolist()
        [0.3333333333333333, 1.6666666666666667]
    """

    column: str
    values: Floats

    def __post_init__(self) -> None:
        values = self.values
        if values.ndim != 1 or values.dtype != np.float64 or not ((values > 0) & np.isfinite(values)).all():
            raise DataError(
                f"expected a finite float64 weight above 0 for each row, got {values.dtype} {list(values.shape)}; give "
                "weights to load, or sample_weight to from_arrays or from_samples"
            )
        values.setflags(write=False)

    @property
    def content(self) -> bytes:
        """What enters the digest of the data."""
        return b"weights" + self.values.astype("<f8").tobytes()

    @property
    def worth(self) -> float:
        """Number of rows of equal weight whose mean varies as much: (Σ w)² / Σ w².

        Reference:
            Kish (1965), "Survey sampling", section 8.2.
        """
        relative = self.values / self.values.mean()
        return float(relative.sum() ** 2 / (relative**2).sum())

    def of(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Return the weights of some rows, in their order, divided by their mean."""
        chosen = self.values[rows]
        return np.asarray(chosen / chosen.mean())
