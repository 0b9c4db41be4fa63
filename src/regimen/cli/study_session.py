"""Conducts a study for the command line: claims its folder, shows progress, writes what was found, survives Ctrl-C."""

from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace
from pathlib import Path

import click
from rich.console import Console

from regimen.cli.folders import Folder, claim, refuse_used, write_whole
from regimen.cli.progress import Meter, StudyProgress
from regimen.cli.request import DataRequest, StudyRequest, TrainRequest
from regimen.cli.resume import Found, find
from regimen.cli.wording import printable
from regimen.cli.workers import stop_workers, undisturbed
from regimen.data import Data, load
from regimen.data.keeping import keeping
from regimen.engine import Trainer
from regimen.errors import EngineError, InputError
from regimen.models import OwnModule
from regimen.records import Results
from regimen.report import results_table, write_report
from regimen.report.quantities import plural
from regimen.run import read_recipe
from regimen.store import FILE, Store
from regimen.study import Findings, Plan, Study, StudyOptions
from regimen.study.layout import Layout
from regimen.study.planning import make_plan
from regimen.tracking import open_trackers, require_trackers

INTERRUPTED = 130


@keeping()
def conduct(request: StudyRequest) -> None:
    """Do what `regimen study` was asked.

    Raises:
        InputError: Something is wrong with the options, the data or the folder; nothing was written.
        EngineError: The study could not be finished; what was is kept.
    """
    options = study_options(request)
    require_trackers(request.track or ())
    if request.resume:
        found = find(request)
        folder = Folder(path=found.path)
    else:
        refuse_used(request.out, resumable=True)
        table = load(request.data, **request.table_options)
        plan = require_plan(table, options)
        folder = claim(request.out, table.name, resumable=True)
        # What is left out though asked for, or has no place in an own module, is told before hours of training.
        left_out = plan.notes if plan.model_digest or options.techniques is not None else ()
        for note in (*table.notes, *_notes_on_pairs(table, plan, options), *left_out):
            click.echo(printable(f"note: {note}"), err=True)
        found = Found(path=folder.path, request=request, table=table)
    placed = replace(found.request, out=str(folder.path), resume=True)
    watch = StudyProgress(Meter("runs"))
    try:
        findings = _study(found, options, watch, request)
        write_findings(found, findings)
    except KeyboardInterrupt:
        with undisturbed():
            stop_workers()
            folder.withdraw()
            _say_how_to_resume("interrupted", folder.path, placed.command_line("study"))
        raise click.exceptions.Exit(INTERRUPTED) from None
    except EngineError as error:
        # A worker that died may live next time; a baseline that diverges does so again.
        if isinstance(error.__cause__, BrokenProcessPool):
            _say_how_to_resume("stopped", folder.path, placed.command_line("study"))
        raise
    except InputError:
        folder.withdraw()
        raise
    _show(findings.results, folder.path)


def study_options(request: StudyRequest) -> StudyOptions:
    """Return the options of the study, checked as far as they can be without the data.

    Raises:
        InputError: A value is out of range, or the baseline cannot be read.
    """
    names = {field.name for field in fields(StudyOptions)} - {"baseline"}
    given = {name: getattr(request, name) for name in names if getattr(request, name) is not None}
    baseline = None if request.baseline is None else read_recipe(request.baseline)
    return StudyOptions(baseline=baseline, **given)


def require_plan(table: Data, options: StudyOptions) -> Plan:
    """Refuse options that do not fit the data before anything is written, by planning once; return that plan.

    A budget in seconds alone cannot be tried without training.

    Raises:
        InputError: No study can be planned.
    """
    limit = options.limit
    tried = replace(options, budget=None) if limit is not None and limit.unit == "s" else options
    layout = Layout.of(table, folds=options.folds or 0)
    with Trainer([table], processes=1) as trainer:
        return make_plan(layout, tried, trainer, processes=1, started=0.0)


def _notes_on_pairs(table: Data, plan: Plan, options: StudyOptions) -> tuple[str, ...]:
    """Return what is to be said of the pairs; nothing where a budget in seconds has still to say how many they are."""
    if options.limit is not None and options.limit.unit == "s":
        return ()
    return Layout.of(table, folds=plan.folds).notes(plan.seed, plan.pairs)


def _study(found: Found, options: StudyOptions, watch: StudyProgress, request: StudyRequest) -> Findings:
    trackers = open_trackers(request.track or (), found.path)
    study = Study(data=found.table, options=options, watch=watch, trackers=trackers)
    command = request.without_place().command_line("study")
    with watch.meter:
        return study.run(found.path, resume=request.resume, command=command)


def write_findings(found: Found, findings: Findings) -> None:
    """Write model, recipe, report and results, the results last: where they are, the study is finished.

    Raises:
        StoreError: A file cannot be written.
    """
    path, results = found.path, findings.results
    findings.model.save(path)
    data = {field.name: getattr(found.request, field.name) for field in fields(DataRequest)}
    recipe = path / "recipe.toml"
    # Trained again, it is scored as it was studied.
    own = isinstance(findings.model.model, OwnModule)
    model = found.request.model if own else results.model.name
    train = TrainRequest(recipe=str(recipe), model=model, metric=found.request.metric, **data)
    lines = [f"# {printable(train.command_line('train'))}"]
    if not results.recipe.arms:
        lines.append("# The baseline: nothing that was tried is shown to be better.")
    write_whole(recipe, "\n".join([*lines, results.recipe.toml]))
    write_report(results, path / "report.html")
    write_whole(path / "results.json", results.to_json())


def _show(results: Results, path: Path) -> None:
    Console(highlight=False).print(results_table(results))
    click.echo()
    for what, name in (("report", "report.html"), ("recipe", "recipe.toml"), ("model", "model.safetensors")):
        what_it_is = " (the baseline)" if name == "recipe.toml" and not results.recipe.arms else ""
        click.echo(printable(f"{what:<8}{path / name}{what_it_is}"))


def _say_how_to_resume(what: str, path: Path, command: str) -> None:
    if not (path / FILE).exists():
        click.echo(f"regimen: {what} before the first run; nothing was written", err=True)
        return
    with Store(path, create=False) as store:
        kept = plural(len(store), "finished run")
    click.echo(printable(f"regimen: {what}; {kept} kept in {path}; go on with:"), err=True)
    click.echo(f"  {printable(command)}", err=True)
