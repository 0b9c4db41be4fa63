"""Intervals against SciPy and baycomp, and the probability of improvement."""

import baycomp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regimen.errors import InputError
from regimen.stats import new_rows_interval, probability_of_improvement, student_interval, t_interval

samples = st.lists(st.integers(-1000, 1000).map(lambda k: k / 1000), min_size=2, max_size=12)
units = st.floats(1e-6, 1e6)


@pytest.mark.parametrize("n", [2, 5, 10, 200])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999999])
def test_t_interval_is_that_of_scipys_t_test(n, level):
    d = np.random.default_rng(n).normal(0.2, 1, n)
    expected = stats.ttest_1samp(d, 0).confidence_interval(level)
    assert t_interval(d, level=level) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("folds", [2, 4, 10])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_new_rows_interval_is_the_central_part_of_the_posterior_of_the_correlated_t_test(folds, level):
    stream = np.random.default_rng(folds)
    baseline, technique = stream.normal(0.8, 0.02, folds * 3), stream.normal(0.81, 0.02, folds * 3)
    lo, hi = new_rows_interval(technique - baseline, n_validation=100, n_train=100 * (folds - 1), level=level)
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    # baycomp gives the mass within -+ rope of 0: move the posterior's middle there.
    left, inside, right = baycomp.CorrelatedTTest.probs(baseline + middle, technique, rope=half, runs=3)
    assert inside == pytest.approx(level, abs=1e-9)
    assert left == pytest.approx((1 - level) / 2, abs=1e-9)
    assert right == pytest.approx((1 - level) / 2, abs=1e-9)


@pytest.mark.parametrize("n", [2, 10])
def test_new_rows_interval_tends_to_the_t_interval_as_the_training_part_grows(n):
    d = np.random.default_rng(n).normal(size=n)
    assert new_rows_interval(d, n_validation=1, n_train=10**15) == pytest.approx(t_interval(d), rel=1e-12)


@given(samples, st.integers(1, 1000), st.integers(1, 1000))
def test_new_rows_interval_contains_the_t_interval(d, n_validation, n_train):
    lo, hi = t_interval(d)
    wide_lo, wide_hi = new_rows_interval(d, n_validation=n_validation, n_train=n_train)
    assert wide_lo <= lo <= hi <= wide_hi


@given(samples, units)
def test_intervals_follow_the_unit_and_the_sign_of_the_differences(d, unit):
    lo, hi = t_interval(d)
    assert t_interval(-np.array(d)) == pytest.approx((-hi, -lo), rel=1e-9, abs=1e-12)
    assert t_interval(np.array(d) * unit) == pytest.approx((lo * unit, hi * unit), rel=1e-9, abs=1e-12 * unit)


def test_differences_without_spread_have_an_interval_of_one_point():
    assert t_interval([0.25] * 8) == (0.25, 0.25)
    assert new_rows_interval([0.25] * 8, n_validation=1, n_train=3) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("d", "expected"), [([1, 2], 1), ([-1, -2], 0), ([0, 0], 0.5), ([0.1, -0.1], 0.5), ([0, 0, 1, -1e-9, 2], 0.6)]
)
def test_probability_of_improvement_counts_ties_one_half(d, expected):
    assert probability_of_improvement(d) == pytest.approx(expected)


@given(samples)
def test_probability_of_improvement_and_of_deterioration_sum_to_one(d):
    assert probability_of_improvement(d) + probability_of_improvement(-np.array(d)) == pytest.approx(1)


@pytest.mark.parametrize(
    "statistic",
    [t_interval, probability_of_improvement, lambda d: new_rows_interval(d, n_validation=1, n_train=3)],
    ids=["t", "probability", "new rows"],
)
@pytest.mark.parametrize("bad", [[], [0.1], [0.1, np.nan], [np.inf, 0.1], [[0.1, 0.2]], None, "text", [[1], [1, 2]]])
def test_differences_without_an_interval_are_refused(statistic, bad):
    with pytest.raises(InputError, match="expected"):
        statistic(bad)


@pytest.mark.parametrize("level", [0, 1, -0.1, 95, np.nan, "high"])
def test_a_level_outside_zero_to_one_is_refused(level):
    with pytest.raises(InputError, match=r"level in \(0, 1\)"):
        t_interval([0.1, 0.2], level=level)


@pytest.mark.parametrize("rows", [{"n_validation": 0, "n_train": 5}, {"n_validation": 5, "n_train": 0.5}])
def test_row_counts_that_are_no_counts_are_refused(rows):
    with pytest.raises(InputError, match="whole number of at least 1"):
        new_rows_interval([0.1, 0.2], **rows)


@pytest.mark.parametrize("wrong", [{"standard_error": -1.0, "df": 3}, {"standard_error": 1.0, "df": 0}])
def test_a_negative_standard_error_and_no_degrees_of_freedom_are_refused(wrong):
    with pytest.raises(InputError, match=r"expected (standard_error|df) in"):
        student_interval(0.0, **wrong)
