"""Learning curves of several runs, drawn the same way in every part."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from regimen.experiments import pictures
from regimen.records import RunResult

Curve = Literal["train_loss", "validation_loss", "metric"]
NAMES: Mapping[Curve, str] = {
    "train_loss": "training cross-entropy, eval mode (nats)",
    "validation_loss": "test cross-entropy, eval mode (nats)",
    "metric": "test accuracy, eval mode (%)",
}


def whole_epochs(axes: Axes) -> None:
    """Mark whole epochs only."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_curves(
    axes: Axes,
    results: Sequence[RunResult],
    curve: Curve,
    *,
    label: str,
    color: str,
    training: bool = False,
) -> None:
    """Draw the mean of one curve over the runs that did not diverge, with a band of one standard deviation.

    Args:
        axes: Where.
        results: Runs that differ in their key.
        curve: Which of their curves; the metric in per cent.
        label: For the legend.
        color: Of the line and band.
        training: Dashed, for training images.
    """
    values = [getattr(r.curves, curve) for r in results if r.status != "diverged"]
    if not values:
        axes.plot([], [], color=color, label=f"{label} (diverged)")
        return
    epochs = np.arange(1, len(values[0]) + 1)
    scale, within = (100.0, pictures.PER_CENT) if curve == "metric" else (1.0, (0.0, math.inf))
    curves = scale * np.array(values)
    pictures.spread(axes, epochs, curves, label=label, color=color, training=training, within=within)
    if len(epochs) == 1:
        axes.plot(epochs, [scale * np.mean(values)], "o", color=color, markersize=4)
    whole_epochs(axes)


def over_keys(results: Sequence[RunResult]) -> str:
    """Return the words of a caption on how many keys a curve is the mean of."""
    return f"mean over {len(results)} keys, band of one standard deviation" if len(results) > 1 else "one key"
