"""Part B: dropout on MNIST as posted, the pixels of the test images put right, and where the posted costs come from."""

import random
from typing import Any

import numpy as np
import torch

from regimen.engine import one_thread
from regimen.experiments.context import Context, Outcome
from regimen.experiments.known_pictures import Pixels, pixels_of
from regimen.experiments.mnist_pictures import Shown, cost_picture, digit_picture
from regimen.experiments.mnist_training import SEED, Trained, different_masks, score, train
from regimen.experiments.records import Row

POSTED_COSTS = (
    0.146523, 0.112582, 0.092465, 0.082154, 0.075115, 0.069497, 0.063039, 0.061050,
    0.055589, 0.051682, 0.049075, 0.046335, 0.044887, 0.043464, 0.044467,
)  # fmt: skip
POSTED_ACCURACY, POSTED_DIGIT = 0.9791, 8
TEST_IMAGES = 10_000


def mnist_dropout(context: Context) -> Outcome:
    """Return part B: costs, accuracy on both pixel scales, and the single image with its label and prediction."""
    rows, tested, epochs = context.choose(quick=(2_500, 2_400, 2), standard=(None, None, len(POSTED_COSTS)))
    data = pixels_of("mnist", train=rows, test=tested)
    x, test_x = data.x.flatten(1), data.test_x.flatten(1)
    context.advance(0.02)
    with one_thread(), torch.random.fork_rng(devices=[]):
        # One epoch more than posted: the posted costs are those of a network that had been trained for one before.
        trained = train(
            x, data.y, test_x, data.test_y,
            epochs=epochs + 1, shown=epochs, on_epoch=context.counter(epochs + 1, 0.94),
        )  # fmt: skip
        with_dropout = score(trained.network, test_x, data.test_y, training=True).accuracy
        trained.network.eval()
        masks = different_masks(trained.network)
        digit = _single_image(trained, data)
    shown = (
        cost_picture(trained.costs, trained.right, POSTED_COSTS[:epochs], quick=context.size == "quick"),
        digit_picture(digit),
    )
    context.advance(0.04)
    note = (
        f" (quick: {len(x):,} images, {epochs} epochs, {len(test_x):,} test images)" if context.size == "quick" else ""
    )
    ratios = np.array(trained.costs[1:]) / np.array(POSTED_COSTS[:epochs])
    table = (
        *_cost_rows(trained, epochs, ratios, note),
        *_score_rows(trained, epochs, with_dropout, note),
        _row("as_posted", f"number of the single test image that random.seed({SEED}) picks", None, digit.index),
        _row("as_posted", "label of the single test image", POSTED_DIGIT, digit.label),
        _row("as_posted", f"prediction for it, pixels 0..255{note}", POSTED_DIGIT, digit.posted.argmax()),
        _row("corrected", f"prediction for it, pixels 0..1{note}", None, digit.right.argmax()),
        _row("as_posted", "different masks that the one dropout object draws in its four places", None, masks),
    )
    return Outcome(rows=table, pictures=shown, remarks=_remarks(trained, epochs, ratios, with_dropout, digit))


def _row(variant: str, quantity: str, posted: float | None, measured: float | np.number[Any], unit: str = "") -> Row:
    return Row(
        part="B",
        variant="as_posted" if variant == "as_posted" else "corrected",
        quantity=quantity,
        unit=unit,
        posted=posted,
        measured=float(measured),
    )


