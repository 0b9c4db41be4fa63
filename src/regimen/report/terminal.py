"""The results of a study for the terminal: the verdict, then one line for each technique."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimen.records import Results
from regimen.report.names import labels
from regimen.report.qualifiers import cautions
from regimen.report.quantities import (
    MetricFormat,
    best_first,
    clean,
    cost,
    finite,
    finite_interval,
    plural,
    probability,
)
from regimen.report.sentence import verdict_sentence

STYLES = {"helps": "bold green", "hurts": "red", "equivalent": "dim", "unclear": "yellow"}


def results_table(results: Results) -> RenderableType:
    """Return the verdict sentence and the table of all techniques, best first, readable at 80 columns.

    Texts from the data are never read as markup, and hold no escape sequences.
    """
    form, names = MetricFormat.of(results), labels(results.techniques)
    verdict = Text(clean(verdict_sentence(results)), style="bold")
    said = [verdict, *(Text(clean(caution)) for caution in cautions(results))]
    if not results.techniques:
        return Group(*said)
    unit = f", {form.effect_unit}" if form.effect_unit else ""
    caption = (
        f"Effect on {form.name}{unit}, above zero is better; baseline {form.level(results.baseline.mean)}. "
        "Intervals are those of each setting alone; p is adjusted over "
        f"{plural(len(results.techniques), 'setting')}. Cost: time of a run over the baseline's."
    )
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), caption=Text(caption, style="dim"), caption_justify="left"
    )
    # The only column that may wrap: a long name takes two lines before a figure loses a digit.
    table.add_column("technique", overflow="fold", min_width=12)
    table.add_column("effect", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("adj. p", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    for one in best_first(results):
        known = finite(one.delta) is not None
        interval = finite_interval(one.ci)
        table.add_row(
            Text(names[one.arm]),
            Text(form.effect(one.delta) if known else "-"),
            Text(form.interval(interval) if interval else "-"),
            Text(probability(one.p_adjusted) if known else "-"),
            Text(one.verdict, style=STYLES[one.verdict]) if known else Text("did not train", style="red"),
            Text("-" if finite(one.cost) is None else f"{cost(one.cost)}x"),
        )
    return Group(*said, Text(), table)
