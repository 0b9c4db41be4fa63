"""What stands between samples and a network: nothing for the inputs, the scale of a target that is an amount."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.data.preparation import read_preparation
from regimen.data.samples import Inputs, SampleFeatures, Samples
from regimen.data.tables import Floats, Rows
from regimen.errors import DataError
from regimen.records import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplePreparation:
    """The shape that a network was trained on, and what turns its outputs into predictions; JSON in and out, no pickle.

    Inputs are fed as they are: `input_scaling` of a recipe says nothing about samples.

    Attributes:
        inputs: Shape of one sample.
        dtype: `float32` or `int64`.
        task: `classification` or `regression`.
        classes: Label of each output; empty for regression.
        target: What the targets are called.
        target_mean: Mean of the training targets; 0 for classification.
        target_scale: Their standard deviation; 1 for classification.
        kind: Tells this record from that of a table or of images.
    """

    inputs: tuple[int, ...]
    dtype: Literal["float32", "int64"]
    task: Task
    classes: tuple[str, ...]
    target: str = "y"
    target_mean: float = 0.0
    target_scale: float = 1.0
    kind: Literal["samples"] = "samples"

    @classmethod
    def fit(cls, samples: Samples, rows: Rows) -> "SamplePreparation":
        """Fit the scale of a regression target on the given rows.

        Args:
            samples: The samples.
            rows: Training rows.

        Example:
            >>> from regimen.data import from_samples
            >>> samples = from_samples(np.zeros((40, 8, 8)), np.arange(40.0) / 8)
            >>> SamplePreparation.fit(samples, np.array([0, 16])).target_mean
            1.0
        """
        mean, spread = 0.0, 1.0
        if samples.task == "regression":
            mean, spread = float(samples.y[rows].mean()), float(samples.y[rows].std()) or 1.0
        return cls(
            inputs=samples.shape,
            dtype="int64" if samples.whole else "float32",
            task=samples.task,
            classes=samples.classes,
            target=samples.target,
            target_mean=mean,
            target_scale=spread,
        )

    @property
    def outputs(self) -> int:
        """Number of network outputs: one a class, or 1."""
        return len(self.classes) or 1

    def apply(self, features: SampleFeatures, rows: Rows | None = None) -> Inputs:
        """Return network inputs `[rows, ...]`: the samples as they are.

        Args:
            features: Samples of the shape and type that the network was trained on.
            rows: Which rows; None for all, in order.

        Raises:
            DataError: Shape or type are others.
        """
        if features.shape != self.inputs or str(features.x.dtype) != self.dtype:
            raise DataError(
                f"{features.name}: expected samples {list(self.inputs)} of {self.dtype}, which the model was trained "
                f"on, got {list(features.shape)} of {features.x.dtype}; reshape or convert them"
            )
        return features.x if rows is None else features.x[rows]

    def predictions(self, outputs: npt.NDArray[Any]) -> Floats:
        """Return network outputs as metrics take them, float64: logits as they are, amounts in the target's unit.

        Args:
            outputs: `[rows, outputs]`.
        """
        return outputs.astype(np.float64) * self.target_scale + self.target_mean

    def to_json(self) -> str:
        """Return the record as JSON; numbers are written so that they read back exactly."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "SamplePreparation":
        """Read the JSON that `to_json` wrote.

        Raises:
            StoreError: It is not such JSON.
        """
        return read_preparation(text, cls, "a saved model of samples")
