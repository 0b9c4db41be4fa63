"""A table, images or samples, split and prepared: the tensors that engines train on."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regimen.data.image_preparation import ImagePreparation
from regimen.data.images import Images
from regimen.data.keeping import kept
from regimen.data.kinds import Data
from regimen.data.pixel_files import gathered
from regimen.data.preparation import Constants, Preparation, Scaling
from regimen.data.sample_preparation import SamplePreparation
from regimen.data.samples import Samples
from regimen.data.split import Split
from regimen.data.tables import Floats, Rows, Table


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prepared:
    """Inputs and targets of each part; a part without rows is absent.

    Attributes:
        x: What `scaled` takes, by part (`train`, `validation`, `test`): of a table float32 `[rows, features]`; of
            images their bytes, uint8 `[rows, channels, height, width]`; samples as they are, float32 or int64.
        y: Targets by part: int64 class codes, or float32 standardized by the training targets, `[rows]`.
        preparation: What was fitted on the training rows.
    """

    x: dict[str, Tensor]
    y: dict[str, Tensor]
    preparation: Preparation | ImagePreparation | SamplePreparation
    _offset: Tensor | None = field(init=False, repr=False, default=None)
    _factor: Tensor | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if isinstance(self.preparation, ImagePreparation):
            object.__setattr__(self, "_offset", torch.from_numpy(self.preparation.offset))
            object.__setattr__(self, "_factor", torch.from_numpy(self.preparation.factor))

    def scaled(self, x: Tensor) -> Tensor:
        """Return rows of `x[part]` as inputs of the network.

        Rows of a table and samples are inputs already. Of images each channel becomes (pixel / 255 - center) / scale,
        float32 in channels-last memory.

        Args:
            x: Any rows of a part, on any device.
        """
        if self._offset is None or self._factor is None:
            return x
        inputs = x.to(torch.float32, memory_format=torch.channels_last)
        return inputs.sub_(self._offset.to(x.device)).mul_(self._factor.to(x.device))

    @property
    def inputs(self) -> tuple[int, ...]:
        """Shape of one input of the network: (features,), (channels, height, width), or that of a sample."""
        return self.preparation.inputs

    @property
    def features(self) -> int:
        """Number of network inputs: the product of `inputs`."""
        return math.prod(self.inputs)

    @property
    def black(self) -> tuple[float, ...]:
        """Input that a black pixel gives, for each channel; empty for what is no image."""
        return self.preparation.black if isinstance(self.preparation, ImagePreparation) else ()

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


def prepare(data: Data, split: Split, scaling: Scaling | Constants = "standard") -> Prepared:
    """Fit the preparation on the training rows and apply it to every part.

    The result is kept and shared by later calls with equal arguments, as long as anything trains, see
    `regimen.data.keeping`: do not write into its tensors.

    Args:
        data: The table, images or samples.
        split: Rows of the parts.
        scaling: Of numbers, see `Preparation.fit`, or of channels, see `ImagePreparation.fit`; of samples nothing is
            scaled, whatever it says.

    Raises:
        OptionError: There is no such scaling, or given numbers do not fit the data.

    Example:
        >>> from regimen.data import hold_out, load, pair_split
        >>> iris = load("iris")
        >>> prepared = prepare(iris, pair_split(iris, hold_out(iris).development, key=1))
        >>> prepared.x["train"].shape, sorted(prepared.x)
        (torch.Size([90, 4]), ['train', 'validation'])
    """
    if isinstance(data, Images):
        return _pair_of(data, split).prepared(scaling)
    return _samples_of(data, split) if isinstance(data, Samples) else _prepared(data, split, scaling)


# All arms of a pair share one preparation; a study works on few pairs at a time.
@kept(16)
def _prepared(table: Table, split: Split, scaling: Scaling | Constants) -> Prepared:
    preparation = Preparation.fit(table, split.train, scaling)
    return Prepared(
        x={part: torch.from_numpy(preparation.apply(table, rows)) for part, rows in _parts(split).items()},
        y={part: torch.from_numpy(_targets(table, preparation)[rows]) for part, rows in _parts(split).items()},
        preparation=preparation,
    )


# One, because it holds a copy of all samples, and runs come pair by pair.
@kept(1)
def _samples_of(samples: Samples, split: Split) -> Prepared:
    preparation = SamplePreparation.fit(samples, split.train)
    return Prepared(
        x={part: torch.from_numpy(samples.x[rows]) for part, rows in _parts(split).items()},
        y={part: torch.from_numpy(_targets(samples, preparation)[rows]) for part, rows in _parts(split).items()},
        preparation=preparation,
    )


class _ImagePair:
    """Images gathered for one split, and prepared in every scaling that is asked for: the pixels are the same."""

    def __init__(self, images: Images, split: Split) -> None:
        self._images, self._split = images, split
        self._x = {part: torch.from_numpy(gathered(images.pixels, rows)) for part, rows in _parts(split).items()}
        self._y = {part: torch.from_numpy(images.y[rows]) for part, rows in _parts(split).items()}
        self._prepared: dict[Scaling | Constants, Prepared] = {}

    def prepared(self, scaling: Scaling | Constants) -> Prepared:
        if scaling not in self._prepared:
            preparation = ImagePreparation.fit(self._images, self._split.train, scaling)
            self._prepared[scaling] = Prepared(x=self._x, y=self._y, preparation=preparation)
        return self._prepared[scaling]


# One, because it holds all pixels, those of CIFAR-10 take 184 MB, and runs come pair by pair.
@kept(1)
def _pair_of(images: Images, split: Split) -> _ImagePair:
    return _ImagePair(images, split)


def _parts(split: Split) -> dict[str, Rows]:
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return {part: rows for part, rows in parts.items() if len(rows)}


def _targets(data: Table | Samples, preparation: Preparation | SamplePreparation) -> npt.NDArray[Any]:
    if data.task == "classification":
        return data.y
    return ((data.y - preparation.target_mean) / preparation.target_scale).astype(np.float32)
