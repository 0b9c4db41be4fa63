"""Numbers and names as a reader wants them: units, signs, few digits, and a dash where a value is missing."""

import math
import unicodedata
from dataclasses import dataclass, replace

from regimen.records import Interval, Results, TechniqueRecord

MISSING = "–"
MINUS = "\N{MINUS SIGN}"
MOST_DECIMALS = 8
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_REVERSING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
# Written out because these are what people say; every other metric prints under its scikit-learn name.
METRIC_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}


def clean(text: object) -> str:
    """Return `text` without characters that could break a page or a terminal.

    Control characters (escape sequences for a terminal among them), lone surrogates of undecodable file names and
    the marks that reverse the direction of the text after them become U+FFFD; tabs and line breaks stay.

    Example:
        >>> clean("red" + chr(27) + "[31m")
        'red�[31m'
    """
    written = str(text)
    if written.isascii() and written.isprintable():
        return written
    return "".join(_REPLACEMENT if _harmful(letter) else letter for letter in written)


def _harmful(letter: str) -> bool:
    if unicodedata.category(letter) in ("Cc", "Cs"):
        return letter not in "\t\n"
    return unicodedata.bidirectional(letter) in _REVERSING


def finite(value: float | None) -> float | None:
    """Return `value` if it is a finite number, else None: a diverged arm has neither mean nor effect.

    Example:
        >>> finite(float("nan")) is None, finite(0.5)
        (True, 0.5)
    """
    return value if value is not None and math.isfinite(value) else None


def finite_interval(interval: Interval | None) -> Interval | None:
    """Return `interval` if both of its ends are finite numbers, else None.

    Example:
        >>> finite_interval((0.1, float("inf"))) is None
        True
    """
    if interval is None or finite(interval[0]) is None or finite(interval[1]) is None:
        return None
    return interval


def new_rows_interval(results: Results, one: TechniqueRecord) -> Interval | None:
    """Return the interval of an arm for new rows; None where it is unknown.

    Where the validation part was given, all pairs share its rows: what differs between pairs are keys alone, and no
    interval of theirs covers other rows. Nor does one of origins in time: rows near in time are alike, and how alike
    the widening does not know.
    """
    unknown = given_validation(results) or results.design.division == "time"
    return None if unknown else finite_interval(one.ci_new_rows)


def best_first(results: Results) -> list[TechniqueRecord]:
    """Return the arms by their effect; those that never trained come last."""
    return sorted(results.techniques, key=lambda one: (finite(one.delta) is None, -(finite(one.delta) or 0.0)))


def given_validation(results: Results) -> bool:
    """Return whether the validation part was given, the same rows in every pair."""
    return results.plan.get("given_validation") is True


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """Return `value` with so many decimals; never "-0.0", and a plus sign on request.

    At most eight are written; where more are asked for, tiny values are powers of ten.

    Example:
        >>> fixed(-0.01, 1), fixed(1.26, 1, sign=True), fixed(2.6e-11, 12)
        ('0.0', '+1.3', '2.60e-11')
    """
    tiny = decimals > MOST_DECIMALS and 0 < abs(value) < 1e-5
    decimals = min(decimals, MOST_DECIMALS)
    rounded = value if tiny else round(value, decimals)
    written = f"{rounded:.2e}" if tiny else f"{0.0 if rounded == 0 else rounded:,.{decimals}f}"
    return "+" + written if sign and rounded > 0 else written


def probability(p: float | None) -> str:
    """Return a p-value with three decimals, or `<0.001`; with more where it would round up to the limit of verdicts.

    Example:
        >>> probability(0.0421), probability(0.0), probability(0.0498)
        ('0.042', '<0.001', '0.0498')
    """
    known = finite(p)
    if known is None:
        return MISSING
    if known < 0.0005:
        return "<0.001"
    if 0.0495 <= known < 0.05:
        return f"{known:.4f}" if known < 0.04995 else "<0.05"
    return f"{known:.3f}"


def loss(value: float | None) -> str:
    """Return a loss with three significant digits.

    Example:
        >>> loss(0.31264), loss(0.0000123), loss(None)
        ('0.313', '1.23e-05', '–')
    """
    known = finite(value)
    return MISSING if known is None else f"{known:.3g}"


