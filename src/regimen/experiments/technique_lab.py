"""The setting in which part E compares techniques: few images of MNIST, the post's network, a rate that trains it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regimen.data import Images
from regimen.experiments import pictures
from regimen.experiments.context import Context, Picture, Size
from regimen.experiments.curve_pictures import NAMES, Curve, draw_curves, over_keys
from regimen.experiments.findings import change_text, mean_text
from regimen.experiments.kept import Kept
from regimen.experiments.known_pictures import part_of, watched
from regimen.experiments.records import Row
from regimen.models import ConvNet
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.techniques import SGD

# At 2e-4 nothing is learned from so few steps; 0.1 trains the network and does not diverge.
LR = 0.1
# A legend of more curves finds no place between them.
LEGEND_INSIDE = 3
Results = Mapping[str, Sequence[RunResult]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lab:
    """A part of MNIST and how long it is trained on; the test images are followed, nothing is chosen by them.

    Attributes:
        train: Training images.
        test: Test images.
        epochs: Passes over the training images.
        batch_size: Images of an optimizer step.
        keys: Repetitions, each with its own initial weights and order.
        size: Of the experiment.
    """

    train: int = 3_000
    test: int = 2_000
    epochs: int = 6
    batch_size: int = 64
    keys: int = 3
    size: Size = "standard"

    @classmethod
    def of(cls, context: Context, **changes: Any) -> "Lab":
        """Return the setting for the size of an experiment; `changes` are for sizes other than `quick`."""
        if context.size == "quick":
            # Small batches: many steps, so that something is learned from few images.
            return cls(train=128, test=64, epochs=2, batch_size=8, keys=1, size="quick")
        return cls(**changes, size=context.size)

    @property
    def data(self) -> Images:
        """Return the images."""
        return part_of("mnist", train=self.train, test=self.test)

    @property
    def note(self) -> str:
        """Return the setting in words, for the names of quantities."""
        start = "quick: " if self.size == "quick" else ""
        return f" ({start}{self.train:,} images, {self.epochs} epochs)"

    def recipe(self, **changes: Any) -> Recipe:
        """Return plain SGD on pixels 0..1, as the post has it, with some changes."""
        plain = Recipe(optimizer=SGD(), lr=LR, epochs=self.epochs, batch_size=self.batch_size, input_scaling="none")
        return plain.replace(**changes)

    def results(
        self, store: Kept, arms: Mapping[str, Recipe], *, share: float, keep: Collection[str] = ()
    ) -> dict[str, list[RunResult]]:
        """Train every arm with every key and return the results by arm."""
        data, split = self.data, watched(self.data)
        runs = [
            Run(recipe=recipe, model=ConvNet(), data=data, split=split, key=key, metric="accuracy")
            for recipe in arms.values()
            for key in range(1, self.keys + 1)
        ]
        found = store.train(runs, share=share, keep=keep)
        return {arm: found[place * self.keys : (place + 1) * self.keys] for place, arm in enumerate(arms)}

    def accuracy_rows(self, part: str, results: Results) -> list[Row]:
        """Return the test accuracy of each arm."""
        return [
            Row.over(
                [100 * r.metric for r in of_keys],
                part=part,
                variant="corrected",
                quantity=f"test accuracy, {arm}{self.note}",
                unit="%",
            )
            for arm, of_keys in results.items()
        ]

    def curve_picture(
        self,
        name: str,
        results: Results,
        caption: str,
        *,
        curves: tuple[Curve, Curve] = ("train_loss", "metric"),
        optimizer: str = "SGD",
    ) -> Picture:
        """Return a picture with two curves of all arms side by side; the caption gets the setting behind it."""
        with pictures.look():
            figure, panels = pictures.canvas(1, 2, height=3.6)
            for axes, curve in zip(panels, curves, strict=True):
                for color, (arm, of_keys) in zip(pictures.SERIES, results.items(), strict=False):
                    draw_curves(axes, of_keys, curve, label=arm, color=color)
                pictures.label(axes, x="epoch", y=NAMES[curve])
            if len(results) > LEGEND_INSIDE:
                figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
            else:
                pictures.legend(panels[-1], loc="best")
        setting = (
            f"MNIST, {self.train:,} training and {self.test:,} test images, {optimizer}, batch {self.batch_size}, "
            f"{over_keys(next(iter(results.values())))}; eval mode."
        )
        return Picture(name=name, caption=f"{caption} {setting}", figure=figure)


def accuracy_text(results: Sequence[RunResult]) -> str:
    """Return the test accuracy in words, with its spread over keys and their number."""
    return mean_text([100 * r.metric for r in results], "%", over="keys")


def gain_text(results: Sequence[RunResult], plain: Sequence[RunResult]) -> str:
    """Return the change of the test accuracy from `plain`, key by key, with its interval, in words."""
    gains = [100 * (r.metric - before.metric) for r, before in zip(results, plain, strict=True)]
    return change_text(gains, "points", over="keys")
