"""Sign-flip permutation tests of paired differences: of one arm, and of a whole family by max-|t|."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.stats.samples import Floats, checked_count, checked_family, checked_number, checked_sample

EXACT_PAIRS = 15  # 2^15 sign vectors take milliseconds; above, random ones are drawn
RANDOM_VECTORS = 100_000
FAMILY_ERROR = 0.05

# Sums that are equal on paper differ by rounding: accuracies of 10,000 rows carry 1e-16 in steps of 1e-4, 1e-12 of the
# step. Anything nearer than this share of sqrt(n * sum d^2) counts as a tie, which can only raise p.
_TIE = 1e-9
_BLOCK = 4096  # sign vectors at a time: bounds memory, and stays in cache


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MaxT:
    """What `max_t` found for the m arms of a family.

    Attributes:
        p: p-values adjusted for the family, shape `(m,)`, two-sided.
        p_widened: The same as `p`, with the observed |t| divided by `widening`.
        p_unadjusted: p-values of each arm alone, shape `(m,)`; the same as `sign_flip_p` of its column.
        critical: 95 % quantile of max |t| over the sign vectors, the smallest value that at most 5 % of them exceed;
            `inf` where those vectors make an arm's differences constant.
    """

    p: Floats
    p_widened: Floats
    p_unadjusted: Floats
    critical: float


def sign_flip_p(differences: npt.ArrayLike, *, seed: int = 0) -> float:
    """Two-sided sign-flip permutation p-value of paired differences.

    p = share of sign vectors s with |sum_i s_i d_i| >= |sum_i d_i|, over all 2^n of them up to n = 15 (the observed one
    included, so p >= 2 / 2^n); above, (1 + count) / (1 + 100,000) over random ones. It is exact whenever each d_i is
    symmetric around 0 under the null, whatever its distribution. The mean and t give the same p.

    Args:
        differences: Technique minus baseline, one per pair, shape `(n,)`, n >= 2.
        seed: Seed of the random sign vectors; not used up to n = 15.

    Returns:
        p in (0, 1]; 1 where all differences are 0.

    Raises:
        SampleError: Fewer than two pairs, another shape, or a value that is not finite.

    Example:
        >>> sign_flip_p([0.01, 0.02, 0.015, 0.03, 0.01, 0.02])
        0.03125

    Reference:
        Fisher (1935), The Design of Experiments, section 21. Phipson and Smyth (2010), Permutation p-values should
        never be zero, doi:10.2202/1544-6115.1585, equation 2 (add-one).
    """
    return float(max_t(checked_sample(differences)[:, np.newaxis], seed=seed).p[0])


def max_t(differences: npt.ArrayLike, *, widening: float = 1.0, seed: int = 0) -> MaxT:
    """Single-step max-|t| permutation over a family of arms that share their pairs.

    t_j = mean(d_j) / (sd(d_j) / sqrt(n)); p_j = share of sign vectors s with max_k |t_k(s)| >= |t_j|, where s_i changes
    the sign of all arms' differences of pair i together. That keeps the correlation between the arms, and controls the
    probability of any false verdict in the family. All-zero differences have t = 0, constant others t = inf.

    Args:
        differences: Technique minus baseline, shape `(n, m)`: n >= 2 pairs, m >= 1 arms.
        widening: How many times the standard error of a wider claim, about other rows, is that over these pairs, >= 1:
            `p_widened` is the p of the wider claim.
        seed: Seed of the random sign vectors; not used up to n = 15.

    Returns:
        Adjusted and unadjusted p-values, and the critical |t| of the family.

    Raises:
        SampleError: Fewer than two pairs, no arm, another shape, a value that is not finite, or an argument outside its
            range.

    Example:
        >>> shared = [[0.02, 0.01], [0.03, -0.01], [0.02, 0.00], [0.04, 0.01], [0.03, -0.02], [0.02, 0.01]]
        >>> found = max_t(shared)
        >>> found.p.tolist()
        [0.03125, 1.0]
        >>> round(found.critical, 2)
        3.87

    Reference:
        Westfall and Young (1993), Resampling-Based Multiple Testing, algorithm 2.5. Nichols and Holmes (2002),
        doi:10.1002/hbm.1058.

    Note:
        Not Holm: its floor, 2 / 2^n times the family, exceeds .05 above 25 arms at 10 pairs.
    """
    family = checked_family(differences)
    checked_number(widening, name="widening", low=1, high=1e100)
    checked_count(seed, name="seed", least=0)
    n = len(family)
    directions = _directions(family)
    observed = np.abs(directions.sum(axis=0))
    reached = observed - _TIE
    alone = np.zeros(family.shape[1], dtype=np.int64)
    blocks = []
    for signs in _exact_signs(n) if n <= EXACT_PAIRS else _random_signs(n, seed):
        scores = np.abs(signs @ directions)
        alone += (scores >= reached).sum(axis=0)
        blocks.append(scores.max(axis=1))
    if n > EXACT_PAIRS:
        alone += 1
        blocks.append(observed.max(keepdims=True))
    largest = np.sort(np.concatenate(blocks))
    total = len(largest)
    together = total - np.searchsorted(largest, reached, side="left")
    widened = total - np.searchsorted(largest, _widened(observed, widening) - _TIE, side="left")
    # Rounding up leaves at most 5 % above; 1e-9 keeps 0.95 * total = 486.4 + rounding from counting as 487.
    critical = largest[math.ceil((1 - FAMILY_ERROR) * total - 1e-9) - 1]
    return MaxT(
        p=together / total, p_widened=widened / total, p_unadjusted=alone / total, critical=_t_of(float(critical), n)
    )


def _directions(family: Floats) -> Floats:
    """Scale each arm so that the sum of its signed differences is r = sum(s d) / sqrt(n sum d^2), in [-1, 1].

    No sign vector changes sum d^2, and |t| = sqrt(n - 1) |r| / sqrt(1 - r^2) grows with |r|: comparing r is comparing
    t, without a division by zero variance.
    """
    # By the largest first, so that squares of tiny or huge differences neither vanish nor overflow.
    largest = np.abs(family).max(axis=0)
    scaled = family / np.where(largest > 0, largest, 1.0)
    norm = np.sqrt(len(family) * (scaled**2).sum(axis=0))
    return np.asarray(scaled / np.where(norm > 0, norm, 1.0), dtype=np.float64)


def _widened(r: Floats, widening: float) -> Floats:
    """Return the r of |t| / `widening`: of t^2 = (n - 1) r^2 / (1 - r^2), whatever n; of infinite t it stays 1."""
    rest = widening**2 * np.maximum((1 - r) * (1 + r), 0.0)
    return np.asarray(r / np.sqrt(np.where(r > 0, r**2 + rest, 1.0)), dtype=np.float64)


def _t_of(r: float, n: int) -> float:
    rest = (1 - r) * (1 + r)
    # A coefficient of variation below 1e-6 is a constant with rounding: differences of accuracies do that.
    return math.inf if rest < 1e-12 else math.sqrt((n - 1) / rest) * r


def _exact_signs(n: int) -> Iterator[Floats]:
    """Yield the 2^(n-1) sign vectors with last sign +1; their negatives have the same |t|, so shares stay the same."""
    total = 2 ** (n - 1)
    for start in range(0, total, _BLOCK):
        numbers = np.arange(start, min(start + _BLOCK, total))
        yield _as_signs((numbers[:, np.newaxis] >> np.arange(n)) & 1)


def _random_signs(n: int, seed: int) -> Iterator[Floats]:
    stream = np.random.default_rng(seed)
    for start in range(0, RANDOM_VECTORS, _BLOCK):
        rows = min(_BLOCK, RANDOM_VECTORS - start)
        yield _as_signs(stream.integers(0, 2, size=(rows, n), dtype=np.int8))


def _as_signs(bits: npt.NDArray[np.integer]) -> Floats:
    return np.where(bits, np.float64(-1), np.float64(1))
