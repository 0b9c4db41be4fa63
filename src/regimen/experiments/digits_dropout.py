"""Part A: dropout and batch normalization on digits, by the post's script once and by the lab on many splits."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from regimen.data import Table, load, pair_split, prepare
from regimen.engine import one_thread, train
from regimen.experiments.context import Context, Listing, Outcome
from regimen.experiments.digits_pictures import accuracy_picture, lab_picture, script_picture
from regimen.experiments.digits_script import BATCH, RATE, ScriptCurves, Summary, network, run_script, summarize
from regimen.experiments.findings import change_text, highest_text
from regimen.experiments.records import Row
from regimen.models import MLP
from regimen.records import RunResult
from regimen.report.quantities import duration
from regimen.run import Recipe, Run

MODEL = MLP(hidden=(100, 100, 100, 100))
PLAIN = Recipe(epochs=100, batch_size=BATCH, input_scaling="none")
ARMS = {
    "neither": PLAIN,
    "dropout": PLAIN.replace(dropout=RATE),
    "batch norm": PLAIN.replace(normalization="batch"),
    "both": PLAIN.replace(dropout=RATE, normalization="batch"),
}
POSTED_PARAMETERS = 37_810
POSTED_SIZES = {"input": 0.00, "forward/backward pass": 0.01, "parameters": 0.14, "estimated total": 0.15}

Results = Mapping[str, Sequence[RunResult]]


def digits_dropout(context: Context) -> Outcome:
    """Return the losses and accuracies with dropout, batch normalization, both and neither."""
    digits = load_digits()
    epochs = context.choose(quick=8, standard=PLAIN.epochs)
    with one_thread(), torch.random.fork_rng(devices=[]):
        table = summarize(network(), inputs=64)
        scripts = {}
        for dropout in (True, False):
            scripts[dropout] = _script(digits, dropout=dropout, epochs=context.choose(quick=3, standard=epochs))
            context.advance(0.3)
    results, seconds = _lab(digits, context, epochs=epochs, share=0.35)
    shown = script_picture(scripts[True], scripts[False]), lab_picture(results), accuracy_picture(results)
    context.advance(0.05)
    return Outcome(
        rows=(*_summary_rows(table), *_script_rows(scripts), *_lab_rows(results)),
        pictures=shown,
        remarks=_remarks(scripts, results, seconds),
        listings=(Listing(title="The network", text=table.text),),
    )


def load_digits() -> Table:
    """Return the digits of scikit-learn: 1,797 rows of 8x8 pixels from 0 to 16."""
    table = load("digits")
    assert isinstance(table, Table)  # bundled data are tables
    return table


def digits_run(digits: Table, recipe: Recipe, key: int) -> Run:
    """Return the training of one recipe on the split of one key: 80 % of the rows train, 20 % test every epoch."""
    split = pair_split(digits, np.arange(digits.n), key, validation_fraction=0.2)
    return Run(recipe=recipe, model=MODEL, data=digits, split=split, key=key, metric="accuracy")


def _lab(digits: Table, context: Context, *, epochs: int, share: float) -> tuple[Results, tuple[int, float]]:
    """Train every arm on every split; return also how many trainings with and without dropout took how long."""
    keys = range(context.choose(quick=3, standard=10))
    runs = {
        name: [digits_run(digits, recipe.replace(epochs=epochs), key) for key in keys] for name, recipe in ARMS.items()
    }
    for run in runs["neither"]:
        prepare(digits, run.split, "none")  # shared by all arms, so it belongs to none
    step = context.counter(len(ARMS) * len(keys), share)
    results: dict[str, Sequence[RunResult]] = {}
    seconds = {}
    for pair in (("neither", "dropout"), ("batch norm", "both")):
        started = time.perf_counter()
        found = train([run for name in pair for run in runs[name]], processes=context.processes, on_result=step)
        seconds[pair] = time.perf_counter() - started
        results |= {pair[0]: found[: len(keys)], pair[1]: found[len(keys) :]}
    return results, (2 * len(keys), seconds["neither", "dropout"])


def _script(digits: Table, *, dropout: bool, epochs: int) -> ScriptCurves:
    data = prepare(digits, digits_run(digits, PLAIN, 0).split, "none")
    parts = {part: (data.x[part], data.y[part]) for part in ("train", "validation")}
    return run_script(parts["train"], parts["validation"], dropout=dropout, epochs=epochs, seed=0)


def _summary_rows(table: Summary) -> list[Row]:
    counts = {"parameters": table.parameters, "trainable parameters": table.trainable}
    sizes = (table.input_size, table.passes_size, table.parameters_size, table.total_size)
    rows = [
        Row(part="A", variant="as_posted", quantity=name, unit="", posted=POSTED_PARAMETERS, measured=count)
        for name, count in counts.items()
    ]
    for (name, posted), size in zip(POSTED_SIZES.items(), sizes, strict=True):
        rows.append(
            Row(part="A", variant="as_posted", quantity=f"{name} size", unit="MB", posted=posted, measured=size)
        )
    return rows


def _script_rows(scripts: Mapping[bool, ScriptCurves]) -> list[Row]:
    rows = []
    for dropout, curves in scripts.items():
        how = "dropout" if dropout else "no dropout"
        as_posted = {
            f"training loss, {how}, train mode, divided by the last index": (curves.posted[-1], "nats"),
            f"test loss, {how}, eval mode, one split": (curves.test[-1], "nats"),
            f"test accuracy, {how}, one split": (100 * curves.accuracy, "%"),
        }
        for quantity, (value, unit) in as_posted.items():
            rows.append(Row(part="A", variant="as_posted", quantity=quantity, unit=unit, posted=None, measured=value))
    for dropout, curves in scripts.items():
        how = "dropout" if dropout else "no dropout"
        for quantity, value in (
            (f"training loss, {how}, train mode, divided by the batches", curves.averaged[-1]),
            (f"training loss, {how}, eval mode, same split", curves.train[-1]),
        ):
            rows.append(Row(part="A", variant="corrected", quantity=quantity, unit="nats", posted=None, measured=value))
    return rows


def _lab_rows(results: Results) -> list[Row]:
    rows = []
    for name, found in results.items():
        for quantity, values, unit in (
            ("training loss", [result.train_loss for result in found], "nats"),
            ("test loss", [result.validation_loss for result in found], "nats"),
            ("test accuracy", [100 * result.metric for result in found], "%"),
        ):
            told = f"{quantity}, {name}, eval mode, random splits"
            rows.append(Row.over(values, part="A", variant="corrected", quantity=told, unit=unit))
    return rows


def _remarks(scripts: Mapping[bool, ScriptCurves], results: Results, timed: tuple[int, float]) -> tuple[str, ...]:
    posted, averaged = scripts[True].posted[-1], scripts[True].averaged[-1]
    plain, dropped = (np.array([result.metric for result in results[name]]) for name in ("neither", "dropout"))
    gain = 100 * (dropped - plain)
    runs, seconds = timed
    accuracies = {repr(name): [100 * result.metric for result in found] for name, found in results.items()}
    best = highest_text(accuracies, "points", over="splits", decimals=2)
    losses = {
        name: np.mean([(r.train_loss, r.validation_loss) for r in found], axis=0) for name, found in results.items()
    }
    gap = {name: test - training for name, (training, test) in losses.items()}
    return (
        "Divided by the last index instead of the number of batches, the training loss is "
        f"{100 * (posted / averaged - 1):.1f} % too large. The mode matters more: at the end the training loss with "
        f"dropout on is {scripts[True].averaged[-1]:.3f} nats, with dropout off {scripts[True].train[-1]:.4f}. The "
        "post plots the first beside a test loss in eval mode: in its picture the training loss lies too high.",
        f"Without dropout the mean training loss ends at {losses['neither'][0]:.1e} nats and the test loss at "
        f"{losses['neither'][1]:.3f}, over {len(gain)} splits. Dropout changes this gap from {gap['neither']:.3f} to "
        f"{gap['dropout']:.3f} nats, batch normalization to {gap['batch norm']:.3f}, both to {gap['both']:.3f}.",
        f"Dropout changes the test accuracy by {change_text(gain, 'points', over='splits', decimals=2)}. Of the four "
        f"networks the mean is {best}.",
        f"{runs} trainings with and without dropout, evaluated on training and test rows after every epoch, took "
        f"{duration(seconds)} here.",
    )
