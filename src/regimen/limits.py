"""Checks of numbers against the range that a definition allows, with one form of message for all of them."""

import math
import sys
from collections.abc import Iterable
from typing import Any

from regimen.errors import RecipeError, nearest


def require_number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    integer: bool = False,
) -> None:
    """Refuse `value` unless it is a finite number in the interval from `low` to `high`.

    Args:
        name: What the value is called where the user wrote it.
        value: The value as given; booleans and text are no numbers.
        low: Smallest allowed value; excluded if `low_open`.
        high: Largest allowed value; excluded if `high_open`.
        low_open: Whether `low` itself is refused.
        high_open: Whether `high` itself is refused.
        integer: Whether only whole numbers are allowed.

    Raises:
        RecipeError: The value is of another type, not finite, or outside the interval.

    Example:
        >>> require_number("dropout", 1.5, low=0, high=1, high_open=True)
        Traceback (most recent call last):
        ...
        regimen.errors.RecipeError: dropout: expected a number in [0, 1), got 1.5
    """
    kind = "a whole number" if integer else "a number"
    left, right = "(" if low_open or low == -math.inf else "[", ")" if high_open or high == math.inf else "]"
    expected = f"{name}: expected {kind} in {left}{low:g}, {high:g}{right}"
    if isinstance(value, bool) or not isinstance(value, int if integer else (int, float)):
        raise RecipeError(f"{expected}, got {value!r}")
    # Also refuses whole numbers that no float holds, and NaN, which no comparison does.
    finite = -sys.float_info.max <= value <= sys.float_info.max
    outside = not finite or value < low or value > high
    if outside or (low_open and value == low) or (high_open and value == high):
        raise RecipeError(f"{expected}, got {value!r}")


def require_choice(name: str, value: Any, valid: Iterable[str]) -> None:
    """Refuse `value` unless it is one of the `valid` names; the message offers the nearest.

    Raises:
        RecipeError: The value is no text or not one of the names.
    """
    names = tuple(valid)
    if not isinstance(value, str):
        raise RecipeError(f"{name}: expected one of {', '.join(names)}, got {value!r}")
    if value not in names:
        raise RecipeError(f"{name}: no such value {value!r}{nearest(value, names)}")
