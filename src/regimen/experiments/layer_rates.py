"""Part C, the cost of dropout: digits at rates from 0 to 0.8, all trained in one call."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.data import Table
from regimen.engine import train
from regimen.estimators.predicting import forward
from regimen.experiments import pictures
from regimen.experiments.context import Context, Picture
from regimen.experiments.digits_dropout import PLAIN, digits_run
from regimen.experiments.findings import highest_text
from regimen.experiments.records import Row
from regimen.records import RunResult
from regimen.run import Run, SavedModel

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
# The training loss, in nats, that each rate takes its time to reach.
GOAL = 0.1
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """Networks at every rate on the same splits.

    Attributes:
        data: The digits.
        runs: By rate, one for each split.
        results: The same, with weights.
        accuracy: By rate, in percent, `[3, splits]`: training rows in train mode, in eval mode, test rows in eval mode.
    """

    data: Table
    runs: Mapping[float, Sequence[Run]]
    results: Mapping[float, Sequence[RunResult]]
    accuracy: Mapping[float, Floats]

    def model(self, rate: float, split: int) -> SavedModel:
        """Return one trained network."""
        return model_of(self.runs[rate][split], self.results[rate][split])


def train_rates(digits: Table, context: Context, *, share: float) -> Trained:
    """Train every rate on every split, in one call, and measure accuracies in both modes."""
    rates = context.choose(quick=(0.0, 0.2, 0.5, 0.8), standard=RATES)
    keys = range(context.choose(quick=2, standard=4))
    recipe = PLAIN.replace(epochs=context.choose(quick=20, standard=60))
    runs = {rate: [digits_run(digits, recipe.replace(dropout=rate), key) for key in keys] for rate in rates}
    found = train(
        [run for group in runs.values() for run in group],
        processes=context.processes,
        keep=("weights",),
        on_result=context.counter(len(rates) * len(keys), share),
    )
    results = {rate: found[i * len(keys) : (i + 1) * len(keys)] for i, rate in enumerate(rates)}
    accuracy = {}
    for rate in rates:
        columns = [_accuracies(run, result, digits) for run, result in zip(runs[rate], results[rate], strict=True)]
        accuracy[rate] = 100 * np.array(columns).T
    return Trained(data=digits, runs=runs, results=results, accuracy=accuracy)


def model_of(run: Run, result: RunResult) -> SavedModel:
    """Return the network that a run trained."""
    assert result.weights is not None  # asked for with `keep`
    return SavedModel.of(run, [result.weights])


def logits(model: SavedModel, data: Table, *, samples: int = 0) -> Floats:
    """Return logits of all rows, `[1 or samples, rows, classes]`: in eval mode, or with dropout on, drawn anew each."""
    return np.concatenate([outputs for _, outputs in forward(model, data, samples=samples)], axis=1)


def _accuracies(run: Run, result: RunResult, data: Table) -> list[float]:
    model = model_of(run, result)
    right = [
        logits(model, data, samples=samples)[0].argmax(1) == data.y for samples in ((1 if run.recipe.dropout else 0), 0)
    ]
    rows, tested = run.split.train, run.split.validation
    return [float(right[0][rows].mean()), float(right[1][rows].mean()), float(right[1][tested].mean())]


def epochs_to_goal(results: Sequence[RunResult]) -> list[float]:
    """Return the first epoch of each run whose training loss is below the goal; infinite where none is."""
    reached = [np.flatnonzero(np.array(result.curves.train_loss) < GOAL) for result in results]
    return [float(epochs[0] + 1) if len(epochs) else math.inf for epochs in reached]


def censored_median(epochs: Sequence[float]) -> float | None:
    """Return the median of epochs, some of them infinite: later than were trained. None where the median is too.

    Example:
        >>> censored_median([3.0, 5.0, math.inf]), censored_median([3.0, 5.0, math.inf, math.inf])
        (5.0, None)
    """
    median = float(np.median(epochs))
    return median if math.isfinite(median) else None


def rate_rows(trained: Trained) -> list[Row]:
    """Return accuracies in both modes, and the epochs that a rate needs."""
    rows = []
    for rate, accuracies in trained.accuracy.items():
        names = ("training accuracy, train mode", "training accuracy, eval mode", "test accuracy, eval mode")
        for name, values in zip(names, accuracies, strict=True):
            told = f"{name}, p = {rate:g}"
            rows.append(Row.over(values.tolist(), part="C.4", variant="corrected", quantity=told, unit="%"))
        results = trained.results[rate]
        epochs = epochs_to_goal(results)
        goal = f"a training loss of {GOAL:g} nats, eval mode, p = {rate:g}"
        told = f"networks, of {len(results)}, that reach {goal}, in {results[0].epochs_run} epochs"
        rows.append(_row(told, float(np.isfinite(epochs).sum()), len(results)))
        median = censored_median(epochs)
        if median is not None:
            rows.append(_row(f"median of the epochs to {goal}", median, len(results)))
    return rows


def _row(quantity: str, measured: float, n: int) -> Row:
    return Row(part="C.4", variant="corrected", quantity=quantity, unit="", posted=None, measured=measured, n=n)


def goal_text(results: Sequence[RunResult]) -> str:
    """Return how many networks reach the goal, and after how many epochs half of them have."""
    epochs = epochs_to_goal(results)
    median = censored_median(epochs)
    half = f"the median takes {median:g} epochs" if median is not None else "too few for a median"
    return f"{int(np.isfinite(epochs).sum())} of {len(epochs)} networks reach it ({half})"


def rate_remarks(trained: Trained) -> tuple[str, ...]:
    """Return what dropout costs in training accuracy and epochs, as measured."""
    least, most = min(trained.accuracy), max(trained.accuracy)
    low, high = trained.accuracy[least].mean(axis=1), trained.accuracy[most].mean(axis=1)
    splits = len(trained.runs[least])
    best = highest_text({f"p = {p:g}": found[2] for p, found in trained.accuracy.items()}, "points", over="splits")
    return (
        f"From p = {least:g} to {most:g} the accuracy on the training rows goes from {low[0]:.1f} to {high[0]:.1f} % "
        f"with dropout on and from {low[1]:.1f} to {high[1]:.1f} % with dropout off, means of {splits} splits.",
        f"A training loss of {GOAL:g} nats within {trained.results[least][0].epochs_run} epochs: at p = {least:g} "
        f"{goal_text(trained.results[least])}, at p = {most:g} {goal_text(trained.results[most])}.",
        f"The mean test accuracy is {best}.",
    )


def rate_picture(trained: Trained) -> Picture:
    """Return training and test loss per epoch for all rates, and the accuracies at the end."""
    colors = pictures.shades(len(trained.results))
    splits = len(next(iter(trained.runs.values())))
    with pictures.look():
        figure, (left, middle, right) = pictures.canvas(1, 3, width=9.2, height=3.6)
        middle.sharey(left)
        for color, (rate, found) in zip(colors, trained.results.items(), strict=True):
            epochs = range(1, found[0].epochs_run + 1)
            for axes, name in ((left, "train_loss"), (middle, "validation_loss")):
                mean = np.mean([getattr(result.curves, name) for result in found], axis=0)
                pictures.line(axes, epochs, mean, color=color, label=f"{rate:g}", training=axes is left)
        for axes, title in ((left, "training rows"), (middle, "test rows")):
            axes.set_yscale("log")
            pictures.label(axes, x="epoch", y="cross-entropy, eval mode (nats)", title=title)
        handles, labels = middle.get_legend_handles_labels()
        figure.legend(
            handles, labels, title="p", loc="outside lower left", ncols=len(labels), handlelength=1.2, columnspacing=1
        )
        rates = list(trained.accuracy)
        values = np.stack(list(trained.accuracy.values()))
        for place, (name, color, training) in enumerate(
            (
                ("training, train mode", pictures.ORANGE, True),
                ("training, eval mode", pictures.GRAY, True),
                ("test, eval mode", pictures.BLUE, False),
            )
        ):
            at = values[:, place].T
            pictures.spread(right, rates, at, label=name, color=color, training=training, within=pictures.PER_CENT)
        pictures.label(right, x="drop probability p", y="accuracy after the last epoch (%)", title="at the end")
        pictures.legend(right, loc="lower left")
    return Picture(
        name="rates",
        caption=f"Digits, 64-100-100-100-100-10, dropout p after every ReLU, mean of {splits} splits (right: band of "
        "one standard deviation). Left and middle: one line for each p. Right: accuracies after the last epoch, of the "
        "training rows in train mode and in eval mode, and of the test rows.",
        figure=figure,
    )
