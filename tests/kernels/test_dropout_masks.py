"""Laws of dropout masks; that they are the frozen stream's is tested in tests/test_streams.py."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import OptionError
from regimen.kernels import dropout_mask, effective_p, keep_scale, keep_threshold

inner = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)
KEY = 5


@given(inner)
def test_the_threshold_is_the_nearest_of_65535_levels(p: float) -> None:
    threshold = keep_threshold(p)
    assert 1 <= threshold <= 65535
    # Half a level, but a whole one where rounding would reach 0 or 65536; the sum is rounded to float64 once.
    furthest = Fraction(1) if threshold in (1, 65535) else Fraction(1, 2) + Fraction(1, 2**37)
    assert abs(threshold - Fraction(p) * 65536) <= furthest


@pytest.mark.parametrize(
    ("p", "threshold"),
    [(0.5, 32768), (0.1, 6554), (0.9, 58982), (1e-9, 1), (1 - 1e-9, 65535), (1.5 / 65536, 2), (2.5 / 65536, 3)],
)
def test_the_threshold_rounds_half_up_and_never_reaches_none_or_all(p: float, threshold: int) -> None:
    assert keep_threshold(p) == threshold


@given(st.integers(1, 65535))
def test_scale_times_share_kept_is_exactly_one(threshold: int) -> None:
    """The expected output is the input: exactly in the rationals, and to one rounding in float64."""
    p = threshold / 65536
    assert keep_threshold(p) == threshold
    assert effective_p(p) == p
    assert keep_scale(p) == float(Fraction(65536, 65536 - threshold))


def test_scale_and_effective_rate_are_those_of_the_rounded_rate() -> None:
    assert keep_scale(0.3) == 65536 / (65536 - 19661)
    assert effective_p(0.3) == 19661 / 65536


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_rates_zero_and_one_are_exact(p: float) -> None:
    assert effective_p(p) == p
    mask = dropout_mask(KEY, p, rows=3, features=5, step=0, steps=2)
    assert torch.equal(mask, torch.full((2, 3, 5), 1.0 - p))


@given(inner)
def test_a_mask_holds_zeros_and_the_scale_only(p: float) -> None:
    mask = dropout_mask(KEY, p, rows=3, features=7, step=0)
    assert set(mask.unique().tolist()) <= {0.0, float(np.float32(keep_scale(p)))}


@given(st.lists(inner, min_size=2, max_size=2).map(sorted))
def test_what_a_low_rate_drops_a_higher_one_drops_too(rates: list[float]) -> None:
    """One stream of 16-bit values serves all rates, so arms that differ in the rate share their luck."""
    low, high = (dropout_mask(KEY, p, rows=4, features=16, step=0) != 0 for p in rates)
    assert not (high & ~low).any()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_rows_features_and_steps_are_dropped_at_the_same_rate(p: float) -> None:
    """Hoeffding with a union over all margins, at a false-alarm rate of 1e-9."""
    shape = (32, 64, 96)
    dropped = (dropout_mask(KEY, p, rows=64, features=96, step=0, steps=32) == 0).double()
    for axes in ((0, 1), (0, 2), (1, 2)):
        n = math.prod(shape[axis] for axis in axes)
        bound = math.sqrt(math.log(2 * sum(shape) / 1e-9) / (2 * n))
        assert (dropped.mean(axes) - effective_p(p)).abs().max() <= bound


def test_neighbouring_elements_are_dropped_independently() -> None:
    """The product of two centred signs has mean 0: Hoeffding for each lag along row, feature and step."""
    signs = 2.0 * (dropout_mask(KEY, 0.5, rows=64, features=64, step=0, steps=64) == 0).double() - 1.0
    for axis in range(3):
        for lag in (1, 2, 7, 8):
            product = signs.narrow(axis, 0, 64 - lag) * signs.narrow(axis, lag, 64 - lag)
            # Products of distinct pairs of independent signs are pairwise independent signs themselves.
            assert abs(product.mean().item()) <= math.sqrt(2 * math.log(2 * 12 / 1e-9) / product.numel())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_scale_is_rounded_once_to_the_type_asked_for(dtype: torch.dtype) -> None:
    mask = dropout_mask(KEY, 0.3, rows=2, features=8, step=0, dtype=dtype)
    assert mask.dtype == dtype
    assert mask.max() == torch.tensor(keep_scale(0.3), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("shape", [{"rows": 0}, {"features": 0}, {"steps": 0}])
def test_empty_masks_have_the_asked_shape(shape: dict[str, int]) -> None:
    wanted = {"steps": 2, "rows": 3, "features": 5} | shape
    assert dropout_mask(KEY, 0.5, step=0, **wanted).shape == tuple(wanted.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [-1e-9, 1.0 + 1e-9, math.nan])
def test_an_impossible_rate_is_refused(p: float) -> None:
    with pytest.raises(OptionError, match=r"p: expected a drop probability in \[0, 1\]"):
        dropout_mask(KEY, p, rows=1, features=1, step=0)
