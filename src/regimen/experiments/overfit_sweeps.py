"""Part F, beyond the post: widths and dropout rates on many random splits, all trained in one call."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from torch import Tensor

from regimen.data import Split, from_arrays, prepare
from regimen.engine import train
from regimen.experiments import pictures
from regimen.experiments.context import Context, Picture
from regimen.experiments.records import Row
from regimen.models import MLP
from regimen.run import Recipe, Run, SavedModel

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
RATES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
POSTED_WIDTH = 512
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweeps:
    """Mean squared errors in eval mode over those of predicting 0 everywhere, by width and by dropout rate.

    Attributes:
        x: The points, `[rows]`.
        y: Their noise, `[rows]`.
        widths: Training and test errors by width without dropout, each `[2, splits]`.
        rates: The same by dropout rate at width 512.
        fits: Predictions of one split's networks at all points, by rate.
        trained_on: The points that those networks were trained on.
    """

    x: Floats
    y: Floats
    widths: Mapping[int, Floats]
    rates: Mapping[float, Floats]
    fits: Mapping[float, Floats]
    trained_on: npt.NDArray[np.int64]

    def rows(self) -> list[Row]:
        """Return the errors of the narrowest, the post's and the widest network, and of every rate."""
        found = []
        for width in (min(self.widths), POSTED_WIDTH, max(self.widths)):
            unit = "unit" if width == 1 else "units"
            for name, errors in zip(("training", "test"), self.widths[width], strict=True):
                found.append(_row("F.6", f"{name} MSE relative to predicting 0, {width} {unit}", errors))
        for rate, both in self.rates.items():
            found.append(_row("F.7", f"test MSE relative to predicting 0, dropout {rate:g}", both[1]))
        return found


def sweep(x: Tensor, y: Tensor, context: Context, *, share: float) -> Sweeps:
    """Train every width and every rate on the same random splits, in one call.

    Each network sees 80 points, all at once, for 1000 steps of Adam; its target is standardized, as regimen does for
    every regression, so figures differ a little from those of the post's own loop.

    Args:
        x: Points, `[rows, 1]`.
        y: Targets, `[rows, 1]`.
        context: How much, and whom to tell.
        share: What this is of the whole experiment.
    """
    table = from_arrays(x.numpy(), y[:, 0].numpy(), task="regression", name="noise")
    widths = context.choose(quick=(1, 8, 64, 512, 2048), standard=WIDTHS)
    rates = context.choose(quick=(0.0, 0.2, 0.5, 0.8, 0.95), standard=RATES)
    splits = [_split(seed, len(x)) for seed in range(context.choose(quick=3, standard=8))]
    recipe = Recipe(epochs=context.choose(quick=400, standard=1000), batch_size=len(x), input_scaling="none")
    arms: dict[tuple[str, float], tuple[MLP, Recipe]] = {
        ("width", width): (MLP(hidden=(width,)), recipe) for width in widths
    }
    arms |= {("rate", rate): (MLP(hidden=(POSTED_WIDTH,)), recipe.replace(dropout=rate)) for rate in rates}
    runs = [
        Run(recipe=done, model=model, data=table, split=split, key=seed, metric="rmse")
        for model, done in arms.values()
        for seed, split in enumerate(splits)
    ]
    results = train(runs, processes=context.processes, keep=("weights",), on_result=context.counter(len(runs), share))
    variances = [prepare(table, split, "none").target_scale ** 2 for split in splits]
    # How noisy the 20 test points happen to be is no merit of a network: errors are told relative to that of 0.
    squares = y[:, 0].double().square().numpy()
    zero = np.array([[squares[part].mean() for part in (split.train, split.validation)] for split in splits]).T
    errors: dict[tuple[str, float], Floats] = {}
    fits: dict[float, Floats] = {}
    for place, (kind, value) in enumerate(arms):
        mine = results[place * len(splits) : (place + 1) * len(splits)]
        errors[kind, value] = np.array([[r.train_loss for r in mine], [r.validation_loss for r in mine]])
        errors[kind, value] *= variances / zero
        weights = mine[0].weights
        if kind == "rate" and weights is not None:
            fits[value] = SavedModel.of(runs[place * len(splits)], [weights]).predict(table).astype(np.float64)
    return Sweeps(
        x=x[:, 0].double().numpy(),
        y=y[:, 0].double().numpy(),
        widths={int(value): found for (kind, value), found in errors.items() if kind == "width"},
        rates={value: found for (kind, value), found in errors.items() if kind == "rate"},
        fits=fits,
        trained_on=splits[0].train,
    )


