"""Values and calls as lines of Python source."""

from collections.abc import Iterable
from typing import Any

LINE_LENGTH = 100


def literal(value: Any) -> str:
    """Return a number, flag or tuple of numbers as Python source; a NumPy float must not bring its own name along.

    Example:
        >>> literal((0.9, 0.999))
        '(0.9, 0.999)'
    """
    if isinstance(value, tuple):
        return repr(tuple(float(part) for part in value))
    return repr(float(value)) if isinstance(value, float) else repr(value)


def call(callee: str, arguments: Iterable[str]) -> list[str]:
    """Return the lines of a call, broken where it is too long for one.

    Example:
        >>> call("f", ["1", "x=2"])
        ['f(1, x=2)']
    """
    arguments = list(arguments)
    whole, inner = f"{callee}({', '.join(arguments)})", f"    {', '.join(arguments)}"
    if len(whole) <= LINE_LENGTH:
        return [whole]
    if len(inner) <= LINE_LENGTH:
        return [f"{callee}(", inner, ")"]
    return [f"{callee}(", *(f"    {argument}," for argument in arguments), ")"]
