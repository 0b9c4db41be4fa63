"""Overfitting: the gap relative to the validation loss, and the cost of late epochs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from regimen.errors import InputError
from regimen.stats import overfits, t_interval

wide = np.array([0.30, 0.25, 0.35, 0.28, 0.31, 0.33, 0.27, 0.30])
losses = np.array([0.9, 0.8, 1.0, 0.9, 0.9, 1.0, 0.8, 0.9])


def ratio_bound(gaps, validation_losses):
    """Lower Fieller bound of mean(gap) / mean(loss), found by a root search instead of at one threshold."""
    return brentq(lambda ratio: t_interval(gaps - ratio * validation_losses)[0], -5, gaps.mean() / losses.mean())


@pytest.mark.parametrize("share", [0.05, 0.2, 0.25, 0.35, 0.5, 1.0])
def test_a_network_overfits_exactly_where_the_bound_of_the_relative_gap_exceeds_ten_percent(share):
    gaps = wide * share
    assert overfits(gaps, losses).overfits == (ratio_bound(gaps, losses) > 0.10)


def test_the_cases_above_are_on_both_sides():
    assert ratio_bound(wide * 0.25, losses) < 0.10 < ratio_bound(wide * 0.35, losses)


def test_the_gap_and_its_interval_are_the_t_interval_over_pairs():
    found = overfits(wide, losses)
    assert found.gap == pytest.approx(wide.mean())
    assert found.gap_ci == t_interval(wide)
    assert (found.late, found.late_ci) == (None, None)


@pytest.mark.parametrize(("excess", "expected"), [(0.0, False), (0.04, False), (0.053, True), (1.0, True)])
def test_late_epochs_alone_make_a_network_overfit_above_five_percent(excess, expected):
    ratio = (1 + excess) * np.array([0.999, 1.001, 1.0, 1.002, 0.998])
    found = overfits(np.zeros(8), losses, ratio)
    assert found.overfits is expected
    assert found.late == pytest.approx(excess, abs=1e-5)
    lo, hi = t_interval(np.log(ratio))
    assert found.late_ci == pytest.approx((np.exp(lo) - 1, np.exp(hi) - 1))


def test_late_epochs_that_do_no_harm_do_not_excuse_a_gap():
    assert overfits(wide, losses, np.full(8, 0.9)).overfits


def test_a_late_ratio_that_varies_beyond_measure_has_a_bound_that_json_can_hold():
    found = overfits(wide, losses, [1e-200, 1e200])
    assert found.late_ci[0] == -1 and 1e300 < found.late_ci[1] < np.inf


@pytest.mark.parametrize("late", [False, True])
def test_overfitting_is_claimed_in_two_and_a_half_percent_of_studies_at_the_threshold(late, within_rate):
    stream = np.random.default_rng(6)
    studies, n = 4000, 10
    validation = stream.normal(1.0, 0.1, size=(studies, n))
    gaps = 0.10 * validation + stream.normal(0, 0.03, size=(studies, n))
    ratios = 1.05 * np.exp(stream.normal(0, 0.1, size=(studies, n)))
    found = [
        overfits(np.zeros(n), loss, ratio) if late else overfits(gap, loss)
        for gap, loss, ratio in zip(gaps, validation, ratios, strict=True)
    ]
    assert within_rate(sum(one.overfits for one in found), studies, 0.025)


@given(st.lists(st.integers(-50, 100), min_size=2, max_size=9), st.sampled_from([0.001, 0.37, 40.0]))
def test_the_finding_does_not_depend_on_the_unit_of_the_loss(values, unit):
    loss = np.linspace(1, 2, len(values))
    gap = np.array(values) / 101.3
    plain, scaled = overfits(gap, loss), overfits(gap * unit, loss * unit)
    assert scaled.overfits == plain.overfits
    assert scaled.gap == pytest.approx(plain.gap * unit)


@pytest.mark.parametrize(
    ("gaps", "validation", "late", "message"),
    [
        ([0.1], [1.0], None, "at least 2 pairs"),
        ([0.1, np.nan], [1.0, 1.0], None, "finite gaps"),
        ([0.1, 0.1], [1.0, np.inf], None, "finite validation_losses"),
        ([0.1, 0.1], [1.0, 1.0, 1.0], None, "3 losses for 2 gaps"),
        ([0.1, 0.1], [1.0, -1.0], None, "validation_losses >= 0"),
        ([0.1, 0.1], [1.0, 1.0], [1.0], "at least 2 pairs"),
        ([0.1, 0.1], [1.0, 1.0], [1.0, 0.0], "late_ratio > 0"),
        ([0.1, 0.1], [1.0, 1.0], [1.0, np.nan], "finite late_ratio"),
    ],
)
def test_losses_that_decide_nothing_are_refused(gaps, validation, late, message):
    with pytest.raises(InputError, match=message):
        overfits(gaps, validation, late)
