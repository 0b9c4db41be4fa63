"""Part E.6: standardized and min-max scaled inputs, and what outliers do to each."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from regimen.data import Preparation, Scaling, from_arrays, hold_out
from regimen.experiments import pictures
from regimen.experiments.context import Context, Outcome, Picture
from regimen.experiments.kept import kept
from regimen.experiments.known_pictures import images_of
from regimen.experiments.posted_network import MEAN, STD, PostedRun, posted
from regimen.experiments.records import Row
from regimen.experiments.technique_lab import Lab, Results, accuracy_text, gain_text
from regimen.records import RunResult

POSTED = 34.00
ROWS, OUTLIERS = 500, 5
SCALINGS: Mapping[str, Scaling] = {"standard": "standard", "min-max": "minmax", "robust": "robust"}
Floats = npt.NDArray[np.float64]


def input_normalization(context: Context) -> Outcome:
    """Return E.6: standardized pixels as posted, scalings side by side, and a column with and without outliers."""
    lab = Lab.of(context)
    rate = 0.02  # low enough that the scale of the inputs still shows
    names = {"none": "min-max: 0..1", "standard": "standardized", "robust": "robust"}
    run = PostedRun.at(context.size, standardized=True)
    with kept(context) as store:
        as_posted = posted(store, run, share=0.55)
        arms = {words: lab.recipe(lr=rate, input_scaling=name) for name, words in names.items()}
        results = lab.results(store, arms, share=0.35)
    mean, deviation = _pixel_statistics()
    scaled = {name: {spoiled: _scaled(name, spoiled) for spoiled in (False, True)} for name in SCALINGS}
    rows = [
        Row(
            part="E.6",
            variant="as_posted",
            quantity=f"test accuracy, standardized by {MEAN} and {STD}, eval mode{run.note}",
            unit="%",
            posted=POSTED,
            measured=100 * as_posted.metric,
        ),
        Row(
            part="E.6",
            variant="as_posted",
            quantity="mean of MNIST's training pixels, 0..1",
            unit="",
            posted=MEAN,
            measured=mean,
        ),
        Row(
            part="E.6",
            variant="as_posted",
            quantity="standard deviation of MNIST's training pixels, 0..1",
            unit="",
            posted=STD,
            measured=deviation,
        ),
        *lab.accuracy_rows("E.6", results),
        *_outlier_rows(scaled),
    ]
    shown = (
        _outlier_picture(scaled),
        lab.curve_picture("curves", results, f"Learning from each scaling at learning rate {rate:g}."),
    )
    context.advance(0.1)
    remarks = (*_remarks(as_posted, results, scaled, context), *store.remarks())
    return Outcome(rows=tuple(rows), pictures=shown, remarks=remarks)


def _pixel_statistics() -> tuple[float, float]:
    """Return mean and standard deviation of all training pixels, 0..1, from how often each byte occurs."""
    data = images_of("mnist")
    counts = np.bincount(data.pixels[hold_out(data).development].ravel(), minlength=256).astype(np.float64)
    level = np.arange(256) / 255.0
    mean = float(counts @ level / counts.sum())
    return mean, math.sqrt(counts @ (level - mean) ** 2 / counts.sum())


def _column(spoiled: bool) -> Floats:
    """Return one column of a table: normal numbers, and if `spoiled` a few that are fifty times too large."""
    values = np.random.default_rng(7).normal(10.0, 2.0, ROWS)
    if spoiled:
        values[:OUTLIERS] *= 50.0
    return values


def _scaled(name: str, spoiled: bool) -> Floats:
    """Return the column as the data preparation scales it, outliers included."""
    table = from_arrays(_column(spoiled)[:, None], np.arange(ROWS) % 2, task="classification", name="a column")
    everything = np.arange(ROWS)
    return Preparation.fit(table, everything, SCALINGS[name]).apply(table, everything)[:, 0].astype(np.float64)


def _spread(scaled: Floats) -> float:
    """Return the standard deviation of the rows that are no outliers."""
    return float(scaled[OUTLIERS:].std())


def _outlier_rows(scaled: Mapping[str, Mapping[bool, Floats]]) -> list[Row]:
    return [
        Row(
            part="E.6",
            variant="corrected",
            quantity=f"spread (standard deviation) of {ROWS - OUTLIERS} good rows, {name}, "
            + (f"with {OUTLIERS} outliers" if spoiled else "without outliers"),
            unit="",
            posted=None,
            measured=_spread(values),
        )
        for name, of_both in scaled.items()
        for spoiled, values in of_both.items()
    ]


def _outlier_picture(scaled: Mapping[str, Mapping[bool, Floats]]) -> Picture:
    with pictures.look():
        figure, panels = pictures.canvas(2, 3, height=4.6)
        for column, (name, of_both) in enumerate(scaled.items()):
            for line, (spoiled, values) in enumerate(of_both.items()):
                axes = panels[3 * line + column]
                good = values[OUTLIERS:] if spoiled else values
                # The range of the clean column in both rows, so that what is squeezed is seen to be.
                ends = (float(of_both[False].min()), float(of_both[False].max()))
                counts, edges = np.histogram(good, bins=40, range=ends)
                axes.stairs(100 * counts / ROWS, edges, fill=True, color=pictures.ORANGE if spoiled else pictures.BLUE)
                if spoiled:
                    outliers = values[:OUTLIERS]
                    words = f"outliers at\n{outliers.min():.3g} to {outliers.max():.3g}"
                    axes.text(0.98, 0.95, words, ha="right", va="top", transform=axes.transAxes)
                how = f"{OUTLIERS} outliers" if spoiled else "no outliers"
                pictures.label(
                    axes, x="scaled value" if line else "", y="share of the rows (%)", title=f"{name}, {how}"
                )
    return Picture(
        name="outliers",
        caption=f"One column of {ROWS} rows, scaled three ways; below with {OUTLIERS} rows that are fifty times too "
        "large, on the same horizontal scale. Min-max squeezes all good rows into a few hundredths, standardization "
        "nearly so; scaling by median and interquartile range leaves them as they were, and the outliers far away.",
        figure=figure,
    )


def _remarks(
    as_posted: RunResult,
    results: Results,
    scaled: Mapping[str, Mapping[bool, Floats]],
    context: Context,
) -> tuple[str, ...]:
    measured = (
        ""
        if context.size == "quick"
        else f"As posted, ten epochs at learning rate 2e-4 give {100 * as_posted.metric:.2f} %, where the post has "
        f"{POSTED:.2f} %. Both are single trainings (n = 1); how far the figure varies with the initial weights is not "
        "measured, and the difference is not explained. "
    )
    plain, standardized = list(results.values())[:2]
    squeezed = {name: _spread(of_both[False]) / _spread(of_both[True]) for name, of_both in scaled.items()}
    return (
        measured
        + f"Standardizing shifts and scales all pixels alike: their spread grows {1 / STD:.1f} times and their mean "
        "becomes zero. Explanation: the gradients of the first layer grow with its inputs, as with a larger rate. Test "
        "accuracy at the same rate: "
        + ", ".join(f"{name} {accuracy_text(of_keys)}" for name, of_keys in results.items())
        + f". Standardized minus min-max: {gain_text(standardized, plain)}.",
        f"Outliers: {OUTLIERS} of {ROWS} rows squeeze the good rows by a factor of {squeezed['min-max']:.0f} under "
        f"min-max scaling, {squeezed['standard']:.0f} under standardization and {squeezed['robust']:.1f} under "
        f"robust scaling.",
    )
