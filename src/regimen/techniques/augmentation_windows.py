"""Augmentation by windows: resize, centre crop, random crop, random resized crop."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from regimen.errors import OptionError
from regimen.limits import require_number
from regimen.techniques.augmentation_operation import (
    TRIES,
    Augmentation,
    Draws,
    Range,
    Shape,
    Size,
    both_sides,
    draw_windows,
    require_range,
    require_size,
    whole,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resize(Augmentation):
    """Resize every picture, bilinear; when it shrinks, over as many pixels as a new one covers (antialias).

    Attributes:
        size: Pixels of the shorter side, the longer one following in proportion; or (height, width).

    Example:
        >>> Resize(size=34).output_shape((1, 28, 56))
        (1, 34, 68)
    """

    name: ClassVar[str] = "resize"
    size: Size

    def __post_init__(self) -> None:
        require_size("augmentation.size", self.size)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape after resizing."""
        channels, height, width = shape
        if isinstance(self.size, tuple):
            return channels, *self.size
        if height <= width:
            return channels, self.size, self.size * width // height
        return channels, self.size * height // width, self.size

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the resized batch; nothing is drawn."""
        _, height, width = self.output_shape(_shape(x))
        return F.interpolate(x, (height, width), mode="bilinear", antialias=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class CenterCrop(Augmentation):
    """Keep the middle of every picture; a picture that is too small gets a border of the fill first.

    Attributes:
        size: Pixels of a square, or (height, width).
    """

    name: ClassVar[str] = "center_crop"
    size: Size

    def __post_init__(self) -> None:
        require_size("augmentation.size", self.size)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the crop."""
        return shape[0], *both_sides(self.size)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the cropped batch; nothing is drawn."""
        height, width = both_sides(self.size)
        down, right = max(height - x.shape[2], 0), max(width - x.shape[3], 0)
        if down or right:
            x = pad(x, fill, left=right // 2, right=-(-right // 2), top=down // 2, bottom=-(-down // 2))
        top, left = round((x.shape[2] - height) / 2), round((x.shape[3] - width) / 2)
        return x[:, :, top : top + height, left : left + width]


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCrop(Augmentation):
    """Add a border of the fill, then keep a window at a random place.

    Attributes:
        size: Pixels of a square, or (height, width).
        padding: Pixels of the border on each side, >= 0.
    """

    name: ClassVar[str] = "random_crop"
    size: Size
    padding: int = 0

    def __post_init__(self) -> None:
        require_size("augmentation.size", self.size)
        require_number("augmentation.padding", self.padding, low=0, high=1 << 16, integer=True)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the crop.

        Raises:
            OptionError: The window is larger than the picture with its border.
        """
        height, width = both_sides(self.size)
        rows, columns = (side + 2 * self.padding for side in shape[1:])
        if height > rows or width > columns:
            raise OptionError(
                f"augmentation.size: expected at most {rows}x{columns} pixels (the picture with a border of "
                f"{self.padding}), got {height}x{width}; set a larger padding or resize first"
            )
        return shape[0], height, width

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the cropped batch; drawn: top, left."""
        _, height, width = self.output_shape(_shape(x))
        if self.padding:
            x = pad(x, fill, left=self.padding, right=self.padding, top=self.padding, bottom=self.padding)
        u = draws.uniforms(2)
        top, left = whole(u[:, 0], x.shape[2] - height + 1), whole(u[:, 1], x.shape[3] - width + 1)
        picture = torch.arange(len(x))[:, None, None]
        row = top[:, None, None] + torch.arange(height)[:, None]
        column = left[:, None, None] + torch.arange(width)
        return x.permute(0, 2, 3, 1)[picture, row, column].permute(0, 3, 1, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomResizedCrop(Augmentation):
    """Keep a random window and resize it, bilinear with antialias, as torchvision's operation of that name.

    A window has a share of the area in `scale` and a ratio of width to height in `ratio`, uniform in its logarithm.
    Where none of ten tries fits into the picture, the largest window in the middle with a ratio in range is taken.

    Attributes:
        size: Pixels of a square, or (height, width), of the result.
        scale: Smallest and largest share of the picture's area, in (0, 1].
        ratio: Smallest and largest ratio of width to height, > 0.

    Reference:
        Szegedy et al. (2015), "Going deeper with convolutions", arXiv:1409.4842, section 6.
    """

    name: ClassVar[str] = "random_resized_crop"
    size: Size
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        require_size("augmentation.size", self.size)
        require_range("augmentation.scale", self.scale, low=0, high=1, low_open=True)
        require_range("augmentation.ratio", self.ratio, low=0, high=math.inf, low_open=True)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape after resizing."""
        return shape[0], *both_sides(self.size)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the resized windows; drawn: area and ratio of ten tries, then top, left."""
        shape = _shape(x)
        found = draw_windows(draws.uniforms(2 * TRIES + 2), shape, scale=self.scale, ratio=self.ratio, strictly=False)
        middle_height, middle_width = self._largest(shape[1], shape[2])
        top = torch.where(found.found, found.top, (shape[1] - middle_height) // 2)
        left = torch.where(found.found, found.left, (shape[2] - middle_width) // 2)
        height = torch.where(found.found, found.height, middle_height)
        width = torch.where(found.found, found.width, middle_width)
        out_height, out_width = both_sides(self.size)
        # Channels last, so that a pixel with all its channels is moved at once.
        pixels = x.permute(0, 2, 3, 1)
        pixels = resize_lines(pixels, top, height, out_height).transpose(1, 2)
        return resize_lines(pixels, left, width, out_width).permute(0, 3, 2, 1)

    def _largest(self, rows: int, columns: int) -> tuple[int, int]:
        ratio = columns / rows
        if ratio < self.ratio[0]:
            return max(round(columns / self.ratio[0]), 1), columns
        if ratio > self.ratio[1]:
            return rows, max(round(rows * self.ratio[1]), 1)
        return rows, columns


def resize_lines(x: Tensor, start: Tensor, length: Tensor, out: int) -> Tensor:
    """Return a window of the lines of each picture, resized as `interpolate(mode="bilinear", antialias=True)` does.

    A new line is the mean of the old ones under a triangle around its centre, which reaches one old line to each side,
    or one new line where the window shrinks; lines outside of the window do not count.

    Args:
        x: Lines along the second axis, float32 `[n, lines, …, …]`.
        start: First line of each window, int64 `[n]`.
        length: Lines of each window, int64 `[n]`, >= 1.
        out: Lines of the result.

    Returns:
        float32 `[n, out, …, …]`. Summed tap by tap, not as a matrix product, whose last bits depend on a picture's
        place in the batch.
    """
    step = (length.double() / out)[:, None]
    reach = step.clamp(min=1.0)
    centre = start[:, None] + (torch.arange(out, dtype=torch.float64) + 0.5) * step
    first = (centre - reach + 0.5).floor()
    line = first[..., None] + torch.arange(math.ceil(2.0 * float(reach.max())), dtype=torch.float64)
    weights = (1.0 - (line + 0.5 - centre[..., None]).abs() / reach[..., None]).clamp(min=0.0)
    weights = weights * ((line >= start[:, None, None]) & (line < (start + length)[:, None, None]))
    weights = (weights / weights.sum(dim=2, keepdim=True)).to(torch.float32)[..., None, None]
    line = line.long().clamp(0, x.shape[1] - 1)
    picture = torch.arange(len(x))[:, None]
    result = x[picture, line[..., 0]] * weights[:, :, 0]
    for tap in range(1, line.shape[2]):
        result += x[picture, line[..., tap]] * weights[:, :, tap]
    return result


def pad(x: Tensor, fill: Tensor, *, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Return the batch with a border of `fill`, in pixels."""
    n, channels, height, width = x.shape
    padded = x.new_empty(n, channels, height + top + bottom, width + left + right)
    padded[:] = fill[:, None, None]
    padded[:, :, top : top + height, left : left + width] = x
    return padded


def _shape(x: Tensor) -> Shape:
    return x.shape[1], x.shape[2], x.shape[3]
