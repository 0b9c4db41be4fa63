"""Schedules are tables; PyTorch's schedulers, stepped, give the same rates."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.optim import SGD
from torch.optim import lr_scheduler as theirs

from regimen.errors import RecipeError
from regimen.techniques import (
    SCHEDULES,
    CosineLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    Schedule,
    StepLR,
    learning_rates,
)

LR = 0.3
Scheduler = theirs.LRScheduler


def rates_of_pytorch(
    make: Callable[[SGD], Scheduler], epochs: int, steps_per_epoch: int, *, per_step: bool
) -> list[float]:
    """Return the rate in use at every step of a loop that calls `scheduler.step()` as its documentation says."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler, rates = make(optimizer), []
    for epoch in range(epochs):
        for step in range(steps_per_epoch):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            # OneCycleLR refuses one step more than it was told of.
            if per_step and (epoch, step) != (epochs - 1, steps_per_epoch - 1):
                scheduler.step()
        if not per_step:
            scheduler.step()
    return rates


PER_EPOCH: dict[str, tuple[Schedule, Callable[[SGD], Scheduler]]] = {
    "step": (StepLR(step_size=3, gamma=0.5), lambda o: theirs.StepLR(o, 3, 0.5)),
    "step, defaults": (StepLR(), lambda o: theirs.StepLR(o, 10, 0.1)),
    "multistep": (MultiStepLR(milestones=(1, 4, 9), gamma=0.3), lambda o: theirs.MultiStepLR(o, [1, 4, 9], 0.3)),
    "multistep, never reached": (MultiStepLR(milestones=(99,)), lambda o: theirs.MultiStepLR(o, [99], 0.1)),
    "exponential": (ExponentialLR(gamma=0.9), lambda o: theirs.ExponentialLR(o, 0.9)),
    "exponential, rising": (ExponentialLR(gamma=1.1), lambda o: theirs.ExponentialLR(o, 1.1)),
    "cosine": (CosineLR(), lambda o: theirs.CosineAnnealingLR(o, 12)),
    "cosine, to a tenth": (CosineLR(end=0.1), lambda o: theirs.CosineAnnealingLR(o, 12, eta_min=0.1 * LR)),
}


@pytest.mark.parametrize("name", PER_EPOCH)
@pytest.mark.parametrize("steps_per_epoch", [1, 5])
def test_a_schedule_by_epochs_gives_the_rates_of_pytorch(name: str, steps_per_epoch: int) -> None:
    schedule, make = PER_EPOCH[name]
    expected = rates_of_pytorch(make, 12, steps_per_epoch, per_step=False)
    assert learning_rates(schedule, LR, epochs=12, steps_per_epoch=steps_per_epoch) == pytest.approx(
        expected, rel=1e-12
    )


@given(
    st.integers(1, 9), st.integers(1, 9), st.floats(0.02, 0.98), st.floats(1, 100), st.floats(1, 1e4),
)  # fmt: skip
def test_onecycle_gives_the_rates_of_pytorch(
    epochs: int, steps_per_epoch: int, pct_start: float, div_factor: float, final_div_factor: float
) -> None:
    total = epochs * steps_per_epoch
    assume(total > 1)
    assume(pct_start * total != 1.0)  # PyTorch divides by zero there
    expected = rates_of_pytorch(
        lambda o: theirs.OneCycleLR(
            o, LR, total, pct_start=pct_start, div_factor=div_factor, final_div_factor=final_div_factor,
            cycle_momentum=False,
        ),
        epochs, steps_per_epoch, per_step=True,
    )  # fmt: skip
    schedule = OneCycleLR(pct_start=pct_start, div_factor=div_factor, final_div_factor=final_div_factor)
    rates = learning_rates(schedule, LR, epochs=epochs, steps_per_epoch=steps_per_epoch)
    assert rates == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("pct_start", [0.01, 0.3, 0.99])
def test_onecycle_of_a_single_step_takes_the_first_rate(pct_start: float) -> None:
    assert learning_rates(OneCycleLR(pct_start=pct_start), 1.0, epochs=1, steps_per_epoch=1).tolist() == [1 / 25]


def test_onecycle_peaks_at_the_rate_of_the_recipe() -> None:
    rates = learning_rates(OneCycleLR(pct_start=0.5), LR, epochs=5, steps_per_epoch=4)
    assert rates[0] == pytest.approx(LR / 25)
    assert rates[9] == rates.max() == pytest.approx(LR)
    assert rates[-1] == pytest.approx(LR / 25e4)


@pytest.mark.parametrize("schedule", [None, *(kind() for kind in SCHEDULES.values())])
@pytest.mark.parametrize(("epochs", "steps_per_epoch"), [(1, 1), (1, 7), (40, 3)])
def test_every_schedule_has_one_positive_rate_for_each_step(
    schedule: Schedule | None, epochs: int, steps_per_epoch: int
) -> None:
    rates = learning_rates(schedule, LR, epochs=epochs, steps_per_epoch=steps_per_epoch)
    assert rates.shape == (epochs * steps_per_epoch,)
    assert rates.dtype == np.float64
    assert np.isfinite(rates).all()
    assert (rates > 0).all()
    assert (rates <= LR * (1 + 1e-12)).all()


def test_no_schedule_keeps_the_rate() -> None:
    assert learning_rates(None, LR, epochs=2, steps_per_epoch=2).tolist() == [LR] * 4


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        (StepLR, "step_size", 0, "a whole number in [1, inf)"),
        (StepLR, "step_size", 2.5, "a whole number in [1, inf)"),
        (StepLR, "gamma", 0.0, "a number in (0, inf)"),
        (MultiStepLR, "milestones", (), "epochs such as (20, 30)"),
        (MultiStepLR, "milestones", 20, "epochs such as (20, 30)"),
        (MultiStepLR, "milestones", [2, 3], "epochs such as (20, 30)"),
        (MultiStepLR, "milestones", (0, 3), "a whole number in [1, inf)"),
        (MultiStepLR, "milestones", (3, 3), "increasing epochs"),
        (MultiStepLR, "gamma", -1.0, "a number in (0, inf)"),
        (ExponentialLR, "gamma", float("nan"), "a number in (0, inf)"),
        (ExponentialLR, "gamma", "0.9", "a number in (0, inf)"),
        (CosineLR, "end", 1.1, "a number in [0, 1]"),
        (OneCycleLR, "pct_start", 0.0, "a number in (0, 1)"),
        (OneCycleLR, "pct_start", 1.0, "a number in (0, 1)"),
        (OneCycleLR, "div_factor", 0.5, "a number in [1, inf)"),
        (OneCycleLR, "final_div_factor", 0.0, "a number in [1, inf)"),
    ],
    ids=str,
)
def test_an_impossible_schedule_is_refused_by_the_name_of_its_field(
    kind: type[Schedule], field: str, value: object, expected: str
) -> None:
    with pytest.raises(RecipeError, match=re.escape(f"schedule.{field}: expected {expected}, got ")):
        kind(**{field: value})
