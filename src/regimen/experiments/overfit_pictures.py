"""The pictures of part F that show the post's own experiments."""

import torch
from matplotlib.axes import Axes

from regimen.experiments import pictures
from regimen.experiments.context import Picture
from regimen.experiments.overfit_fits import NETWORK_SEED, RATE, Fit, Line


def line_picture(line: Line) -> Picture:
    """Return the line beside its points, and the loss that led there."""
    with pictures.look():
        figure, (left, right) = pictures.canvas(1, 2)
        x, y = line.x[:, 0].numpy(), line.y[:, 0].numpy()
        pictures.points(left, x, y, label="100 points")
        pictures.line(left, x, line.weight * x + line.bias, label=f"{line.weight:.4f} x + {line.bias:.4f}")
        pictures.label(left, x="x", y="y", title="what was learned")
        pictures.legend(left, loc="upper left")
        pictures.line(right, range(1, len(line.losses) + 1), line.losses, color=pictures.GRAY, training=True)
        right.set_yscale("log")
        pictures.label(right, x="step of Adam (all rows at once)", y="mean squared error", title="training loss")
    return Picture(
        name="line",
        caption="F.1: one linear unit learns y = 4 x + 2.5 from 100 points with noise of standard deviation 0.5. The "
        "unit has no dropout, so train and eval mode are the same.",
        figure=figure,
    )


def noise_picture(whole: Fit) -> Picture:
    """Return the network that follows noise."""
    with pictures.look():
        figure, (axes,) = pictures.canvas(1, 1)
        _points(axes, whole)
        pictures.line(axes, whole.x[:, 0], 100 * whole.curve(whole.x)[:, 0], label="fit, eval mode")
        axes.axhline(0, color=pictures.INK, linewidth=pictures.THIN, label="the truth: y = 0")
        pictures.label(axes, x="x", y="y (10⁻²)")
        pictures.legend(axes, ncols=3, loc="upper right")
    return Picture(
        name="overfitting",
        caption="F.2: y is nothing but noise, yet the network 1-512-1 finds hills and valleys in it: it learns the "
        "noise of the points that it saw. No dropout, eval mode.",
        figure=figure,
    )


def evidence_picture(tail: tuple[Fit, Fit], drawn: tuple[Fit, Fit]) -> Picture:
    """Return both fits on the tail split and on a random one."""
    with pictures.look():
        figure, panels = pictures.canvas(1, 2, sharey=True, height=3.6)
        for axes, (plain, dropped), title in zip(
            panels,
            (tail, drawn),
            ("as posted: tested on the last 20 points", "corrected: tested on 20 random points"),
            strict=True,
        ):
            _points(axes, plain)
            pictures.line(
                axes, plain.x[:, 0], 100 * plain.curve(plain.x)[:, 0], color=pictures.ORANGE, label="no dropout"
            )
            pictures.line(axes, plain.x[:, 0], 100 * dropped.curve(plain.x)[:, 0], label=f"dropout {RATE:g}")
            pictures.label(axes, x="x", y="y (10⁻²)", title=title)
        pictures.legend(panels[0], loc="upper left")
    return Picture(
        name="evidence",
        caption="F.3 and F.4, both fits in eval mode. Left, as posted: the test points (open) lie outside the range of "
        "the training points (filled), so the error there is one of extrapolation. Right: test points drawn at random.",
        figure=figure,
    )


def modes_picture(dropped: Fit) -> Picture:
    """Return the network with dropout drawn in train mode and in eval mode."""
    with pictures.look():
        figure, panels = pictures.canvas(1, 2, sharey=True)
        torch.manual_seed(NETWORK_SEED)
        for axes, training, title, color in zip(
            panels,
            (True, False),
            ("wrong: drawn in train mode", "right: drawn in eval mode"),
            (pictures.ORANGE, pictures.BLUE),
            strict=True,
        ):
            _points(axes, dropped)
            pictures.line(axes, dropped.x[:, 0], 100 * dropped.curve(dropped.x, training=training)[:, 0], color=color)
            pictures.label(axes, x="x", y="y (10⁻²)", title=title)
    return Picture(
        name="modes",
        caption=f"F.4: the same trained network with dropout {RATE:g}, drawn twice. In train mode every point gets a "
        "mask of its own, and the curve is jagged; eval mode shows the function that was learned.",
        figure=figure,
    )


def _points(axes: Axes, fitted: Fit) -> None:
    """Draw the training points filled and the test points open."""
    x, y = fitted.x[:, 0].numpy(), 100 * fitted.y[:, 0].numpy()
    pictures.points(axes, x[fitted.train], y[fitted.train])
    pictures.points(axes, x[fitted.test], y[fitted.test], filled=False)
