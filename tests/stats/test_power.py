"""Power of the paired t test against SciPy, published tables and simulation; pairs needed by their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regimen.errors import InputError
from regimen.stats import paired_power, pairs_needed


@pytest.mark.parametrize("level", [0.05, 0.003])
@pytest.mark.parametrize(("effect", "pairs"), [(0.0, 10), (0.3, 10), (0.7, 20), (1.0, 8), (2.0, 3), (0.2, 150)])
def test_power_is_that_of_the_noncentral_t_of_scipy(effect, pairs, level):
    critical = stats.t.isf(level / 2, pairs - 1)
    centre = effect * np.sqrt(pairs)
    expected = stats.nct.sf(critical, pairs - 1, centre) + stats.nct.cdf(-critical, pairs - 1, centre)
    found = paired_power(effect * 2, 2.0, pairs=pairs, level=level)
    assert found == pytest.approx(expected, abs=1e-4)  # the noncentral F of SciPy 1.13 is off by 2e-5


@pytest.mark.parametrize("effect", [5.0, -5.0, 1e3, 1e9, 1e300])
@pytest.mark.parametrize("sd", [0.0, 1.0])
def test_power_of_an_effect_that_nobody_could_miss_is_one(effect, sd):
    found = [paired_power(effect, sd, pairs=pairs) for pairs in range(10, 201)]
    assert found == pytest.approx(np.ones(191), abs=1e-9)


@pytest.mark.parametrize(("effect", "pairs", "level"), [(0.5, 10, 0.05), (1.0, 10, 0.01), (2.0, 4, 0.05)])
def test_power_is_the_share_of_simulated_t_tests_that_reject(effect, pairs, level, within_rate):
    d = np.random.default_rng(pairs).normal(effect, 1, size=(20_000, pairs))
    rejected = np.sum(stats.ttest_1samp(d, 0, axis=1).pvalue < level)
    assert within_rate(rejected, len(d), paired_power(effect, 1, pairs=pairs, level=level))


@pytest.mark.parametrize(("effect", "expected"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_needed_are_those_of_published_tables_at_five_percent(effect, expected):
    assert pairs_needed(1.0, effect, critical=stats.t.ppf(0.975, 9), n=10) == expected


@given(st.floats(0.01, 5), st.floats(1.5, 8), st.integers(3, 40))
def test_pairs_needed_is_the_first_number_that_reaches_eighty_percent(effect, critical, n):
    level = 2 * stats.t.sf(critical, n - 1)
    found = pairs_needed(1.0, effect, critical=critical, n=n)
    if found is None:
        assert paired_power(effect, 1.0, pairs=200, level=level) < 0.8
    else:
        assert paired_power(effect, 1.0, pairs=found, level=level) >= 0.8
        assert found == 2 or paired_power(effect, 1.0, pairs=found - 1, level=level) < 0.8


@given(st.floats(0.01, 5), st.floats(1e-9, 1e9))
def test_pairs_needed_does_not_depend_on_the_unit(effect, unit):
    near = {pairs_needed(1.0, effect * (1 + off), critical=3.0, n=10) for off in (-1e-9, 0, 1e-9)}
    assert pairs_needed(unit, effect * unit, critical=3.0, n=10) in near


@given(st.floats(1e-6, 1e6), st.floats(1e-8, 0.9), st.integers(2, 199))
def test_power_grows_with_pairs_effect_and_level(effect, level, pairs):
    power = paired_power(effect, 1.0, pairs=pairs, level=level)
    assert level - 1e-6 <= power <= 1
    assert paired_power(effect, 1.0, pairs=pairs + 1, level=level) >= power - 1e-6
    assert paired_power(effect * 1.1, 1.0, pairs=pairs, level=level) >= power - 1e-6
    assert paired_power(effect, 1.0, pairs=pairs, level=level * 1.1) >= power - 1e-6


@pytest.mark.parametrize(("level", "expected"), [(0, 0), (1, 1)])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1e9])
def test_a_level_of_zero_never_rejects_and_a_level_of_one_always(level, expected, effect):
    assert paired_power(effect, 1.0, pairs=10, level=level) == expected


@pytest.mark.parametrize(
    ("sd", "effect", "critical", "expected"),
    [
        (0.0, 0.01, 3.0, 2),
        (1e-200, 1e200, 3.0, 2),
        (0.01, 0.0, 3.0, None),
        (0.0, 0.0, 3.0, None),
        (0.0, 0.01, np.inf, None),
        (0.01, 0.01, np.inf, None),
        (1.0, 0.01, 3.0, None),
        (1.0, 0.001, 0.0, 2),
    ],
)
def test_pairs_needed_at_the_ends_of_its_range(sd, effect, critical, expected):
    assert pairs_needed(sd, effect, critical=critical, n=10) == expected


def test_pairs_needed_is_none_just_above_the_limit():
    assert pairs_needed(1.0, 0.5, critical=stats.t.ppf(0.975, 9), n=10, limit=34) == 34
    assert pairs_needed(1.0, 0.5, critical=stats.t.ppf(0.975, 9), n=10, limit=33) is None


@pytest.mark.parametrize(
    "wrong",
    [{"sd": -1.0}, {"sd": np.nan}, {"smallest_effect": -0.1}, {"critical": -1.0}, {"critical": np.nan}, {"n": 1}],
)
def test_pairs_needed_refuses_what_has_no_answer(wrong):
    arguments = {"sd": 1.0, "smallest_effect": 0.5, "critical": 2.0, "n": 10} | wrong
    with pytest.raises(InputError, match=f"expected {next(iter(wrong))} "):
        pairs_needed(**arguments)


@pytest.mark.parametrize(
    "wrong", [{"effect": np.nan}, {"sd": np.inf}, {"pairs": 1}, {"pairs": 2.5}, {"level": 5}, {"level": -1}]
)
def test_power_refuses_what_has_no_answer(wrong):
    arguments = {"effect": 1.0, "sd": 1.0, "pairs": 10} | wrong
    with pytest.raises(InputError, match=f"expected {next(iter(wrong))} "):
        paired_power(**arguments)
