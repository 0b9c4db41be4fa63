"""Intervals of the mean paired difference, on these rows and on new ones, and the probability of improvement."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from regimen.records import Interval
from regimen.stats.samples import checked_count, checked_number, checked_sample


def student_interval(centre: float, standard_error: float, *, df: float, level: float = 0.95) -> Interval:
    """Two-sided Student interval: centre -+ t_{df, (1 + level) / 2} * standard_error.

    Args:
        centre: Estimate.
        standard_error: Its standard error, >= 0.
        df: Degrees of freedom of the standard error, > 0.
        level: Coverage, in (0, 1).

    Raises:
        SampleError: An argument outside its range.

    Example:
        >>> lo, hi = student_interval(0.0, 1.0, df=9)
        >>> round(hi, 3)
        2.262

    Reference:
        Student (1908), The probable error of a mean, doi:10.1093/biomet/6.1.1.
    """
    checked_number(level, name="level", low=0, high=1, open_ends=True)
    checked_number(standard_error, name="standard_error", low=0)
    checked_number(df, name="df", low=0, open_ends=True)
    # The lower tail keeps its digits near level 1, where (1 + level) / 2 rounds.
    half = -float(stdtrit(df, (1 - level) / 2)) * standard_error
    return (centre - half, centre + half)


def t_interval(differences: npt.ArrayLike, *, level: float = 0.95) -> Interval:
    """Interval of the mean difference over re-splits and training keys of the same table.

    mean(d) -+ t_{n-1} * sd(d) / sqrt(n). It says nothing about other rows of the same kind: re-splits share rows, so
    their differences are correlated. `new_rows_interval` allows for that.

    Args:
        differences: Technique minus baseline, one per pair, shape `(n,)`, n >= 2.
        level: Coverage, in (0, 1).

    Raises:
        SampleError: Fewer than two pairs, a value that is not finite, or a level outside (0, 1).

    Example:
        >>> lo, hi = t_interval([0.01, 0.02, 0.03])
        >>> round(lo, 4), round(hi, 4)
        (-0.0048, 0.0448)

    Reference:
        Student (1908), doi:10.1093/biomet/6.1.1.
    """
    sample = checked_sample(differences)
    n = len(sample)
    return student_interval(float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(n), df=n - 1, level=level)


def new_rows_interval(differences: npt.ArrayLike, *, n_validation: int, n_train: int, level: float = 0.95) -> Interval:
    """Interval of the mean difference on new rows of the same kind: the corrected resampled t.

    mean(d) -+ t_{n-1} * sd(d) * sqrt(1 / n + n_validation / n_train). Re-splits of one table overlap; taking their
    correlation as n_validation / (n_validation + n_train) turns 1 / n into the sum above. It does not shrink to 0 with
    more pairs, only with more rows.

    Args:
        differences: Technique minus baseline, one per pair, shape `(n,)`, n >= 2.
        n_validation: Rows of the validation part, >= 1.
        n_train: Rows of the training part, >= 1.
        level: Coverage, in (0, 1).

    Raises:
        SampleError: Fewer than two pairs, a value that is not finite, or an argument outside its range.

    Example:
        >>> lo, hi = new_rows_interval([0.01, 0.02, 0.03], n_validation=250, n_train=750)
        >>> round(lo, 4), round(hi, 4)
        (-0.0151, 0.0551)

    Reference:
        Nadeau and Bengio (2003), Inference for the generalization error, doi:10.1023/A:1024068626366, section 3.1.
    """
    sample = checked_sample(differences)
    checked_count(n_validation, name="n_validation", least=1)
    checked_count(n_train, name="n_train", least=1)
    n = len(sample)
    error = float(sample.std(ddof=1)) * math.sqrt(1 / n + n_validation / n_train)
    return student_interval(float(sample.mean()), error, df=n - 1, level=level)


def probability_of_improvement(differences: npt.ArrayLike) -> float:
    """Share of pairs in which the technique is better, ties counted one half: P(d > 0) + P(d = 0) / 2.

    Args:
        differences: Technique minus baseline, one per pair, shape `(n,)`, n >= 2.

    Returns:
        A share in [0, 1]; 0.5 where the technique changes nothing.

    Raises:
        SampleError: Fewer than two pairs, or a value that is not finite.

    Example:
        >>> probability_of_improvement([0.01, 0.0, -0.02, 0.03])
        0.625

    Reference:
        Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks, arXiv:2103.03098, section 4.
    """
    sample = checked_sample(differences)
    return float(np.mean((np.sign(sample) + 1) / 2))
