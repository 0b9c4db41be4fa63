"""Charts of training and validation loss per epoch: baseline against recipe, and a small panel for each other arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from regimen.records import CurveRecord, Results
from regimen.report.names import labels
from regimen.report.quantities import best_first, finite, loss
from regimen.report.sentence import recommended
from regimen.report.svg import (
    WIDE,
    Scale,
    band,
    drawing,
    fitted,
    line,
    nice_ticks,
    path,
    tag,
    text_width,
    tick_texts,
    words,
)

BASELINE = "baseline"
RECIPE = "recipe"
# A hover column for each epoch up to this many; above it, for evenly spaced ones.
COLUMNS = 60
PITCH = 16.0  # least distance of two labels


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One arm's curves with the name and the CSS class they are drawn with; missing values are NaN."""

    label: str
    kind: str
    epoch: tuple[float, ...]
    train: tuple[float, ...]
    validation: tuple[float, ...]
    lo: tuple[float, ...]
    hi: tuple[float, ...]

    @classmethod
    def of(cls, record: CurveRecord, label: str, kind: str) -> "Series":
        """Return the curves of `record`, null and infinite losses as NaN, all of the length of the shortest."""
        lines = (record.epoch, record.train, record.validation, record.lo, record.hi)
        length = min(map(len, lines))
        known = [tuple(_number(value) for value in each[:length]) for each in lines]
        return cls(
            label=label, kind=kind, epoch=known[0], train=known[1], validation=known[2], lo=known[3], hi=known[4]
        )


def compared_arm(results: Results) -> str | None:
    """Return the arm shown against the baseline: the recipe's own curves, else its first arm's, else the best arm's."""
    candidates = [RECIPE, *(one.arm for one in recommended(results)), *(one.arm for one in best_first(results))]
    return next((arm for arm in candidates if arm in results.curves), None)


def shown_series(results: Results) -> list[Series]:
    """Return the series of the main chart: the baseline, and what it is compared with where there is anything."""
    found = []
    if BASELINE in results.curves:
        found.append(Series.of(results.curves[BASELINE], BASELINE, "base"))
    arm = compared_arm(results)
    if arm is not None:
        chosen = arm == RECIPE or [one.arm for one in recommended(results)] == [arm]
        label = RECIPE if chosen else labels(results.techniques).get(arm, arm)
        found.append(Series.of(results.curves[arm], label, "best"))
    return [series for series in found if series.epoch]


