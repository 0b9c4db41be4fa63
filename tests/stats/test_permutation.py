"""Sign-flip permutation tests against SciPy, against enumeration by hand, and their laws."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from regimen.errors import InputError
from regimen.stats import max_t, sign_flip_p

# Rows of a validation part that an arm gains or loses: whole numbers with many ties and zeros.
families = hnp.arrays(
    np.int64, st.tuples(st.integers(2, 7), st.integers(1, 5)), elements=st.integers(-6, 6), fill=st.nothing()
)


def draw(n, m, seed):
    """Arms that share a baseline, hence correlated."""
    stream = np.random.default_rng(seed)
    return stream.normal(size=(n, 1)) + stream.normal(size=(n, m))


def t_by_scipy(differences):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # zero variance
        return np.abs(np.nan_to_num(stats.ttest_1samp(differences, 0).statistic, nan=0.0, posinf=np.inf))


def max_t_by_enumeration(differences):
    """All sign vectors one by one, t by SciPy, ties within 1e-8: adjusted p, single p, all max |t|."""
    observed = t_by_scipy(differences) * (1 - 1e-8)
    flipped = [
        t_by_scipy(np.array(s)[:, None] * differences) for s in itertools.product([1, -1], repeat=len(differences))
    ]
    largest = np.max(flipped, axis=1)
    return (largest[:, None] >= observed).mean(axis=0), (np.array(flipped) >= observed).mean(axis=0), largest


def all_sums(differences):
    """|sum s_i d_i| over all 2^n sign vectors, by doubling."""
    sums = np.zeros((1, *differences.shape[1:]))
    for row in differences:
        sums = np.concatenate([sums + row, sums - row])
    return np.abs(sums)


@pytest.mark.parametrize("widening", [1.0, 2.0817, 50.0])
def test_a_wider_claim_compares_the_divided_t_with_the_same_sign_vectors(widening):
    d = draw(8, 4, 3) + np.array([0, 1, 2, 8])
    _, _, largest = max_t_by_enumeration(d)
    found = max_t(d, widening=widening)
    np.testing.assert_allclose(found.p_widened, [(largest >= t / widening * (1 - 1e-8)).mean() for t in t_by_scipy(d)])
    assert (widening == 1) == np.array_equal(found.p_widened, found.p)


def test_differences_that_do_not_vary_hold_as_widely_as_claimed_and_those_of_zero_not_at_all():
    d = np.column_stack([np.full(8, 0.01), np.zeros(8)])
    assert max_t(d, widening=100).p_widened.tolist() == [2 / 2**8, 1]


@pytest.mark.parametrize("widening", [0.99, np.nan, np.inf])
def test_no_claim_is_narrower_than_that_about_the_pairs(widening):
    with pytest.raises(InputError, match="expected widening"):
        max_t([[0.1], [0.2]], widening=widening)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 11])
@pytest.mark.parametrize("kind", ["continuous", "tied"])
def test_sign_flip_agrees_with_the_exact_permutation_test_of_scipy(n, kind):
    stream = np.random.default_rng(n)
    d = stream.normal(0.4, 1, n) if kind == "continuous" else stream.integers(-2, 4, n) / 360
    expected = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(d) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("n", range(2, 16))
def test_sign_flip_of_differences_with_one_sign_reaches_its_exact_floor(n):
    assert sign_flip_p(np.linspace(0.01, 0.02, n)) == 2 / 2**n


@pytest.mark.parametrize("n", [2, 10, 15, 16, 30])
def test_differences_that_are_all_zero_have_p_one(n):
    assert sign_flip_p(np.zeros(n)) == 1
    assert max_t(np.zeros((n, 3))).p.tolist() == [1, 1, 1]


def test_sums_equal_on_paper_count_as_ties_despite_rounding():
    assert 0.1 + 0.2 - 0.3 != 0
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1


@pytest.mark.parametrize("rows", [30, 97, 360, 10_000])
def test_differences_of_accuracies_have_the_p_of_the_counted_rows(rows):
    stream = np.random.default_rng(rows)
    hits, baseline = (stream.integers(int(rows * 0.7), int(rows * 0.8) + 1, size=(9, 6)) for _ in range(2))
    exact, rounded = max_t(hits - baseline), max_t(hits / rows - baseline / rows)
    np.testing.assert_array_equal(rounded.p, exact.p)
    np.testing.assert_array_equal(rounded.p_unadjusted, exact.p_unadjusted)
    assert rounded.critical == pytest.approx(exact.critical, rel=1e-9)


def test_random_sign_vectors_above_15_pairs_use_the_add_one_correction():
    assert sign_flip_p(np.full(60, 0.01)) == 1 / 100_001
    assert max_t(np.full((60, 2), 0.01)).p_unadjusted.tolist() == [1 / 100_001] * 2


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6])
def test_random_sign_vectors_estimate_the_exact_p(shift, within_rate):
    d = np.random.default_rng(5).normal(shift, 1, 17)
    exact = float(np.mean(all_sums(d) >= abs(d.sum()) * (1 - 1e-12)))
    assert within_rate(round(sign_flip_p(d) * 100_001) - 1, 100_000, exact)


def test_random_sign_vectors_estimate_the_exact_adjusted_p_and_critical_value(within_rate):
    d = draw(16, 4, seed=3) + np.array([0, 0.3, 0.5, 0.8])
    scale = np.sqrt((d**2).sum(axis=0) * len(d))
    largest = (all_sums(d) / scale).max(axis=1)
    found = max_t(d, seed=1)
    for p, r in zip(found.p, np.abs(d.sum(axis=0)) / scale, strict=True):
        assert within_rate(round(p * 100_001) - 1, 100_000, float(np.mean(largest >= r - 1e-12)))
    r_critical = found.critical / np.sqrt(len(d) - 1 + found.critical**2)
    assert within_rate(round(0.05 * 100_000), 100_000, float(np.mean(largest > r_critical)))


def test_the_seed_decides_the_random_sign_vectors_and_nothing_else():
    d = draw(16, 3, seed=8)
    assert max_t(d, seed=1).p.tolist() == max_t(d, seed=1).p.tolist()
    assert max_t(d, seed=1).p.tolist() != max_t(d, seed=2).p.tolist()
    assert max_t(d[:15], seed=1).p.tolist() == max_t(d[:15], seed=2).p.tolist()


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_max_t_agrees_with_an_enumeration_of_t_tests_by_scipy(n):
    d = draw(n, 5, seed=n) + np.array([0, 0, 0.5, 1, 3])
    p, alone, largest = max_t_by_enumeration(d)
    found = max_t(d)
    np.testing.assert_allclose(found.p, p, rtol=1e-12)
    np.testing.assert_allclose(found.p_unadjusted, alone, rtol=1e-12)
    assert found.critical == pytest.approx(np.quantile(largest, 0.95, method="inverted_cdf"), rel=1e-9)


def test_zero_and_constant_differences_have_t_zero_and_infinity():
    d = np.column_stack([np.zeros(6), np.full(6, 0.1), draw(6, 1, seed=0)[:, 0], np.full(6, -0.3)])
    p, alone, _ = max_t_by_enumeration(d)
    found = max_t(d)
    np.testing.assert_allclose(found.p, p)
    np.testing.assert_allclose(found.p_unadjusted, alone)
    assert found.p[0] == 1
    assert found.p[1] == found.p[3] == 2 / 2**6


def test_critical_is_infinite_where_constant_differences_decide_it_and_zero_where_all_are_zero():
    assert max_t(np.full((4, 2), 0.1)).critical == np.inf  # 2 of 16 sign vectors leave them constant: 12.5 %
    assert max_t([[0.95 - 0.94], [0.97 - 0.96], [0.31 - 0.30]]).critical == np.inf  # constant but for rounding
    assert max_t([[0.01], [0.01 * (1 + 1e-7)], [0.01 * (1 - 1e-7)]]).critical == np.inf
    assert max_t(np.zeros((10, 2))).critical == 0


@pytest.mark.parametrize("m", [1, 3, 40])
def test_critical_is_the_smallest_t_that_at_most_five_percent_of_sign_vectors_exceed(m):
    d = draw(8, m, seed=m)
    *_, largest = max_t_by_enumeration(d)
    critical = max_t(d).critical
    assert np.mean(largest > critical * (1 + 1e-9)) <= 0.05 < np.mean(largest >= critical * (1 - 1e-9))


@given(families)
def test_each_arm_alone_has_the_p_of_its_own_sign_flip_test(d):
    expected = [sign_flip_p(column) for column in d.T]
    assert max_t(d).p_unadjusted.tolist() == expected
    assert max_t(d[:, :1]).p[0] == expected[0]


@given(families, st.data())
def test_permuting_arms_permutes_p_and_permuting_pairs_changes_nothing(d, data):
    arms = data.draw(st.permutations(range(d.shape[1])))
    pairs = data.draw(st.permutations(range(len(d))))
    found = max_t(d)
    assert max_t(d[:, arms]).p.tolist() == found.p[arms].tolist()
    assert max_t(d[pairs]).p.tolist() == found.p.tolist()
    assert max_t(d[pairs][:, arms]).critical == pytest.approx(found.critical, rel=1e-9)


@given(families, st.data())
def test_flipping_all_signs_of_a_pair_or_of_an_arm_leaves_p_where_t_is_unchanged(d, data):
    arms = np.array(data.draw(st.lists(st.sampled_from([-1, 1]), min_size=d.shape[1], max_size=d.shape[1])))
    assert max_t(-d).p.tolist() == max_t(d).p.tolist()
    assert max_t(d * arms).p_unadjusted.tolist() == max_t(d).p_unadjusted.tolist()
    assert max_t(d * arms).p.tolist() == max_t(d).p.tolist()


@given(families, st.data())
def test_p_does_not_depend_on_the_unit_of_any_arm(d, data):
    unit = st.floats(1e-200, 1e200)
    units = np.array(data.draw(st.lists(unit, min_size=d.shape[1], max_size=d.shape[1])))
    found, scaled = max_t(d), max_t(d * units)
    assert scaled.p.tolist() == found.p.tolist()
    assert scaled.critical == pytest.approx(found.critical, rel=1e-9)


@given(families)
def test_adjusted_p_lies_between_the_p_of_the_arm_alone_and_one(d):
    found = max_t(d)
    assert np.all(found.p_unadjusted >= 2 / 2 ** len(d))
    assert np.all(found.p_unadjusted <= found.p)
    assert np.all(found.p <= 1)


@given(families)
def test_another_arm_never_lowers_p_and_a_copy_of_an_arm_leaves_it(d):
    fewer = max_t(d[:, :-1]).p if d.shape[1] > 1 else np.array([])
    assert np.all(fewer <= max_t(d).p[:-1])
    assert max_t(np.column_stack([d, d[:, 0]])).p[:-1].tolist() == max_t(d).p.tolist()


@pytest.mark.parametrize("test", [sign_flip_p, lambda d: max_t(np.asarray(d)[..., None])])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "at least 2 pairs, received 0"),
        ([0.1], "at least 2 pairs, received 1"),
        ([0.1, np.nan, 0.2], r"received nan at \[1"),
        ([0.1, 0.2, -np.inf], r"received -inf at \[2"),
        ([[[0.1]], [[0.2]]], "received shape"),
        (["a", "b"], "array of numbers"),
    ],
)
def test_differences_that_no_p_can_be_computed_from_are_refused(test, bad, message):
    with pytest.raises(InputError, match=message):
        test(bad)


def test_a_family_without_arms_and_a_negative_seed_are_refused():
    with pytest.raises(InputError, match="at least one arm"):
        max_t(np.zeros((10, 0)))
    with pytest.raises(InputError, match="seed"):
        sign_flip_p(np.ones(20), seed=-1)
