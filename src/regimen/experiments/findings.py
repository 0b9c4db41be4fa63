"""What was found, in words: means with their spread, paired changes with their interval, each with its number."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from regimen.stats import t_interval


def mean_text(values: Sequence[float] | npt.NDArray[np.float64], unit: str, *, over: str, decimals: int = 1) -> str:
    """Return mean and standard deviation with their number.

    Args:
        values: One for each repetition.
        unit: Of the values, such as `%`.
        over: What the repetitions are, such as `keys`.
        decimals: How many to print.

    Example:
        >>> mean_text([97.0, 98.0], "%", over="keys")
        '97.5 ± 0.7 % (n = 2 keys)'
    """
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        return f"not finite in {int((~np.isfinite(found)).sum())} of {len(found)} {over}"
    spread = f" ± {found.std(ddof=1):.{decimals}f}" if len(found) > 1 else ""
    return f"{found.mean():.{decimals}f}{spread} {unit} ({_number(found, over)})"


def change_text(
    differences: Sequence[float] | npt.NDArray[np.float64], unit: str, *, over: str, decimals: int = 1
) -> str:
    """Return the mean of paired differences, their 95 % interval, and whether it leaves out 0.

    The interval is Student's over the repetitions, not adjusted for how many comparisons are made.

    Args:
        differences: One for each pair.
        unit: Of the differences, such as `points`.
        over: What the pairs are, such as `splits`.
        decimals: How many to print.

    Example:
        >>> change_text([1.0, 2.0, 3.0], "points", over="splits")
        '+2.0 points (95 % interval -0.5 to +4.5, n = 3 splits: not settled)'
        >>> change_text([1.0], "points", over="splits")
        '+1.0 points (n = 1 split, no interval: not settled)'
    """
    found = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(found).all():
        return f"not finite in {int((~np.isfinite(found)).sum())} of {len(found)} {over}"
    told = f"{found.mean():+.{decimals}f} {unit}"
    if len(found) < 2:
        return f"{told} ({_number(found, over)}, no interval: not settled)"
    low, high = t_interval(found)
    verdict = "settled" if low > 0 or high < 0 else "not settled"
    interval = f"{low:+.{decimals}f} to {high:+.{decimals}f}"
    return f"{told} (95 % interval {interval}, {_number(found, over)}: {verdict})"


def highest_text(
    arms: Mapping[str, Sequence[float] | npt.NDArray[np.float64]], unit: str, *, over: str, decimals: int = 1
) -> str:
    """Return which of several arms has the highest mean, and its paired lead over the next.

    Args:
        arms: Values by name, those of one place belonging together.
        unit: Of their differences.
        over: What the repetitions are.
        decimals: How many to print.

    Example:
        >>> highest_text({"a": [1.0, 3.0], "b": [0.0, 1.0]}, "points", over="splits")
        'highest for a, before b by +1.5 points (95 % interval -4.9 to +7.9, n = 2 splits: not settled)'
    """
    means = {name: float(np.mean(values)) for name, values in arms.items()}
    ranked = sorted(arms, key=lambda name: means[name] if math.isfinite(means[name]) else -math.inf, reverse=True)
    first, second = ranked[:2]
    lead = np.asarray(arms[first], dtype=np.float64) - np.asarray(arms[second], dtype=np.float64)
    return f"highest for {first}, before {second} by {change_text(lead, unit, over=over, decimals=decimals)}"


def _number(values: npt.NDArray[np.float64], over: str) -> str:
    return f"n = {len(values)} {over if len(values) > 1 else over.removesuffix('s')}"