def loss_ceiling(series: Sequence[Series]) -> float:
    """Return where the loss axis ends: above all that comes after the first tenth of the epochs.

    Untrained networks start at losses that would squash the part where arms differ; those first steps run off the top.
    """
    late = [
        value
        for each in series
        for values in (each.train, each.validation, each.hi)
        for value in values[min(len(values) - 1, max(1, len(values) // 10)) :]
        if value == value
    ]
    return 1.08 * max(late, default=1.0) or 1.0


def runs_off(results: Results) -> bool:
    """Tell whether the first epochs of the main chart lie above its loss axis."""
    series = shown_series(results)
    ceiling = loss_ceiling(series)
    return any(value > ceiling for each in series for value in (*each.train, *each.validation))


def losses_unit(results: Results) -> str:
    """Return what the losses are, for the axis."""
    return "cross-entropy, nats" if results.data.task == "classification" else "squared error, standardized target"


def curves(results: Results, width: int = WIDE) -> Markup:
    """Return the main chart: training (dashed) and validation loss (solid, with its band) of baseline and recipe."""
    series = shown_series(results)
    if not series:
        return Markup()
    wide = width >= WIDE
    height, left, top = (360.0, 54.0, 30.0) if wide else (300.0, 44.0, 30.0)
    names = [f"{each.label}, {part}" for each in series for part in ("validation", "training")]
    space = min(230.0, max(text_width(name, 12) for name in names) + 12) if wide else 8
    right, bottom = width - space, height - 46
    first, last = min(min(each.epoch) for each in series), max(max(each.epoch) for each in series)
    x = Scale(lo=first, hi=last, start=left, end=right)
    y = Scale(lo=0, hi=loss_ceiling(series), start=bottom, end=top)
    parts = _axes(x, y, wide)
    parts.append(words(f"loss in eval mode ({losses_unit(results)})", 0, 14, "axis-title"))
    # A nested drawing clips what runs off the top, and needs no id for it.
    lines = [shape for each in series for shape in _lines(each, x, y)]
    parts.append(
        tag("svg", tag("g", *lines), x=0, y=top, width=width, height=bottom - top + 2, viewBox=_box(width, top, bottom))
    )
    parts.extend(_direct_labels(series, y, right + 8, space - 8) if wide else _legend(series, height + 12, width))
    parts.extend(_hover(series, x, top, bottom))
    ends = "; ".join(
        f"{s.label} ends at {loss(s.train[-1])} training and {loss(s.validation[-1])} validation" for s in series
    )
    label = f"Training and validation loss in eval mode over {x.hi:g} epochs: {ends}."
    return drawing(width, height + (0 if wide else 18 * len(series) + 4), label, *parts, kind="chart curves")


def panel(results: Results, arm: str, label: str) -> Markup:
    """Return the small panel of one arm: its losses over the baseline's validation loss, on the main chart's axes."""
    width, height, left, top, right, bottom = 180.0, 118.0, 30.0, 8.0, 178.0, 98.0
    main = shown_series(results)
    own = Series.of(results.curves[arm], label, "other")
    if not own.epoch:
        return Markup()
    every = [*main, own]
    x = Scale(
        lo=min(min(each.epoch) for each in every), hi=max(max(each.epoch) for each in every), start=left, end=right
    )
    y = Scale(lo=0, hi=loss_ceiling(main or every), start=bottom, end=top)
    ticks = nice_ticks(0, y.hi, 3)
    parts = [line(left, y(tick), right, y(tick), "grid") for tick in ticks]
    parts += [
        words(text, left - 5, y(tick) + 4, "tick", anchor="end", size=11)
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    ]
    parts += [
        words(f"{x.lo:g}", left, bottom + 15, "tick", size=11),
        words(f"epoch {x.hi:g}", right, bottom + 15, "tick", anchor="end", size=11),
    ]
    lines = [path(_points(main[0], main[0].validation, x, y), "line base thin")] if main else []
    lines += _lines(own, x, y)
    parts.append(tag("svg", *lines, x=0, y=top, width=width, height=bottom - top + 2, viewBox=_box(width, top, bottom)))
    ending = f"{label} ends at {loss(own.train[-1])} training and {loss(own.validation[-1])} validation loss"
    hover = tag("rect", tag("title", ending), x=0, y=0, width=width, height=height, class_="hit")
    return drawing(width, height, ending, *parts, hover, kind="chart panel")


def _axes(x: Scale, y: Scale, wide: bool) -> list[Markup]:
    parts = []
    ticks = nice_ticks(y.lo, y.hi, 5)
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(line(x.start, y(tick), x.end, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(words(text, x.start - 8, y(tick) + 4, "tick", anchor="end"))
    epochs = [tick for tick in nice_ticks(x.lo, x.hi, 8 if wide else 5) if tick == int(tick)]
    for tick in epochs:
        parts.append(line(x(tick), y.start, x(tick), y.start + 5, "axis"))
        parts.append(words(f"{tick:g}", x(tick), y.start + 19, "tick", anchor="middle"))
    parts.append(words("epoch", x.start, y.start + 38, "axis-title"))
    return parts


def _box(width: float, top: float, bottom: float) -> str:
    return f"0 {top:g} {width:g} {bottom - top + 2:g}"


def _points(series: Series, values: Sequence[float], x: Scale, y: Scale) -> list[tuple[float, float]]:
    return [(x(epoch), y(value)) for epoch, value in zip(series.epoch, values, strict=True)]


def _lines(series: Series, x: Scale, y: Scale) -> list[Markup]:
    return [
        band(_points(series, series.hi, x, y), _points(series, series.lo, x, y), f"spread {series.kind}"),
        path(_points(series, series.train, x, y), f"line training {series.kind}"),
        path(_points(series, series.validation, x, y), f"line validation {series.kind}"),
    ]


def _direct_labels(series: Sequence[Series], y: Scale, x: float, space: float) -> list[Markup]:
    """Labels at the ends of the lines, pushed apart where they would overlap."""
    wanted: list[tuple[float, str, str]] = []
    for each in series:
        for part, values in (("validation", each.validation), ("training", each.train)):
            known = [value for value in values if value == value]
            if known:
                wanted.append((y.clamped(known[-1]) + 4, f"{each.label}, {part}", each.kind))
    wanted.sort()
    # Downwards each keeps its distance from the one above; the last may not sink below the axis, so push back up.
    heights = [height for height, _, _ in wanted]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + PITCH)
    for index in reversed(range(len(heights))):
        limit = y.start + 4 if index == len(heights) - 1 else heights[index + 1] - PITCH
        heights[index] = min(heights[index], limit)
    return [
        words(fitted(text, space, 12), x, height, f"direct {kind}", size=12)
        for height, (_, text, kind) in zip(heights, wanted, strict=True)
    ]


def _legend(series: Sequence[Series], top: float, width: float) -> list[Markup]:
    """The same below the chart where a phone has no room beside it: one row for each arm, one column for each part."""
    parts = []
    for row, each in enumerate(series):
        for column, part in enumerate(("validation", "training")):
            x, y = 8 + column * width * 0.56, top + row * 18
            parts.append(line(x, y - 4, x + 22, y - 4, f"line {part} {each.kind}"))
            text = f"{each.label}, {part}" if column == 0 else part
            parts.append(words(fitted(text, width * 0.56 - 34, 12), x + 28, y, f"direct {each.kind}", size=12))
    return parts


def _hover(series: Sequence[Series], x: Scale, top: float, bottom: float) -> list[Markup]:
    """Invisible columns that show the losses of one epoch when the pointer rests on it."""
    longest = max(series, key=lambda each: len(each.epoch))
    count = len(longest.epoch)
    chosen = sorted(
        {round(index * (count - 1) / max(1, min(count, COLUMNS) - 1)) for index in range(min(count, COLUMNS))}
    )
    width = (x.end - x.start) / max(1, len(chosen) - 1)
    parts = []
    for index in chosen:
        said = [
            f"{each.label}: training {loss(each.train[index])}, validation {loss(each.validation[index])} "
            f"({loss(each.lo[index])} to {loss(each.hi[index])})"
            for each in series
            if index < len(each.epoch)
        ]
        title = tag("title", "\n".join([f"epoch {longest.epoch[index]:g}", *said]))
        at = x(longest.epoch[index])
        parts.append(tag("rect", title, x=at - width / 2, y=top, width=width, height=bottom - top, class_="hit"))
    return parts


def _number(value: float | None) -> float:
    known = finite(value)
    return float("nan") if known is None else known
