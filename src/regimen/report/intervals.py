"""Charts of effects with their intervals: the forest plot of all arms, and what was promised against what came."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from regimen.records import Interval, Results
from regimen.report.names import labels
from regimen.report.quantities import (
    MINUS,
    MetricFormat,
    best_first,
    finite,
    finite_interval,
    new_rows_interval,
    plural,
    probability,
)
from regimen.report.sentence import recommended
from regimen.report.svg import (
    WIDE,
    Scale,
    drawing,
    fitted,
    line,
    marker,
    nice_ticks,
    tag,
    text_width,
    tick_texts,
    words,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of an effects chart, in the unit of the metric; `wide` is the thin interval for new rows."""

    label: str
    effect: float | None
    interval: Interval | None
    verdict: str
    value: str
    note: str
    title: str
    wide: Interval | None = None


def effect_domain(effects: Sequence[float], intervals: Sequence[Interval | None], smallest: float) -> Interval:
    """Return the range of an effects axis: zero, the band of the smallest effect, and the intervals within reason.

    One arm that ruins the network, or an interval from two pairs, would squash all the others; an axis reaches at most
    three times as far as the largest gain, and what lies beyond is drawn as an arrow.
    """
    gain = max([*effects, 1.5 * smallest, 1e-9])
    least = min([*effects, -1.5 * smallest])
    known = [interval for interval in intervals if interval is not None]
    high = min(max([gain, *(interval[1] for interval in known)]), 3 * gain)
    low = max(min([least, *(interval[0] for interval in known)]), -3 * high)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def forest(results: Results, width: int = WIDE) -> Markup:
    """Return the forest plot: every arm's effect and 95 % interval, best first, with zero and the equivalence band."""
    form, names = MetricFormat.of(results, minus=MINUS), labels(results.techniques)
    rows = []
    for one in best_first(results):
        known = finite(one.delta) is not None
        interval, wide = finite_interval(one.ci), new_rows_interval(results, one)
        lost = f", {one.diverged} of its runs did not finish" if one.diverged else ""
        rows.append(
            Row(
                label=names[one.arm],
                effect=finite(one.delta),
                interval=interval,
                wide=wide,
                verdict=one.verdict if known else "unclear",
                value=form.effect(one.delta) if known else "",
                note=one.verdict if known else "did not train",
                title=f"{names[one.arm]}: {form.effect(one.delta, unit=True)}, 95 % interval "
                f"{form.interval(interval)}, for new rows {form.interval(wide)}, adjusted p "
                f"{probability(one.p_adjusted)}, {one.verdict}{lost}",
            )
        )
    label = f"Effects of {plural(len(rows), 'setting')} on {form.name} with 95 % intervals, best first."
    return effects_chart(rows, form, results.design.smallest_effect, label, width, kind="forest")


def promised(results: Results, width: int = WIDE) -> Markup:
    """Return the chart of what the search promised, what new pairs confirmed, and what the test part shows."""
    form, confirmation, test = MetricFormat.of(results, minus=MINUS), results.confirmation, results.confirmation.test
    alone = recommended(results)
    if not alone:
        return Markup()
    search = finite_interval(alone[0].ci) if len(alone) == 1 else None
    found = [("Promised by the search", confirmation.search_delta, search, "the best of many, so flattered")]
    if confirmation.pairs > 0:
        levels = f"{form.level(confirmation.baseline)} → {form.level(confirmation.recipe)}"
        found.append(
            (f"Confirmed, {plural(confirmation.pairs, 'new pair')}", confirmation.delta, confirmation.ci, levels)
        )
    if test.rows > 0:
        levels = f"{form.level(test.baseline)} → {form.level(test.recipe)}"
        found.append((f"Test part, {plural(test.rows, 'row')}", test.delta, test.ci, levels))
    rows = [
        Row(
            label=label,
            effect=finite(effect),
            interval=finite_interval(interval),
            verdict="promise" if index == 0 else "result",
            value=form.effect(effect),
            note=note if width >= WIDE or index else "",
            title=f"{label}: {form.effect(effect, unit=True)}, 95 % interval {form.interval(interval)}, {note}",
        )
        for index, (label, effect, interval, note) in enumerate(found)
        if finite(effect) is not None
    ]
    label = f"Effect of the recipe on {form.name}: " + "; ".join(row.title for row in rows)
    return (
        effects_chart(rows, form, results.design.smallest_effect, label, width, kind="promised") if rows else Markup()
    )