def _split(seed: int, rows: int) -> Split:
    order = np.random.default_rng(seed).permutation(rows)
    cut = rows * 4 // 5
    return Split(train=np.sort(order[:cut]), validation=np.sort(order[cut:]), test=np.empty(0, dtype=np.int64))


def _row(part: str, quantity: str, errors: Floats) -> Row:
    return Row.over(errors.tolist(), part=part, variant="corrected", quantity=quantity, unit="")


def width_picture(sweeps: Sweeps) -> Picture:
    """Return training and test error over the width."""
    with pictures.look():
        figure, (axes,) = pictures.canvas(1, 1, width=5.2)
        axes.set_xscale("log", base=2)
        _errors(axes, sweeps.widths)
        axes.set_xticks(list(sweeps.widths), [str(width) for width in sweeps.widths])
        axes.minorticks_off()
        pictures.label(axes, x="width of the hidden layer (units)", y="mean squared error / mean y², eval mode")
        pictures.legend(axes, loc="upper left")
    splits = len(next(iter(sweeps.widths.values()))[0])
    return Picture(
        name="widths",
        caption=f"Training and test error over the width. Pure noise, so predicting 0 everywhere (the line at 1) is "
        f"best; mean over {splits} random splits, band of one standard deviation, no dropout, eval mode.",
        figure=figure,
    )


def rate_picture(sweeps: Sweeps) -> Picture:
    """Return the fitted curves of all dropout rates, and their errors."""
    with pictures.look():
        figure, (left, right) = pictures.canvas(1, 2, height=3.6, width_ratios=(1.5, 1))
        held_out = np.setdiff1d(np.arange(len(sweeps.x)), sweeps.trained_on)
        pictures.points(left, sweeps.x[sweeps.trained_on], 100 * sweeps.y[sweeps.trained_on])
        pictures.points(left, sweeps.x[held_out], 100 * sweeps.y[held_out], filled=False)
        for color, (rate, fitted) in zip(pictures.shades(len(sweeps.fits)), sweeps.fits.items(), strict=True):
            pictures.line(left, sweeps.x, 100 * fitted, label=f"{rate:g}", color=color)
        pictures.label(left, x="x", y="y (10⁻²)", title="fits, eval mode")
        pictures.legend(left, title="dropout", loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
        _errors(right, sweeps.rates)
        pictures.label(right, x="dropout rate", y="mean squared error / mean y²", title="errors, eval mode")
        pictures.legend(right)
    splits = len(next(iter(sweeps.rates.values()))[0])
    return Picture(
        name="rates",
        caption="The same curve for all dropout rates at once, on one split, fitted to pure noise (filled points: "
        "trained on, open points: held out). All in eval mode; right: mean and one standard deviation of the errors "
        f"over {splits} random splits; predicting 0 everywhere gives 1.",
        figure=figure,
    )


def _errors(axes: Axes, errors: Mapping[int, Floats] | Mapping[float, Floats]) -> None:
    at = list(errors)
    both = np.stack(list(errors.values()))
    axes.axhline(1.0, color=pictures.ZERO, linewidth=pictures.THIN)
    pictures.spread(axes, at, both[:, 1].T, label="test", color=pictures.BLUE)
    pictures.spread(axes, at, both[:, 0].T, label="training", color=pictures.GRAY, training=True)
