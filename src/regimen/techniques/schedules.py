"""Learning-rate schedules as tables: one rate per optimizer step, made once and handed to every engine."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from regimen.errors import RecipeError
from regimen.limits import require_number

Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """What all schedules share: a name, and `factors`, the multiples of the recipe's `lr`."""

    name: ClassVar[str]

    def factors(self, epochs: int, steps_per_epoch: int) -> Rates:
        """Return lr_t / lr for every optimizer step, float64 `[epochs * steps_per_epoch]`."""
        raise TypeError(f"{type(self).__name__} describes no schedule")


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLR(Schedule):
    """Multiply the rate by `gamma` every `step_size` epochs, as `torch.optim.lr_scheduler.StepLR`.

    Attributes:
        step_size: Epochs between two drops, >= 1.
        gamma: Factor of a drop, > 0.
    """

    name: ClassVar[str] = "step"
    step_size: int = 10
    gamma: float = 0.1

    def __post_init__(self) -> None:
        require_number("schedule.step_size", self.step_size, low=1, integer=True)
        require_number("schedule.gamma", self.gamma, low=0, low_open=True)

    def factors(self, epochs: int, steps_per_epoch: int) -> Rates:
        """Return gamma^floor(epoch / step_size)."""
        return _per_epoch(self.gamma ** (np.arange(epochs) // self.step_size), steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiStepLR(Schedule):
    """Multiply the rate by `gamma` at each of the `milestones` (epochs, counted from 0), as PyTorch's of that name.

    Attributes:
        milestones: Increasing epochs, each >= 1.
        gamma: Factor of a drop, > 0.
    """

    name: ClassVar[str] = "multistep"
    milestones: tuple[int, ...] = (20, 30)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        require_number("schedule.gamma", self.gamma, low=0, low_open=True)
        if not isinstance(self.milestones, tuple) or not self.milestones:
            raise RecipeError(f"schedule.milestones: expected epochs such as (20, 30), got {self.milestones!r}")
        for epoch in self.milestones:
            require_number("schedule.milestones", epoch, low=1, integer=True)
        if any(a >= b for a, b in zip(self.milestones, self.milestones[1:], strict=False)):
            raise RecipeError(f"schedule.milestones: expected increasing epochs, got {list(self.milestones)}")

    def factors(self, epochs: int, steps_per_epoch: int) -> Rates:
        """Return gamma^(number of milestones reached)."""
        reached = np.searchsorted(np.asarray(self.milestones), np.arange(epochs), side="right")
        return _per_epoch(self.gamma**reached, steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExponentialLR(Schedule):
    """Multiply the rate by `gamma` after every epoch.

    Attributes:
        gamma: Factor per epoch, > 0.
    """

    name: ClassVar[str] = "exponential"
    gamma: float = 0.99

    def __post_init__(self) -> None:
        require_number("schedule.gamma", self.gamma, low=0, low_open=True)

    def factors(self, epochs: int, steps_per_epoch: int) -> Rates:
        """Return gamma^epoch."""
        return _per_epoch(self.gamma ** np.arange(epochs, dtype=np.float64), steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineLR(Schedule):
    """Half a cosine from the full rate to `end` times it, over all epochs, without restarts.

    Attributes:
        end: Final rate over the first one, in [0, 1].

    Reference:
        Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", arXiv:1608.03983, eq. 5.
    """

    name: ClassVar[str] = "cosine"
    end: float = 0.0

    def __post_init__(self) -> None:
        require_number("schedule.end", self.end, low=0, high=1)

    def factors(self, epochs: int, steps_per_epoch: int) -> Rates:
        """Return end + (1 - end) · (1 + cos(π · epoch / epochs)) / 2."""
        half = (1.0 + np.cos(np.pi * np.arange(epochs) / epochs)) / 2.0
        return _per_epoch(self.end + (1.0 - self.end) * half, steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCycleLR(Schedule):
    """Cosine rise from lr / div_factor to lr, then cosine fall to lr / (div_factor · final_div_factor), step by step.

    As `torch.optim.lr_scheduler.OneCycleLR` with `max_lr` = the recipe's lr, two phases, and momentum left alone.

    Attributes:
        pct_start: Share of the steps spent rising, in (0, 1).
        div_factor: Peak rate over first rate, >= 1.
        final_div_factor: First rate over last rate, >= 1.

    Reference:
        Smith and Topin (2019), "Super-convergence", arXiv:1708.07120.
    """

    name: ClassVar[str] = "onecycle"
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        require_number("schedule.pct_start", self.pct_start, low=0, high=1, low_open=True, high_open=True)
        require_number("schedule.div_factor", self.div_factor, low=1)
        require_number("schedule.final_div_factor", self.final_div_factor, low=1)

    def factors(self, epochs: int, steps_per_epoch: int) -> Rates:
        """Return the rise and fall over all steps; a run of one step takes the first rate."""
        total = epochs * steps_per_epoch
        first, last = 1.0 / self.div_factor, 1.0 / (self.div_factor * self.final_div_factor)
        if total == 1:
            return np.array([first])
        peak = self.pct_start * total - 1.0
        t = np.arange(total, dtype=np.float64)
        rise = _cosine(first, 1.0, t / peak) if peak > 0 else np.ones(total)
        fall = _cosine(1.0, last, (t - peak) / (total - 1.0 - peak))
        return np.where(t <= peak, rise, fall)


def _cosine(start: float, end: float, share: Rates) -> Rates:
    return end + (start - end) / 2.0 * (1.0 + np.cos(math.pi * share))


def _per_epoch(factors: npt.ArrayLike, steps_per_epoch: int) -> Rates:
    return np.repeat(np.asarray(factors, dtype=np.float64), steps_per_epoch)


def learning_rates(schedule: Schedule | None, lr: float, *, epochs: int, steps_per_epoch: int) -> Rates:
    """Return the learning rate of every optimizer step, float64 `[epochs * steps_per_epoch]`.

    Example:
        >>> learning_rates(StepLR(step_size=1, gamma=0.5), 0.4, epochs=3, steps_per_epoch=1).tolist()
        [0.4, 0.2, 0.1]
    """
    if schedule is None:
        return np.full(epochs * steps_per_epoch, float(lr))
    return lr * schedule.factors(epochs, steps_per_epoch)


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (StepLR, MultiStepLR, ExponentialLR, CosineLR, OneCycleLR)
}
