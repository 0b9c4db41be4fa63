"""The pictures of part A."""

from collections.abc import Mapping, Sequence

import numpy as np

from regimen.experiments import pictures
from regimen.experiments.context import Picture
from regimen.experiments.digits_script import ScriptCurves
from regimen.records import RunResult

LOSS = "cross-entropy (nats)"


def script_picture(dropped: ScriptCurves, plain: ScriptCurves) -> Picture:
    """Return the losses that the post plots, with dropout and without, and what they should be compared with."""
    with pictures.look():
        figure, panels = pictures.canvas(1, 2, sharey=True, height=3.6)
        for axes, curves, title in zip(panels, (dropped, plain), ("with dropout 0.5", "without dropout"), strict=True):
            epochs = range(1, len(curves.test) + 1)
            axes.set_yscale("log")
            pictures.line(
                axes, epochs, curves.posted, color=pictures.ORANGE, training=True, label="training, train mode (posted)"
            )
            pictures.line(
                axes, epochs, curves.train, color=pictures.GRAY, training=True, label="training, eval mode (corrected)"
            )
            pictures.line(axes, epochs, curves.test, label="test, eval mode")
            pictures.label(axes, x="epoch", y=LOSS, title=title)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return Picture(
        name="as-posted",
        caption="The post's script on one split. It plots the training loss in train mode, with dropout on, beside the "
        "test loss in eval mode, with dropout off; gray is the training loss in eval mode, which belongs beside it.",
        figure=figure,
    )


def lab_picture(results: Mapping[str, Sequence[RunResult]]) -> Picture:
    """Return training and test loss per epoch of the four arms, over the splits."""
    with pictures.look():
        figure, panels = pictures.canvas(2, 2, sharex=True, sharey=True, height=5.6)
        for axes, (name, found) in zip(panels, results.items(), strict=True):
            axes.set_yscale("log")
            epochs = range(1, found[0].epochs_run + 1)
            test = [result.curves.validation_loss for result in found]
            pictures.spread(axes, epochs, test, label="test")
            train = [result.curves.train_loss for result in found]
            pictures.spread(axes, epochs, train, label="training", color=pictures.GRAY, training=True)
            pictures.label(axes, x="epoch", y=f"{LOSS}, eval mode", title=name)
        for axes in panels[:2]:
            axes.set_xlabel("")
        pictures.legend(panels[0], loc="lower left")
    splits = len(next(iter(results.values())))
    return Picture(
        name="curves",
        caption=f"Loss in eval mode after every epoch, mean and one standard deviation over {splits} random splits. "
        "The distance between the two lines is the gap.",
        figure=figure,
    )


def accuracy_picture(results: Mapping[str, Sequence[RunResult]]) -> Picture:
    """Return the test accuracy of every split, the four arms of a split joined."""
    accuracies = 100 * np.array([[result.metric for result in found] for found in results.values()])
    with pictures.look():
        figure, (axes,) = pictures.canvas(1, 1, width=5.2)
        places = np.arange(len(results))
        for split in accuracies.T:
            pictures.line(axes, places, split, color=pictures.palette()["rule"], thin=True)
            pictures.points(axes, places, split)
        for place, mean in zip(places, accuracies.mean(axis=1), strict=True):
            pictures.line(axes, [place - 0.16, place + 0.16], [mean, mean])
            background = {"facecolor": pictures.PAPER, "edgecolor": "none", "pad": 1.5}
            at = (place + 0.2, mean)
            axes.annotate(f"{mean:.2f}", at, color=pictures.BLUE, fontweight="bold", va="center", bbox=background)
        axes.set_xticks(places, list(results))
        axes.set_xlim(-0.4, len(results) - 0.4)
        pictures.label(axes, y="test accuracy after the last epoch, eval mode (%)")
    return Picture(
        name="accuracy",
        caption="Test accuracy on each random split; a thin line joins the four networks of one split, the blue bars "
        "are the means.",
        figure=figure,
    )
