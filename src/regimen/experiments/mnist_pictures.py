"""The pictures of part B: the costs, posted and measured, and the single digit with what the network makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.experiments import pictures
from regimen.experiments.context import Picture
from regimen.experiments.curve_pictures import whole_epochs
from regimen.experiments.mnist_training import Scores


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shown:
    """One test image: its number, label and pixels, and the probabilities from pixels 0..1 and 0..255."""

    index: int
    label: int
    pixels: npt.NDArray[np.float32]
    right: npt.NDArray[np.float64]
    posted: npt.NDArray[np.float64]


def cost_picture(costs: Sequence[float], scores: Sequence[Scores], posted: Sequence[float], *, quick: bool) -> Picture:
    """Return the costs of all epochs beside those of the post, as they are and shifted."""
    with pictures.look():
        figure, (left, right) = pictures.canvas(1, 2, sharey=True, height=3.6)
        epochs, before = np.arange(1, len(costs) + 1), np.arange(1, len(posted) + 1)
        for axes, shift, title in ((left, 0, "as posted"), (right, 1, "posted costs one epoch later")):
            pictures.line(axes, epochs, costs, color=pictures.GRAY, training=True, label="measured, train mode")
            axes.plot(before + shift, posted, "o", markersize=3.6, color=pictures.ORANGE, label="posted, train mode")
            losses = [one.loss for one in scores]
            pictures.line(axes, epochs, losses, label="measured, test images 0..1, eval mode")
            pictures.label(axes, x="epoch", y="cross-entropy (nats)", title=title)
            axes.set_ylim(bottom=0)
            whole_epochs(axes)
        pictures.legend(left, loc="upper right")
    return Picture(
        name="costs",
        caption="Mean cost of each epoch, dashed: on the training images while training, in train mode, with dropout "
        "on. Blue: test images in eval mode. Dots: the post, left as posted, right one epoch later. "
        + (
            "Quick: too few images to compare with the post."
            if quick
            else "Left they lie below the measured costs, right they meet them: the network of the post had been "
            "trained for one epoch before."
        ),
        figure=figure,
    )


def digit_picture(shown: Shown) -> Picture:
    """Return the single image with its label and prediction, and the probabilities on both scales."""
    with pictures.look():
        figure, panels = pictures.canvas(1, 3, height=2.6, width_ratios=(1, 1.3, 1.3))
        pictures.image(
            panels[0],
            shown.pixels,
            title=f"test image {shown.index}\nlabel {shown.label}, prediction {shown.right.argmax()}",
        )
        for axes, values, title, color in (
            (panels[1], shown.posted, "as posted: pixels 0..255", pictures.ORANGE),
            (panels[2], shown.right, "corrected: pixels 0..1", pictures.BLUE),
        ):
            axes.bar(np.arange(10), values, color=color)
            axes.set_xticks(range(10))
            axes.set_ylim(0, 1.05)
            pictures.label(axes, x="digit", y="probability", title=title)
    return Picture(
        name="digit",
        caption="The single test image that the seed picks from a fresh start, and the probabilities that the network "
        "gives its ten classes, in eval mode: on the scale of the post it is always nearly certain.",
        figure=figure,
    )
