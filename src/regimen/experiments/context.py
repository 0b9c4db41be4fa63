"""What an experiment is given, and what it hands back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from regimen.experiments.records import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = TypeVar("Value")
Size = Literal["quick", "standard", "full"]


def _ignore(share: float) -> None:
    """Take progress that nobody watches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """How an experiment shall be done, and whom it tells how far it is.

    Attributes:
        size: `quick` shows the idea in seconds with fewer runs, epochs or rows; `standard` is what the post did;
            `full` is more than the post where that pays (all 60,000 images), else the same as `standard`.
        processes: Runs trained at a time, >= 1: hand it to `regimen.engine.train`; None for one a core.
        folder: Where resumable work may be kept; None where nothing is kept. The pictures are not written here by the
            experiment itself.
        on_progress: Called with the share of the experiment that is now done besides what was told before.

    Example:
        >>> Context(size="quick").choose(quick=2, standard=10)
        2
    """

    size: Size = "standard"
    processes: int | None = None
    folder: Path | None = None
    on_progress: Callable[[float], None] = field(default=_ignore)

    def choose(self, *, quick: Value, standard: Value, full: Value | None = None) -> Value:
        """Return the value for this size; without `full`, that of `standard` serves both."""
        if self.size == "quick":
            return quick
        return standard if self.size == "standard" or full is None else full

    def advance(self, share: float) -> None:
        """Tell that another `share` of the experiment, of 1 in all, is done."""
        self.on_progress(share)

    def counter(self, steps: int, share: float) -> Callable[..., None]:
        """Return a function to call `steps` times, whatever its arguments, that makes `share` of the experiment.

        It fits `on_result` of `regimen.engine.train`: `train(runs, on_result=context.counter(len(runs), 0.8))`.
        """

        def step(*_: object) -> None:
            self.on_progress(share / steps)

        return step


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A figure with the words that belong to it.

    Attributes:
        name: File name without its extension, such as `curves`.
        caption: One or two sentences on what it shows, printed below it; it names train and eval mode.
        figure: Made by `regimen.experiments.pictures`.
    """

    name: str
    caption: str
    figure: "Figure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Text as a program prints it: a summary table, learning rates of each epoch, a repr."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an experiment found.

    Attributes:
        rows: Every quantity, as posted and corrected, in the order in which they shall be read.
        pictures: The figures.
        remarks: What the figures mean, one sentence or two each; what is not explained is called so.
        listings: Printed text that belongs to the experiment.
    """

    rows: tuple[Row, ...]
    pictures: tuple[Picture, ...] = ()
    remarks: tuple[str, ...] = ()
    listings: tuple[Listing, ...] = ()
