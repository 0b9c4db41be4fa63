"""What a user asks of a study, checked before anything is read or trained."""

import math
import re
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from regimen.data import Data, Images, Samples
from regimen.engine import choose_engine
from regimen.errors import OptionError
from regimen.models import MLP, ConvNet, Model, ModelSource, model_of
from regimen.run import Recipe
from regimen.streams import check_key

BudgetUnit = Literal["runs", "s"]


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on the whole study: a number of `runs`, or of seconds (`s`)."""

    amount: int
    unit: BudgetUnit

    def __str__(self) -> str:
        """Return the form that `parse_budget` reads."""
        return f"{self.amount}{self.unit}"


def parse_budget(text: str) -> Budget:
    """Return the budget that `300runs`, `60s`, `10min` or `2h` means.

    Raises:
        OptionError: The text is none of these, or the amount is zero.

    Example:
        >>> parse_budget("2min")
        Budget(amount=120, unit='s')
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*(runs?|s|sec|min|m|h)\s*", text)
    if match is None or int(match[1]) == 0:
        raise OptionError(f"--budget: expected a number of runs or a time, such as 300runs, 60s or 10min; got {text!r}")
    amount, unit = int(match[1]), match[2]
    if unit.startswith("run"):
        return Budget(amount, "runs")
    return Budget(amount * {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}[unit], "s")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOptions:
    """What a user asks of a study; None leaves a choice to the study.

    Attributes:
        model: The network: a description or its name, `FILE.py:FUNCTION`, or a function or class without arguments that
            makes a `torch.nn.Module`; None is `mlp` for a table and `cnn` for images.
        baseline: Recipe of the network without the techniques; None is Adam without regularization.
        lr: Learning rate of the baseline, > 0.
        batch_size: Batch size of the baseline, >= 1; None takes one that fits the number of rows.
        epochs: Epochs of every run, >= 1.
        techniques: `all`, a comma-separated list, or None for the study's first ten.
        pairs: Pairs of the search, >= 2; fewer than 8 make a pilot without verdicts.
        folds: Make pairs the folds of repeated cross-validation with so many folds, 2 to 100; None draws them alone.
        budget: Limit on the whole study.
        metric: Name of a metric; None takes the one that fits the data.
        smallest_effect: Smallest effect of interest, > 0, in units of the metric (0.01 is one point of accuracy).
        engine: Which engine trains.
        device: `auto` and `cpu` are the processor; `cuda` trains on the graphics card what can be stacked.
        processes: Runs trained at a time, >= 1.
        seed: Of everything but the choice of the test part, 0 <= seed < 2^64.

    Raises:
        OptionError: A value is out of range.
    """

    model: ModelSource | None = None
    baseline: Recipe | None = None
    lr: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    techniques: str | None = None
    pairs: int | None = None
    folds: int | None = None
    budget: Budget | str | None = None
    metric: str | None = None
    smallest_effect: float | None = None
    engine: str = "auto"
    device: str = "auto"
    processes: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model is not None:
            object.__setattr__(self, "model", model_of(self.model))
        if isinstance(self.budget, str):
            object.__setattr__(self, "budget", parse_budget(self.budget))
        check_key(self.seed, "--seed")
        choose_engine(self.engine, self.device)
        for name, low in (("pairs", 2), ("folds", 2), ("processes", 1)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Integral):
                raise OptionError(f"--{name}: expected a whole number, got {value!r}")
            if value is not None and value < low:
                raise OptionError(f"--{name}: expected at least {low}, got {value}")
        if self.pairs is not None and self.pairs > 1000:
            raise OptionError(f"--pairs: expected at most 1000, got {self.pairs}")
        if self.folds is not None and self.folds > 100:
            raise OptionError(f"--folds: expected at most 100, got {self.folds}")
        if self.smallest_effect is not None and not 0 < self.smallest_effect < math.inf:
            raise OptionError(f"--smallest-effect: expected a finite number above 0, got {self.smallest_effect}")

    def network(self, data: Data) -> Model:
        """Return the model as a description, by default the one that fits the data."""
        return default_model(data) if self.model is None else model_of(self.model)

    @property
    def given_model(self) -> Model | None:
        """Return the model as a description, None where none is given."""
        return None if self.model is None else model_of(self.model)

    @property
    def limit(self) -> Budget | None:
        """Return the budget in its parsed form."""
        return parse_budget(self.budget) if isinstance(self.budget, str) else self.budget

    def recipe(self, n_train: int) -> Recipe:
        """Return the baseline recipe for `n_train` training rows, the options' values in place.

        Raises:
            RecipeError: A value is out of range.
        """
        recipe = self.baseline or Recipe(batch_size=fitting_batch_size(n_train))
        changes: dict[str, Any] = {"lr": self.lr, "batch_size": self.batch_size, "epochs": self.epochs}
        return recipe.replace(**{name: value for name, value in changes.items() if value is not None})


def default_model(data: Data) -> Model:
    """Return the network that is taken where none is named: a convolutional one for images, or samples shaped alike.

    Example:
        >>> from regimen.data import load
        >>> default_model(load("iris")).name
        'mlp:128x128'
    """
    pictures = isinstance(data, Images) or (isinstance(data, Samples) and len(data.shape) == 3 and data.shape[0] <= 4)
    return ConvNet() if pictures else MLP()


def fitting_batch_size(n_train: int) -> int:
    """Return a power of two from 32 to 512 that leaves about 50 optimizer steps in an epoch of a large table.

    Example:
        >>> fitting_batch_size(1000), fitting_batch_size(20_000)
        (32, 512)
    """
    size = 32
    while size < 512 and n_train / size > 50:
        size *= 2
    return size
