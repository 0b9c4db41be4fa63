"""What all operations of data augmentation share: their random numbers, and the checks of their arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from regimen import streams
from regimen.errors import OptionError, RecipeError
from regimen.limits import require_number

Shape = tuple[int, int, int]
Size = int | tuple[int, int]
Range = tuple[float, float]

# As many windows are tried as torchvision tries before it gives up on one that fits.
TRIES = 10


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """The random numbers of one operation on one batch, each a function of key, data row, epoch and place in the list.

    Attributes:
        key: 64-bit run key.
        rows: Data row of each picture, int64 `[n]`.
        epoch: Counted from 0.
        call: Index of the operation in the list.
    """

    key: int
    rows: Tensor
    epoch: int
    call: int

    def uniforms(self, count: int) -> Tensor:
        """Return `count` uniforms on [0, 1) for each picture, float64 `[n, count]`."""
        return streams.uniform(self._words(count))

    def normals(self, count: int) -> Tensor:
        """Return `count` standard normals for each picture, float64 `[n, count]`."""
        return streams.normal(self._words(count + count % 2))[:, :count]

    def _words(self, count: int) -> Tensor:
        c3 = streams.counter3(streams.Purpose.AUGMENTATION, call=self.call)
        return streams.words(self.key, count, self.rows[:, None], self.epoch, c3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What all operations share: a name, `output_shape`, and `apply`, which `regimen.techniques.augment` calls."""

    name: ClassVar[str]

    def output_shape(self, shape: Shape) -> Shape:
        """Return the (channels, height, width) that pictures of `shape` have afterwards."""
        return shape

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the batch `x` `[n, C, H, W]` transformed; `fill` `[C]` is what lies outside of a picture."""
        raise TypeError(f"{type(self).__name__} describes no augmentation")


def require_probability(name: str, value: Any) -> None:
    """Refuse `value` unless it is a number in [0, 1]."""
    require_number(name, value, low=0, high=1)


def require_size(name: str, size: Any) -> None:
    """Refuse `size` unless it is a number of pixels or a pair of them (height, width)."""
    sides = size if isinstance(size, tuple) else (size,)
    if isinstance(size, tuple) and len(size) != 2:
        raise RecipeError(f"{name}: expected a number of pixels or [height, width], got {list(size)}")
    for side in sides:
        require_number(name, side, low=1, high=1 << 16, integer=True)


def require_range(name: str, value: Any, *, low: float, high: float, low_open: bool = False) -> None:
    """Refuse `value` unless it is a pair of increasing numbers from `low` to `high`."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise RecipeError(f"{name}: expected two numbers [smallest, largest], got {value!r}")
    for end in value:
        require_number(name, end, low=low, high=high, low_open=low_open)
    if value[0] > value[1]:
        raise RecipeError(f"{name}: expected the smallest value first, got {list(value)}")


def both_sides(size: Size) -> tuple[int, int]:
    """Return (height, width); one number means a square."""
    return size if isinstance(size, tuple) else (size, size)


def between(uniform: Tensor, ends: Range) -> Tensor:
    """Return uniforms on [0, 1) stretched to the range `ends`."""
    return ends[0] + uniform * (ends[1] - ends[0])


def whole(uniform: Tensor, count: Tensor | int) -> Tensor:
    """Return a whole number from 0 to `count` - 1 for each uniform on [0, 1), int64."""
    return (uniform * count).long()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Windows:
    """A rectangle for each picture, in whole pixels, int64 `[n]` each; `found` is false where no try fits."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    found: Tensor


def draw_windows(uniforms: Tensor, shape: Shape, *, scale: Range, ratio: Range, strictly: bool) -> Windows:
    """Return random rectangles: a share of the area, a ratio of width to height that is uniform in its logarithm.

    Args:
        uniforms: float64 `[n, 2 · TRIES + 2]`: area and ratio of each try, then the place.
        shape: (channels, height, width) of the pictures.
        scale: Smallest and largest share of the area.
        ratio: Smallest and largest ratio of width to height.
        strictly: Whether the rectangle must be smaller than the picture on both sides.
    """
    _, rows, columns = shape
    tries = uniforms[:, : 2 * TRIES].reshape(-1, TRIES, 2)
    area = rows * columns * between(tries[..., 0], scale)
    log_ends = torch.log(torch.tensor(ratio, dtype=torch.float64)).tolist()
    shapes = torch.exp(between(tries[..., 1], (log_ends[0], log_ends[1])))
    widths, heights = (area * shapes).sqrt().round().long(), (area / shapes).sqrt().round().long()
    slack = int(strictly)
    fits = (widths > 0) & (heights > 0) & (widths <= columns - slack) & (heights <= rows - slack)
    first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)
    height, width = heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0]
    found = fits.any(dim=1)
    height, width = torch.where(found, height, 0), torch.where(found, width, 0)
    return Windows(
        top=whole(uniforms[:, -2], rows - height + 1),
        left=whole(uniforms[:, -1], columns - width + 1),
        height=height,
        width=width,
        found=found,
    )


def fill_of(fill: Tensor | Sequence[float], channels: int) -> Tensor:
    """Return `fill` as float32 `[C]`.

    Raises:
        OptionError: There is not one value a channel.
    """
    values = torch.as_tensor(fill, dtype=torch.float32)
    if values.shape != (channels,):
        raise OptionError(f"fill: expected {channels} values, one a channel, got shape {tuple(values.shape)}")
    return values
