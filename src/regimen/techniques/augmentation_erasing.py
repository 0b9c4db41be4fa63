"""Augmentation that takes information away: random erasing, cutout, and noise on every pixel."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from regimen.limits import require_number
from regimen.techniques.augmentation_operation import (
    TRIES,
    Augmentation,
    Draws,
    Range,
    draw_windows,
    require_probability,
    require_range,
    whole,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasing(Augmentation):
    """Put the fill into a random rectangle, with probability `p`; it lies wholly inside the picture.

    Where none of ten tries fits, the picture stays whole.

    Attributes:
        p: Probability in [0, 1].
        scale: Smallest and largest share of the picture's area, in (0, 1].
        ratio: Smallest and largest ratio of width to height, > 0; uniform in its logarithm.

    Reference:
        Zhong, Zheng, Kang, Li and Yang (2017), "Random erasing data augmentation", arXiv:1708.04896, algorithm 1.

    Note:
        The paper likes random values best; torchvision's default is 0, here it is the fill (black) for all operations.
    """

    name: ClassVar[str] = "erasing"
    p: float = 0.5
    scale: Range = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)

    def __post_init__(self) -> None:
        require_probability("augmentation.p", self.p)
        require_range("augmentation.scale", self.scale, low=0, high=1, low_open=True)
        require_range("augmentation.ratio", self.ratio, low=0, high=math.inf, low_open=True)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the batch with rectangles in it; drawn: whether, area and ratio of ten tries, top, left."""
        u = draws.uniforms(2 * TRIES + 3)
        shape = x.shape[1], x.shape[2], x.shape[3]
        drawn = draw_windows(u[:, 1:], shape, scale=self.scale, ratio=self.ratio, strictly=True)
        chosen = (u[:, 0] < self.p) & drawn.found
        inside = rectangles(x, drawn.top, drawn.left, drawn.top + drawn.height, drawn.left + drawn.width)
        return torch.where(inside & chosen[:, None, None, None], fill[:, None, None], x)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutout(Augmentation):
    """Put the fill into a square whose centre is a random pixel; it may lie partly outside of the picture.

    Attributes:
        size: Pixels of a side, >= 1.

    Reference:
        DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with cutout",
        arXiv:1708.04552, section 3.
    """

    name: ClassVar[str] = "cutout"
    size: int

    def __post_init__(self) -> None:
        require_number("augmentation.size", self.size, low=1, high=1 << 16, integer=True)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the batch with squares in it; drawn: row and column of the centre."""
        u = draws.uniforms(2)
        top = whole(u[:, 0], x.shape[2]) - self.size // 2
        left = whole(u[:, 1], x.shape[3]) - self.size // 2
        inside = rectangles(x, top, left, top + self.size, left + self.size)
        return torch.where(inside, fill[:, None, None], x)


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelNoise(Augmentation):
    """Add Gaussian noise to every pixel of every channel.

    Attributes:
        std: Standard deviation in units of the scaled inputs, > 0.
    """

    name: ClassVar[str] = "pixel_noise"
    std: float = 0.1

    def __post_init__(self) -> None:
        require_number("augmentation.std", self.std, low=0, low_open=True)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the noisy batch; drawn: a normal for every element, channels first."""
        noise = draws.normals(x[0].numel() if len(x) else 0).to(torch.float32)
        return x + self.std * noise.reshape(x.shape)


def rectangles(x: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor) -> Tensor:
    """Return which pixels lie in the rectangle of each picture, bool `[n, 1, H, W]`; the ends do not belong to it."""
    row, column = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[3])
    top, left, bottom, right = (end[:, None, None] for end in (top, left, bottom, right))
    return ((row >= top) & (row < bottom) & (column >= left) & (column < right))[:, None]
