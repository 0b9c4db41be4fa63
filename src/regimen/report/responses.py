"""Charts of how strong to set a technique: effect against strength, one panel for each technique."""

from collections.abc import Sequence

from markupsafe import Markup

from regimen.records import Interval, Results, TechniqueRecord
from regimen.report.intervals import effect_domain
from regimen.report.names import labels, strength_key, strength_text, technique_name
from regimen.report.quantities import MINUS, MetricFormat, finite, finite_interval
from regimen.report.svg import (
    Scale,
    drawing,
    fitted,
    line,
    marker,
    nice_ticks,
    path,
    tag,
    text_width,
    tick_texts,
    words,
)

WIDTH, HEIGHT = 270.0, 190.0
# Strengths whose largest is this many times the smallest were chosen on a logarithmic grid.
LOGARITHMIC = 20


def response_groups(results: Results) -> dict[str, list[TechniqueRecord]]:
    """Return the arms with a numeric strength and a known effect by technique, weakest first.

    One strength makes no curve: a technique is drawn if at least two of its strengths were tried.
    """
    found: dict[str, list[TechniqueRecord]] = {}
    for one in results.techniques:
        if finite(one.strength) is not None and finite(one.delta) is not None:
            found.setdefault(technique_name(one.name), []).append(one)
    return {name: sorted(arms, key=lambda one: one.strength or 0.0) for name, arms in found.items() if len(arms) > 1}


def without_curve(results: Results) -> list[TechniqueRecord]:
    """Return the arms in no response curve: a kind rather than a rate, the only strength tried, or nothing trained."""
    drawn = {one.arm for arms in response_groups(results).values() for one in arms}
    return [one for one in results.techniques if one.arm not in drawn]


def response(results: Results, name: str, arms: Sequence[TechniqueRecord]) -> Markup:
    """Return one panel: effect and 95 % interval over the strengths; the baseline is the line at zero.

    All panels share one effects axis, so that techniques can be compared across panels.
    """
    form, names = MetricFormat.of(results, minus=MINUS), labels(results.techniques)
    domain = shared_domain(results)
    left, right, top, bottom = 38.0, WIDTH - 56, 12.0, HEIGHT - 44
    y = Scale(lo=domain[0] * form.factor, hi=domain[1] * form.factor, start=bottom, end=top)
    band = (finite(results.design.smallest_effect) or 0.0) * form.factor
    x = strength_scale([one.strength or 0.0 for one in arms], left + 18, right - 18)
    parts = [
        tag(
            "rect",
            x=left,
            y=y.clamped(band),
            width=right - left,
            height=y.clamped(-band) - y.clamped(band),
            class_="equivalence",
        )
    ]
    ticks = nice_ticks(y.lo, y.hi, 4)
    for tick, text in zip(ticks, tick_texts(ticks, sign=True), strict=True):
        parts.append(line(left, y(tick), right, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(words(text, left - 6, y(tick) + 4, "tick", anchor="end", size=11))
    parts.append(words("baseline", right + 5, y(0) + 4, "axis-note", size=11))
    taken = left - 20
    for one in arms:
        at, text = x(one.strength or 0.0), strength_text(one.strength or 0.0)
        half = text_width(text, 11) / 2
        parts.append(line(at, bottom, at, bottom + 4, "axis"))
        if at - half > taken:
            parts.append(words(text, at, bottom + 17, "tick", anchor="middle", size=11))
            taken = at + half + 3
    scale_word = " (log scale)" if x.log else ""
    parts.append(
        words(fitted(strength_name(arms) + scale_word, right - left, 11), left, bottom + 36, "axis-title", size=11)
    )
    parts.append(path([(x(one.strength or 0.0), y.clamped(one.delta * form.factor)) for one in arms], "line response"))
    for one in arms:
        effect, interval = form.effect(one.delta, unit=True), form.interval(one.ci)
        title = f"{names[one.arm]}: {effect}, 95 % interval {interval}, {one.verdict}"
        parts.append(tag("g", tag("title", title), *_point(one, x, y, form.factor)))
    said = ", ".join(f"{form.effect(one.delta)} at {strength_text(one.strength or 0.0)}" for one in arms)
    return drawing(WIDTH, HEIGHT, f"{name}: effect on {form.name}, {said}.", *parts, kind="chart response")


def shared_domain(results: Results) -> Interval:
    """Return the effects axis of all panels, in the unit of the metric."""
    arms = [one for group in response_groups(results).values() for one in group]
    intervals = [finite_interval(one.ci) for one in arms]
    return effect_domain([one.delta for one in arms], intervals, finite(results.design.smallest_effect) or 0.0)


def strength_scale(strengths: Sequence[float], start: float, end: float) -> Scale:
    """Return a logarithmic scale if the strengths span a factor of 20 or more, else a linear one."""
    low, high = min(strengths), max(strengths)
    log = low > 0 and high >= LOGARITHMIC * low
    return Scale(lo=low, hi=high, start=start, end=end, log=log)


def strength_name(arms: Sequence[TechniqueRecord]) -> str:
    """Return what all the arms call their strength, for the axis, or just "strength"."""
    keys = {strength_key(one) for one in arms} - {arms[0].name.replace("_", " ")}
    return (keys.pop() if len(keys) == 1 else "") or "strength"


def _point(one: TechniqueRecord, x: Scale, y: Scale, factor: float) -> list[Markup]:
    at, interval, effect = x(one.strength or 0.0), finite_interval(one.ci), one.delta * factor
    parts = [tag("rect", x=at - 10, y=y.end, width=20, height=y.start - y.end, class_="hit")]
    if interval is not None:
        parts.append(
            line(at, y.clamped(interval[0] * factor), at, y.clamped(interval[1] * factor), f"whisker {one.verdict}")
        )
    if y.lo <= effect <= y.hi:
        return [*parts, marker(one.verdict, at, y(effect), 4.5)]
    tip, back = (y.start, -7) if effect < y.lo else (y.end, 7)
    points = f"{at:.1f},{tip:.1f} {at - 4.5:.1f},{tip + back:.1f} {at + 4.5:.1f},{tip + back:.1f}"
    return [*parts, tag("polygon", points=points, class_=f"arrow {one.verdict}")]
