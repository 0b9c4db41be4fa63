"""Part D: the convolutional network of the post, which could not run, with two methods added, on CIFAR-10."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from regimen.data import hold_out
from regimen.engine import one_thread
from regimen.experiments import pictures
from regimen.experiments.context import Context, Listing, Outcome, Picture
from regimen.experiments.curve_pictures import draw_curves, over_keys
from regimen.experiments.kept import kept
from regimen.experiments.known_pictures import part_of, watched
from regimen.experiments.records import Row
from regimen.models import ConvNet
from regimen.models.convnet import Convolution
from regimen.records import RunResult
from regimen.run import Recipe, Run

RATE, BATCH, EPOCHS, KEYS = 0.25, 128, 12, 3
CHANNELS = (32, 64, 128)


class PostedNet(nn.Module):
    """The network of the post in plain PyTorch; what it left out is `_flattened` and the third convolution's call.

    Args:
        shape: Channels, height and width of the images.
        third: Whether the third convolution, which the post builds, is used.
        rate: Drop probability.
    """

    def __init__(self, shape: tuple[int, int, int], *, third: bool, rate: float = RATE) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 128, 3) if third else None
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(rate)
        self.fc1 = nn.Linear(self._flattened(shape), 512)
        self.fc2 = nn.Linear(512, 10)

    def _convolved(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return x if self.conv3 is None else self.pool(torch.relu(self.conv3(x)))

    def _flattened(self, shape: tuple[int, int, int]) -> int:
        """Return how many numbers the convolutions leave of one image."""
        with torch.no_grad():
            return self._convolved(torch.zeros(1, *shape)).numel()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; the one dropout module is used twice, and draws a mask of its own each time."""
        x = self.dropout(self._convolved(x).flatten(1))
        x = self.dropout(torch.relu(self.fc1(x)))
        logits: Tensor = self.fc2(x)
        return logits


def described(third: bool) -> ConvNet:
    """Return the same network as a description."""
    channels = CHANNELS if third else CHANNELS[:2]
    return ConvNet(convolutions=tuple(Convolution(channels=n, pool=2) for n in channels), hidden=(512,), padding=0)


def recipe(third: bool, rate: float, epochs: int) -> Recipe:
    """Return the training: Adam with its defaults, dropout where the post has it, pixels 0..1."""
    before = (0.0,) * (2 if third else 1)
    dropout = (*before, rate, rate) if rate else ()
    return Recipe(dropout=dropout, epochs=epochs, batch_size=BATCH, input_scaling="none")


def cifar_net(context: Context) -> Outcome:
    """Return part D: accuracy and curves with and without dropout, with and without the third convolution."""
    rows, tested, epochs, keys = context.choose(quick=(256, 128, 2, 1), standard=(None, None, EPOCHS, KEYS))
    data = part_of("cifar10", train=rows, test=tested)
    split = watched(data)
    arms = [(third, rate) for third in (False, True) for rate in (0.0, RATE)]
    runs = [
        Run(
            recipe=recipe(third, rate, epochs),
            model=described(third),
            data=data,
            split=split,
            key=key,
            metric="accuracy",
        )
        for third, rate in arms
        for key in range(1, keys + 1)
    ]
    with kept(context) as store:
        results = store.train(runs, share=0.95)
    of_arm = {arm: results[place * keys : (place + 1) * keys] for place, arm in enumerate(arms)}
    note = f" (quick: {rows} images, {epochs} epochs)" if context.size == "quick" else ""
    trained, held = len(hold_out(data).development), len(hold_out(data).test)
    table = [row for (third, rate), of_keys in of_arm.items() for row in _rows(third, rate, of_keys, note)]
    shown = (_curves(of_arm, trained, held),)
    context.advance(0.05)
    return Outcome(
        rows=(*_size_rows(data.shape), *table),
        pictures=shown,
        remarks=(*_remarks(of_arm, trained, held), *store.remarks()),
        listings=(Listing(title="The repaired network", text=str(PostedNet(data.shape, third=True))),),
    )


