"""The report as one self-contained HTML page: no network, no framework, a policy that forbids both."""

import base64
import hashlib
import os
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from regimen.errors import StoreError
from regimen.records import Results
from regimen.report import curves, intervals, responses, svg
from regimen.report.names import labels
from regimen.report.qualifiers import qualifiers
from regimen.report.quantities import MINUS, MetricFormat, best_first, clean, duration, given_validation, plural
from regimen.report.sections import VERDICT_MEANINGS, decisions, free_form, headline, legend_mark, table, unfinished
from regimen.report.sentence import STANDING_WORDS, recipe_label, standing, verdict_sentence

# As many small panels as fill a screen; the others fold away, unless only a few would.
PANELS, FEW = 12, 4


def write_report(results: Results, path: Path) -> None:
    """Write the report of `results` to `path`, whole or not at all.

    Args:
        results: What a study found.
        path: The HTML file; its folder must exist.

    Raises:
        StoreError: The file cannot be written.
    """
    # Characters that UTF-8 cannot hold (file names with undecodable bytes) are already replaced by `clean`.
    page = render(results).encode("utf-8", errors="replace")
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_bytes(page)
        os.replace(draft, path)
    except OSError as error:
        raise StoreError(
            f"expected a place to write the report, but {path} cannot be written: {error.strerror}"
        ) from error


def render(results: Results) -> str:
    """Return the page; every text from the data is escaped, and its policy allows one style and one script."""
    style, script = _packaged("page.css"), _packaged("copy.js")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_packaged),
        finalize=_clean_text,
    )
    names, form = labels(results.techniques), MetricFormat.of(results, minus=MINUS)
    panels, sentence = _panels(results, names), verdict_sentence(results, minus=MINUS)
    page = environment.get_template("page.html.j2")
    return page.render(
        results=results,
        title=f"{clean(results.data.name)}: what regularization does it need?",
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        style=Markup(style),
        script=Markup(script),
        # Figures in brackets qualify: they are set lighter than the answer.
        sentence=re.split(r"(\([^()]*\)\.?)", re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", sentence)),
        standing=standing(results),
        standing_words=STANDING_WORDS[standing(results)],
        qualifiers=qualifiers(results),
        headline=headline(results),
        recipe=recipe_label(results),
        metric=form,
        smallest=form.effect(results.design.smallest_effect, sign=False, unit=True),
        curves=_both_widths(curves.curves, results),
        compared=[series.label for series in curves.shown_series(results)],
        panels=panels,
        visible_panels=PANELS if len(panels) > PANELS + FEW else len(panels),
        runs_off=curves.runs_off(results),
        forest=_both_widths(intervals.forest, results) if results.techniques else [],
        meanings={verdict: (legend_mark(verdict), meaning) for verdict, meaning in VERDICT_MEANINGS.items()},
        responses=[
            responses.response(results, name, arms) for name, arms in responses.response_groups(results).items()
        ],
        response_names=list(responses.response_groups(results)),
        kinds=[(names[one.arm], form.effect(one.delta), one.verdict) for one in responses.without_curve(results)],
        promised=_both_widths(intervals.promised, results),
        rows=table(results),
        plural=plural,
        duration=duration,
        unfinished=unfinished(results),
        command=clean(results.plan.get("command", "")),
        decisions=decisions(results),
        given_validation=given_validation(results),
        plan=free_form(results.plan, skip=("arms", "command", "notes")),
        machine=free_form(results.environment),
    )


def _both_widths(chart: Callable[[Results, int], Markup], results: Results) -> list[tuple[str, Markup]]:
    """A chart drawn for a screen and for a phone, since scaling the one down makes its text too small to read."""
    drawn = [("wide", chart(results, svg.WIDE)), ("phone", chart(results, svg.PHONE))]
    return [(kind, markup) for kind, markup in drawn if markup]


def _panels(results: Results, names: dict[str, str]) -> list[tuple[str, str, Markup]]:
    """Small panels of all arms but the one in the main chart, best first."""
    form, shown = MetricFormat.of(results, minus=MINUS), curves.compared_arm(results)
    found = []
    for one in best_first(results):
        if one.arm != shown and one.arm in results.curves:
            drawn = curves.panel(results, one.arm, names[one.arm])
            if drawn:
                found.append((names[one.arm], form.effect(one.delta), drawn))
    return found


def _packaged(name: str) -> str:
    return resources.files("regimen.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _clean_text(value: object) -> object:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
