"""Jackknife standard errors against closed formulas, and the interval over keys and rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import InputError
from regimen.stats import crossed_interval, deleted_together, effective_groups, jackknife_se, t_interval


@pytest.mark.parametrize("n", [2, 7, 60])
def test_leaving_out_one_row_at_a_time_gives_the_standard_error_of_a_mean(n):
    x = np.random.default_rng(n).normal(size=n)
    assert jackknife_se(lambda kept: x[kept].mean(), n) == pytest.approx(x.std(ddof=1) / np.sqrt(n), rel=1e-9)


@pytest.mark.parametrize("groups", [2, 5, 20])
def test_equal_groups_give_the_standard_error_of_the_mean_of_group_means(groups):
    x = np.random.default_rng(groups).exponential(size=groups * 6)
    means = [x[g::groups].mean() for g in range(groups)]
    expected = np.std(means, ddof=1) / np.sqrt(groups)
    assert jackknife_se(lambda kept: x[kept].mean(), len(x), groups=groups) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("hits", [3, 80, 399])
def test_the_standard_error_of_an_accuracy_is_the_binomial_one(hits):
    n = 400
    right = np.arange(n) < hits
    expected = np.sqrt(hits / n * (1 - hits / n) / (n - 1))
    assert jackknife_se(lambda kept: right[kept].mean(), n, groups=n) == pytest.approx(expected, rel=1e-9)


def test_the_standard_error_of_a_root_mean_square_is_that_of_the_delta_method():
    error = np.random.default_rng(1).standard_t(10, 2000)
    rmse = np.sqrt(np.mean(error**2))
    expected = np.std(error**2, ddof=1) / np.sqrt(len(error)) / (2 * rmse)
    found = jackknife_se(lambda kept: np.sqrt(np.mean(error[kept] ** 2)), len(error), groups=len(error))
    assert found == pytest.approx(expected, rel=0.01)


def test_the_standard_error_of_a_ratio_is_that_of_the_delta_method():
    stream = np.random.default_rng(2)
    y = stream.uniform(1, 3, 2000)
    x = 0.5 * y + stream.normal(0, 0.2, 2000)
    ratio = x.mean() / y.mean()
    expected = np.std(x - ratio * y, ddof=1) / np.sqrt(len(x)) / y.mean()
    found = jackknife_se(lambda kept: x[kept].mean() / y[kept].mean(), len(x), groups=len(x))
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("n", "groups"), [(14, 10), (11, 4), (150, 100)])
def test_the_variance_of_a_mean_is_unbiased_for_groups_of_unequal_size(n, groups):
    # Its expectation is linear in the covariance of the rows: sum over unit vectors, no simulation needed.
    def variance(row):
        unit = np.arange(n) == row
        return jackknife_se(lambda kept: unit[kept].mean(), n, groups=groups) ** 2

    total = sum(variance(row) for row in range(n))
    assert total == pytest.approx(1 / n, rel=1e-9)


def test_stratified_groups_leave_the_variance_between_strata_out():
    classes = np.random.default_rng(3).permutation(np.repeat([0, 1], 50))
    order = np.argsort(classes, kind="stable")

    def statistic(kept):
        return classes[kept].mean()

    assert jackknife_se(statistic, 100, groups=10, order=order) == pytest.approx(0, abs=1e-12)
    assert jackknife_se(statistic, 100, groups=10) > 0.01


def test_fixed_rows_are_never_left_out_and_the_others_vary_as_if_alone():
    x = np.random.default_rng(4).normal(size=30)
    seen = set()

    def statistic(kept):
        assert {3, 17} <= set(kept)
        seen.update(np.setdiff1d(np.arange(30), kept))
        return x[kept].sum() / len(kept)

    def alone(kept):
        return (np.delete(x, [3, 17])[kept].sum() + x[3] + x[17]) / (len(kept) + 2)

    found = jackknife_se(statistic, 30, groups=7, fixed=[3, 17])
    assert seen == set(range(30)) - {3, 17}
    assert found == pytest.approx(jackknife_se(alone, 28, groups=7), rel=1e-12)


def test_all_rows_fixed_leave_no_standard_error():
    with pytest.raises(InputError, match="rows that are not fixed"):
        jackknife_se(lambda kept: 0.0, 3, fixed=[0, 1])


def test_every_row_is_left_out_once_and_rows_arrive_sorted():
    seen = []

    def statistic(kept):
        assert np.all(np.diff(kept) > 0)
        seen.append(np.setdiff1d(np.arange(23), kept))
        return 0.0

    order = np.random.default_rng(4).permutation(23)
    assert jackknife_se(statistic, 23, groups=5, order=order) == 0
    assert len(seen) == 6
    assert sorted(np.concatenate(seen)) == list(range(23))
    assert [len(left) for left in seen] == [0, 5, 5, 5, 4, 4]
    assert set(seen[1]) == set(order[::5])


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=20), st.integers(2, 30), st.floats(0.001, 1000))
def test_the_standard_error_follows_the_unit_and_ignores_a_shift(values, groups, unit):
    x = np.array(values) / 10
    se = jackknife_se(lambda kept: x[kept].mean(), len(x), groups=groups)
    moved = jackknife_se(lambda kept: (5 - unit * x[kept]).mean(), len(x), groups=groups)
    assert moved == pytest.approx(unit * se, rel=1e-6, abs=1e-9 * unit)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_rows": 1}, "n_rows"),
        ({"n_rows": 9, "groups": 1}, "groups"),
        ({"n_rows": 3, "order": [0, 1, 1]}, "permutation"),
        ({"n_rows": 3, "order": [0, 1]}, "permutation"),
        ({"n_rows": 3, "order": [0.0, 1.0, 2.0]}, "permutation"),
    ],
)
def test_rows_that_can_not_be_grouped_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        jackknife_se(lambda kept: 0.0, **arguments)


@pytest.mark.parametrize("gone", [0, 2])
def test_a_statistic_that_is_not_finite_is_refused_with_the_place(gone):
    place = "all rows" if gone == 0 else "without group 1"
    calls = iter(range(9))
    with pytest.raises(InputError, match=place):
        jackknife_se(lambda kept: np.nan if next(calls) == gone else 1.0, 4)


def test_crossed_interval_without_row_error_is_the_t_interval():
    d = np.random.default_rng(5).normal(size=10)
    assert crossed_interval(d, 0.0) == pytest.approx(t_interval(d), rel=1e-12)


def test_crossed_interval_without_spread_over_pairs_has_the_degrees_of_freedom_of_the_groups():
    lo, hi = crossed_interval([0.5] * 5, 1.0, groups=10)
    assert (lo, hi) == pytest.approx((0.5 - 2.262157, 0.5 + 2.262157), abs=1e-6)
    assert crossed_interval([0.5] * 5, 0.0) == (0.5, 0.5)


def test_crossed_interval_uses_satterthwaites_degrees_of_freedom():
    # Equal parts, 4 and 99 degrees of freedom: (1 + 1)^2 / (1 / 4 + 1 / 99) = 15.379; t(.975) by interpolation 2.1269.
    d = np.array([-2.0, -1, 0, 1, 2])
    error = np.sqrt(d.var(ddof=1) / 5)
    lo, hi = crossed_interval(d, error)
    assert hi == pytest.approx(2.1269 * np.sqrt(2) * error, rel=2e-4)
    assert lo == -hi


@pytest.mark.parametrize(
    ("d", "row_se", "groups"),
    [([0.1], 0.1, 100), ([0.1, np.nan], 0.1, 100), ([1, 2], -0.1, 9), ([1, 2], np.nan, 9), ([1, 2], 0.1, 1)],
)
def test_crossed_interval_refuses_what_has_no_interval(d, row_se, groups):
    with pytest.raises(InputError, match="expected"):
        crossed_interval(d, row_se, groups=groups)


def test_clusters_are_left_out_whole_so_that_equal_rows_count_once():
    means = np.random.default_rng(3).normal(size=30)
    values = np.repeat(means, 7)
    mixed = np.random.default_rng(4).permutation(len(values))
    clusters = np.repeat(np.arange(30) * 5, 7)[mixed]
    found = jackknife_se(lambda kept: float(values[mixed][kept].mean()), len(values), clusters=clusters)
    assert found == pytest.approx(means.std(ddof=1) / np.sqrt(30))


def test_no_more_groups_are_made_than_there_are_clusters():
    seen = []
    jackknife_se(lambda kept: float(seen.append(len(kept)) or 0.0), 40, groups=10, clusters=np.arange(40) // 10)
    assert seen == [40, 30, 30, 30, 30]


def test_rows_that_are_clusters_of_their_own_change_nothing():
    values = np.random.default_rng(5).normal(size=23)
    order = np.random.default_rng(6).permutation(23)

    def spread(**options):
        return jackknife_se(lambda kept: float(np.median(values[kept])), 23, groups=5, order=order, **options)

    assert spread(clusters=np.arange(23)) == spread()


@pytest.mark.parametrize(
    ("clusters", "message"), [([0] * 9, "clusters that are not fixed"), ([0, 1], "received shape")]
)
def test_clusters_that_leave_nothing_to_compare_are_refused(clusters, message):
    with pytest.raises(InputError, match=message):
        jackknife_se(lambda kept: 0.0, 9, clusters=clusters)


@pytest.mark.parametrize(
    ("group", "weights", "expected"),
    [
        (np.arange(100), None, 100),
        (np.repeat(np.arange(20), 7), None, 20),
        ([-1, -1, 0, 0, 1, 1, 2, 2], None, 3),
        ([0] * 50 + [1, 2, 3], None, 2),
        (np.repeat(np.arange(5), [4, 2, 2, 1, 1]), None, 4),  # 10^2 / 26
        (np.arange(4), [9.0, 1.0, 1.0, 1.0], 2),  # 12^2 / 84
    ],
)
def test_groups_count_by_their_share(group, weights, expected):
    assert effective_groups(group, weights) == expected


@pytest.mark.parametrize(("group", "weights"), [([-1, -1], None), ([0, 1], [1.0]), ([0, 1], [1.0, 0.0]), ([], None)])
def test_groups_of_nothing_are_refused(group, weights):
    with pytest.raises(InputError, match="expected"):
        effective_groups(group, weights)


def test_rows_are_deleted_with_their_cluster_and_the_statistic_is_asked_without_each_group_once():
    clusters = np.repeat(np.arange(7), 3)
    together = deleted_together(21, groups=3, clusters=clusters, fixed=[0])
    asked = []

    def statistic(kept):
        asked.append(set(range(21)) - set(kept.tolist()))
        return 0.0

    jackknife_se(statistic, 21, groups=3, clusters=clusters, fixed=[0])
    assert asked[1:] == [set(np.flatnonzero(together == number).tolist()) for number in range(3)]
    assert together[0] == -1
