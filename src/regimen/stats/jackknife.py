"""Jackknife over rows, and the interval that joins it with the spread over pairs: rows and keys both vary."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.records import Interval
from regimen.stats.intervals import student_interval
from regimen.stats.samples import SampleError, checked_count, checked_number, checked_sample

Rows = npt.NDArray[np.int64]


def jackknife_se(
    statistic: Callable[[Rows], float],
    n_rows: int,
    *,
    groups: int = 100,
    order: npt.ArrayLike | None = None,
    fixed: npt.ArrayLike = (),
    clusters: npt.ArrayLike | None = None,
) -> float:
    """Delete-a-group jackknife standard error of a statistic of rows.

    se^2 = sum_g (1 - n_g / n) (theta_(g) - theta)^2, with theta_(g) the statistic without the n_g rows of group g. For
    equal groups this is the usual (G - 1) / G; for a mean it is unbiased whatever the group sizes. `statistic` is
    called G + 1 times. Medians and other statistics that jump need large groups; one row at a time misleads there.

    Args:
        statistic: Takes the sorted indices of the kept rows, gives a finite number.
        n_rows: Number of rows n, >= 2.
        groups: Number of groups G, >= 2; no more than n are made. Its relative error is about 1 / sqrt(2 (G - 1)).
        order: A permutation of 0 .. n - 1; every G-th row in this order forms a group. Make it a random one, unless the
            statistic does not depend on the shares of the classes: rows sorted by class make groups stratified by
            class, so that a class of two or more rows always keeps one, and what the shares would have changed is not
            in the standard error. None: rows as they stand, which leaves out as much if they are sorted by anything.
        fixed: Rows that no group deletes, such as the only row of a class that the statistic cannot do without. What
            other rows in their place would have changed is not in the standard error; n counts the others alone.
        clusters: The cluster of each row, `(n,)`: rows of one cluster depend on each other (one patient, one week), so
            a group deletes whole clusters, dealt in the order in which they come; no more groups than clusters are
            made. None: every row for itself.

    Returns:
        The standard error, >= 0.

    Raises:
        SampleError: An argument outside its range, `order` no permutation, fewer than two rows or clusters that are not
            fixed, or the statistic is not finite.

    Example:
        >>> import numpy as np
        >>> hits = np.array([1, 1, 0, 1])
        >>> jackknife_se(lambda kept: float(hits[kept].mean()), 4)
        0.25

    Reference:
        Kott (2001), The delete-a-group jackknife, Journal of Official Statistics 17(4), 521-526, equation 1. Künsch
        (1989), The jackknife and the bootstrap for general stationary observations, doi:10.1214/aos/1176347265, for
        blocks of time as clusters.
    """
    group = deleted_together(n_rows, groups=groups, order=order, fixed=fixed, clusters=clusters)
    whole_n, n = len(group), int((group >= 0).sum())
    whole = _finite(statistic(np.arange(whole_n)), "all rows")
    variance = 0.0
    for number in range(int(group.max()) + 1):
        kept = np.flatnonzero(group != number)
        without = _finite(statistic(kept), f"the rows without group {number}")
        variance += (len(kept) - whole_n + n) / n * (without - whole) ** 2
    return math.sqrt(variance)


def deleted_together(
    n_rows: int,
    *,
    groups: int = 100,
    order: npt.ArrayLike | None = None,
    fixed: npt.ArrayLike = (),
    clusters: npt.ArrayLike | None = None,
) -> Rows:
    """Return for each row the number of the group with which `jackknife_se` deletes it, -1 for fixed rows.

    Args:
        n_rows: Number of rows n, >= 2.
        groups: Number of groups, >= 2.
        order: A permutation of 0 .. n - 1, or None.
        fixed: Rows that no group deletes.
        clusters: The cluster of each row, `(n,)`, or None.

    Raises:
        SampleError: An argument outside its range, `order` no permutation, fewer than two rows or clusters that are not
            fixed.

    Example:
        >>> deleted_together(5, groups=2, clusters=[7, 7, 8, 9, 9]).tolist()
        [0, 0, 1, 0, 0]
    """
    n = checked_count(n_rows, name="n_rows", least=2)
    if clusters is not None and np.shape(clusters) != (n,):
        raise SampleError(f"expected the cluster of each of {n} rows, received shape {np.shape(clusters)}")
    dealt = _permutation(order, n)
    free = dealt[~np.isin(dealt, np.asarray(fixed, dtype=np.int64))]
    checked_count(len(free), name="the rows that are not fixed", least=2)
    dealt_clusters = _in_order(np.arange(n) if clusters is None else np.asarray(clusters), free)
    units = checked_count(int(dealt_clusters.max()) + 1, name="the clusters that are not fixed", least=2)
    group = np.full(n, -1, dtype=np.int64)
    group[free] = dealt_clusters % min(checked_count(groups, name="groups", least=2), units)
    return group


def effective_groups(group: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> int:
    """Return as how many equal groups those of a jackknife count: (sum_g w_g)^2 / sum_g w_g^2, rounded, at least 2.

    A standard error that rests on a few large groups is known no better than one of so few. Without this, intervals
    over 4 to 20 groups whose sizes vary as a lognormal of sigma 1 missed 9 to 12 % of true values instead of 5 %.

    Args:
        group: The group of each row as `deleted_together` gives it; rows of -1 do not count.
        weights: Weight of each row, > 0; None counts all alike.

    Raises:
        SampleError: No row is in a group, or the weights are not one finite number above 0 for each row.

    Example:
        >>> effective_groups([0, 0, 1, 1, 2, 2]), effective_groups([0, 0, 0, 0, 0, 0, 1, 2, 3])
        (3, 2)

    Reference:
        Kish (1965), Survey Sampling, Wiley: the effective size of a weighted sample.
    """
    rows = np.asarray(group, dtype=np.int64)
    mass = checked_sample(np.ones(len(rows)) if weights is None else weights, name="weights", least=1)
    if mass.shape != rows.shape or mass.min() <= 0 or rows.max() < 0:
        raise SampleError(f"expected a weight > 0 for each of {len(rows)} rows, some of them in groups")
    sizes = np.bincount(rows[rows >= 0], weights=mass[rows >= 0])
    return max(2, round(float(sizes.sum() ** 2 / (sizes**2).sum())))


def crossed_interval(pair_values: npt.ArrayLike, row_se: float, *, groups: int = 100, level: float = 0.95) -> Interval:
    """Interval of a mean over pairs that share one set of rows, where both keys and rows could have been others.

    Variance = sd(pairs)^2 / n + row_se^2; t quantile with Satterthwaite's degrees of freedom, n - 1 for the pairs and
    groups - 1 for the rows. What pairs and rows have in common is counted in both terms, which errs on the wide side.

    Args:
        pair_values: One value per pair, each computed on the same rows, shape `(n,)`, n >= 2.
        row_se: Standard error over rows of the mean of the values, as `jackknife_se` gives it, >= 0.
        groups: Groups of that jackknife, >= 2; where they differ in size, `effective_groups` of them.
        level: Coverage, in (0, 1).

    Raises:
        SampleError: Fewer than two pairs, a value that is not finite, or an argument outside its range.

    Example:
        >>> lo, hi = crossed_interval([0.01, 0.02, 0.03], 0.005)
        >>> round(lo, 4), round(hi, 4)
        (0.0014, 0.0386)

    Reference:
        Satterthwaite (1946), An approximate distribution of estimates of variance components, doi:10.2307/3002019.
    """
    sample = checked_sample(pair_values, name="pair_values")
    checked_number(row_se, name="row_se", low=0, high=1e300)
    checked_count(groups, name="groups", least=2)
    n = len(sample)
    by_key = float(sample.std(ddof=1)) / math.sqrt(n)
    error = math.hypot(by_key, row_se)
    # Shares of the variance, not variances: their squares would underflow.
    shares = ((by_key / error) ** 4, (row_se / error) ** 4) if error > 0 else (1.0, 0.0)
    df = 1 / (shares[0] / (n - 1) + shares[1] / (groups - 1))
    return student_interval(float(sample.mean()), error, df=df, level=level)


def _in_order(clusters: npt.NDArray[Any], rows: Rows) -> Rows:
    """Return for each of the rows how many clusters come before its own."""
    _, first, inverse = np.unique(clusters[rows], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)]


def _permutation(order: npt.ArrayLike | None, n: int) -> Rows:
    if order is None:
        return np.arange(n)
    rows = np.asarray(order)
    if rows.shape != (n,) or rows.dtype.kind not in "iu" or not np.array_equal(np.sort(rows), np.arange(n)):
        raise SampleError(
            f"expected order as a permutation of 0 .. {n - 1}, received shape {rows.shape} of {rows.dtype}; "
            "numpy.argsort(classes) gives one"
        )
    return rows.astype(np.int64)


def _finite(value: float, where: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise SampleError(f"expected a finite statistic, received {number} on {where}; use fewer, larger groups")
    return number
