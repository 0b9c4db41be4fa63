"""Flips and affine maps: their laws, and torch.rot90 and torch.roll where these say the same."""

import math

import pytest
import torch
from scipy import stats

from regimen.techniques import Affine, Augmentation, HorizontalFlip, Rotation, VerticalFlip, augment

KEY, FALSE_ALARM = 6, 1e-9


def run(x: torch.Tensor, operation: Augmentation, fill: float = 0.0, epoch: int = 0) -> torch.Tensor:
    return augment(x, [operation], key=KEY, rows=torch.arange(len(x)), epoch=epoch, fill=[fill] * x.shape[1])


def pictures(n: int, size: int = 9) -> torch.Tensor:
    return torch.randn(n, 2, size, size, generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize(("kind", "axis"), [(HorizontalFlip, 3), (VerticalFlip, 2)])
def test_a_flip_mirrors_and_twice_is_the_identity(kind: type[Augmentation], axis: int) -> None:
    x = pictures(5)
    once = run(x, kind(p=1.0))
    assert torch.equal(once, x.flip(axis))
    assert torch.equal(run(once, kind(p=1.0)), x)
    assert torch.equal(run(x, kind(p=0.0)), x)


@pytest.mark.parametrize("kind", [HorizontalFlip, VerticalFlip])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_share_of_flipped_pictures_is_p(kind: type[Augmentation], p: float) -> None:
    """Hoeffding's bound."""
    n = 20_000
    x = torch.arange(4.0).reshape(1, 1, 2, 2).expand(n, -1, -1, -1)
    share = (run(x, kind(p=p)) != x).flatten(1).any(1).double().mean()
    assert abs(share - p) <= math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))


@pytest.mark.parametrize("quarters", [-2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("size", [8, 9])
def test_rotation_by_quarter_turns_equals_rot90(quarters: int, size: int) -> None:
    x = pictures(3, size)
    found = run(x, Rotation(degrees=(90.0 * quarters, 90.0 * quarters)), fill=50.0)
    # The fill, 50, enters at the border by the rounding of a coordinate, about 1e-6 of a pixel.
    torch.testing.assert_close(found, torch.rot90(x, quarters, (2, 3)), rtol=0, atol=2e-4)


@pytest.mark.parametrize("operation", [Rotation(degrees=(180.0, 180.0)), Affine(degrees=(180.0, 180.0))])
def test_half_turns_keep_pictures_that_are_not_square(operation: Augmentation) -> None:
    x = torch.randn(2, 1, 6, 11, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(run(x, operation), x.flip((2, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_quarter_turn_of_a_wide_picture_turns_its_middle_in_pixels_and_fills_the_sides(quarters: int) -> None:
    x = torch.randn(2, 1, 6, 10, generator=torch.Generator().manual_seed(2))
    found = run(x, Rotation(degrees=(90.0 * quarters, 90.0 * quarters)), fill=4.0)
    torch.testing.assert_close(found[..., 2:8], torch.rot90(x[..., 2:8], quarters, (2, 3)), rtol=0, atol=1e-4)
    torch.testing.assert_close(found[..., [0, 1, 8, 9]], torch.full((2, 1, 6, 4), 4.0), rtol=0, atol=1e-4)


def test_affine_angles_turn_clockwise() -> None:
    x = pictures(2)
    found = run(x, Affine(degrees=(90.0, 90.0)))
    torch.testing.assert_close(found, torch.rot90(x, -1, (2, 3)), rtol=0, atol=1e-5)


def test_angles_are_uniform_in_their_range() -> None:
    """A bright spot above the centre tells the angle, to within 1/50 of the range."""
    n, size = 10_000, 33
    row, column = torch.meshgrid(torch.arange(size) - 16.0, torch.arange(size) - 16.0, indexing="ij")
    spot = torch.exp(-((row + 12.0) ** 2 + column**2) / 6.0)[None, None]
    angles = []
    for epoch in range(n // 2000):
        turned = run(spot.expand(2000, -1, -1, -1), Rotation(degrees=(-60.0, 120.0)), epoch=epoch)[:, 0]
        angles.append(torch.atan2(-(turned * column).sum((1, 2)), -(turned * row).sum((1, 2))))
    degrees = torch.rad2deg(torch.cat(angles)).numpy()
    distance = stats.kstest(degrees, stats.uniform(-60, 180).cdf).statistic
    assert distance <= math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)) + 0.02


def test_what_comes_from_outside_is_the_fill() -> None:
    turned = run(torch.ones(1, 1, 20, 20), Rotation(degrees=(45.0, 45.0)), fill=-3.0)[0, 0]
    assert turned[0, 0] == -3.0
    torch.testing.assert_close(turned[10, 10], torch.tensor(1.0))
    assert ((turned >= -3.0) & (turned <= 1.0 + 1e-6)).all()


def test_shifts_are_whole_pixels_inside_their_range_and_all_of_them_are_met() -> None:
    x = torch.zeros(500, 1, 11, 11)
    x[:, 0, 5, 5] = 1.0
    found = run(x, Affine(translate=(0.2, 0.1)))
    places = {tuple(place) for place in (found[:, 0] > 0.99).nonzero()[:, 1:].tolist()}
    assert places == {(row, column) for row in range(4, 7) for column in range(3, 8)}
    torch.testing.assert_close(found.sum((1, 2, 3)), torch.ones(500), rtol=0, atol=1e-4)


def test_scaling_by_two_doubles_what_is_seen() -> None:
    """A centred square of side 4 becomes one of side 8: four times the light."""
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 6:10, 6:10] = 1.0
    assert run(x, Affine(scale=(2.0, 2.0))).sum() == pytest.approx(64.0, abs=1e-3)


@pytest.mark.parametrize(
    ("shear", "moved"), [((45.0, 45.0), 3), ((45.0, 45.0, 0.0, 0.0), 3), ((0.0, 0.0, 45.0, 45.0), 2)]
)
def test_shear_by_45_degrees_moves_along_its_axis_by_the_distance_from_the_centre(
    shear: tuple[float, ...], moved: int
) -> None:
    x = pictures(1, 9)
    found = run(x, Affine(shear=shear))
    other = 5 - moved
    for line in range(9):
        shift = -(line - 4)
        row = x.select(other, line)
        expected = torch.zeros_like(row)
        kept = slice(max(shift, 0), 9 + min(shift, 0)), slice(max(-shift, 0), 9 + min(-shift, 0))
        expected[..., kept[0]] = row[..., kept[1]]
        torch.testing.assert_close(found.select(other, line), expected, rtol=0, atol=1e-5)


def test_one_number_shears_along_x_only() -> None:
    """Rows keep their sums under a shear along x, up to what leaves the picture."""
    x = torch.zeros(50, 1, 21, 21)
    x[:, 0, :, 10] = 1.0
    found = run(x, Affine(shear=20.0))
    torch.testing.assert_close(found.sum(3), torch.ones(50, 1, 21), rtol=0, atol=1e-4)
    assert not torch.equal(found[0], found[1])
