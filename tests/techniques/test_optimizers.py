"""Optimizers are descriptions; what they build follows the formula of their docstring and PyTorch's own update."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from regimen.errors import RecipeError
from regimen.techniques import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, parameter_groups

Array = npt.NDArray[np.float64]
LR, L2, STEPS = 0.1, 0.02, 7
START = np.array([0.5, -1.0, 2.0, 0.0])
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, 4))


def trained(optimizer: Optimizer, *, weight_decay: float = L2) -> Array:
    """Return the weights after each step with the given gradients, in float64."""
    weight = torch.tensor(START, requires_grad=True)
    built = optimizer.build([{"params": [weight], "weight_decay": weight_decay}], LR)
    seen = []
    for gradient in GRADIENTS:
        weight.grad = torch.tensor(gradient)
        built.step()
        seen.append(weight.detach().numpy().copy())
    return np.array(seen)


def gradients_with_l2(w: Array) -> Iterator[tuple[int, Array]]:
    """Yield step (from 1) and gradient; `w` is updated in place by the caller."""
    for t, gradient in enumerate(GRADIENTS, start=1):
        yield t, gradient + L2 * w


def sgd(momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False) -> Array:
    w, seen, b = START.copy(), [], np.zeros(4)
    for t, g in gradients_with_l2(w):
        # PyTorch's first buffer is the gradient itself, not dampened.
        b = g if t == 1 else momentum * b + (1 - dampening) * g
        w -= LR * (g + momentum * b if nesterov else b)
        seen.append(w.copy())
    return np.array(seen)


def adam(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, amsgrad: bool = False) -> Array:
    w, seen = START.copy(), []
    m, v, largest = np.zeros(4), np.zeros(4), np.zeros(4)
    for t, g in gradients_with_l2(w):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        second = (largest if amsgrad else v) / (1 - betas[1] ** t)
        w -= LR * m / (1 - betas[0] ** t) / (np.sqrt(second) + eps)
        seen.append(w.copy())
    return np.array(seen)


def rmsprop(alpha: float = 0.99, eps: float = 1e-8, centered: bool = False, momentum: float = 0.0) -> Array:
    w, seen = START.copy(), []
    v, mean, b = np.zeros(4), np.zeros(4), np.zeros(4)
    for _, g in gradients_with_l2(w):
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - mean**2 if centered else v) + eps)
        w -= LR * b
        seen.append(w.copy())
    return np.array(seen)


def adagrad(lr_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10) -> Array:
    w, seen, s = START.copy(), [], np.full(4, initial_accumulator_value)
    for t, g in gradients_with_l2(w):
        s = s + g**2
        w -= LR / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
        seen.append(w.copy())
    return np.array(seen)


FORMULAS = {SGD: sgd, Adam: adam, AdamW: adam, RMSprop: rmsprop, Adagrad: adagrad}
THEIRS = {
    SGD: torch.optim.SGD,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.Adam,  # without decay AdamW is Adam; the engine decays
    RMSprop: torch.optim.RMSprop,
    Adagrad: torch.optim.Adagrad,
}
SETTINGS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "dampening": 0.5}),
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (Adam, {}),
    (Adam, {"betas": (0.8, 0.95), "eps": 1e-3}),
    (Adam, {"amsgrad": True, "betas": (0.9, 0.5)}),
    (AdamW, {}),
    (AdamW, {"betas": (0.5, 0.9)}),
    (RMSprop, {}),
    (RMSprop, {"alpha": 0.9, "eps": 1e-3, "momentum": 0.9}),
    (RMSprop, {"centered": True, "alpha": 0.9}),
    (Adagrad, {}),
    (Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
]
each_setting = pytest.mark.parametrize(("kind", "setting"), SETTINGS, ids=str)


@each_setting
def test_the_update_is_the_formula_with_l2_in_the_gradient(kind: type[Optimizer], setting: dict[str, Any]) -> None:
    assert trained(kind(**setting)) == pytest.approx(FORMULAS[kind](**setting), rel=1e-10, abs=1e-12)


@each_setting
def test_every_parameter_reaches_the_optimizer_of_pytorch(kind: type[Optimizer], setting: dict[str, Any]) -> None:
    weight = torch.zeros(3, requires_grad=True)
    built = kind(**setting).build([{"params": [weight], "weight_decay": L2}], LR)
    assert type(built) is THEIRS[kind]
    theirs = THEIRS[kind]([weight], lr=LR, weight_decay=L2, **setting)  # type: ignore[arg-type]
    found, expected = (
        {name: value for name, value in o.param_groups[0].items() if name != "fused"} for o in (built, theirs)
    )
    assert found == expected


@each_setting
def test_a_changed_parameter_changes_the_update(kind: type[Optimizer], setting: dict[str, Any]) -> None:
    for name in setting:
        others = {key: value for key, value in setting.items() if key != name}
        if others.get("nesterov"):
            continue  # Nesterov without momentum is refused
        assert not np.array_equal(trained(kind(**setting)), trained(kind(**others))), name


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_one_rate_a_step_is_taken_from_the_group(kind: type[Optimizer]) -> None:
    weight = torch.ones(3, requires_grad=True)
    built = kind().build([{"params": [weight], "weight_decay": 0.0}], LR)
    weight.grad = torch.ones(3)
    built.param_groups[0]["lr"] = 0.0
    built.step()
    assert torch.equal(weight.detach(), torch.ones(3))


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (SGD, "momentum", 1.0), (SGD, "momentum", -0.1), (SGD, "dampening", 1.1), (SGD, "nesterov", 1),
        (Adam, "betas", (0.9, 1.0)), (Adam, "betas", (0.9,)), (Adam, "betas", 0.9), (Adam, "betas", (0.9, "x")),
        (Adam, "eps", 0.0), (Adam, "amsgrad", None), (AdamW, "eps", float("inf")),
        (RMSprop, "alpha", 1.0), (RMSprop, "eps", -1.0), (RMSprop, "centered", "yes"), (RMSprop, "momentum", 1.0),
        (Adagrad, "lr_decay", -0.1), (Adagrad, "initial_accumulator_value", -1.0), (Adagrad, "eps", 0.0),
    ],
    ids=str,
)  # fmt: skip
def test_an_impossible_parameter_is_refused_by_name(kind: type[Optimizer], field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"optimizer\.{field}: expected .*, got "):
        kind(**{field: value})


@pytest.mark.parametrize(
    "setting", [{"nesterov": True}, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}], ids=str
)
def test_nesterov_needs_momentum_without_dampening(setting: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"optimizer\.nesterov: expected momentum > 0 and dampening = 0"):
        SGD(**setting)


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3), nn.LayerNorm(3))


@pytest.mark.parametrize(("decay_all", "of_others"), [(False, 0.0), (True, 0.1)])
def test_weights_decay_and_biases_and_norms_only_on_request(
    network: nn.Module, decay_all: bool, of_others: float
) -> None:
    weights, others = parameter_groups(network, weight_decay=0.1, decay_all=decay_all)
    assert {id(p) for p in weights["params"]} == {id(network[0].weight), id(network[3].weight)}  # type: ignore[index]
    assert (weights["weight_decay"], weights["decays"]) == (0.1, True)
    assert (others["weight_decay"], others["decays"]) == (of_others, decay_all)


def test_every_parameter_is_in_exactly_one_group(network: nn.Module) -> None:
    groups = parameter_groups(network, weight_decay=0.1, decay_all=False)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_a_group_without_parameters_is_left_out() -> None:
    groups = parameter_groups(nn.Linear(2, 2, bias=False), weight_decay=0.1, decay_all=False)
    assert [group["decays"] for group in groups] == [True]