def _size_rows(shape: tuple[int, int, int]) -> list[Row]:
    """Return flattened size and parameters of the repaired networks, and the masks that their dropout draws."""
    rows = []
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for third in (False, True):
            net, how = PostedNet(shape, third=third), _depth(third)
            for quantity, value in (
                (f"flattened size, {how}", net.fc1.in_features),
                (f"parameters, {how}", sum(p.numel() for p in net.parameters())),
            ):
                rows.append(_row("corrected", quantity, "", [value]))
        masks = {tuple(net.dropout(torch.ones(512)).tolist()) for _ in range(2)}
    rows.append(
        _row("as_posted", "different masks that the one dropout module draws in its two calls", "", [len(masks)])
    )
    return rows


def _row(variant: str, quantity: str, unit: str, values: Sequence[float]) -> Row:
    chosen = "as_posted" if variant == "as_posted" else "corrected"
    return Row.over(values, part="D", variant=chosen, quantity=quantity, unit=unit)  # type: ignore[arg-type]


def _rows(third: bool, rate: float, results: Sequence[RunResult], note: str) -> list[Row]:
    how = f"{_depth(third)}, {_rate(rate)}{note}"
    return [
        _row("corrected", f"test accuracy, {how}", "%", [100 * r.metric for r in results]),
        _row("corrected", f"test cross-entropy, eval mode, {how}", "nats", [r.validation_loss for r in results]),
        _row("corrected", f"training cross-entropy, eval mode, {how}", "nats", [r.train_loss for r in results]),
    ]


def _depth(third: bool) -> str:
    return "three convolutions" if third else "two convolutions"


def _rate(rate: float) -> str:
    return f"dropout {rate:g}" if rate else "no dropout"


def _curves(of_arm: dict[tuple[bool, float], list[RunResult]], trained: int, held: int) -> Picture:
    with pictures.look():
        figure, panels = pictures.canvas(2, 2, sharey="row", height=5.4)
        for (third, rate), results in of_arm.items():
            color = pictures.BLUE if rate else pictures.ORANGE
            losses, accuracy = panels[int(third)], panels[2 + int(third)]
            draw_curves(losses, results, "validation_loss", label=f"test, {_rate(rate)}", color=color)
            draw_curves(losses, results, "train_loss", label=f"training, {_rate(rate)}", color=color, training=True)
            draw_curves(accuracy, results, "metric", label=f"test, {_rate(rate)}", color=color)
            pictures.label(losses, x="epoch", y="cross-entropy (nats)", title=_depth(third))
            pictures.label(accuracy, x="epoch", y="test accuracy (%)")
        pictures.legend(panels[0])
        pictures.legend(panels[2], loc="lower right")
    return Picture(
        name="curves",
        caption=f"CIFAR-10, {trained:,} training images (dashed) and {held:,} test images, all in eval mode; "
        f"{over_keys(next(iter(of_arm.values())))}. Where the training loss keeps falling while the test loss turns "
        f"up, the network overfits.",
        figure=figure,
    )


def _remarks(of_arm: dict[tuple[bool, float], list[RunResult]], trained: int, held: int) -> tuple[str, ...]:
    def mean(third: bool, rate: float) -> float:
        return float(np.mean([100 * r.metric for r in of_arm[third, rate]]))

    return (
        "The code of the post cannot run: it calls two methods that it does not define. Here the flattened size is "
        "computed by sending one empty image through the convolutions, and the third convolution, which the post "
        "builds but leaves out of its sizes, is used and not used.",
        f"Dropout {RATE:g} changes the test accuracy by {mean(False, RATE) - mean(False, 0.0):+.1f} points with two "
        f"convolutions and by {mean(True, RATE) - mean(True, 0.0):+.1f} points with three "
        f"({over_keys(of_arm[True, RATE])}).",
        f"Trained on {trained:,} images and scored on {held:,}; all of CIFAR-10 has 50,000 and 10,000. Nothing was "
        "chosen by the test images: Adam with its defaults, a fixed number of epochs.",
        "The post applies one dropout module twice. That is allowed: each call draws its own mask. In a description "
        f"such as {described(True).name} each place has its own layer, which does the same.",
    )
