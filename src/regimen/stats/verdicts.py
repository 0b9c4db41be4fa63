"""From paired differences to a verdict: helps, hurts, equivalent or unclear, and the numbers behind it."""

import math
from dataclasses import dataclass

import numpy.typing as npt
from scipy.special import stdtrit

from regimen.records import Interval, Verdict
from regimen.stats.intervals import new_rows_interval, probability_of_improvement, t_interval
from regimen.stats.permutation import FAMILY_ERROR, max_t
from regimen.stats.power import pairs_needed
from regimen.stats.samples import checked_count, checked_family, checked_number, checked_sample

EQUIVALENCE_LEVEL = 0.90  # two one-sided tests at 5 % each


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the pairs say about one arm against the baseline; fields as in `records.TechniqueRecord`.

    Attributes:
        delta: Mean difference, > 0 when better.
        ci: 95 % t interval of `delta`, unadjusted.
        ci_new_rows: The same for new rows (Nadeau and Bengio).
        p: Sign-flip permutation p-value of the arm alone.
        p_adjusted: Max-|t| p-value within the family.
        p_new_rows: The same for new rows: with the standard error of `ci_new_rows`.
        probability_of_improvement: Share of pairs in which the arm is better, ties one half.
        verdict: The verdict, on this table.
        pairs_needed: Pairs for 80 % power at the smallest effect of interest and the family's level, at least
            Bonferroni's; None above 200.
    """

    delta: float
    ci: Interval
    ci_new_rows: Interval
    p: float
    p_adjusted: float
    p_new_rows: float
    probability_of_improvement: float
    verdict: Verdict
    pairs_needed: int | None


def verdict(differences: npt.ArrayLike, p_adjusted: float, smallest_effect: float, *, pilot: bool) -> Verdict:
    """Verdict on one arm, the first of these that holds.

    1. A pilot (fewer than 8 pairs): unclear.
    2. All differences 0, or the 90 % t interval strictly inside -+ `smallest_effect`: equivalent.
    3. `p_adjusted` < .05: helps where the mean is > 0, else hurts.
    4. Else unclear.

    Equivalence comes before the test: an effect may be real and too small to matter.

    Args:
        differences: Technique minus baseline, one per pair, shape `(n,)`, n >= 2.
        p_adjusted: p-value within the family, in [0, 1].
        smallest_effect: Smallest effect of interest, >= 0, in the unit of the differences.
        pilot: Whether the study is a pilot.

    Raises:
        SampleError: Fewer than two pairs, a value that is not finite, or an argument outside its range.

    Example:
        >>> better = [0.02, 0.03, 0.02, 0.04, 0.03, 0.02, 0.03, 0.02]
        >>> verdict(better, 0.01, 0.005, pilot=False)
        'helps'
        >>> verdict(better, 0.01, 0.005, pilot=True)
        'unclear'
        >>> verdict(better, 0.01, 0.050, pilot=False)
        'equivalent'

    Reference:
        Schuirmann (1987), two one-sided tests, doi:10.1007/BF01068419.
    """
    sample = checked_sample(differences)
    checked_number(p_adjusted, name="p_adjusted", low=0, high=1)
    checked_number(smallest_effect, name="smallest_effect", low=0)
    if pilot:
        return "unclear"
    lo, hi = t_interval(sample, level=EQUIVALENCE_LEVEL)
    if not sample.any() or -smallest_effect < lo <= hi < smallest_effect:
        return "equivalent"
    if p_adjusted < FAMILY_ERROR:
        return "helps" if sample.mean() > 0 else "hurts"
    return "unclear"


def judge(
    differences: npt.ArrayLike,
    *,
    smallest_effect: float,
    n_train: int,
    n_validation: int,
    pilot: bool,
    seed: int = 0,
) -> list[Judgement]:
    """Judge every arm of a family over its shared pairs.

    Args:
        differences: Technique minus baseline, shape `(n, m)`: n >= 2 pairs, m >= 1 arms, > 0 when better. All arms of
            the family at once: the adjustment depends on them.
        smallest_effect: Smallest effect of interest, >= 0, in the unit of the differences.
        n_train: Rows of the training part, >= 1.
        n_validation: Rows of the validation part, >= 1.
        pilot: Whether the study is a pilot; then every verdict is unclear.
        seed: Seed of the random sign vectors; not used up to 15 pairs.

    Returns:
        One judgement per arm, in order.

    Raises:
        SampleError: Fewer than two pairs, no arm, a value that is not finite, or an argument outside its range.

    Example:
        >>> found = judge([[0.02, 0.0]] * 4 + [[0.03, 0.0]] * 4, smallest_effect=0.005, n_train=750, n_validation=250,
        ...               pilot=False)
        >>> [one.verdict for one in found]
        ['helps', 'equivalent']
        >>> found[0].p_adjusted
        0.0078125

    Reference:
        Westfall and Young (1993), Resampling-Based Multiple Testing, algorithm 2.5.
    """
    family = checked_family(differences)
    checked_count(n_train, name="n_train", least=1)
    checked_count(n_validation, name="n_validation", least=1)
    tested = max_t(family, widening=math.sqrt(1 + len(family) * n_validation / n_train), seed=seed)
    # Few sign vectors leave a critical |t| of hundreds, or none: in a pilot one arm that gains alike in all pairs would
    # let no number of pairs suffice for any other. No adjustment for a family needs to be stricter than Bonferroni's.
    bonferroni = -float(stdtrit(len(family) - 1, FAMILY_ERROR / (2 * family.shape[1])))
    critical = min(tested.critical, bonferroni)
    return [
        Judgement(
            delta=float(sample.mean()),
            ci=t_interval(sample),
            ci_new_rows=new_rows_interval(sample, n_validation=n_validation, n_train=n_train),
            p=float(alone),
            p_adjusted=float(together),
            p_new_rows=float(new_rows),
            probability_of_improvement=probability_of_improvement(sample),
            verdict=verdict(sample, float(together), smallest_effect, pilot=pilot),
            pairs_needed=pairs_needed(float(sample.std(ddof=1)), smallest_effect, critical=critical, n=len(family)),
        )
        for sample, alone, together, new_rows in zip(
            family.T, tested.p_unadjusted, tested.p, tested.p_widened, strict=True
        )
    ]
