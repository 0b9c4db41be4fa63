"""Checks that turn what the caller gives into arrays and numbers that a statistic can be computed from."""

import math
import operator

import numpy as np
import numpy.typing as npt

from regimen.errors import InputError

Floats = npt.NDArray[np.float64]


class SampleError(InputError):
    """Values, or an argument beside them, that a statistic cannot be computed from.

    Neither `DataError` (that is about tables and files) nor `OptionError` (about the command line) fits: the values are
    results of runs, or of the caller's own experiments.
    """


def checked_sample(values: npt.ArrayLike, *, name: str = "differences", least: int = 2) -> Floats:
    """Return `values` as float64 of shape `(n,)`, finite, with n >= `least`.

    Args:
        values: One finite number per pair, shape `(n,)`.
        name: What the values are, for the message.
        least: Fewest values accepted.

    Raises:
        SampleError: Another shape, too few values, a NaN or infinite value, or no numbers.

    Example:
        >>> checked_sample([1, 2])
        array([1., 2.])
    """
    return _checked(values, name=name, least=least, dimensions=1)


def checked_family(values: npt.ArrayLike, *, name: str = "differences") -> Floats:
    """Return `values` as float64 of shape `(n, m)`, finite, with n >= 2 pairs and m >= 1 arms.

    Args:
        values: One row per pair, one column per arm.
        name: What the values are, for the message.

    Raises:
        SampleError: Another shape, fewer than two rows, no column, a NaN or infinite value, or no numbers.

    Example:
        >>> checked_family([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    return _checked(values, name=name, least=2, dimensions=2)


def _checked(values: npt.ArrayLike, *, name: str, least: int, dimensions: int) -> Floats:
    shape = "(pairs,)" if dimensions == 1 else "(pairs, arms)"
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SampleError(f"expected {name} as an array of numbers of shape {shape}: {error}") from error
    if array.ndim != dimensions:
        raise SampleError(f"expected {name} of shape {shape}, received shape {array.shape}")
    if array.shape[0] < least:
        raise SampleError(f"expected {name} of at least {least} pairs, received {array.shape[0]}; run more pairs")
    if array.size == 0:
        raise SampleError(f"expected {name} of at least one arm, received shape {array.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ", ".join(str(int(index)) for index in bad[0])
        raise SampleError(
            f"expected finite {name}, received {array[tuple(bad[0])]} at [{place}] ({len(bad)} of {array.size} values "
            "not finite); give a run that diverged its worst value, or leave its pair out of every arm"
        )
    return array


def checked_number(
    value: float, *, name: str, low: float = -math.inf, high: float = math.inf, open_ends: bool = False
) -> float:
    """Return `value` as a float within [`low`, `high`], or strictly between them with `open_ends`.

    Args:
        value: The argument; NaN is refused.
        name: Its name, for the message.
        low: Smallest value.
        high: Largest value.
        open_ends: Refuse the two ends themselves.

    Raises:
        SampleError: No number, or outside the range.

    Example:
        >>> checked_number(0.95, name="level", low=0, high=1, open_ends=True)
        0.95
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (low < number < high if open_ends else low <= number <= high):
        ends = f"({low:g}, {high:g})" if open_ends else f"[{low:g}, {high:g}]"
        raise SampleError(f"expected {name} in {ends}, received {value!r}")
    return number


def checked_count(value: int, *, name: str, least: int) -> int:
    """Return `value` as an int of at least `least`.

    Raises:
        SampleError: No whole number, or too small.

    Example:
        >>> checked_count(10, name="n_train", least=1)
        10
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if count < least:
        raise SampleError(f"expected {name} as a whole number of at least {least}, received {value!r}")
    return count
