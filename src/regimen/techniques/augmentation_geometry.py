"""Augmentation by geometry: flips, rotation, and affine maps with bilinear sampling."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from regimen.errors import RecipeError
from regimen.limits import require_number
from regimen.techniques.augmentation_operation import (
    Augmentation,
    Draws,
    Range,
    between,
    require_probability,
    require_range,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HorizontalFlip(Augmentation):
    """Mirror left and right with probability `p`. It changes what digits and letters mean.

    Attributes:
        p: Probability in [0, 1].
    """

    name: ClassVar[str] = "horizontal_flip"
    p: float = 0.5

    def __post_init__(self) -> None:
        require_probability("augmentation.p", self.p)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the batch, some of it mirrored; drawn: whether."""
        return torch.where(_chosen(draws, self.p), x.flip(3), x)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerticalFlip(Augmentation):
    """Mirror top and bottom with probability `p`.

    Attributes:
        p: Probability in [0, 1].
    """

    name: ClassVar[str] = "vertical_flip"
    p: float = 0.5

    def __post_init__(self) -> None:
        require_probability("augmentation.p", self.p)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the batch, some of it mirrored; drawn: whether."""
        return torch.where(_chosen(draws, self.p), x.flip(2), x)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation(Augmentation):
    """Rotate about the centre by a uniform random angle; the size stays, what comes from outside is the fill.

    Attributes:
        degrees: Largest angle to either side, >= 0; or (smallest, largest), counter-clockwise positive.

    Note:
        torchvision's `RandomRotation` takes the nearest pixel by default; here it is always bilinear.
    """

    name: ClassVar[str] = "rotation"
    degrees: float | Range

    def __post_init__(self) -> None:
        _require_degrees("augmentation.degrees", self.degrees)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the rotated batch; drawn: the angle."""
        angle = torch.deg2rad(between(draws.uniforms(1)[:, 0], _around_zero(self.degrees)))
        return warp(x, _turn(angle), torch.zeros(len(x), 2, dtype=torch.float64), fill)


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine(Augmentation):
    """Rotate, shear and scale about the centre, then shift: p ↦ R(angle) · s · Y(shear) · X(shear) · p + t.

    Every number is uniform in its range and each picture draws its own.

    Attributes:
        degrees: Largest angle to either side, >= 0; or (smallest, largest), clockwise positive.
        translate: Largest shift to either side as shares of width and height, each in [0, 1]; whole pixels are drawn.
        scale: Smallest and largest factor, > 0.
        shear: Largest shear angle along x to either side in degrees, in [0, 90); or (smallest, largest) along x; or
            both for x and then for y.
    """

    name: ClassVar[str] = "affine"
    degrees: float | Range = 0.0
    translate: Range = (0.0, 0.0)
    scale: Range = (1.0, 1.0)
    shear: float | Range | tuple[float, float, float, float] = 0.0

    def __post_init__(self) -> None:
        _require_degrees("augmentation.degrees", self.degrees)
        if not isinstance(self.translate, tuple) or len(self.translate) != 2:
            raise RecipeError(f"augmentation.translate: expected two shares [width, height], got {self.translate!r}")
        for share in self.translate:
            require_probability("augmentation.translate", share)
        require_range("augmentation.scale", self.scale, low=0, high=math.inf, low_open=True)
        if isinstance(self.shear, tuple) and len(self.shear) == 4:
            for ends in (self.shear[:2], self.shear[2:]):
                _require_shear(ends)
        else:
            _require_shear(self.shear)

    def apply(self, x: Tensor, draws: Draws, fill: Tensor) -> Tensor:
        """Return the mapped batch; drawn: angle, shift along x and y, scale, shear along x and y."""
        u = draws.uniforms(6)
        size = torch.tensor([x.shape[3], x.shape[2]], dtype=torch.float64)
        reach = size * torch.tensor(self.translate, dtype=torch.float64)
        shift = torch.round((2.0 * u[:, 1:3] - 1.0) * reach)
        along_x, along_y = self._shears()
        one, none = torch.ones(len(x), dtype=torch.float64), torch.zeros(len(x), dtype=torch.float64)
        shear_x = -torch.tan(torch.deg2rad(between(u[:, 4], along_x)))
        shear_y = -torch.tan(torch.deg2rad(between(u[:, 5], along_y)))
        forward = (
            _turn(-torch.deg2rad(between(u[:, 0], _around_zero(self.degrees))))
            @ _matrix(one, none, shear_y, one)
            @ _matrix(one, shear_x, none, one)
        ) * between(u[:, 3], self.scale)[:, None, None]
        return warp(x, forward, shift, fill)

    def _shears(self) -> tuple[Range, Range]:
        if not isinstance(self.shear, tuple):
            return (-self.shear, self.shear), (0.0, 0.0)
        return (self.shear[0], self.shear[1]), (self.shear[2], self.shear[3]) if len(self.shear) == 4 else (0.0, 0.0)


def warp(x: Tensor, forward: Tensor, shift: Tensor, fill: Tensor) -> Tensor:
    """Return each picture mapped by p ↦ forward · p + shift about its centre, sampled bilinearly.

    Args:
        x: float32 `[n, C, H, W]`.
        forward: float64 `[n, 2, 2]` on (x to the right, y down), in pixels.
        shift: float64 `[n, 2]`, (x, y) in pixels.
        fill: float32 `[C]`, what lies outside of the picture.
    """
    a, b, c, d = forward[:, 0, 0], forward[:, 0, 1], forward[:, 1, 0], forward[:, 1, 1]
    inverse = _matrix(d, -b, -c, a) / (a * d - b * c)[:, None, None]
    offset = -inverse @ shift[:, :, None]
    # grid_sample wants half widths and half heights as its units.
    half = torch.tensor([x.shape[3] / 2, x.shape[2] / 2], dtype=torch.float64)
    theta = torch.cat((inverse * half / half[:, None], offset / half[:, None]), dim=2)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False).to(torch.float32)
    # Outside lies 0, so that a picture from which the fill is taken away has the fill around it.
    border = fill[:, None, None]
    return F.grid_sample(x - border, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + border


def _turn(angle: Tensor) -> Tensor:
    """Return the counter-clockwise rotation as seen, with y pointing down."""
    return _matrix(angle.cos(), angle.sin(), -angle.sin(), angle.cos())


def _matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return torch.stack((torch.stack((a, b), dim=1), torch.stack((c, d), dim=1)), dim=1)


def _chosen(draws: Draws, p: float) -> Tensor:
    return (draws.uniforms(1) < p)[:, :, None, None]


def _around_zero(value: float | Range) -> Range:
    return value if isinstance(value, tuple) else (-value, value)


def _require_degrees(name: str, value: float | Range) -> None:
    if isinstance(value, tuple):
        require_range(name, value, low=-360, high=360)
    else:
        require_number(name, value, low=0, high=360)


def _require_shear(value: object) -> None:
    name, most = "augmentation.shear", 89.0
    if isinstance(value, tuple):
        require_range(name, value, low=-most, high=most)
    else:
        require_number(name, value, low=0, high=most)
