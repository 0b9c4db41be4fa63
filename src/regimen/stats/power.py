"""Power of the paired t test, and the number of pairs that a study would need."""

import numpy as np
import numpy.typing as npt
from scipy.special import chdtr, ncfdtr, stdtr, stdtrit

from regimen.stats.samples import Floats, checked_count, checked_number

POWER = 0.80
_FAR = 1e4


def paired_power(effect: float, sd: float, *, pairs: int, level: float = 0.05) -> float:
    """Power of the two-sided paired t test.

    P(|T| > c), with T noncentral t of pairs - 1 degrees of freedom and noncentrality sqrt(pairs) * effect / sd, and c
    the critical value of the level.

    Args:
        effect: True mean difference; its sign does not matter.
        sd: Standard deviation of the differences, >= 0; at 0 any effect is found.
        pairs: Number of pairs, >= 2.
        level: Two-sided significance level, in [0, 1].

    Returns:
        A probability in [0, 1].

    Raises:
        SampleError: An argument outside its range.

    Example:
        >>> round(paired_power(0.5, 1.0, pairs=34), 3)
        0.808

    Reference:
        Johnson, Kotz and Balakrishnan (1995), Continuous Univariate Distributions 2, section 31.2.
    """
    checked_number(effect, name="effect", low=-1e300, high=1e300)
    checked_number(sd, name="sd", low=0, high=1e300)
    checked_number(level, name="level", low=0, high=1)
    count = checked_count(pairs, name="pairs", least=2)
    return float(_power(abs(effect), sd, np.array([count]), level)[0])


def pairs_needed(sd: float, smallest_effect: float, *, critical: float, n: int, limit: int = 200) -> int | None:
    """Smallest number of pairs with 80 % power for the smallest effect, at the study's adjusted level.

    The level is 2 (1 - T_{n-1}(critical)): that of a single t test with the critical value which the family of n pairs
    had. It is held while pairs are added.

    Args:
        sd: Standard deviation of the paired differences, >= 0, as the study found it.
        smallest_effect: Smallest effect of interest, >= 0, in the same unit; 0 can never be found.
        critical: Critical |t| of the family, `MaxT.critical`, >= 0 or inf.
        n: Pairs that `critical` was computed from, >= 2.
        limit: Largest answer, >= 2.

    Returns:
        A number from 2 to `limit`, or None above it. Below 8 the default study suffices.

    Raises:
        SampleError: An argument outside its range.

    Example:
        >>> pairs_needed(0.01, 0.005, critical=2.262, n=10)
        34
        >>> pairs_needed(0.01, 0.005, critical=4.0, n=10)
        63
        >>> pairs_needed(0.1, 0.005, critical=4.0, n=10) is None
        True

    Reference:
        Johnson, Kotz and Balakrishnan (1995), Continuous Univariate Distributions 2, section 31.2.
    """
    checked_number(sd, name="sd", low=0, high=1e300)
    checked_number(smallest_effect, name="smallest_effect", low=0, high=1e300)
    checked_number(critical, name="critical", low=0)
    df = checked_count(n, name="n", least=2) - 1
    last = checked_count(limit, name="limit", least=2)
    level = 2 * float(stdtr(df, -critical))
    counts = np.arange(2, last + 1)
    enough = np.flatnonzero(_power(smallest_effect, sd, counts, level) >= POWER)
    return int(counts[enough[0]]) if len(enough) else None


def _power(effect: float, sd: float, pairs: npt.NDArray[np.int64], level: float) -> Floats:
    # At level 0 SciPy's quantile is NaN or has the wrong sign, by version; at 1 the critical value is 0.
    if effect == 0 or level in (0, 1):
        return np.full(pairs.shape, float(level))
    df = pairs - 1
    critical = -stdtrit(df, level / 2)
    # 1e100: beyond any critical value, and its square still is a number. sd may be 0, so compare before dividing.
    ratio = effect / sd if effect < 1e100 * sd else 1e100
    centre = np.sqrt(pairs) * ratio
    # T^2 is noncentral F, which gives both tails at once; SciPy's noncentral t is NaN wherever one tail is negligible.
    power = 1 - ncfdtr(1, df, np.minimum(centre, _FAR) ** 2, critical**2)
    # That too is NaN close to power 1, and takes a second at noncentralities of 1e7. Far out T is noncentrality over
    # sqrt(chi^2 / df), to 1 / noncentrality, so |T| > c exactly where chi^2 < df (noncentrality / c)^2.
    limit = chdtr(df, df * (centre / critical) ** 2)
    return np.asarray(np.where((centre > _FAR) | np.isnan(power), limit, power), dtype=np.float64)
