"""Erasing, cutout, noise and cutmix: what they take away, where, and how often."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regimen.techniques import Augmentation, Cutout, Erasing, PixelNoise, augment, cutmix, mixup_partners

KEY, FALSE_ALARM = 7, 1e-9


def run(x: torch.Tensor, operation: Augmentation, fill: float = 0.0) -> torch.Tensor:
    return augment(x, [operation], key=KEY, rows=torch.arange(len(x)), epoch=0, fill=[fill] * x.shape[1])


def holes(found: torch.Tensor, fill: float) -> list[tuple[int, int, int, int]]:
    """Return (top, left, height, width) of the filled rectangle of each picture, and check that it is one."""
    boxes = []
    for picture in found[:, 0] == fill:
        rows, columns = picture.any(1).nonzero()[:, 0], picture.any(0).nonzero()[:, 0]
        if not len(rows):
            boxes.append((0, 0, 0, 0))
            continue
        top, left = int(rows[0]), int(columns[0])
        height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
        assert picture[top : top + height, left : left + width].all()
        assert int(picture.sum()) == height * width
        boxes.append((top, left, height, width))
    return boxes


def test_erasing_leaves_a_rectangle_of_the_asked_area_and_ratio_inside() -> None:
    found = run(torch.ones(400, 2, 40, 50), Erasing(p=1.0, scale=(0.1, 0.2), ratio=(0.5, 2.0)), fill=-2.0)
    assert torch.equal(found[:, 0], found[:, 1])
    for _, _, height, width in holes(found, -2.0):
        # Both sides are rounded to whole pixels, half a pixel at most.
        assert 200 - 0.5 * (height + width) - 0.25 <= height * width <= 400 + 0.5 * (height + width) + 0.25
        assert (width - 0.5) / (height + 0.5) <= 2.0
        assert (width + 0.5) / (height - 0.5) >= 0.5


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_share_of_erased_pictures_is_p(p: float) -> None:
    """Hoeffding's bound; the default windows always fit into a picture of this size within ten tries."""
    n = 10_000
    share = (run(torch.ones(n, 1, 16, 16), Erasing(p=p)) == 0).flatten(1).any(1).double().mean()
    assert abs(share - p) <= (0.0 if p in (0.0, 1.0) else math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)))


def test_a_picture_that_no_window_fits_stays_whole() -> None:
    x = torch.ones(10, 1, 4, 4)
    assert torch.equal(run(x, Erasing(p=1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))), x)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_cutout_is_a_square_about_any_pixel_cut_off_at_the_border(size: int) -> None:
    n, side = 3000, 8
    boxes = holes(run(torch.ones(n, 1, side, side), Cutout(size=size)), 0.0)
    expected = set()
    for row in range(side):
        for column in range(side):
            top, left = row - size // 2, column - size // 2
            bottom, right = min(top + size, side), min(left + size, side)
            top, left = max(top, 0), max(left, 0)
            expected.add((top, left, bottom - top, right - left))
    assert set(boxes) == expected, "in 3,000 pictures each of 64 centres is met"


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_pixel_noise_is_normal_and_each_pixel_has_its_own(std: float) -> None:
    noise = run(torch.zeros(100, 3, 9, 9), PixelNoise(std=std)).double()
    n = noise.numel()
    distance = stats.kstest(noise.flatten().numpy(), stats.norm(scale=std).cdf).statistic
    assert distance <= math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))
    assert len(noise.unique()) > 0.99 * n


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.floats(0.05, 20.0), st.integers(0, 10_000))
def test_cutmix_pastes_one_rectangle_of_the_partner_and_tells_the_share_kept(
    n: int, height: int, width: int, alpha: float, step: int
) -> None:
    x = torch.arange(1.0, n + 1)[:, None, None, None].expand(n, 2, height, width).contiguous()
    mixed, partners, share = cutmix(x, key=KEY, alpha=alpha, step=step)
    assert sorted(partners.tolist()) == list(range(n))
    marker = torch.where(mixed == x, 1.0, 0.0)
    for i in range(n):
        own, other = x[i, 0, 0, 0], x[partners[i], 0, 0, 0]
        assert ((mixed[i] == own) | (mixed[i] == other)).all()
        if own != other:
            assert marker[i].mean().item() == pytest.approx(share, abs=1e-6)
            holes(mixed[i : i + 1], float(other))
    assert x[:, 0, 0, 0].tolist() == list(range(1, n + 1)), "the batch given is left alone"


def test_the_area_of_a_rectangle_that_is_not_cut_off_follows_the_beta_distribution() -> None:
    """With alpha = 1 the share 1 - λ is uniform; cutting off can only raise what is kept."""
    n = 600
    x = torch.zeros(1, 1, 100, 100)
    shares = [cutmix(x, key=KEY, alpha=1.0, step=step)[2] for step in range(n)]
    bound = math.sqrt(math.log(1 / FALSE_ALARM) / (2 * n))
    for level in (0.1, 0.3, 0.5, 0.7, 0.9):
        below = sum(share < level for share in shares) / n
        assert below <= level + bound, "kept less than λ more often than λ is that small"
    # Exact mean of the kept share: E[1 - area], with centre uniform and area 1 - λ = r², λ uniform:
    # along one side the expected overlap of a stretch r about a uniform centre is r - r²/4.
    mean = 1.0 - (1 / 2 - 1 / 5 + 1 / 48)
    assert abs(sum(shares) / n - mean) <= math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)) + 0.01


def test_the_sides_of_the_rectangle_are_the_root_of_its_share() -> None:
    """A large alpha makes λ one half: 28 of 40 pixels a side, less at the border."""
    shares = [cutmix(torch.zeros(1, 1, 40, 40), key=KEY, alpha=1e8, step=step)[2] for step in range(200)]
    assert min(shares) == pytest.approx(1 - 28**2 / 40**2)


def test_cutmix_and_mixup_of_one_recipe_draw_different_partners() -> None:
    x = torch.zeros(50, 1, 2, 2)
    partners = [cutmix(x, key=KEY, alpha=1.0, step=step)[1] for step in range(2)]
    assert not torch.equal(partners[0], partners[1])
    assert not torch.equal(partners[0], mixup_partners(KEY, 50, step=0))