def _cost_rows(trained: Trained, epochs: int, ratios: np.ndarray, note: str) -> list[Row]:
    fresh = [
        _row(
            "as_posted", f"mean cost of epoch {k + 1}, train mode, fresh start{note}", posted, trained.costs[k], "nats"
        )
        for k, posted in enumerate(POSTED_COSTS[:epochs])
    ]
    later = [
        _row("as_posted", f"mean cost of epoch {k + 2} beside the posted epoch {k + 1}{note}", posted, cost, "nats")
        for k, (posted, cost) in enumerate(zip(POSTED_COSTS, trained.costs[1 : epochs + 1], strict=False))
    ]
    away = 100 * np.abs(ratios - 1)
    return [
        *fresh,
        *later,
        _row("as_posted", f"shifted by one epoch: median of measured over posted cost{note}", 1.0, np.median(ratios)),
        _row("as_posted", f"shifted by one epoch: largest deviation{note}", None, away.max(), "%"),
    ]


def _score_rows(trained: Trained, epochs: int, with_dropout: float, note: str) -> list[Row]:
    posted, right = trained.posted[epochs - 1], trained.right[epochs - 1]
    return [
        _row("as_posted", f"test accuracy, pixels 0..255, eval mode{note}", POSTED_ACCURACY, posted.accuracy),
        _row("corrected", f"test accuracy, pixels 0..1, eval mode{note}", None, right.accuracy),
        _row("corrected", f"test accuracy, pixels 0..1, train mode (dropout left on){note}", None, with_dropout),
        _row("as_posted", f"test cross-entropy, pixels 0..255, eval mode{note}", None, posted.loss, "nats"),
        _row("corrected", f"test cross-entropy, pixels 0..1, eval mode{note}", None, right.loss, "nats"),
    ]


def _single_image(trained: Trained, data: Pixels) -> Shown:
    index = random.Random(SEED).randint(0, TEST_IMAGES - 1)
    image = data.test_x[index]
    with torch.no_grad():
        outputs = trained.network(torch.stack((image.flatten(), 255.0 * image.flatten()))).double().softmax(1).numpy()
    return Shown(
        index=index, label=int(data.test_y[index]), pixels=image[0].numpy(), right=outputs[0], posted=outputs[1]
    )


def _remarks(trained: Trained, epochs: int, ratios: np.ndarray, with_dropout: float, digit: Shown) -> tuple[str, ...]:
    posted, right = trained.posted[epochs - 1], trained.right[epochs - 1]
    near = int((np.abs(ratios - 1) <= 0.05).sum())
    costs = (
        f"The posted costs are not those of a fresh start, whose first epoch costs {trained.costs[0]:.3f}, not "
        f"{POSTED_COSTS[0]:.3f}. Shifted by one epoch {near} of {len(ratios)} agree within 5 %, and the largest "
        f"deviation is {100 * np.abs(ratios - 1).max():.0f} %: the network of the post had been trained for one epoch "
        "before, probably in an interrupted first run. The single image fits that: the random numbers had moved on as "
        f"well, so a fresh start shows image {digit.index}, a {digit.label}, not the posted {POSTED_DIGIT}."
    )
    if epochs < len(POSTED_COSTS):
        costs = (
            "Quick: after so few images the costs and accuracies cannot be compared with the posted ones; without "
            "--quick it is shown that the posted costs are those of a network trained for one epoch before."
        )
    return (
        costs,
        "The test images are used at 0..255, though the network was trained on 0..1. A ReLU network nearly forgives "
        "it: inputs 255 times as large make outputs about 255 times as large, the biases weigh nearly nothing, and the "
        f"largest output mostly stays the largest, so the accuracy is {posted.accuracy:.4f} instead of "
        f"{right.accuracy:.4f} and hides the fault. The cross-entropy does not hide it: {posted.loss:.3g} nats "
        f"instead of {right.loss:.3g}, because every prediction now comes with a probability of nearly 1, the wrong "
        f"ones too.",
        "The post explains train() and eval() by the mean of a batch, which is what batch normalization needs them "
        "for. This network has none: here train() turns dropout on and eval() turns it off, nothing else. Left on, "
        f"it costs {100 * (right.accuracy - with_dropout):.2f} points of test accuracy.",
        "One dropout object serves all four places. That is allowed: it has no state, and draws a new mask at each "
        "call.",
    )
