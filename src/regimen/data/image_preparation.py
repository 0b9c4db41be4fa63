"""What turns pixels into the inputs of a network: one center and one scale a channel, fitted on training rows."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.data.images import ImageFeatures, Images
from regimen.data.pixel_files import BLOCK, Pixels
from regimen.data.preparation import Constants, Scaling, read_preparation, require_scaling
from regimen.data.tables import Floats, Rows
from regimen.errors import DataError
from regimen.records import Task

# A byte as a share of full brightness.
FULL = 255.0
# Where the middle half of the pixels is one value, as in digits on black, this much of them gives the scale.
_WIDER = (0.05, 0.95)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePreparation:
    """Everything needed to turn images into network inputs, and outputs into predictions; JSON in and out, no pickle.

    Inputs are z = (pixel / 255 - center) / scale, with one center and one scale for each channel.

    Attributes:
        inputs: Channels, height and width of one input of the network.
        scaling: How pixels were scaled; `constants` for given numbers.
        center: Subtracted from each channel, in units of pixel / 255.
        scale: Divides each channel, in the same units; above 0.
        classes: Label of each output.
        target: What the classes are called.
        kind: Tells this record from that of a table.
    """

    inputs: tuple[int, int, int]
    scaling: str
    center: tuple[float, ...]
    scale: tuple[float, ...]
    classes: tuple[str, ...]
    target: str = "label"
    kind: str = "images"

    def __post_init__(self) -> None:
        lengths = [len(self.center), len(self.scale)]
        if self.kind != "images" or lengths != [self.inputs[0]] * 2 or not all(scale > 0 for scale in self.scale):
            raise ValueError(
                f"expected kind images and a center and a scale above 0 for each of {self.inputs[0]} channels, got "
                f"kind {self.kind} and {lengths}"
            )

    @classmethod
    def fit(cls, images: Images, rows: Rows, scaling: Scaling | Constants = "standard") -> "ImagePreparation":
        """Fit the center and scale of each channel on all pixels of the given rows.

        Args:
            images: The images.
            rows: Training rows.
            scaling: `standard` (mean 0, standard deviation 1), `minmax` (0 to 1), `robust` (median 0, interquartile
                range 1; where that range is empty, as in digits on black, the range from 5 % to 95 %), `none` (0 to 1
                as they are), or given numbers: (center of each channel, scale of each channel), in units of
                pixel / 255. A channel that is constant keeps scale 1.

        Raises:
            OptionError: There is no such scaling, or the numbers do not fit.

        Example:
            >>> from regimen.data import from_images
            >>> images = from_images(np.arange(40, dtype=np.uint8).reshape(40, 1, 1), [0, 1] * 20)
            >>> ImagePreparation.fit(images, np.arange(40), "minmax").scale[0] == 39 / 255
            True
        """
        require_scaling(scaling, images.shape[0])
        if not isinstance(scaling, str):
            center, scale = scaling
        elif scaling == "none":
            center, scale = (0.0,) * images.shape[0], (1.0,) * images.shape[0]
        else:
            counts = _histograms(images.pixels, rows)
            center, scale = zip(*(_fit(of_channel, scaling) for of_channel in counts), strict=True)
        return cls(
            inputs=images.shape,
            scaling=scaling if isinstance(scaling, str) else "constants",
            center=tuple(map(float, center)),
            scale=tuple(map(float, scale)),
            classes=images.classes,
            target=images.target,
        )

    @property
    def task(self) -> Task:
        """What the network is trained for."""
        return "classification"

    @property
    def outputs(self) -> int:
        """Number of network outputs: one a class."""
        return len(self.classes)

    @property
    def target_mean(self) -> float:
        """0, as for all classes."""
        return 0.0

    @property
    def target_scale(self) -> float:
        """1, as for all classes."""
        return 1.0

    @property
    def black(self) -> tuple[float, ...]:
        """Input that a black pixel gives, for each channel: (0 - center) / scale."""
        return tuple((0.0 - center) / scale for center, scale in zip(self.center, self.scale, strict=True))

    @property
    def offset(self) -> npt.NDArray[np.float32]:
        """Subtracted from the bytes of each channel: 255 center, float32 `[channels, 1, 1]`."""
        return (FULL * np.array(self.center)).astype(np.float32)[:, None, None]

    @property
    def factor(self) -> npt.NDArray[np.float32]:
        """What the differences are multiplied with: 1 / (255 scale), float32 `[channels, 1, 1]`."""
        return (1.0 / (FULL * np.array(self.scale))).astype(np.float32)[:, None, None]

    def apply(self, features: ImageFeatures, rows: Rows | None = None) -> npt.NDArray[np.float32]:
        """Return network inputs, float32 `[rows, channels, height, width]`; bit for bit those of `Prepared.scaled`.

        Args:
            features: Images of the size that the preparation was fitted on.
            rows: Which rows; None for all, in order.

        Raises:
            DataError: The size is another.
        """
        if features.shape != self.inputs:
            raise DataError(
                f"{features.name}: expected images {list(self.inputs)} (channels, height, width), got "
                f"{list(features.shape)}; read them with read_features"
            )
        pixels = features.pixels if rows is None else features.pixels[rows]
        return (pixels.astype(np.float32) - self.offset) * self.factor

    def predictions(self, outputs: npt.NDArray[Any]) -> Floats:
        """Return network outputs `[rows, outputs]` as metrics take them: logits as they are, float64."""
        return outputs.astype(np.float64)

    def to_json(self) -> str:
        """Return the record as JSON; numbers are written so that they read back exactly."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "ImagePreparation":
        """Read the JSON that `to_json` wrote.

        Raises:
            StoreError: It is not such JSON.
        """
        return read_preparation(text, cls, "a saved model of images")


def _histograms(pixels: Pixels, rows: Rows) -> npt.NDArray[np.int64]:
    """Return how often each byte occurs in each channel of the rows, `[channels, 256]`: all that is fitted follows."""
    channels = pixels.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    step = max(1, BLOCK // pixels[0].nbytes)
    for start in range(0, len(rows), step):
        block = pixels[rows[start : start + step]]
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    return counts


def _fit(counts: npt.NDArray[np.int64], scaling: str) -> tuple[float, float]:
    """Return center and scale of one channel, in units of pixel / 255."""
    values = np.arange(256) / FULL
    found = values[counts > 0]
    if scaling == "standard":
        mean = float((counts * values).sum() / counts.sum())
        return mean, float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum())) or 1.0
    if scaling == "minmax":
        return float(found[0]), float(found[-1] - found[0]) or 1.0
    spread = _quantile(counts, 0.75) - _quantile(counts, 0.25)
    wider = _quantile(counts, _WIDER[1]) - _quantile(counts, _WIDER[0])
    return _quantile(counts, 0.5), spread or wider or float(found[-1] - found[0]) or 1.0


def _quantile(counts: npt.NDArray[np.int64], share: float) -> float:
    """Return the quantile of the counted pixels, between two of them where NumPy's `quantile` would be."""
    last = np.cumsum(counts)
    place = share * (last[-1] - 1)
    lower = np.searchsorted(last, np.floor(place), side="right")
    upper = np.searchsorted(last, np.ceil(place), side="right")
    return float(lower + (upper - lower) * (place % 1.0)) / FULL
