"""Resizing against PyTorch and Pillow; windows inside the picture, of the asked areas and ratios."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from torch.nn import functional as F

from regimen.techniques import CenterCrop, RandomCrop, RandomResizedCrop, Resize, augment
from regimen.techniques.augmentation_operation import TRIES, draw_windows
from regimen.techniques.augmentation_windows import resize_lines

KEY, FALSE_ALARM = 5, 1e-9


def largest_distance(n: int) -> float:
    """Bound on |empirical - true| distribution function (Massart 1990)."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))


def run(x: torch.Tensor, operation: object, fill: float = 0.0, epoch: int = 0) -> torch.Tensor:
    return augment(x, [operation], key=KEY, rows=torch.arange(len(x)), epoch=epoch, fill=[fill] * x.shape[1])


def coordinates(n: int, height: int, width: int) -> torch.Tensor:
    """Pictures that say where each pixel came from: channel 0 is the row, channel 1 the column."""
    rows = torch.arange(float(height))[:, None].expand(height, width)
    columns = torch.arange(float(width)).expand(height, width)
    return torch.stack((rows, columns)).expand(n, -1, -1, -1).contiguous()


@pytest.mark.parametrize(("height", "width"), [(34, 34), (20, 41), (7, 5), (1, 1)])
def test_resizing_agrees_with_pillow(height: int, width: int) -> None:
    grey = np.random.default_rng(0).uniform(0, 1, (28, 30)).astype(np.float32)
    expected = np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))
    found = run(torch.from_numpy(grey)[None, None], Resize(size=(height, width)))
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("size", "shape"), [(34, (34, 51)), (10, (10, 15)), ((9, 31), (9, 31))])
def test_one_number_is_the_shorter_side(size: int | tuple[int, int], shape: tuple[int, int]) -> None:
    assert tuple(run(torch.zeros(1, 1, 28, 42), Resize(size=size)).shape[2:]) == shape
    flipped = size if isinstance(size, int) else size[::-1]
    assert tuple(run(torch.zeros(1, 1, 42, 28), Resize(size=flipped)).shape[2:]) == shape[::-1]


def test_the_centre_crop_is_the_middle() -> None:
    found = run(coordinates(1, 10, 9), CenterCrop(size=(4, 3)))[0]
    assert found[0, :, 0].tolist() == [3.0, 4.0, 5.0, 6.0]
    assert found[1, 0].tolist() == [3.0, 4.0, 5.0]


def test_a_centre_crop_beyond_the_picture_has_a_border_of_the_fill() -> None:
    found = run(torch.ones(1, 1, 2, 2), CenterCrop(size=(2, 5)), fill=-7.0)
    assert found[0, 0].tolist() == [[-7.0, 1.0, 1.0, -7.0, -7.0]] * 2


def test_random_crops_are_windows_of_the_picture_with_its_border() -> None:
    x = coordinates(1500, 6, 8) + 100.0
    found = run(x, RandomCrop(size=(5, 4), padding=2), fill=-1.0)
    bordered = F.pad(x[:1], (2, 2, 2, 2), value=-1.0)[0]
    windows = {
        tuple(bordered[:, top : top + 5, left : left + 4].flatten().tolist()): (top, left)
        for top in range(6)
        for left in range(9)
    }
    places = {windows[tuple(picture.flatten().tolist())] for picture in found}
    assert places == {(top, left) for top in range(6) for left in range(9)}, "every place is met in 1,500 crops"


def test_random_crops_are_uniform_over_all_places() -> None:
    """Hoeffding for each of the 30 places, with a union bound."""
    n = 20_000
    found = run(coordinates(n, 9, 10), RandomCrop(size=5))
    places = found[:, 0, 0, 0] * 6 + found[:, 1, 0, 0]
    share = torch.bincount(places.long(), minlength=30) / n
    assert (share - 1 / 30).abs().max() <= math.sqrt(math.log(2 * 30 / FALSE_ALARM) / (2 * n))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 20), st.data())
def test_a_window_resized_is_the_window_cut_out_and_resized_by_torch(
    height: int, width: int, out: int, data: st.DataObject
) -> None:
    top, left = data.draw(st.integers(0, 12 - height)), data.draw(st.integers(0, 12 - width))
    x = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(1))
    lines = resize_lines(x.transpose(1, 2), torch.tensor([top]), torch.tensor([height]), out)
    found = resize_lines(lines.transpose(1, 3), torch.tensor([left]), torch.tensor([width]), out)
    cut = x[:, :, top : top + height, left : left + width].contiguous()
    expected = F.interpolate(cut, (out, out), mode="bilinear", antialias=True)
    torch.testing.assert_close(found.permute(0, 2, 3, 1), expected, rtol=0, atol=5e-6)


def test_the_whole_picture_as_window_is_the_picture() -> None:
    x = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    found = run(x, RandomResizedCrop(size=8, scale=(1.0, 1.0), ratio=(1.0, 1.0)))
    torch.testing.assert_close(found, x, rtol=0, atol=1e-6)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)).map(sorted).map(tuple),
    st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)).map(sorted).map(tuple),
    st.booleans(),
)
def test_windows_lie_inside_the_picture(
    rows: int, columns: int, scale: tuple[float, float], ratio: tuple[float, float], strictly: bool
) -> None:
    uniforms = torch.rand(50, 2 * TRIES + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = draw_windows(uniforms, (1, rows, columns), scale=scale, ratio=ratio, strictly=strictly)
    inside = found.found
    assert ((found.height > 0) & (found.width > 0))[inside].all()
    assert ((found.top >= 0) & (found.top + found.height <= rows))[inside].all()
    assert ((found.left >= 0) & (found.left + found.width <= columns))[inside].all()
    if strictly:
        assert ((found.height < rows) & (found.width < columns))[inside].all()


def test_areas_are_uniform_and_ratios_are_so_in_their_logarithm() -> None:
    """On a large picture with windows that always fit, whole pixels hide nothing: within the bound plus 1/100."""
    n = 20_000
    uniforms = torch.rand(n, 2 * TRIES + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    found = draw_windows(uniforms, (1, 2000, 2000), scale=(0.1, 0.4), ratio=(0.5, 2.0), strictly=False)
    assert found.found.all()
    height, width = found.height.double(), found.width.double()
    area = stats.kstest((height * width / 2000**2).numpy(), stats.uniform(0.1, 0.3).cdf)
    ratio = stats.kstest((width / height).log().numpy(), stats.uniform(math.log(0.5), 2 * math.log(2)).cdf)
    assert max(area.statistic, ratio.statistic) <= largest_distance(n) + 0.01


def test_where_no_window_fits_the_largest_in_the_middle_is_taken() -> None:
    """A ratio of 4 or more in a square: the window is 8 wide and 2 high, in the middle."""
    found = run(coordinates(20, 8, 8), RandomResizedCrop(size=(2, 8), scale=(1.0, 1.0), ratio=(4.0, 5.0)))
    assert found[:, 0, :, 0].tolist() == [[3.0, 4.0]] * 20
    torch.testing.assert_close(found[:, 1, 0], torch.arange(8.0).expand(20, 8))
