'''The named entries of `regimen reproduce`, in the order of the parts A to F.

An entry is a description here and a function in a module of its own. To add one:

1. Write `src/regimen/experiments/my_part.py` with a function from `Context` to `Outcome`:

       """One sentence: what the experiment is."""

       from regimen.engine import train
       from regimen.experiments import pictures
       from regimen.experiments.context import Context, Outcome, Picture
       from regimen.experiments.records import Row

       def my_part(context: Context) -> Outcome:
           """Return what ... (one sentence)."""
           runs = [...]  # context.choose(quick=2, standard=10) of them
           results = train(runs, processes=context.processes, on_result=context.counter(len(runs), share=0.9))
           with pictures.look():  # the report's fonts, lines and colours
               figure, axes = pictures.canvas(1, 2)
               pictures.line(axes[0], epochs, losses, label="test, eval mode", color=pictures.BLUE)
               pictures.label(axes[0], x="epoch", y="cross-entropy (nats)")
               pictures.legend(axes[0])
           context.advance(0.1)  # the shares of an experiment sum to 1
           rows = (
               Row(part="X.1", variant="as_posted", quantity="test accuracy", unit="%", posted=97.91, measured=98.2),
               Row.over([98.1, 98.4], part="X.1", variant="corrected", quantity="test accuracy", unit="%"),
           )
           return Outcome(rows=rows, pictures=(Picture(name="curves", caption="...", figure=figure),), remarks=("...",))

2. Add an `Entry` to `ENTRIES` below, in the order of the parts, whose `home` is `my_part:my_part`.

Whatever cannot be had raises a `RegimenError`, as `regimen.data.load("mnist")` does without network: the command says
so and goes on with the other entries. Do not catch it. Nothing heavy is imported here: `regimen reproduce --list` is to
be quick.
'''

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from regimen.errors import OptionError, nearest

