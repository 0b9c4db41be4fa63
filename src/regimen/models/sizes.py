"""Sizes and rates of a network as they are given: checked, and handed out to its layers."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from regimen.errors import OptionError, nearest
from regimen.models.layers import ACTIVATIONS

MAX_WIDTH = 16_384
# Shape of one input: the columns of a table, channels, height and width of an image, or the shape of a sample. A number
# stands for columns.
Inputs = int | tuple[int, ...]


def shape_of(inputs: Inputs) -> tuple[int, ...]:
    """Return the shape of one input.

    Raises:
        OptionError: Some side is below 1.

    Example:
        >>> shape_of(4), shape_of((3, 32, 32))
        ((4,), (3, 32, 32))
    """
    shape = inputs if isinstance(inputs, tuple) else (inputs,)
    if min(shape, default=0) < 1:
        raise OptionError(f"inputs: expected a number of columns, or the shape of one input, got {shape}")
    return shape


def check_width(width: Any, what: str = "hidden widths", most: int = MAX_WIDTH) -> None:
    """Refuse a size of a network that is no whole number from 1 to `most`.

    Raises:
        OptionError: It is none.
    """
    if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= most:
        raise OptionError(f"model: expected {what} from 1 to {most}, got {width!r}")


def widths_of(hidden: Any) -> tuple[int, ...]:
    """Return widths of hidden layers as a tuple of Python's numbers, however they are listed: a network is hashed.

    Raises:
        OptionError: They are no list, or one of them is no width.

    Example:
        >>> widths_of([128, 64])
        (128, 64)
    """
    if isinstance(hidden, str) or not isinstance(hidden, Iterable):
        raise OptionError(f"model: expected hidden widths such as (128, 64), got {hidden!r}; () is a linear model")
    widths = tuple(int(width) if isinstance(width, np.integer) else width for width in hidden)
    for width in widths:
        check_width(width)
    return widths


def check_activation(name: str) -> None:
    """Refuse an activation that there is not.

    Raises:
        OptionError: There is none of that name.
    """
    if name not in ACTIVATIONS:
        raise OptionError(f"model: no such activation {name!r}{nearest(name, ACTIVATIONS)}")


def rates_for(dropout: tuple[float, ...], places: Mapping[str, int], model: str) -> tuple[float, ...]:
    """Return a rate for each place that dropout can have.

    Args:
        dropout: One rate for every place or one for each; empty for none.
        places: What the places are, in order, and how many there are of each.
        model: Name of the model, for the message.

    Raises:
        OptionError: The number of rates is neither 1 nor that of the places.

    Example:
        >>> rates_for((0.5,), {"hidden layer": 2}, "mlp:8x8")
        (0.5, 0.5)
    """
    count = sum(places.values())
    if len(dropout) > 1 and len(dropout) != count:
        kinds = " and ".join(places)
        raise OptionError(
            f"dropout: expected one rate or {count} (one for each {kinds} of {model}), got {len(dropout)}"
        )
    return dropout if len(dropout) == count else (dropout or (0.0,)) * count
