"""Verdicts in their order, and the judgement of a family against its parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from regimen.errors import InputError
from regimen.stats import (
    judge,
    max_t,
    new_rows_interval,
    pairs_needed,
    probability_of_improvement,
    sign_flip_p,
    t_interval,
    verdict,
)

families = hnp.arrays(
    np.int64, st.tuples(st.integers(8, 9), st.integers(1, 4)), elements=st.integers(-3, 6), fill=st.nothing()
)
design = {"n_train": 750, "n_validation": 250, "pilot": False}
better = np.array([3, 4, 3, 5, 4, 3, 4, 2, 3, 4]) / 100
noisy = np.array([5, -4, 3, -5, 4, 3, -4, 2, -3, 4]) / 100


@pytest.mark.parametrize(
    ("d", "p", "smallest", "expected"),
    [
        (better, 0.01, 0.005, "helps"),
        (-better, 0.01, 0.005, "hurts"),
        (better, 0.05, 0.005, "unclear"),
        (better, 0.0499, 0.005, "helps"),
        (noisy, 0.90, 0.005, "unclear"),
        (noisy, 0.90, 0.05, "equivalent"),
        (better, 0.01, 0.10, "equivalent"),
        (better / 100, 0.90, 0.005, "equivalent"),
        (np.zeros(10), 1.0, 0.005, "equivalent"),
        (np.zeros(10), 1.0, 0.0, "equivalent"),
        (np.full(10, 0.25), 0.002, 0.25, "helps"),
    ],
)
def test_the_verdict_is_the_first_that_holds(d, p, smallest, expected):
    assert verdict(d, p, smallest, pilot=False) == expected
    assert verdict(d, p, smallest, pilot=True) == "unclear"


@pytest.mark.parametrize("sign", [-1, 1])
def test_equivalence_is_read_off_the_ninety_percent_interval(sign):
    _, hi = t_interval(better, level=0.90)
    assert verdict(sign * better, 1.0, hi * 1.0001, pilot=False) == "equivalent"
    assert verdict(sign * better, 1.0, hi * 0.9999, pilot=False) == "unclear"
    centred = sign * (better - better.mean() + 0.001)
    assert t_interval(centred, level=0.90)[0] < 0 < t_interval(centred, level=0.90)[1]
    widest = max(np.abs(t_interval(centred, level=0.90)))
    assert verdict(centred, 1.0, widest * 1.0001, pilot=False) == "equivalent"
    assert verdict(centred, 1.0, widest * 0.9999, pilot=False) == "unclear"


def test_a_judgement_is_made_of_its_parts():
    stream = np.random.default_rng(0)
    d = stream.normal(size=(10, 1)) + stream.normal(size=(10, 3)) + np.array([0, 1, 5])
    # t is delta over the standard error of ci_new_rows, sqrt(1 / 10 + 250 / 750) where that of ci has sqrt(1 / 10).
    family = max_t(d, widening=np.sqrt((1 / 10 + 250 / 750) / (1 / 10)))
    judged = judge(d, smallest_effect=0.5, **design)
    assert [found.p_new_rows for found in judged] == pytest.approx(family.p_widened.tolist())
    for column, found, p_adjusted in zip(d.T, judged, family.p, strict=True):
        assert found.delta == pytest.approx(column.mean())
        assert found.ci == t_interval(column)
        assert found.ci_new_rows == new_rows_interval(column, n_validation=250, n_train=750)
        assert found.p == sign_flip_p(column)
        assert found.p_adjusted == p_adjusted
        assert found.probability_of_improvement == probability_of_improvement(column)
        assert found.verdict == verdict(column, p_adjusted, 0.5, pilot=False)
        critical = min(family.critical, stats.t.ppf(1 - 0.05 / 6, 9))
        assert found.pairs_needed == pairs_needed(column.std(ddof=1), 0.5, critical=critical, n=10)


def test_a_judgement_holds_plain_numbers_that_json_can_write():
    found = judge(np.column_stack([better, noisy]), smallest_effect=0.01, **design)[0]
    assert {type(value) for value in (found.delta, found.p, found.p_new_rows, *found.ci, *found.ci_new_rows)} == {float}
    assert type(found.pairs_needed) is int
    assert type(found.probability_of_improvement) is float


def test_a_pilot_has_numbers_but_no_verdict():
    d = np.column_stack([np.zeros(5), np.full(5, 0.2)])
    found = judge(d, smallest_effect=0.01, n_train=75, n_validation=25, pilot=True)
    assert [arm.verdict for arm in found] == ["unclear", "unclear"]
    assert [arm.delta for arm in found] == pytest.approx([0, 0.2])


def test_an_arm_that_gains_alike_in_all_pairs_of_a_pilot_leaves_the_pairs_that_others_need_a_number():
    noisy_arm = np.array([0.02, 0.0, 0.01])
    [_, found] = judge(np.column_stack([np.full(3, 0.01), noisy_arm]), smallest_effect=0.01, **design | {"pilot": True})
    # The level of Bonferroni: the sign vectors alone say that no |t| suffices.
    assert max_t(np.full((3, 1), 0.01)).critical == np.inf
    assert found.pairs_needed == pairs_needed(0.01, 0.01, critical=stats.t.ppf(1 - 0.05 / 4, 2), n=3) == 13


def test_the_seed_reaches_the_random_sign_vectors():
    d = np.random.default_rng(1).normal(0.4, 1, size=(16, 1))
    first, again, other = (judge(d, smallest_effect=0.1, seed=seed, **design)[0].p for seed in (1, 1, 2))
    assert first == again != other


@given(families, st.data())
def test_permuting_arms_permutes_judgements(d, data):
    order = data.draw(st.permutations(range(d.shape[1])))
    found = judge(d, smallest_effect=1.0, **design)
    moved = judge(d[:, order], smallest_effect=1.0, **design)
    assert [(one.verdict, one.p_adjusted, one.delta) for one in moved] == [
        (found[arm].verdict, found[arm].p_adjusted, found[arm].delta) for arm in order
    ]


@given(families)
def test_flipping_all_signs_flips_delta_and_turns_help_into_harm(d):
    turned = {"helps": "hurts", "hurts": "helps", "equivalent": "equivalent", "unclear": "unclear"}
    for one, flipped in zip(
        judge(d, smallest_effect=1.003, **design), judge(-d, smallest_effect=1.003, **design), strict=True
    ):
        assert flipped.delta == -one.delta
        assert flipped.ci == pytest.approx((-one.ci[1], -one.ci[0]))
        assert (flipped.p, flipped.p_adjusted) == (one.p, one.p_adjusted)
        assert flipped.probability_of_improvement == pytest.approx(1 - one.probability_of_improvement)
        assert flipped.verdict == turned[one.verdict]
        assert flipped.pairs_needed == one.pairs_needed


@given(families, st.sampled_from([1e-4, 0.01, 0.37, 250.0]))
def test_verdicts_do_not_depend_on_the_unit(d, unit):
    plain = judge(d, smallest_effect=1.003, **design)
    scaled = judge(d * unit, smallest_effect=1.003 * unit, **design)
    assert [one.verdict for one in scaled] == [one.verdict for one in plain]
    assert [one.p_adjusted for one in scaled] == [one.p_adjusted for one in plain]
    assert [one.delta for one in scaled] == pytest.approx([one.delta * unit for one in plain])


@pytest.mark.parametrize("bad", [[], [[0.1]], [[], []], [0.1, 0.2], [[0.1, np.nan], [0.1, 0.2]], [[np.inf], [1]]])
def test_a_family_that_can_not_be_judged_is_refused(bad):
    with pytest.raises(InputError, match="expected"):
        judge(bad, smallest_effect=0.01, **design)


@pytest.mark.parametrize(
    "wrong", [{"smallest_effect": -1}, {"smallest_effect": np.nan}, {"n_train": 0}, {"n_validation": 0}, {"seed": -1}]
)
def test_arguments_that_a_judgement_can_not_use_are_refused(wrong):
    arguments = {"smallest_effect": 0.01, **design} | wrong
    with pytest.raises(InputError, match=f"expected {next(iter(wrong))} "):
        judge([[0.1], [0.2]], **arguments)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_a_p_value_that_is_no_probability_is_refused(p):
    with pytest.raises(InputError, match="p_adjusted"):
        verdict(better, p, 0.01, pilot=False)