if TYPE_CHECKING:
    from regimen.experiments.context import Context, Outcome, Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One experiment.

    Attributes:
        name: What `regimen reproduce NAME` takes; `techniques/dropout` belongs to the group `techniques`.
        part: Letter and number of the part, such as `A` or `E.2`.
        title: A line for lists and headings.
        post: What the post says and prints, in a sentence or two.
        mistakes: What the post does wrong, one sentence each; each is run as posted and corrected.
        home: `module:function`, the module within `regimen.experiments`.
        seconds_quick: Expected seconds of the size `quick`, on two quiet cores.
        seconds: The same of the size `standard`.
        seconds_full: The same of the size `full`; None where that is the same as `standard`.
    """

    name: str
    part: str
    title: str
    post: str
    home: str
    seconds_quick: float
    seconds: float
    seconds_full: float | None = None
    mistakes: tuple[str, ...] = ()

    def expected_seconds(self, size: "Size") -> float:
        """Return how long the entry takes at that size, on two quiet cores."""
        if size == "quick":
            return self.seconds_quick
        return self.seconds if size == "standard" or self.seconds_full is None else self.seconds_full

    def run(self, context: "Context") -> "Outcome":
        """Do the experiment.

        Raises:
            RegimenError: Its data cannot be had, or it cannot be trained.
        """
        module, _, function = self.home.partition(":")
        conduct: Callable[[Context], Outcome] = getattr(import_module(f"regimen.experiments.{module}"), function)
        return conduct(context)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="digits-dropout",
        part="A",
        title="Dropout and batch normalization on digits",
        post="A network 64-100-100-100-100-10 with dropout 0.5 after every ReLU learns the digits of scikit-learn for "
        "100 epochs; training and test loss are plotted with dropout and without. Batch normalization, which the "
        "title promises too, is added here.",
        mistakes=(
            "The running training loss is divided by the last index of the batches, not by their number.",
            "It is measured with dropout on, while the test loss is measured with dropout off.",
        ),
        home="digits_dropout:digits_dropout",
        seconds_quick=4.0,
        seconds=30.0,
    ),
    Entry(
        name="mnist-dropout",
        part="B",
        title="Dropout on MNIST",
        post="A network 784-512-512-512-512-10 with dropout 0.3 after every ReLU and Xavier-uniform weights learns "
        "MNIST with Adam for 15 epochs; the mean cost of each is printed, then a test accuracy of 0.9791 and a single "
        "test image with its prediction.",
        mistakes=(
            "The test images are used at 0..255 although training used 0..1; accuracy hides it, cross-entropy does "
            "not.",
            "The posted costs are those of a network that had been trained for one epoch before.",
            "train() and eval() are explained by the mean of a batch, though the network has only dropout.",
        ),
        home="mnist_dropout:mnist_dropout",
        seconds_quick=4.0,
        seconds=160.0,
    ),
    Entry(
        name="dropout-layer",
        part="C",
        title="What the dropout layer does, and where it belongs",
        post="Each element is zeroed with probability p, survivors grow by 1/(1 - p), eval mode changes nothing: shown "
        "with p = 0.2 on a 20x16 and p = 0.9 on a 10x2 tensor, whose survivors are ten times as large. Dropout and "
        "ReLU may change places. One network with dropout is an ensemble of many.",
        mistakes=(
            "To show that dropout and ReLU may change places, the post seeds once and draws twice: its two results "
            "have different masks and cannot be equal.",
        ),
        home="dropout_layer:dropout_layer",
        seconds_quick=4.0,
        seconds=20.0,
    ),
    Entry(
        name="cifar-net",
        part="D",
        title="Dropout in a convolutional network on CIFAR-10",
        post="Two convolutions with pooling, one dropout module used twice, and two linear layers for colour pictures "
        "of 32x32 pixels; a third convolution is built. No figures are shown.",
        mistakes=("Two of its methods are missing and the third convolution is never called, so the code cannot run.",),
        home="cifar_net:cifar_net",
        seconds_quick=3.0,
        seconds=900.0,
    ),
    Entry(
        name="techniques/weight-regularization",
        part="E.1",
        title="L2 and L1 on the weights",
        post="A convolutional network on MNIST with weight_decay=0.1 in SGD, which is L2; L1 makes weights sparse. "
        "Reported: 12.60 %.",
        mistakes=(
            "12.60 % is near the 10 % of guessing: a figure of a network that is hardly trained says little about L2.",
        ),
        home="technique_weights:weight_regularization",
        seconds_quick=3.0,
        seconds=800.0,
    ),
    Entry(
        name="techniques/dropout",
        part="E.2",
        title="Dropout where nothing overfits, and where much does",
        post="Dropout2d(0.2) after each convolution and Dropout(0.2) after the hidden layer. No figure is reported.",
        mistakes=("No figure shows whether the network overfits, the case that a constraint is meant for.",),
        home="technique_dropout:dropout",
        seconds_quick=3.0,
        seconds=480.0,
    ),
    Entry(
        name="techniques/augmentation",
        part="E.3",
        title="Flipped, turned and cropped digits",
        post="Resize to 34, centre crop to 28, horizontal flip, rotation by up to 90 degrees and a random resized "
        "crop, composed, in training only.",
        mistakes=("Flipping and turning make other shapes of digits, and sometimes other digits.",),
        home="technique_augmentation:augmentation",
        seconds_quick=3.0,
        seconds=300.0,
    ),
    Entry(
        name="techniques/initialization",
        part="E.4",
        title="How the weights start",
        post="Normal weights of 0.02, Xavier normal and He normal, biases 0. Reported for He: 12.64 %.",
        mistakes=("The formula printed for He normal counts the gain twice.",),
        home="technique_initialization:initialization",
        seconds_quick=3.0,
        seconds=500.0,
    ),
    Entry(
        name="techniques/learning-rate",
        part="E.5",
        title="The learning rate and its schedules",
        post="Too large, right and too small rates; StepLR, MultiStepLR and ExponentialLR; losses from 2.4497 down to "
        "0.0016 are pasted below the code.",
        mistakes=(
            "optimizer.step() is missing, so nothing is trained.",
            "The scheduler is stepped at the start of the epoch: every drop comes one epoch early.",
            "The pasted losses are not output of the printed code.",
        ),
        home="technique_rates:learning_rate",
        seconds_quick=2.0,
        seconds=200.0,
    ),
    Entry(
        name="techniques/input-normalization",
        part="E.6",
        title="Scaling the inputs",
        post="Standardization and min-max scaling; MNIST by its mean 0.1307 and standard deviation 0.3081. Reported: "
        "34.00 %.",
        mistakes=("The figure is that of a network at the beginning of its training, which the scaling moves along.",),
        home="technique_inputs:input_normalization",
        seconds_quick=3.0,
        seconds=480.0,
    ),
    Entry(
        name="techniques/batch-normalization",
        part="E.7",
        title="Batch normalization in train and in eval mode",
        post="BatchNorm2d after each convolution and BatchNorm1d after the hidden layer, before the ReLU. Reported: "
        "91.86 %.",
        mistakes=(
            "It is said not to be performed in eval mode; it is, with the running mean and variance.",
            "view(batch_size, -1) makes the network fail on any other batch size, and drop_last loses 16 test images.",
        ),
        home="technique_batch_norm:batch_normalization",
        seconds_quick=4.0,
        seconds=1900.0,
    ),
    Entry(
        name="techniques/optimizers",
        part="E.8",
        title="SGD, Adagrad, RMSprop and Adam",
        post="The optimizers with their parameters: momentum, dampening, weight decay and Nesterov; lr_decay and "
        "initial_accumulator_value; alpha, eps, centered and momentum; betas, eps and AMSGrad. No figures are "
        "reported.",
        home="technique_optimizers:optimizers",
        seconds_quick=3.0,
        seconds=500.0,
    ),
    Entry(
        name="techniques/fair-comparison",
        part="E",
        title="Every technique at a learning rate of its own",
        post="The post compares its techniques at one rate, at which all but batch normalization are nearly untrained.",
        mistakes=("One rate for all is unfair to every technique but batch normalization.",),
        home="technique_fair:fair_comparison",
        seconds_quick=3.0,
        seconds=1300.0,
        seconds_full=13_000.0,
    ),
    Entry(
        name="overfit-curve",
        part="F",
        title="A network learns noise, and dropout flattens the curve",
        post="A line is learned from 100 points (F.1). Then pure noise: a network with 512 units follows it (F.2); "
        "trained on the first 80 points, it fails on the last 20 (F.3); with dropout 0.8 it does not (F.4). Wide "
        "networks can follow any function, noise too (F.6).",
        mistakes=(
            "The test points are the last 20, outside the range of the training points: that tests extrapolation. "
            "Random splits are run too.",
            "The fit with dropout is drawn in train mode first, and looks jagged; eval mode shows the function.",
        ),
        home="overfit_curve:overfit_curve",
        seconds_quick=6.0,
        seconds=40.0,
    ),
)


def find_entries(names: Sequence[str] = ("all",), entries: Sequence[Entry] | None = None) -> tuple[Entry, ...]:
    """Return the entries that names, groups or letters of parts mean, each once, in the order of the catalogue.

    Args:
        names: `all`, a name (`digits-dropout`), a group (`techniques`) or a part (`F`, `E.4`), in any case.
        entries: Where to look; None for `ENTRIES`.

    Raises:
        OptionError: A name means nothing; the message offers the nearest.

    Example:
        >>> demo = Entry(name="demo", part="X.1", title="", post="", home="demo:demo", seconds_quick=1, seconds=9)
        >>> find_entries(["x"], [demo]) == find_entries(["demo"], [demo]) == (demo,)
        True
    """
    known = ENTRIES if entries is None else entries
    chosen: set[str] = set()
    for name in names or ("all",):
        found = {entry.name for entry in known if _means(name.strip().lower().rstrip("/"), entry)}
        if not found:
            valid = ["all", *(entry.name for entry in known), *(_group(entry) for entry in known if "/" in entry.name)]
            raise OptionError(f"no such experiment {name!r}{nearest(name, set(valid))}; --list shows them")
        chosen |= found
    return tuple(entry for entry in known if entry.name in chosen)


def _means(name: str, entry: Entry) -> bool:
    part = entry.part.lower()
    return name in ("all", entry.name, part, part.partition(".")[0]) or ("/" in entry.name and name == _group(entry))


def _group(entry: Entry) -> str:
    return entry.name.partition("/")[0]
