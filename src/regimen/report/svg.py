"""The pieces of the charts: escaped SVG elements, scales, round ticks, and widths of text before it is drawn."""

import itertools
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from regimen.report.quantities import clean

WIDE, PHONE = 760, 340  # of the charts that are drawn for both, in CSS pixels
TEXT = 13  # font size in units of the drawing, which are CSS pixels at full width
# Widths in em of DejaVu Sans, the widest of the usual system fonts, so that a label that fits here fits everywhere.
_NARROW = frozenset("iljtfr.,:;'|!()[] ")
_WIDE = frozenset("mwMW@%")


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return one SVG or HTML element; every text is escaped, attributes of None are left out.

    `class_` gives `class`, underscores become hyphens.

    Example:
        >>> str(tag("text", "a<b", x=1.25, text_anchor="end", dy=None))
        '<text x="1.25" text-anchor="end">a&lt;b</text>'
    """
    written = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(clean(value)) if isinstance(value, str) else f"{value:g}"}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inside = "".join(child if isinstance(child, Markup) else str(escape(clean(child))) for child in children)
    return Markup(f"<{name}{''.join(written)}>{inside}</{name}>")


def drawing(width: float, height: float, label: str, *parts: Markup, kind: str) -> Markup:
    """Return a whole chart: an image to screen readers, described by `label`; `kind` is its CSS class."""
    return tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {math.ceil(height)}",
        role="img",
        aria_label=label,
        class_=kind,
        font_size=TEXT,
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Return a straight line of the CSS class `kind`."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def words(
    text: str, x: float, y: float, kind: str = "label", *, anchor: str | None = None, size: float | None = None
) -> Markup:
    """Return a text whose baseline starts (or ends, or is centred) at x, y; what belongs to an axis is smaller."""
    if size is None and kind in ("tick", "axis-title", "axis-note"):
        size = 12
    return tag("text", text, x=x, y=y, class_=kind, text_anchor=anchor, font_size=size)


def path(points: Iterable[tuple[float, float]], kind: str) -> Markup:
    """Return a line through `points`, broken where one is not finite."""
    steps, pen = [], "M"
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            steps.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        else:
            pen = "M"
    return tag("path", d=" ".join(steps), class_=kind) if steps else Markup()


def band(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Return the filled area between two lines; points that are not finite in either are left out."""
    kept = [(a, b) for a, b in zip(upper, lower, strict=True) if all(math.isfinite(value) for value in (*a, *b))]
    outline = [a for a, _ in kept] + [b for _, b in reversed(kept)]
    return tag("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in outline), class_=kind) if kept else Markup()


def marker(verdict: str, x: float, y: float, size: float = 5) -> Markup:
    """Return the mark of a verdict: disc helps, diamond hurts, square equivalent, ring unclear; never colour alone."""
    kind = f"mark {verdict}"
    if verdict == "hurts":
        reach = size * 1.25
        corners = ((x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y))
        return tag("polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in corners), class_=kind)
    if verdict == "equivalent":
        side = size * 1.7
        return tag("rect", x=x - side / 2, y=y - side / 2, width=side, height=side, class_=kind)
    return tag("circle", cx=x, cy=y, r=size, class_=kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A linear (or logarithmic) map from data `lo..hi` to positions `start..end`.

    Example:
        >>> Scale(lo=0, hi=10, start=100, end=0)(2.5), Scale(lo=1, hi=100, start=0, end=10, log=True)(10)
        (75.0, 5.0)
    """

    lo: float
    hi: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of `value`, which may lie outside `lo..hi`; NaN stays NaN."""
        lo, hi, at = (math.log(each) for each in (self.lo, self.hi, value)) if self.log else (self.lo, self.hi, value)
        share = 0.5 if hi == lo else (at - lo) / (hi - lo)
        return self.start + share * (self.end - self.start)

    def clamped(self, value: float) -> float:
        """Return the position of `value`, or of the nearer end of the scale."""
        return self(min(max(value, self.lo), self.hi))


def nice_ticks(lo: float, hi: float, count: int = 5) -> list[float]:
    """Return round values in `lo..hi`, evenly spaced by 1, 2 or 5 times a power of ten, about `count` and at least 3.

    Example:
        >>> nice_ticks(-0.3, 2.4)
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    if not hi > lo:
        return [lo]
    raw = (hi - lo) / count
    power = math.floor(math.log10(raw))
    # The round step nearest to the raw one on a logarithmic scale: the limits are the geometric means of neighbours.
    nearest = next(
        factor for factor, limit in ((1, 2**0.5), (2, 10**0.5), (5, 50**0.5), (10, 11)) if raw / 10**power < limit
    )
    for factor in (each for each in (10, 5, 2, 1, 0.5, 0.2) if each <= nearest):
        step = factor * 10.0**power
        first, last = math.ceil(lo / step - 1e-9), math.floor(hi / step + 1e-9)
        if last - first >= 2:
            break
    return [round(index * step, _decimals(step)) + 0.0 for index in range(first, last + 1)]


def tick_texts(ticks: Sequence[float], *, sign: bool = False) -> list[str]:
    """Return the ticks as text, all with the decimals that tell them apart, with a true minus sign.

    Example:
        >>> tick_texts([-0.5, 0.0, 0.5], sign=True)
        ['−0.5', '0', '+0.5']
    """
    step = min((abs(b - a) for a, b in itertools.pairwise(ticks)), default=0) or max(map(abs, ticks), default=0) or 1
    largest = max(map(abs, ticks), default=0)
    short = step < 1e-5 or largest >= 1e7
    digits = max(1, math.ceil(math.log10(largest / step)) + 1) if largest else 1
    found = []
    for value in ticks:
        text = f"{abs(value):.{digits}g}" if short else f"{abs(value):,.{_decimals(step)}f}"
        found.append("0" if value == 0 else ("−" if value < 0 else "+" if sign else "") + text)
    return found


def _decimals(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def text_width(text: str, size: float = TEXT) -> float:
    """Return about how wide `text` is drawn, on the safe side."""
    total = 0.0
    for letter in text:
        if unicodedata.east_asian_width(letter) in "WF":
            total += 1.0
        elif letter in _NARROW:
            total += 0.38
        elif letter in _WIDE:
            total += 0.97
        else:
            total += 0.7 if letter.isupper() else 0.62
    return total * size


def fitted(text: str, width: float, size: float = TEXT) -> str:
    """Return `text`, or as much of it as fits into `width`; the middle gives way, since settings differ at the end.

    Example:
        >>> fitted("a technique with a very long name 0.3", 130)
        'a techniqu…me 0.3'
    """
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        tail = kept * 2 // 5
        short = f"{text[: kept - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
        if text_width(short, size) <= width:
            return short
    return "…"