def cost(value: float | None) -> str:
    """Return how many times as long runs computed, with two decimals: on a busy machine they differ by some hundredths.

    Example:
        >>> cost(1.04), cost(0.0312)
        ('1.04', '0.03')
    """
    known = finite(value)
    return MISSING if known is None else f"{known:.2f}" if known >= 0.0095 else f"{known:.1g}"


def duration(seconds: float | None) -> str:
    """Return seconds as a person says them.

    Example:
        >>> duration(0.42), duration(93), duration(7260)
        ('0.4 s', '1 min 33 s', '2 h 1 min')
    """
    known = finite(seconds)
    if known is None:
        return MISSING
    if known < 59.5:
        return f"{known:.1f} s" if known < 9.95 else f"{known:.0f} s"
    minutes, rest = divmod(round(known), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return the count with its noun; `many` is the irregular plural.

    Example:
        >>> plural(1, "pair"), plural(12345, "run"), plural(2, "class", "classes")
        ('1 pair', '12,345 runs', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def shortened(text: str, letters: int) -> str:
    """Return at most so many letters of `text`, the last an ellipsis if some are left out.

    Example:
        >>> shortened("systolic blood pressure", 10)
        'systolic…'
    """
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricFormat:
    """How this study's metric prints.

    Attributes:
        name: The metric in words.
        factor: Multiplies every value before it prints; 100 for values of 0..1.
        decimals: Decimals of levels and effects, see `fixed`.
        level_unit: Follows a level of the metric; may be empty.
        effect_unit: Follows an effect in a sentence; may be empty.
        higher_is_better: The metric's own direction.
        minus: The sign of negative numbers: a hyphen for terminals, `MINUS` for a page.
    """

    name: str
    factor: float
    decimals: int
    level_unit: str
    effect_unit: str
    higher_is_better: bool
    minus: str = "-"

    @classmethod
    def of(cls, results: Results, *, minus: str = "-") -> "MetricFormat":
        """Return the format of the study's metric; decimals follow from the smallest effect of interest."""
        design = results.design
        points = design.metric_unit == "points"
        smallest = finite(design.smallest_effect) or 0.0
        # The smallest effect of interest shows two digits (points: one decimal), so no verdict hides in the rounding.
        digits = 1 - math.floor(math.log10(smallest * (100 if points else 1))) if smallest > 0 else 2
        effect_unit = "points" if points else "nats" if design.metric == "log_loss" else ""
        if design.metric_unit == "target":
            target = shortened(clean(results.data.target), 24)
            effect_unit = f"units of {target}" if target else "target units"
        return cls(
            name=METRIC_NAMES.get(design.metric, clean(design.metric).replace("_", " ")),
            factor=100.0 if points else 1.0,
            decimals=max(1, digits - 1 if points else digits),
            level_unit=" %" if points else "",
            effect_unit=effect_unit,
            higher_is_better=design.higher_is_better,
            minus=minus,
        )

    def level(self, value: float | None) -> str:
        """Return a value of the metric with its unit, such as `96.1 %`."""
        known = finite(value)
        if known is None:
            return MISSING
        return fixed(known * self.factor, self.decimals).replace("-", self.minus) + self.level_unit

    def effect(self, value: float | None, *, sign: bool = True, unit: bool = False) -> str:
        """Return a paired difference, such as `+1.8` or `1.8 points`."""
        known = finite(value)
        if known is None:
            return MISSING
        written = fixed(known * self.factor, self.decimals, sign=sign).replace("-", self.minus)
        return f"{written} {self.effect_unit}" if unit and self.effect_unit else written

    def interval(self, interval: Interval | None, *, sign: bool = True) -> str:
        """Return both ends of an interval, such as `+1.2 to +2.4`.

        One that excludes zero gets up to two more decimals where it would print as if it touched it: `+0.03 to +0.81`.
        """
        known = finite_interval(interval)
        if known is None:
            return MISSING
        form, nearest = self, min(map(abs, known)) * self.factor
        if known[0] * known[1] > 0 and round(nearest, self.decimals) == 0:
            more = (self.decimals + 1, self.decimals + 2)
            form = replace(self, decimals=next((one for one in more if round(nearest, one)), self.decimals))
        return f"{form.effect(known[0], sign=sign)} to {form.effect(known[1], sign=sign)}"
