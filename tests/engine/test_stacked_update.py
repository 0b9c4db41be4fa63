"""The optimizers of a bundle: every run is stepped as torch.optim steps it with its own hyper-parameters."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from regimen.engine.stacked_update import kind_of_step, stacked_optimizer
from regimen.techniques import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

STEPS, SIZE = 20, 11
RATES = (0.1, 0.003, 0.02)

CASES: dict[str, Sequence[Optimizer]] = {
    "sgd": [SGD()] * 3,
    "momentum": [SGD(momentum=0.9), SGD(momentum=0.5, dampening=0.5), SGD(momentum=0.1, dampening=1.0)],
    "nesterov": [SGD(momentum=m, nesterov=True) for m in (0.9, 0.5, 0.1)],
    "adam": [Adam(), Adam(betas=(0.0, 0.5), eps=1e-4), Adam(betas=(0.95, 0.9999))],
    "amsgrad": [Adam(amsgrad=True), Adam(amsgrad=True, betas=(0.5, 0.3)), Adam(amsgrad=True, eps=0.1)],
    "adamw": [AdamW(), Adam(betas=(0.5, 0.5)), AdamW(eps=1e-3)],
    "rmsprop": [RMSprop(), RMSprop(alpha=0.5, eps=1e-3), RMSprop(alpha=0.0)],
    "rmsprop, momentum": [RMSprop(momentum=m, alpha=0.9) for m in (0.9, 0.5, 0.1)],
    "centered rmsprop": [RMSprop(centered=True, alpha=a, eps=1e-2) for a in (0.99, 0.5, 0.1)],
    "centered rmsprop, momentum": [RMSprop(centered=True, alpha=0.9, momentum=m, eps=1e-2) for m in (0.9, 0.5, 0.1)],
    "adagrad": [Adagrad(), Adagrad(lr_decay=0.5), Adagrad(initial_accumulator_value=0.3, eps=1e-3)],
}
each_case = pytest.mark.parametrize("case", CASES)


def gradients() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(STEPS, len(RATES), SIZE, generator=generator)


def rate(run: int, step: int) -> float:
    return RATES[run] / (1 + step % 4)


def alone(run: int, optimizer: Optimizer) -> torch.Tensor:
    """Return the parameters of one run after all steps of torch.optim."""
    weights = torch.nn.Parameter(torch.linspace(-1.0, 1.0, SIZE) + run)
    its_own = optimizer.build([{"params": [weights], "weight_decay": 0.0}], RATES[run])
    for step, gradient in enumerate(gradients()[:, run]):
        its_own.param_groups[0]["lr"] = rate(run, step)
        weights.grad = gradient.clone()
        its_own.step()
    return weights.detach()


@each_case
def test_twenty_steps_are_those_of_torch_optim_for_each_run(case: str) -> None:
    weights = torch.stack([torch.linspace(-1.0, 1.0, SIZE) + run for run in range(3)])
    stacked = stacked_optimizer(CASES[case], weights)
    for step, gradient in enumerate(gradients()):
        rates = torch.tensor([[rate(run, step)] for run in range(3)], dtype=torch.float64)
        stacked.step(weights, gradient.clone(), rates)
    expected = torch.stack([alone(run, optimizer) for run, optimizer in enumerate(CASES[case])])
    torch.testing.assert_close(weights, expected, rtol=2e-6, atol=2e-6)


@each_case
def test_a_run_that_leaves_takes_its_state_along_and_changes_nothing_for_the_others(case: str) -> None:
    weights = torch.stack([torch.linspace(-1.0, 1.0, SIZE) + run for run in range(3)])
    stacked, runs = stacked_optimizer(CASES[case], weights), [0, 1, 2]
    for step, gradient in enumerate(gradients()):
        if step == 7:
            runs = [0, 2]
            stacked.select(torch.tensor(runs))
            weights = weights[runs]
        rates = torch.tensor([[rate(run, step)] for run in runs], dtype=torch.float64)
        stacked.step(weights, gradient[runs], rates)
    expected = torch.stack([alone(run, CASES[case][run]) for run in runs])
    torch.testing.assert_close(weights, expected, rtol=2e-6, atol=2e-6)


@each_case
def test_what_is_not_finite_in_one_run_stays_there(case: str) -> None:
    weights = torch.ones(3, SIZE)
    stacked = stacked_optimizer(CASES[case], weights)
    for gradient in gradients():
        gradient[1] = torch.tensor([float("nan"), float("inf"), *[1.0] * (SIZE - 2)])
        stacked.step(weights, gradient, torch.full((3, 1), 0.1, dtype=torch.float64))
    assert weights[[0, 2]].isfinite().all()
    assert weights[1].isnan().any()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SGD(), SGD(momentum=0.1)),
        (SGD(momentum=0.1), SGD(momentum=0.1, nesterov=True)),
        (Adam(), Adam(amsgrad=True)),
        (Adam(), SGD()),
        (RMSprop(), RMSprop(centered=True)),
        (RMSprop(), RMSprop(momentum=0.5)),
        (RMSprop(), Adagrad()),
    ],
)
def test_steps_of_another_kind_are_told_apart(one: Any, other: Any) -> None:
    assert kind_of_step(one) != kind_of_step(other)
    assert kind_of_step(one) == kind_of_step(dataclasses.replace(one))
