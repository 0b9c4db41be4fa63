"""Part F, as posted: a line that is learned, noise that is learned too, and what dropout changes."""

import numpy as np
import torch

from regimen.engine import one_thread
from regimen.experiments.context import Context, Outcome
from regimen.experiments.findings import change_text
from regimen.experiments.overfit_fits import (
    LINE_SEED,
    NETWORK_SEED,
    POINTS,
    RATE,
    TRAINED_ON,
    Fit,
    Line,
    fit_line,
    noise,
    pair_of,
)
from regimen.experiments.overfit_pictures import evidence_picture, line_picture, modes_picture, noise_picture
from regimen.experiments.overfit_sweeps import Sweeps, rate_picture, sweep, width_picture
from regimen.experiments.records import Row, Variant

POSTED = {"weight": 4.0042, "bias": 2.4459, "prediction at x = 0.1": 2.8463, "prediction at x = 0.2": 3.2467}


def overfit_curve(context: Context) -> Outcome:
    """Return everything part F shows, but the layer's properties, which are part C."""
    splits = context.choose(quick=1, standard=10)
    with one_thread(), torch.random.fork_rng(devices=[]):
        line = fit_line()
        context.advance(0.02)
        x, y = noise()
        whole = Fit.of(x, y, torch.arange(POINTS), rate=0.0, seed=NETWORK_SEED)
        tail = pair_of(x, y, torch.arange(TRAINED_ON), NETWORK_SEED)
        context.advance(0.08)
        step = context.counter(splits, 0.5)
        drawn = []
        for seed in range(splits):
            order = torch.randperm(POINTS, generator=torch.Generator().manual_seed(seed))
            drawn.append(pair_of(x, y, order[:TRAINED_ON].sort().values, seed))
            step()
    sweeps = sweep(x, y, context, share=0.35)
    shown = (
        line_picture(line),
        noise_picture(whole),
        evidence_picture(tail, drawn[0]),
        modes_picture(tail[1]),
        rate_picture(sweeps),
        width_picture(sweeps),
    )
    context.advance(0.05)
    rows = (*_line_rows(line), *_rows_of(whole, tail, drawn), *sweeps.rows())
    return Outcome(rows=rows, pictures=shown, remarks=_remarks(line, tail, drawn, sweeps))


def _line_rows(line: Line) -> list[Row]:
    measured = (line.weight, line.bias, line.at(0.1), line.at(0.2))
    return [
        Row(part="F.1", variant="as_posted", quantity=name, unit="", posted=posted, measured=value)
        for (name, posted), value in zip(POSTED.items(), measured, strict=True)
    ]


def _rows_of(whole: Fit, tail: tuple[Fit, Fit], drawn: list[tuple[Fit, Fit]]) -> list[Row]:
    """Return the errors without and with dropout, of the tail split and over random splits."""
    rows = [
        Row(
            part="F.2",
            variant="as_posted",
            quantity="training MSE on all 100 points, no dropout",
            unit="",
            posted=None,
            measured=whole.error(whole.train),
        )
    ]
    kinds: tuple[tuple[Variant, str, list[tuple[Fit, Fit]]], ...] = (
        ("as_posted", "tail split", [tail]),
        ("corrected", "random splits", drawn),
    )
    for variant, split, pairs in kinds:
        values = {
            ("F.3", "training MSE, no dropout"): [plain.error(plain.train) for plain, _ in pairs],
            ("F.3", "test MSE, no dropout"): [plain.error(plain.test) for plain, _ in pairs],
            ("F.3", "mean y² of the test points"): [float(plain.y[plain.test].square().mean()) for plain, _ in pairs],
            ("F.4", f"training MSE, dropout {RATE:g}"): [dropped.error(dropped.train) for _, dropped in pairs],
            ("F.4", f"test MSE, dropout {RATE:g}"): [dropped.error(dropped.test) for _, dropped in pairs],
            ("F.4", "test MSE without over that with dropout"): [
                plain.error(plain.test) / dropped.error(dropped.test) for plain, dropped in pairs
            ],
        }
        rows += [
            Row.over(found, part=part, variant=variant, quantity=f"{quantity}, {split}", unit="")
            for (part, quantity), found in values.items()
        ]
    return rows


def _remarks(line: Line, tail: tuple[Fit, Fit], drawn: list[tuple[Fit, Fit]], sweeps: Sweeps) -> tuple[str, ...]:
    x, y = line.x[:, 0].double().numpy(), line.y[:, 0].double().numpy()
    slope, offset = np.polyfit(x, y, 1)
    y_mean = tail[0].y.double().square().mean()
    plain, dropped = (np.array([pair[index].error(pair[index].test) for pair in drawn]) for index in (0, 1))
    worst = tail[0].error(tail[0].test) / tail[1].error(tail[1].test)
    training, test = (
        change_text(100 * found, "points", over="splits")
        for found in sweeps.widths[max(sweeps.widths)] - sweeps.widths[min(sweeps.widths)]
    )
    changed = change_text(100 * (plain - dropped) / float(y_mean), "points", over="splits")
    return (
        f"F.1 follows from PyTorch's own generator at seed {LINE_SEED} and is met to four digits. Least squares gives "
        f"{slope:.4f} and {offset:.4f}: the unit has converged, and what parts it from 4 and 2.5 is the noise.",
        f"F.3 and F.4 on the tail split: without dropout the test error is {worst:.0f} times that with dropout, "
        "one split (n = 1), whose test points lie outside the training range.",
        f"On random splits, test points inside it, that factor is {plain.mean() / dropped.mean():.2f} (means of "
        f"{len(drawn)}), and dropout is better in {int((dropped < plain).sum())} of {len(drawn)}. The test error "
        f"without dropout minus that with it, in percent of the mean y² of the points: {changed}.",
        f"F.6, errors in percent of that of predicting 0, from {min(sweeps.widths)} to {max(sweeps.widths)} units: the "
        f"training error changes by {training}, the test error by {test}. Cybenko's theorem promises that a wide "
        "network can follow any function; here the function is noise.",
    )
