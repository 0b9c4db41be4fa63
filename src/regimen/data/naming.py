"""Names of columns and files: which are refused, the nearest valid one, and lists that stay short."""

from collections import Counter
from collections.abc import Iterable, Sequence

from regimen.errors import DataError, nearest

# Longer lists hide the message they stand in.
LISTED = 30


def hint(name: str, valid: Iterable[str]) -> str:
    """Return `"; did you mean 'Class'?"` for a mistyped name, whatever the case of letters, else nothing.

    Example:
        >>> hint("class", ["Age", "Class"])
        "; did you mean 'Class'?"
        >>> hint("zzz", ["Age", "Class"])
        ''
    """
    spelled = {known.lower(): known for known in reversed(list(valid))}
    found = nearest(name, spelled)
    if "did you mean" not in found:
        return ""
    close = next(lower for lower in spelled if found == f"; did you mean {lower!r}?")
    return f"; did you mean {spelled[close]!r}?"


def listed(names: Sequence[str]) -> str:
    """Return the names in quotes, separated by commas, the rest counted where there are many.

    Example:
        >>> listed(["age", "sex"])
        "'age', 'sex'"
    """
    shown = ", ".join(repr(name) for name in names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


def counted(number: int, noun: str) -> str:
    """Return the number with its noun in the right form.

    Example:
        >>> counted(1, "row"), counted(1200, "row")
        ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def refuse_duplicates(where: str, names: Sequence[str]) -> None:
    """Refuse column names that occur twice.

    Raises:
        DataError: Some name does.
    """
    twice = sorted({name for name, count in Counter(names).items() if count > 1})
    if twice:
        raise DataError(f"{where}: expected different column names, got {listed(twice)} more than once; rename them")


def require_columns(where: str, names: Sequence[str], wanted: Sequence[str], why: str) -> None:
    """Refuse a table that lacks some of the `wanted` columns, naming them and the nearest that is there.

    Raises:
        DataError: At least one is missing.
    """
    lacking = [name for name in wanted if name not in names]
    if lacking:
        near = hint(lacking[0], [name for name, count in Counter(names).items() if name not in wanted])
        raise DataError(f"{where}: expected {why}, got none named {listed(lacking)}{near} (columns: {listed(names)})")
