"""Trains one recipe for the command line: the test part held out as in a study, all other rows trained on."""

from collections.abc import Sequence
from pathlib import Path

import click

from regimen.cli.folders import Folder, claim, refuse_used, write_whole
from regimen.cli.progress import Meter
from regimen.cli.request import TrainRequest
from regimen.cli.wording import printable
from regimen.cli.workers import stop_workers, undisturbed
from regimen.data import Data, Metric, default_metric, find_metric, load
from regimen.data.keeping import keeping
from regimen.engine import Trainer, choose_engine, one_thread, train_one, why_not
from regimen.errors import EngineError, RegimenError
from regimen.models import parse_model
from regimen.records import RunResult
from regimen.report.quantities import METRIC_NAMES, clean, fixed, plural
from regimen.run import Recipe, Run, SavedModel, read_recipe, recipe_to_toml
from regimen.study.layout import Layout, final_key
from regimen.study.options import default_model
from regimen.study.own_modules import Trial

INTERRUPTED = 130


@keeping()
def train_recipe(request: TrainRequest) -> None:
    """Do what `regimen train` was asked.

    Raises:
        InputError: Something is wrong with the options, the data or the folder; nothing was written.
        EngineError: A network could not be trained; nothing was written.
    """
    choose_engine(request.engine or "auto", request.device)
    recipe = read_recipe(request.recipe)
    if request.epochs is not None:
        recipe = recipe.replace(epochs=request.epochs)
    refuse_used(request.out)
    table = load(request.data, **request.table_options)
    metric = default_metric(table) if request.metric is None else find_metric(request.metric, table.task)
    runs = _runs(table, recipe, metric, request)
    trial = Trial.of(runs[0])
    folder = claim(request.out, table.name)
    for note in (*table.notes, *(trial.notes if trial else ())):
        click.echo(printable(f"note: {note}"), err=True)
    try:
        results = _trained(runs, request)
        model = SavedModel.of(
            runs[0],
            [result.weights for result in results if result.weights is not None],
            keys=[run.key for run in runs],
        )
        value = held_out_metric(model, runs[0], metric)
        model.save(folder.path)
        write_whole(folder.path / "recipe.toml", recipe_to_toml(recipe))
    except KeyboardInterrupt:
        with undisturbed():
            stop_workers()
            _withdraw(folder)
            click.echo("regimen: interrupted; nothing was saved", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except RegimenError:
        _withdraw(folder)
        raise
    _show(runs, results, metric, value, folder.path)


def _runs(table: Data, recipe: Recipe, metric: Metric, request: TrainRequest) -> list[Run]:
    split = Layout.of(table).final_split()
    model = default_model(table) if request.model is None else parse_model(request.model)
    keys = [final_key(request.seed or 0, network) for network in range(request.networks or 1)]
    return [Run(recipe=recipe, model=model, data=table, split=split, key=key, metric=metric.name) for key in keys]


def _trained(runs: Sequence[Run], request: TrainRequest) -> list[RunResult]:
    """Train all networks; a single one in plain PyTorch shows its epochs, else those that are finished are shown."""
    alone = len(runs) == 1 and _in_plain_pytorch(runs[0], request)
    with Meter("epochs" if alone else "networks") as meter:
        meter.begin("training", runs[0].recipe.epochs if alone else len(runs))
        if alone:
            with one_thread():
                results = [train_one(runs[0], keep=("weights",), on_epoch=lambda epoch: meter.step())]
        else:
            with Trainer(
                [runs[0].data],
                engine=request.engine or "auto",
                processes=request.processes,
                device=request.device,
            ) as trainer:
                results = trainer.train(runs, keep=("weights",), on_result=lambda index, result: meter.step())
    for index, result in enumerate(results, start=1):
        if result.weights is None or result.status in ("diverged", "failed"):
            which = "the network" if len(runs) == 1 else f"network {index} of {len(runs)}"
            raise EngineError(f"{which} could not be trained: {result.message}; nothing was saved")
    return results


def _in_plain_pytorch(run: Run, request: TrainRequest) -> bool:
    """Return whether a run is trained by the reference engine, which alone tells its epochs."""
    chosen = choose_engine(request.engine or "auto", request.device).name
    return chosen == "reference" or (chosen == "native" and request.engine != "native" and why_not(run) is not None)


def held_out_metric(model: SavedModel, run: Run, metric: Metric) -> float:
    """Return the metric of the networks together on the test part, in its own unit."""
    rows = run.split.test
    weights = None if run.data.weights is None else run.data.weights.of(rows)
    return metric.function(run.data.y[rows], model.predict_outputs(run.data)[rows], weights)


def _withdraw(folder: Folder) -> None:
    folder.withdraw("model.safetensors", "model.json", "recipe.toml")


def _show(runs: Sequence[Run], results: Sequence[RunResult], metric: Metric, value: float, path: Path) -> None:
    run, data = runs[0], runs[0].data
    epochs = ", ".join(str(result.epoch) for result in results)
    click.echo(
        printable(
            f"{plural(len(runs), 'network')} {run.model.name}, trained on {plural(len(run.split.train), 'row')} "
            f"of {data.name}, epoch{'s' if len(runs) > 1 else ''} {epochs} of {run.recipe.epochs}"
        )
    )
    weighted = data.weights is not None
    click.echo(printable(metric_line(metric, value, len(run.split.test), data.target, weighted=weighted)))
    click.echo(printable(f"model   {path / 'model.safetensors'}"))


def metric_line(metric: Metric, value: float, rows: int, target: str, *, weighted: bool = False) -> str:
    """Return the metric on the test part with its rows and unit, in words; `weighted` says that rows have weights.

    Example:
        >>> from regimen.data import METRICS
        >>> metric_line(METRICS["accuracy"], 0.9667, 30, "species")
        'accuracy on 30 test rows: 96.7 %'
    """
    name = METRIC_NAMES.get(metric.name, metric.name.replace("_", " "))
    units = {"points": " %", "target": f" (in units of {clean(target)})", "plain": ""}
    unit = " nats" if metric.name == "log_loss" else units[metric.unit]
    shown = fixed(100 * value, 1) if metric.unit == "points" else f"{value:.4g}"
    return f"{'weighted ' * weighted}{name} on {plural(rows, 'test row')}: {shown}{unit}"
