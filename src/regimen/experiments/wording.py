"""How the rows of an experiment print: the posted figure as the post has it, the measured one as precisely."""

import math

from regimen.experiments.records import Row

MISSING = "–"
VARIANTS = {"as_posted": "as posted", "corrected": "corrected"}
# Significant digits of what no post gives a precision for: of a single figure, of a spread.
DIGITS, SPREAD_DIGITS = 5, 2
# Below, whole numbers are counts, as of parameters, and printed whole.
_WHOLE = 1e9


def posted_text(row: Row) -> str:
    """Return the posted figure with its unit, or a dash."""
    return MISSING if row.posted is None else _with_unit(f"{row.posted:,.12g}", row.unit)


def measured_text(row: Row) -> str:
    """Return the measured figure with at least as many decimals as the posted one, its unit and spread.

    Example:
        >>> measured_text(Row.over([98.1, 98.35], part="A", variant="corrected", quantity="test accuracy", unit="%"))
        '98.22 ± 0.18 %'
    """
    if row.measured is None:
        return "not finite"
    largest = _WHOLE if row.measured == int(row.measured) else 1e6
    if row.measured != 0 and not 1e-3 <= abs(row.measured) < largest:
        text = f"{row.measured:.2e}" + ("" if row.sd is None else f" ± {row.sd:.1e}")
    else:
        enough = _enough(row.sd, SPREAD_DIGITS) if row.sd else _enough(row.measured, DIGITS)
        decimals = max(_decimals(row.posted), enough)
        text = f"{row.measured:,.{decimals}f}" + ("" if row.sd is None else f" ± {row.sd:,.{decimals}f}")
    return _with_unit(text, row.unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()


def _decimals(posted: float | None) -> int:
    """Return the decimals that the post printed, as far as a float remembers them."""
    if posted is None:
        return 0
    text = f"{posted:.12g}"
    return len(text.partition(".")[2]) if "e" not in text else 0


def _enough(value: float, digits: int) -> int:
    """Return the decimals that give so many significant digits, none for whole numbers."""
    return 0 if value == int(value) else max(0, digits - 1 - math.floor(math.log10(abs(value))))
