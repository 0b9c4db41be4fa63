"""What tests and intervals promise, by simulation: error rates, coverage and power, against exact binomial bounds."""

import numpy as np
import pytest
from scipy import stats

from regimen.stats import (
    crossed_interval,
    effective_groups,
    judge,
    max_t,
    new_rows_interval,
    sign_flip_p,
    t_interval,
    verdict,
)


def covered(intervals, truth):
    return sum(lo <= truth <= hi for lo, hi in intervals)


def holm(p):
    """Adjusted p-values after Holm (1979)."""
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "unequal pairs"])
def test_sign_flip_p_is_uniform_under_the_null(kind, within_rate):
    stream = np.random.default_rng(11)
    n, studies = 8, 4000
    d = stream.standard_cauchy((studies, n)) if kind == "heavy tails" else stream.normal(size=(studies, n))
    if kind == "unequal pairs":
        d *= np.arange(1, n + 1)
    p = np.array([sign_flip_p(one) for one in d])
    # Values k / 2^(n-1), each with the same probability.
    for k in (1, 6, 13, 32, 64, 100):
        assert within_rate(np.sum(p <= k / 2 ** (n - 1) + 1e-12), studies, k / 2 ** (n - 1))


@pytest.mark.parametrize("shared", [0.0, 1.0, 3.0])
def test_max_t_makes_a_false_claim_in_exactly_its_share_of_studies(shared, within_rate):
    stream = np.random.default_rng(12)
    studies, n, arms = 3000, 10, 40
    d = shared * stream.normal(size=(studies, n, 1)) + stream.normal(size=(studies, n, arms)) * np.arange(1, arms + 1)
    claims = sum(max_t(one).p.min() < 0.05 for one in d)
    # The smallest p of a family is uniform on k / 512; the last below .05 is 25 / 512 = .0488.
    assert within_rate(claims, studies, 25 / 512)


def test_max_t_controls_false_claims_beside_true_effects(above_rate):
    stream = np.random.default_rng(13)
    studies, n, nulls = 2000, 10, 20
    d = stream.normal(size=(studies, n, 1)) + stream.normal(size=(studies, n, nulls + 5))
    d[..., nulls:] += 3
    claims = sum(max_t(one).p[:nulls].min() < 0.05 for one in d)
    assert not above_rate(claims, studies, 0.05)


def test_max_t_has_power_where_holm_can_have_none(above_rate):
    stream = np.random.default_rng(14)
    studies, n, arms = 300, 10, 26
    d = stream.normal(size=(studies, n, 1)) + stream.normal(size=(studies, n, arms))
    d[..., 0] += 4
    found = [max_t(one) for one in d]
    assert sum(holm(one.p_unadjusted)[0] < 0.05 for one in found) == 0
    assert above_rate(sum(one.p[0] < 0.05 for one in found), studies, 0.85)


@pytest.mark.parametrize(("n", "level"), [(2, 0.95), (8, 0.95), (10, 0.90), (30, 0.99)])
def test_t_interval_covers_the_mean_at_its_level(n, level, within_rate):
    d = np.random.default_rng(15).normal(0.3, 2, size=(4000, n))
    assert within_rate(covered((t_interval(one, level=level) for one in d), 0.3), len(d), level)


@pytest.mark.parametrize(("n_validation", "n_train"), [(250, 750), (100, 900), (500, 500)])
def test_new_rows_interval_covers_at_its_level_where_re_splits_correlate_as_it_assumes(
    n_validation, n_train, within_rate, above_rate
):
    stream = np.random.default_rng(16)
    studies, n = 4000, 10
    rho = n_validation / (n_validation + n_train)
    d = np.sqrt(rho) * stream.normal(size=(studies, 1)) + np.sqrt(1 - rho) * stream.normal(size=(studies, n)) + 0.3
    intervals = [new_rows_interval(one, n_validation=n_validation, n_train=n_train) for one in d]
    assert within_rate(covered(intervals, 0.3), studies, 0.95)
    missed = studies - covered((t_interval(one) for one in d), 0.3)
    assert above_rate(missed, studies, 0.10)  # what the correction is for


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_the_best_of_a_family_holds_on_new_rows_by_chance_in_few_studies(shared, above_rate):
    stream = np.random.default_rng(21)
    studies, n, arms, rho = 1000, 10, 30, 0.25

    def draw(pairs):
        return shared * stream.normal(size=(pairs, 1)) + stream.normal(size=(pairs, arms))

    claims = alone = 0
    for _ in range(studies):
        # What the rows of this table favour, the same in all re-splits, correlated as Nadeau and Bengio assume; beyond
        # the table no arm does anything.
        d = np.sqrt(rho) * draw(1) + np.sqrt(1 - rho) * draw(n)
        best = d.mean(axis=0).argmax()
        claims += max_t(d, widening=np.sqrt(1 + n / 3)).p_widened[best] < 0.05
        alone += new_rows_interval(d[:, best], n_validation=250, n_train=750)[0] > 0
    assert not above_rate(claims, studies, 0.05)
    assert above_rate(alone, studies, 0.10)  # what the adjustment is for


