"""Writes the pictures and figures of README.md, docs/first-study.md and docs/questions.md from the stored studies.

python scripts/readme_figures.py           # after benchmarks/bench_studies.py
python scripts/readme_figures.py --check   # fails if a picture or figure is not that of the stored studies
"""

import io
import json
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from marked import ROOT, fill, main
from rich.console import Console

from regimen.records import Results
from regimen.report import curves, intervals, results_table, verdict_sentence
from regimen.report.quantities import MINUS, MetricFormat, duration, plural

STORED = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"
CSS = ROOT / "src" / "regimen" / "report" / "page.css"
# What the charts' page is in GitHub's two themes: rings are filled with it, so that they look hollow.
CANVAS = {"light": "#ffffff", "dark": "#0d1117"}


def stored(name: str) -> dict[str, Any]:
    """Return what `benchmarks/bench_studies.py` stored."""
    found: dict[str, Any] = json.loads((STORED / f"studies_{name}.json").read_text("utf-8"))
    return found


def results_of(study: Mapping[str, Any]) -> Results:
    """Return the results of a stored study."""
    return msgspec.convert(study["results"], type=Results)


def picture(chart: str, theme: str) -> str:
    """Return a chart of the report as an SVG file that brings its own style, for one theme.

    The style is that of the report's page: its rules for `svg`, with its variables as they are in that theme.
    """
    css = CSS.read_text("utf-8")
    blocks = [dict(re.findall(r"(--[\w-]+):\s*([^;]+);", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)]
    values = blocks[0] | (blocks[1] if theme == "dark" else {}) | {"--paper": CANVAS[theme]}
    rules = [line for line in css.splitlines() if line.startswith("svg") and ":hover" not in line]
    style = re.sub(r"var\((--[\w-]+)\)", lambda match: values[match[1]], "\n".join(rules))
    opening, rest = str(chart).split(">", 1)  # no Markup, which would escape what is put in
    lines = rest.replace("<g ", "\n<g ")
    return f"{opening}>\n<style>\n{style}\n</style>\n{lines}\n"


def best_settings(results: Results) -> Results:
    """Return the results with the best setting of each technique alone; p-values stay adjusted for all settings."""
    best = {one.name: one for one in sorted(results.techniques, key=lambda one: one.delta)}
    return replace(results, techniques=tuple(best.values()))


def pictures(digits: Results, titanic: Results) -> dict[Path, str]:
    """Return all pictures, each in two themes."""
    charts: dict[str, str] = {
        "digits-techniques": intervals.forest(best_settings(digits)),
        "digits-effects": intervals.forest(digits),
        "digits-curves": curves.curves(digits),
        "digits-promise": intervals.promised(digits),
        "titanic-effects": intervals.forest(titanic),
    }
    return {IMAGES / f"{name}-{theme}.svg": picture(chart, theme) for name, chart in charts.items() for theme in CANVAS}


def terminal(results: Results, rows: int | None = None) -> str:
    """Return what the command prints at its end, as a block of text; all but the first `rows` of the table left out."""
    written = io.StringIO()
    Console(file=written, width=80, highlight=False).print(results_table(results))
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    if rows is not None:
        first = next(number for number, line in enumerate(lines) if line.startswith("technique ")) + 1
        last = next(number for number, line in enumerate(lines) if line.startswith("Effect on "))
        lines = [*lines[: first + rows], f"[… {len(results.techniques) - rows} more]", *lines[last:]]
    return "\n".join(["```text", *lines, "```"])


def shown(name: str, description: str) -> str:
    """Return the Markdown of a picture in both themes of the site."""
    return "\n".join(f"![{description}](images/{name}-{theme}.svg#only-{theme})" for theme in CANVAS)


def alone(results: Results) -> str:
    """Return in words what a chart of effects shows, for whoever cannot see it."""
    form = MetricFormat.of(results, minus=MINUS)
    arms = sorted(results.techniques, key=lambda one: -one.delta)
    said = ", ".join(f"{one.arm} {form.effect(one.delta)} ({one.verdict})" for one in arms)
    return f"Effect of {plural(len(arms), 'setting')} on {form.name} in points, with 95 % intervals: {said}."


def machine(head: Mapping[str, Any], results: Results) -> str:
    """Return where the study ran, in words."""
    found = results.environment
    processor = re.sub(r"\((R|TM)\)|\bCPU\b", "", found["processor"]).replace("  ", " ").strip()
    return (
        f"{plural(found['cores'], 'core')}, {processor} ({head['instruction_set']}), one thread a run, "
        f"PyTorch {found['torch'].split('+')[0]}, commit {head['commit'][:7]}, {head['date']}"
    )


def in_readme(head: Mapping[str, Any], results: Results) -> dict[str, str]:
    """Return the parts of README.md."""
    form, design, confirmation = MetricFormat.of(results, minus=MINUS), results.design, results.confirmation
    study, reference, test = head["studies"]["digits"], head["studies"]["reference"], confirmation.test
    evidence = (
        f"{plural(design.pairs, 'pair')} for the search, {confirmation.pairs} new ones for the confirmation; the "
        f"baseline's {form.name} varies by {form.effect(results.baseline.sd, sign=False, unit=True)} (one sd)"
    )
    rows = [
        ("verdict", f"“{verdict_sentence(results, minus=MINUS)}”"),
        ("evidence", evidence),
        ("test part", f"{form.effect(test.delta, unit=True)} ({form.interval(test.ci)}) on {plural(test.rows, 'row')}"),
        ("validation loss", losses(results)),
        ("training", f"{plural(design.runs, 'run')} of {plural(design.epochs, 'epoch')}, {design.steps:,} steps"),
        (f"time, {design.engine} engine", times(study)),
        ("the same in plain PyTorch", f"{times(reference)} (`--engine reference`)"),
        ("hardware", machine(head, results) + busy(head, results)),
    ]
    table = "\n".join(["| `regimen study digits` | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
    image = f"""<picture>
  <source media="(prefers-color-scheme: dark)" srcset="docs/images/digits-techniques-dark.svg">
  <img src="docs/images/digits-techniques-light.svg" width="760" alt="{alone(best_settings(results))}">
</picture>"""
    return {"effects": image, "figures": table}


def times(study: Mapping[str, Any]) -> str:
    """Return how long the whole command takes, start-up included."""
    walls, processor = study["seconds"], statistics.median(study["processor_seconds"])
    spread = f"{min(walls):.0f} to {max(walls):.0f} s in {len(walls)} repeats with the same figures"
    once = "one repeat"
    return f"{statistics.median(walls):.0f} s ({spread if walls[1:] else once}), {processor:.0f} s of processor time"


def busy(head: Mapping[str, Any], results: Results) -> str:
    """Return that the machine had other work to do meanwhile, where it had."""
    return "; the machine was busy with other work" if head["load_before"] > results.environment["cores"] / 2 else ""


def losses(results: Results) -> str:
    """Return what the recipe does to the plain validation loss, which may differ from what it does to the metric.

    On the pairs of the confirmation, as in the sentence that the command prints.
    """
    confirmed = [run for run in results.runs if run.phase == "confirm" and run.validation_loss is not None]
    before, after = (
        statistics.fmean(run.validation_loss for run in confirmed if run.arm == arm) for arm in ("baseline", "recipe")
    )
    against = after > before and results.confirmation.delta > 0
    warning = ": right more often, and less sure; study `--metric log_loss` if you use the probabilities"
    return f"{before:.3f} for the baseline, {after:.3f} for the recipe, in nats{warning if against else ''}"


def in_first_study(digits: Results, titanic: Mapping[str, Results]) -> dict[str, str]:
    """Return the parts of docs/first-study.md."""
    return {
        "digits": terminal(digits),
        "digits-curves": shown("digits-curves", "Training and validation loss of baseline and recipe over the epochs"),
        "digits-effects": shown("digits-effects", alone(digits)),
        "digits-promise": shown("digits-promise", "Effect promised by the search, confirmed, and on the test part"),
        "titanic": terminal(titanic["accuracy"], 12),
        "titanic-effects": shown("titanic-effects", alone(titanic["accuracy"])),
        "titanic-needed": needed(titanic["accuracy"]),
        "titanic-more": terminal(titanic["more_pairs"]),
        "titanic-loss": terminal(titanic["log_loss"], 5),
    }


def needed(results: Results, rows: int = 12) -> str:
    """Return the columns of the report's table that tell what to do about `unclear`, for its first rows."""
    form = MetricFormat.of(results, minus=MINUS)
    lines = ["| setting | verdict | effect | gap | pairs needed |", "|---|---|---:|---:|---:|"]
    for one in sorted(results.techniques, key=lambda one: -one.delta)[:rows]:
        count = "over 200" if one.pairs_needed is None else str(one.pairs_needed)
        lines.append(f"| `{one.arm}` | {one.verdict} | {form.effect(one.delta)} | {one.gap:.2f} | {count} |")
    lines.append(f"| {len(results.techniques) - rows} more | | | | |")
    return "\n".join([*lines, "", f"The gap of the baseline is {results.baseline.gap:.2f}."])


def in_questions(heads: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the parts of docs/questions.md: how long the stored studies took."""
    lines = ["| `regimen study` … | rows | runs | time |", "|---|---:|---:|---|"]
    for study in (study for head in heads for study in head["studies"].values()):
        found = results_of(study)
        options = study["command"].removeprefix("regimen study ")
        options = re.sub(r" --techniques (\S+,){3,}\S+", "", options)  # those tried by default, named
        rows = found.data.rows.train + found.data.rows.validation + found.data.rows.test  # too few to set any aside
        size = f"{rows:,} | {found.design.runs:,}"
        lines.append(f"| `{options}` | {size} | {duration(statistics.median(study['seconds']))} |")
    return {"times": "\n".join([*lines, "", f"*{machine(heads[0], found)}{busy(heads[0], found)}.*"])}


def files() -> dict[Path, str]:
    """Return every file this script writes, with its content."""
    head, passengers = stored("digits"), stored("titanic")
    digits = results_of(head["studies"]["digits"])
    titanic = {name: results_of(one) for name, one in passengers["studies"].items()}
    found = pictures(digits, titanic["accuracy"])
    parts: dict[Path, Callable[[], dict[str, str]]] = {
        ROOT / "README.md": lambda: in_readme(head, digits),
        ROOT / "docs" / "first-study.md": lambda: in_first_study(digits, titanic),
        ROOT / "docs" / "questions.md": lambda: in_questions([head, passengers]),
    }
    return found | {path: fill(path.read_text("utf-8"), make(), Path(__file__).name) for path, make in parts.items()}


if __name__ == "__main__":
    main(files, __doc__)
