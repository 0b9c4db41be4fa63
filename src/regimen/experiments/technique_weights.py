"""Part E.1: L2 and L1, what each does to the weights, and exact zeros by the proximal step."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from regimen.experiments import pictures
from regimen.experiments.context import Context, Outcome, Picture
from regimen.experiments.kept import kept
from regimen.experiments.posted_network import PostedRun, posted
from regimen.experiments.records import Row
from regimen.experiments.technique_lab import LR, Lab, Results, accuracy_text, gain_text
from regimen.records import RunResult

L2, L1 = 1e-2, 5e-4
NEAR_ZERO = 1e-3
POSTED = 12.60


def weight_regularization(context: Context) -> Outcome:
    """Return E.1: weight decay 0.1 as posted, then weights under L2 and both forms of L1."""
    lab = Lab.of(context)
    strength = L1 * context.choose(quick=20, standard=1)  # so few steps as quick has would show nothing
    arms = {
        "no penalty": lab.recipe(),
        f"L2, λ = {L2:g}": lab.recipe(weight_decay=L2),
        f"L1 by subgradient, λ = {strength:g}": lab.recipe(l1=strength),
        f"L1 by proximal step, λ = {strength:g}": lab.recipe(l1=strength, l1_step="proximal"),
    }
    runs = {decay: PostedRun.at(context.size, weight_decay=decay) for decay in (0.0, 0.1)}
    with kept(context) as store:
        as_posted = {decay: posted(store, run, share=0.35) for decay, run in runs.items()}
        results = lab.results(store, arms, share=0.25, keep=("weights",))
    rows = [
        Row(
            part="E.1",
            variant="as_posted",
            quantity=f"test accuracy, weight decay {decay:g}, eval mode{runs[decay].note}",
            unit="%",
            posted=POSTED if decay else None,
            measured=100 * result.metric,
        )
        for decay, result in as_posted.items()
    ]
    rows += lab.accuracy_rows("E.1", results)
    for arm, of_keys in results.items():
        for quantity, measure in (("share of |w| below 0.001", _near_zero), ("share of exact zeros", _zeros)):
            shares = [measure(weights_of(result)) for result in of_keys]
            rows.append(
                Row.over(shares, part="E.1", variant="corrected", quantity=f"{quantity}, {arm}{lab.note}", unit="%")
            )
    shown = (
        _histograms(results),
        lab.curve_picture("curves", results, "What the penalties do to learning."),
    )
    context.advance(0.05)
    remarks = (*_remarks(as_posted, results, strength, context), *store.remarks())
    return Outcome(rows=tuple(rows), pictures=shown, remarks=remarks)


def weights_of(result: RunResult) -> npt.NDArray[np.float64]:
    """Return all weights of a run, without biases, as one vector; empty if it diverged."""
    matrices = [value for value in (result.weights or {}).values() if value.ndim >= 2]
    return np.concatenate([value.ravel() for value in matrices]).astype(np.float64) if matrices else np.empty(0)


def _near_zero(weights: npt.NDArray[np.float64]) -> float:
    return 100 * float(np.mean(np.abs(weights) < NEAR_ZERO)) if weights.size else float("nan")


def _zeros(weights: npt.NDArray[np.float64]) -> float:
    return 100 * float(np.mean(weights == 0)) if weights.size else float("nan")


def _histograms(results: Results) -> Picture:
    with pictures.look():
        figure, panels = pictures.canvas(2, 2, sharex=True, sharey=True, height=5.0)
        edges = np.concatenate(([0.0], np.logspace(-7, 0, 57)))
        shown = np.concatenate(([10**-7.6], edges[1:]))  # exact zeros get a bar of their own, left of the others
        for axes, color, (arm, of_keys) in zip(panels, pictures.SERIES, results.items(), strict=False):
            weights = np.abs(weights_of(of_keys[0]))
            zeros = float(np.mean(weights == 0)) if weights.size else 0.0
            counts, _ = np.histogram(weights[weights > 0], bins=edges)
            shares = 100 * counts / max(weights.size, 1)
            axes.stairs(shares, shown, fill=True, color=color, alpha=0.85)
            if zeros:
                axes.bar(10**-7.3, 100 * zeros, width=10**-7.3, color=pictures.INK)
                axes.text(10**-6.9, 24, f"exactly 0:\n{zeros:.0%}", color=pictures.INK, va="top")
            axes.axvline(NEAR_ZERO, color=pictures.ZERO, linewidth=pictures.THIN)
            axes.set_xscale("log")
            axes.set_ylim(0, 25)
            pictures.label(axes, x="|w|" if axes in panels[2:] else "", y="share of the weights (%)", title=arm)
    return Picture(
        name="weights",
        caption="Weights after training (first key), by their size on a logarithmic scale; biases left out. The "
        f"subgradient leaves weights hovering around zero at about lr · λ; the proximal step makes exact zeros (dark "
        f"bar, where it is higher than the panel its figure is written beside it). The upright line is "
        f"{NEAR_ZERO:g}, below which a weight is counted as near zero.",
        figure=figure,
    )


def _remarks(
    as_posted: Mapping[float, RunResult], results: Results, strength: float, context: Context
) -> tuple[str, ...]:
    names = list(results)
    subgradient, proximal = ([weights_of(result) for result in results[name]] for name in names[2:])
    zeros, near, stopped = (
        float(np.mean([measure(weights) for weights in of_keys]))
        for measure, of_keys in ((_zeros, subgradient), (_near_zero, subgradient), (_zeros, proximal))
    )
    decay = (
        ""
        if context.size == "quick"
        else (
            f"As posted, weight decay 0.1 gives {100 * as_posted[0.1].metric:.2f} % and no weight decay "
            f"{100 * as_posted[0.0].metric:.2f} %, one key each (n = 1), so the difference is not settled. The "
            f"learning rate is a guess, since the post gives none; with it the training loss ends at "
            f"{as_posted[0.1].train_loss:.4f} and {as_posted[0.0].train_loss:.4f} nats, where guessing has "
            f"{math.log(10):.4f}. The exact {POSTED:.2f} % is not explained. "
        )
    )
    return (
        decay + "weight_decay in SGD is L2: it adds λ · w to the gradient, the derivative of λ/2 · Σ w². It shrinks "
        "large weights most and makes none of them zero.",
        f"L1 makes weights sparse. Its subgradient, λ · sign(w), steps over zero again and again: "
        f"{zeros:.2f} % of the weights are exactly 0, though {near:.0f} % are near it. The proximal step, "
        f"w ← sign(w) · max(|w| − lr · λ, 0) with lr · λ = {LR * strength:g}, stops at zero: {stopped:.0f} %. Shares "
        f"are means over keys (n = {len(proximal)}).",
        f"Test accuracy: {accuracy_text(results[names[0]])} without a penalty. Change key by key: "
        + "; ".join(f"{name} {gain_text(results[name], results[names[0]])}" for name in names[1:])
        + ".",
    )