def test_an_interval_over_uneven_groups_covers_at_its_level(above_rate):
    stream = np.random.default_rng(22)
    studies, count = 1500, 8
    missed = {"effective": 0, "all": 0}
    for _ in range(studies):
        sizes = np.maximum(1, (30 * np.exp(stream.normal(size=count))).astype(int))
        sums = sizes * stream.normal(size=count) + np.sqrt(sizes) * stream.normal(size=count)
        n = sizes.sum()
        without = (sums.sum() - sums) / (n - sizes)
        row_se = np.sqrt(((1 - sizes / n) * (without - sums.sum() / n) ** 2).sum())  # jackknife_se of a mean
        pairs = sums.sum() / n + 0.02 * stream.normal(size=10)
        effective = effective_groups(np.repeat(np.arange(count), sizes))
        for name, groups in (("effective", effective), ("all", count)):
            low, high = crossed_interval(pairs, row_se, groups=groups)
            missed[name] += not low <= 0 <= high
    assert not above_rate(missed["effective"], studies, 0.05)
    assert above_rate(missed["all"], studies, 0.05)  # what it is for


def crossed_studies(key_sd, row_sd, noise_sd, seed):
    """Intervals of studies whose 10 pairs share 100 rows; the true mean is 0.3."""
    stream = np.random.default_rng(seed)
    for _ in range(3000):
        values = 0.3 + key_sd * stream.normal(size=(10, 1)) + row_sd * stream.normal(size=100)
        values = values + noise_sd * stream.normal(size=(10, 100))
        yield crossed_interval(values.mean(axis=1), values.mean(axis=0).std(ddof=1) / 10)


@pytest.mark.parametrize(("key_sd", "row_sd"), [(1.0, 0.0), (1.0, 5.0), (0.3, 10.0)])
def test_crossed_interval_covers_at_its_level_over_keys_and_rows(key_sd, row_sd, within_rate):
    assert within_rate(covered(crossed_studies(key_sd, row_sd, 0.0, seed=17), 0.3), 3000, 0.95)


@pytest.mark.parametrize(("key_sd", "row_sd"), [(0.0, 0.0), (1.0, 5.0)])
def test_crossed_interval_errs_on_the_wide_side_where_keys_and_rows_interact(key_sd, row_sd, above_rate):
    missed = 3000 - covered(crossed_studies(key_sd, row_sd, 20.0, seed=18), 0.3)
    assert not above_rate(missed, 3000, 0.05)


def test_no_difference_at_all_is_claimed_in_under_five_percent_of_studies_with_equal_arms(above_rate):
    stream = np.random.default_rng(18)
    studies, n, arms = 300, 10, 12
    noise = stream.normal(size=(studies, n, arms + 1))
    claims = 0
    for one in noise[..., 1:] - noise[..., :1]:
        found = judge(one, smallest_effect=0.1, n_train=750, n_validation=250, pilot=False)
        claims += any(arm.verdict in ("helps", "hurts") for arm in found)
    assert not above_rate(claims, studies, 0.05)


@pytest.mark.parametrize("side", [-1, 1])
def test_an_effect_that_matters_is_called_equivalent_in_at_most_five_percent_of_studies(side, within_rate):
    d = np.random.default_rng(19).normal(side * 1.0, 0.8, size=(4000, 10))
    called = sum(verdict(one, 1.0, 1.0, pilot=False) == "equivalent" for one in d)
    other_side = stats.nct.cdf(-stats.t.ppf(0.95, 9), 9, -2 * np.sqrt(10) / 0.8)
    assert other_side > 0.999  # only the near bound can fail, so the rate is 5 %
    assert within_rate(called, len(d), 0.05)
