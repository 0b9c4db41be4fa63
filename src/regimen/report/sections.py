"""What the report says beside its charts: headline figures, the rows of the table, and free-form records."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from regimen.records import Results
from regimen.report.names import labels, setting_note, setting_text
from regimen.report.quantities import (
    MINUS,
    MISSING,
    MetricFormat,
    best_first,
    clean,
    cost,
    duration,
    finite,
    loss,
    new_rows_interval,
    plural,
    probability,
)
from regimen.report.sentence import overfitting, standing
from regimen.report.svg import marker, tag

VERDICT_MEANINGS = {
    "helps": "helps: better, adjusted p below 0.05",
    "hurts": "hurts: worse, adjusted p below 0.05",
    "equivalent": "equivalent: the 90 % interval lies inside the band of effects too small to matter",
    "unclear": "unclear: neither; more pairs could tell",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A term with its value and, where it needs one, a note."""

    term: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of the table of techniques; `label` is its column, shown beside it on a phone."""

    label: str
    text: str
    note: str = ""
    number: bool = True
    mark: Markup = field(default_factory=Markup)
    verdict: str = ""


def headline(results: Results) -> list[Fact]:
    """Return the figures below the verdict: the effect, the levels, the gap and the effort."""
    form, confirmation, baseline, design = (
        MetricFormat.of(results, minus=MINUS),
        results.confirmation,
        results.baseline,
        results.design,
    )
    found = []
    if standing(results) in ("confirmed", "weaker", "unproven", "worse"):
        span = f"95 % interval {form.interval(confirmation.ci)}"
        unit = f" {form.effect_unit}" if form.effect_unit else ""
        held = "Confirmed effect" if standing(results) in ("confirmed", "weaker") else "Effect on new pairs"
        found.append(
            Fact(
                term=f"{held} on {form.name}",
                value=f"{form.effect(confirmation.delta)}{unit}",
                note=f"{span}, {plural(confirmation.pairs, 'new pair')}",
            )
        )
        found.append(
            Fact(
                term=f"{form.name[:1].upper()}{form.name[1:]}",
                value=f"{form.level(confirmation.baseline)} → {form.level(confirmation.recipe)}",
                note="baseline to recipe, in the confirmation",
            )
        )
    else:
        name = f"{form.name[:1].upper()}{form.name[1:]} of the baseline"
        spread = finite(baseline.sd)
        note = f"standard deviation {form.effect(spread, sign=False)} over pairs" if spread is not None else ""
        found.append(Fact(term=name, value=form.level(baseline.mean), note=note))
    found.append(
        Fact(
            term="Gap of the baseline",
            value=loss(baseline.gap),
            note=f"validation loss {loss(baseline.validation_loss)}, training {loss(baseline.train_loss)}: "
            f"{overfitting(results)}",
        )
    )
    arms = f"{plural(len(results.techniques), 'setting')} and the baseline" if results.techniques else "the baseline"
    note = f"{arms} on {plural(design.pairs, 'pair')}, in {duration(design.seconds)}"
    found.append(Fact(term="Effort", value=plural(design.runs, "run"), note=note))
    return found


def table(results: Results) -> list[list[Cell]]:
    """Return the cells of the table of techniques, best first; arms that never trained come last."""
    form, names, design = MetricFormat.of(results, minus=MINUS), labels(results.techniques), results.design
    found = []
    for one in best_first(results):
        known = finite(one.delta) is not None
        share = finite(one.probability_of_improvement)
        verdict = one.verdict if known else "did not train"
        unfinished = f", {one.diverged} unfinished" if one.diverged and known else ""
        needed = "over 200" if one.pairs_needed is None else f"{one.pairs_needed}"
        # Only where more pairs would settle something; near the limit of a verdict the estimate is no use.
        open_question = one.verdict == "unclear" and (one.pairs_needed is None or one.pairs_needed > design.pairs)
        found.append(
            [
                Cell(label="setting", text=names[one.arm], note=setting_note(one), number=False),
                Cell(
                    label="verdict",
                    text=verdict + unfinished,
                    number=False,
                    mark=legend_mark(one.verdict if known else "unclear"),
                    verdict=one.verdict,
                ),
                Cell(label="effect", text=form.effect(one.delta)),
                Cell(label="95 % interval", text=form.interval(one.ci)),
                Cell(label="new rows", text=form.interval(new_rows_interval(results, one))),
                Cell(label="adjusted p", text=probability(one.p_adjusted)),
                Cell(label="P(better)", text=MISSING if share is None else f"{share * 100:.0f} %"),
                Cell(label=form.name, text=form.level(one.mean)),
                Cell(label="gap", text=loss(one.gap)),
                Cell(label="cost", text=MISSING if finite(one.cost) is None else f"{cost(one.cost)}×"),
                Cell(label="pairs needed", text=needed if known and open_question else MISSING),
            ]
        )
    return found


def legend_mark(verdict: str) -> Markup:
    """Return the mark of a verdict as a small drawing of its own, for text and tables."""
    return tag("svg", marker(verdict, 8, 8), viewBox="0 0 16 16", width=14, height=14, class_="key", aria_hidden="true")


def unfinished(results: Results) -> str:
    """Return how many runs did not finish, in words; empty if all did."""
    count = Counter(run.status for run in results.runs if run.status in ("diverged", "failed"))
    return " and ".join(f"{plural(number, 'run')} {status}" for status, number in sorted(count.items()))


def decisions(results: Results) -> list[str]:
    """Return what the plan decided in words, such as techniques left out and why."""
    notes = results.plan.get("notes")
    return [clean(note) for note in notes] if isinstance(notes, list | tuple) else []


def free_form(values: Mapping[str, Any], *, skip: tuple[str, ...] = ()) -> list[Fact]:
    """Return a free-form mapping as sorted terms, without those that are empty."""
    return [
        Fact(term=clean(key).replace("_", " "), value=_in_words(values[key]))
        for key in sorted(values, key=str)
        if key not in skip and values[key] not in (None, "", (), [], {})
    ]


def _in_words(value: Any) -> str:
    """Nested values in one line: parts of a mapping after semicolons, parts of a list after commas."""
    if isinstance(value, dict):
        return "; ".join(f"{clean(key)}: {_in_words(value[key])}" for key in sorted(value, key=str))
    if isinstance(value, list | tuple):
        return ", ".join(f"({_in_words(item)})" if isinstance(item, dict) else _in_words(item) for item in value)
    return "none" if value is None else setting_text(value)
