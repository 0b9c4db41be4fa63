"""A table, split and prepared: the tensors that engines train on."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regimen.data.preparation import Preparation, Scaling
from regimen.data.split import Split
from regimen.data.tables import Floats, Table


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prepared:
    """Inputs and targets of each part; a part without rows is absent.

    Attributes:
        x: Network inputs by part (`train`, `validation`, `test`), float32 `[rows, features]`.
        y: Targets by part: int64 class codes, or float32 standardized by the training targets, `[rows]`.
        preparation: What was fitted on the training rows.
    """

    x: dict[str, Tensor]
    y: dict[str, Tensor]
    preparation: Preparation

    @property
    def features(self) -> int:
        """Number of network inputs."""
        return self.x["train"].shape[1]

    @property
    def outputs(self) -> int:
        """Number of network outputs: one a class, or 1."""
        return self.preparation.outputs

    @property
    def target_mean(self) -> float:
        """Mean of the training targets in their unit; 0 for classification."""
        return self.preparation.target_mean

    @property
    def target_scale(self) -> float:
        """Standard deviation of the training targets; 1 for classification."""
        return self.preparation.target_scale

    def predictions(self, outputs: npt.NDArray[Any]) -> Floats:
        """Return network outputs `[rows, outputs]` as metrics take them, see `Preparation.predictions`."""
        return self.preparation.predictions(outputs)


# All arms of a pair share one preparation; a study works on few pairs at a time.
@lru_cache(maxsize=16)
def prepare(table: Table, split: Split, scaling: Scaling = "standard") -> Prepared:
    """Fit the preparation on the training rows and apply it to every part.

    The result is kept and shared by later calls with equal arguments: do not write into its tensors.

    Args:
        table: The table.
        split: Rows of the parts.
        scaling: Of numbers, see `Preparation.fit`.

    Example:
        >>> from regimen.data import hold_out, load, pair_split
        >>> iris = load("iris")
        >>> prepared = prepare(iris, pair_split(iris, hold_out(iris).development, key=1))
        >>> prepared.x["train"].shape, sorted(prepared.x)
        (torch.Size([90, 4]), ['train', 'validation'])
    """
    preparation = Preparation.fit(table, split.train, scaling)
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    parts = {part: rows for part, rows in parts.items() if len(rows)}
    return Prepared(
        x={part: torch.from_numpy(preparation.apply(table, rows)) for part, rows in parts.items()},
        y={part: torch.from_numpy(_targets(table, preparation)[rows]) for part, rows in parts.items()},
        preparation=preparation,
    )


def _targets(table: Table, preparation: Preparation) -> npt.NDArray[Any]:
    if table.task == "classification":
        return table.y
    return ((table.y - preparation.target_mean) / preparation.target_scale).astype(np.float32)
