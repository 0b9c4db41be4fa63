"""The exact bound that statistical tests compare a simulated rate with."""

from collections.abc import Callable

import pytest
from scipy import stats

# Per test, were its seed drawn anew. Seeds are fixed: a failure means that code or rate has changed.
FALSE_ALARM = 1e-5


@pytest.fixture
def within_rate() -> Callable[[int, int, float], bool]:
    """Tell whether a binomial of this rate gives such a count out of n, but for FALSE_ALARM (two-sided, exact)."""

    def check(count: int, n: int, rate: float) -> bool:
        return stats.binomtest(int(count), n, rate).pvalue > FALSE_ALARM

    return check


@pytest.fixture
def above_rate() -> Callable[[int, int, float], bool]:
    """Tell whether a count out of n proves a rate above this one, but for FALSE_ALARM (one-sided, exact)."""

    def check(count: int, n: int, rate: float) -> bool:
        return stats.binomtest(int(count), n, rate, alternative="greater").pvalue < FALSE_ALARM

    return check