def effects_chart(
    rows: Sequence[Row], form: MetricFormat, smallest: float, label: str, width: int, *, kind: str
) -> Markup:
    """Return rows of effects over one axis: labels beside the plot when it is wide, above each row on a phone."""
    wide = width >= WIDE
    band = finite(smallest) or 0.0
    intervals = [interval for row in rows for interval in (row.interval, row.wide)]
    low, high = effect_domain([row.effect for row in rows if row.effect is not None], intervals, band)
    label_space = min(232.0, max([text_width(row.label) for row in rows], default=0) + 6) if wide else 0.0
    value_space = max([text_width(row.value) for row in rows], default=0) + 14
    note_space = max([text_width(row.note, 12) for row in rows], default=0) + 14
    left = label_space + 10 if wide else 8
    right = width - value_space - note_space if wide else width - 8
    scale = Scale(lo=low * form.factor, hi=high * form.factor, start=left, end=right)
    # A second row of ticks on top where the one at the bottom is far from the first rows.
    upper = len(rows) > 12 or not wide
    pitch, top = 28 if kind == "forest" else 36, 40 if upper else 24
    if not wide:
        pitch = 48
    bottom = top + pitch * len(rows)
    edge = (max(scale(-band * form.factor), left), min(scale(band * form.factor), right))
    # On a phone the names stand above each row, so zero line and band are drawn in pieces that leave them free.
    pieces = [(top, bottom)] if wide else [(top + pitch * row + 22, top + pitch * row + 46) for row in range(len(rows))]
    parts = [
        tag("rect", x=edge[0], y=start, width=edge[1] - edge[0], height=end - start, class_="equivalence")
        for start, end in pieces
    ]
    if band:
        note = f"too small to matter: ±{form.effect(band, sign=False)}"
        half = text_width(note, 12) / 2
        centre = min(max(sum(edge) / 2, left + half), width - half)
        parts.append(words(note, centre, top - (28 if upper else 10), "axis-note", anchor="middle"))
    ticks = nice_ticks(scale.lo, scale.hi, 6 if wide else 4)
    for tick, text in zip(ticks, tick_texts(ticks, sign=True), strict=True):
        for start, end in pieces:
            parts.append(line(scale(tick), start, scale(tick), end, "zero" if tick == 0 else "grid"))
        parts.append(words(text, scale(tick), bottom + 18, "tick", anchor="middle"))
        if upper:
            parts.append(words(text, scale(tick), top - 8, "tick", anchor="middle"))
    unit = f", {form.effect_unit}" if form.effect_unit else ""
    parts.append(words(f"effect on {form.name}{unit}", left, bottom + 40, "axis-title"))
    parts.append(words("better →", right, bottom + 40, "axis-title", anchor="end"))
    for index, row in enumerate(rows):
        middle = top + pitch * index + (pitch / 2 if wide else 34)
        text_y = middle + 4.5 if wide else middle - 18
        shown = [
            tag("title", row.title),
            tag("rect", x=0, y=top + pitch * index, width=width, height=pitch, class_="hit"),
        ]
        if wide:
            shown.append(words(fitted(row.label, label_space), 0, text_y))
            shown.append(words(row.value, right + value_space, text_y, "value", anchor="end"))
            shown.append(words(row.note, right + value_space + 14, text_y, f"note {row.verdict}", size=12))
        else:
            said = (
                f"{row.value} {row.note}"
                if kind == "forest"
                else f"{row.value} ({row.note})"
                if row.note
                else row.value
            )
            shown.append(words(fitted(row.label, width - 28 - text_width(said)), 8, text_y))
            shown.append(words(said, width - 8, text_y, f"value {row.verdict}", anchor="end"))
        shown.extend(_interval(row, scale, form.factor, middle))
        parts.append(tag("g", *shown, class_="row"))
    return drawing(width, bottom + 50, label, *parts, kind=f"chart {kind}")


def _interval(row: Row, scale: Scale, factor: float, y: float) -> list[Markup]:
    if row.effect is None:
        return []
    parts = []
    for interval, kind in ((row.wide, "whisker thin"), (row.interval, "whisker")):
        if interval is None:
            continue
        ends = [scale.clamped(end * factor) for end in interval]
        parts.append(line(ends[0], y, ends[1], y, f"{kind} {row.verdict}"))
        if kind == "whisker":
            parts.extend(_arrow(scale, end * factor, y, row.verdict) for end in interval)
    effect = row.effect * factor
    if scale.lo <= effect <= scale.hi:
        parts.append(marker(row.verdict, scale(effect), y))
    else:
        parts.append(_arrow(scale, effect, y, row.verdict))
    return parts


def _arrow(scale: Scale, value: float, y: float, verdict: str) -> Markup:
    """An arrow head at the end of the axis where `value` lies beyond it, else nothing."""
    if scale.lo <= value <= scale.hi:
        return Markup()
    tip, back = (scale.start, 7) if value < scale.lo else (scale.end, -7)
    points = f"{tip:.1f},{y:.1f} {tip + back:.1f},{y - 4.5:.1f} {tip + back:.1f},{y + 4.5:.1f}"
    return tag("polygon", points=points, class_=f"arrow {verdict}")
