"""Part E.7: batch normalization as posted with five keys, and what it does in train and in eval mode."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from regimen.data import prepare
from regimen.engine import one_thread
from regimen.experiments import pictures
from regimen.experiments.context import Context, Outcome, Picture
from regimen.experiments.curve_pictures import whole_epochs
from regimen.experiments.kept import kept
from regimen.experiments.known_pictures import watched
from regimen.experiments.posted_network import BATCH, LR, PostedNetwork, PostedRun, posted
from regimen.experiments.records import Row, Variant
from regimen.experiments.technique_lab import Lab, Results, accuracy_text, gain_text
from regimen.models import ConvNet
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.stats import t_interval

POSTED, POSTED_SEEDS = 91.86, (1, 2, 3, 4, 5)
RATES = (0.01, 0.1)
PLAIN, NORMALIZED = "no normalization", "batch normalization"


def batch_normalization(context: Context) -> Outcome:
    """Return E.7: the posted accuracy with an interval, and the layer in both modes."""
    lab = Lab.of(context)
    seeds = context.choose(quick=POSTED_SEEDS[:2], standard=POSTED_SEEDS)
    runs = [PostedRun.at(context.size, batch_norm=True, seed=seed) for seed in seeds]
    arms = {
        f"{words}, rate {rate:g}": lab.recipe(lr=rate, normalization=kind)
        for rate in RATES
        for words, kind in ((PLAIN, "none"), (NORMALIZED, "batch"))
    }
    with kept(context) as store:
        as_posted = [posted(store, run, share=0.75 / len(runs)) for run in runs]
        results = lab.results(store, arms, share=0.2, keep=("weights",))
    best = next(name for name in reversed(results) if name.startswith(NORMALIZED))
    with one_thread():
        modes = Modes.of(lab, arms[best], results[best][0])
    rows = [
        *_posted_rows(as_posted, runs[0]),
        *lab.accuracy_rows("E.7", results),
        *modes.rows(lab.note),
        _row("corrected", "largest difference between the formula and BatchNorm2d in train mode", "", formula_error()),
        *_lost_rows(runs[0]),
    ]
    shown = (
        _posted_picture(as_posted),
        lab.curve_picture("curves", results, "With and without batch normalization at two learning rates."),
        modes.picture(),
    )
    context.advance(0.05)
    remarks = (*_remarks(as_posted, results, modes, context), *store.remarks())
    return Outcome(rows=tuple(rows), pictures=shown, remarks=remarks)


def _row(variant: Variant, quantity: str, unit: str, measured: float, n: int = 1) -> Row:
    return Row(part="E.7", variant=variant, quantity=quantity, unit=unit, posted=None, measured=measured, n=n)


def _posted_rows(results: Sequence[RunResult], run: PostedRun) -> list[Row]:
    accuracies = [100 * result.metric for result in results]
    low, high = t_interval(accuracies)
    first = [100 * result.curves.metric[0] for result in results]
    return [
        Row.over(
            accuracies,
            part="E.7",
            variant="as_posted",
            quantity=f"test accuracy, batch normalization, eval mode{run.note}",
            unit="%",
            posted=POSTED,
        ),
        _row("as_posted", f"lower end of its 95 % interval{run.note}", "%", low, len(results)),
        _row("as_posted", f"upper end of its 95 % interval{run.note}", "%", high, len(results)),
        Row.over(
            first,
            part="E.7",
            variant="as_posted",
            quantity=f"test accuracy after the first epoch{run.note}",
            unit="%",
        ),
    ]


def _lost_rows(run: PostedRun) -> list[Row]:
    """Return what `drop_last` and the fixed batch size of the post cost."""
    used = 10_000 // BATCH * BATCH
    network = PostedNetwork(run.batch_size, batch_norm=True).eval()
    accepted = 0
    for size in (run.batch_size, 1, run.batch_size - 1):
        try:
            accepted += len(network(torch.zeros(size, 1, 28, 28))) == size
        except RuntimeError:
            continue
    return [
        _row("as_posted", "test images used, of 10,000", "", used),
        _row("corrected", "test images used, of 10,000", "", 10_000),
        _row(
            "as_posted",
            f"batch sizes that the network accepts, of {run.batch_size}, 1 and {run.batch_size - 1}",
            "",
            accepted,
        ),
    ]


@torch.no_grad()
def formula_error() -> float:
    """Return the largest difference between (x − μ_B) / sqrt(σ²_B + ε) and PyTorch's layer in train mode.

    Example:
        >>> formula_error() < 1e-5
        True
    """
    x = torch.randn(64, 16, 7, 7, generator=torch.Generator().manual_seed(1)) * 3 + 2
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = x.var((0, 2, 3), unbiased=False, keepdim=True)
    layer = nn.BatchNorm2d(16).train()
    normalized: Tensor = (x - mean) / torch.sqrt(variance + layer.eps)
    return float((layer(x) - normalized).abs().max())


class Modes:
    """A trained network with batch normalization, tested in eval mode, in train mode, and with the layer left out.

    Args:
        network: Trained.
        x: Test images, scaled.
        y: Their classes.
    """

    def __init__(self, network: nn.Sequential, x: Tensor, y: Tensor) -> None:
        self.network, self.x, self.y = network, x, y
        self.sizes = [size for size in (2, 4, 8, 16, 32, 64, 128, 256) if size <= len(x)]
        self.by_size = [self.accuracy(training=True, batch=size) for size in self.sizes]
        self.eval = self.accuracy(training=False, batch=len(x))
        self.skipped = self._skipped()

    @classmethod
    def of(cls, lab: Lab, recipe: Recipe, result: RunResult) -> "Modes":
        """Return the trained network of a run with its test images."""
        run = Run(recipe=recipe, model=ConvNet(), data=lab.data, split=watched(lab.data), key=1, metric="accuracy")
        prepared = prepare(lab.data, run.split, recipe.input_scaling)
        network = run.sequential(prepared.inputs, prepared.outputs)
        network.load_state_dict({name: torch.tensor(value) for name, value in (result.weights or {}).items()})
        return cls(network, prepared.scaled(prepared.x["validation"]), prepared.y["validation"])

    @torch.no_grad()
    def accuracy(self, *, training: bool, batch: int) -> float:
        """Return the accuracy in per cent on whole batches; running statistics are left as they are."""
        before = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.train(training)
        whole = len(self.x) // batch * batch
        outputs = torch.cat([self.network(part) for part in torch.split(self.x[:whole], batch)])
        self.network.load_state_dict(before)
        self.network.eval()
        return 100 * float((outputs.argmax(1) == self.y[:whole]).double().mean())

    @torch.no_grad()
    def _skipped(self) -> float:
        """Return the accuracy if eval mode did not normalize at all."""
        self.network.eval()
        x = self.x
        for layer in self.network:
            x = x if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) else layer(x)
        return 100 * float((x.argmax(1) == self.y).double().mean())

    def rows(self, note: str) -> list[Row]:
        """Return the accuracies in each mode."""
        return [
            _row("corrected", f"test accuracy in eval mode: running mean and variance{note}", "%", self.eval),
            _row("as_posted", f'test accuracy if it were "not performed" in eval mode{note}', "%", self.skipped),
            *(
                _row("corrected", f"test accuracy in train mode, batches of {size}{note}", "%", self.by_size[place])
                for place, size in enumerate(self.sizes)
                if size in (self.sizes[0], self.sizes[-1])
            ),
        ]

    def picture(self) -> Picture:
        """Return the accuracy over the size of the test batches in both modes."""
        with pictures.look():
            figure, (axes,) = pictures.canvas(1, 1, width=5.4)
            pictures.line(
                axes, self.sizes, self.by_size, color=pictures.ORANGE, label="train mode: statistics of the batch"
            )
            axes.plot(self.sizes, self.by_size, "o", color=pictures.ORANGE, markersize=4)
            axes.axhline(
                self.eval, color=pictures.BLUE, linewidth=pictures.THICK, label="eval mode: running statistics"
            )
            axes.axhline(
                self.skipped,
                color=pictures.GRAY,
                linewidth=pictures.TRAINING,
                label="eval mode, if not normalized at all",
            )
            axes.set_xscale("log", base=2)
            axes.set_xticks(self.sizes, [str(size) for size in self.sizes])
            axes.set_ylim(0, 101)
            pictures.label(axes, x="images in a test batch", y="test accuracy (%)")
            pictures.legend(axes, loc="lower right", bbox_to_anchor=(1.0, 0.18))
        return Picture(
            name="modes",
            caption="The same trained network, tested three ways. In eval mode batch normalization is performed, with "
            "the running statistics, so the size of the test batch does not matter. In train mode it uses the batch's "
            "own mean and variance, which small batches estimate poorly. One network (n = 1): "
            f"{self.eval:.1f} % in eval mode, {self.by_size[0]:.1f} % in train mode in batches of {self.sizes[0]}, "
            f"{self.skipped:.1f} % with the normalization left out.",
            figure=figure,
        )


def _posted_picture(results: Sequence[RunResult]) -> Picture:
    with pictures.look():
        figure, (axes,) = pictures.canvas(1, 1, width=5.4)
        epochs = np.arange(1, len(results[0].curves.metric) + 1)
        for result in results:
            pictures.line(axes, epochs, 100 * np.array(result.curves.metric), thin=True)
        every = [100 * np.array(r.curves.metric) for r in results]
        pictures.spread(axes, epochs, every, label=f"mean of {len(results)} keys", within=pictures.PER_CENT)
        axes.plot(epochs[-1:], [POSTED], "o", color=pictures.ORANGE, markersize=5, label=f"posted: {POSTED} %")
        whole_epochs(axes)
        pictures.label(axes, x="epoch", y="test accuracy, eval mode (%)")
        pictures.legend(axes, loc="lower right")
    return Picture(
        name="posted",
        caption=f"Batch normalization as posted, SGD at {LR:g}, batch {BATCH}: test accuracy after each epoch, in eval "
        "mode; every key as a thin line, mean and one standard deviation.",
        figure=figure,
    )


def _remarks(results: Sequence[RunResult], arms: Results, modes: Modes, context: Context) -> tuple[str, ...]:
    accuracies = [100 * result.metric for result in results]
    low, high = t_interval(accuracies)
    inside = "inside" if low <= POSTED <= high else "outside"
    measured = (
        ()
        if context.size == "quick"
        else (
            f"As posted: {np.mean(accuracies):.2f} %, 95 % interval of the mean {low:.2f} to {high:.2f} over "
            f"{len(results)} keys; the posted {POSTED} % lies {inside} of it, and single keys reach from "
            f"{min(accuracies):.2f} to {max(accuracies):.2f}. Of the post's figures for part E (12.60, 12.64, 34.00 "
            "and 91.86 %) it is the highest. A possible reason, which this part does not test: normalization lets a "
            "rate train the network that is too small without it.",
        )
    )
    means = [f"{name} {accuracy_text(of_keys)}" for name, of_keys in arms.items()]
    gains = [
        f"at rate {rate:g} {gain_text(arms[f'{NORMALIZED}, rate {rate:g}'], arms[f'{PLAIN}, rate {rate:g}'])}"
        for rate in RATES
    ]
    return (
        *measured,
        'The post says that batch normalization is "not performed" in eval mode. It is, with the running mean and '
        f"variance gathered in training: {modes.eval:.1f} % (one network); were it left out, {modes.skipped:.1f} %. In "
        f"train mode a test image's prediction would depend on the others in its batch: {modes.by_size[0]:.1f} % in "
        f"batches of {modes.sizes[0]}.",
        f"Test accuracy: {'; '.join(means)}. The gain of normalization, key by key: {'; '.join(gains)}.",
        "view(batch_size, -1) makes the network of the post fail on a batch of any other size, so the last 16 test "
        "images are lost to drop_last; flattening from the second axis on takes every size.",
    )
