"""Layers whose key and rate are buffers: in a bundle every run has the noise that it has alone, to the bit."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from regimen.errors import OptionError
from regimen.kernels import dropout_pass
from regimen.nn import (
    AlphaDropout,
    DropConnectLinear,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    GaussianDropout,
    ReLUDropout,
    step,
)
from regimen.nn.keyed import KEYED, keep_keys_in_buffers

STEP, FIRST_ROW = 3, 2
KEYS = (1, (1 << 64) - 1, 1 << 63, 9)
RATES = (0.5, 0.0, 0.013, 1.0)
# A layer, and the shape of one run's input.
CASES: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "table": (Dropout, (5, 19)),
    "one row": (Dropout, (7,)),
    "images": (Dropout, (3, 8, 4, 5)),
    "images, channels no multiple of eight": (Dropout, (3, 3, 4, 5)),
    "sequences": (Dropout1d, (4, 6, 5)),
    "channels": (Dropout2d, (4, 6, 3, 3)),
    "volumes": (Dropout3d, (2, 3, 2, 3, 4)),
    "alpha": (AlphaDropout, (5, 19)),
    "alpha of channels": (FeatureAlphaDropout, (5, 4, 3)),
    "gaussian": (GaussianDropout, (5, 19)),
    "paths": (DropPath, (6, 3, 4)),
    "relu": (ReLUDropout, (5, 19)),
    "weights": (DropConnectLinear, (5, 6)),
}
each_case = pytest.mark.parametrize("case", CASES)


class Twice(nn.Module):
    """A layer that is used twice, each time with its own noise."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        once: Tensor = self.layer(x)
        return once * 3.0 + self.layer(x)


def network(case: str, key: int, p: float, **arguments: Any) -> nn.Module:
    kind = CASES[case][0]
    torch.manual_seed(key & 0xFFFF)
    if kind is DropConnectLinear:
        return Twice(DropConnectLinear(6, 4, p=p, seed=key))
    return Twice(kind(0.4 if p == 1.0 and kind is GaussianDropout else p, seed=key, **arguments))  # type: ignore[call-arg]


def inputs(case: str) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(len(KEYS), *CASES[case][1])


def alone(one: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs, and the gradient of the sum of their squares by the input."""
    x = x.clone().requires_grad_()
    with step(one, STEP, first_row=FIRST_ROW):
        y = one(x * 1.0)
        (gradient,) = torch.autograd.grad(y.pow(2).sum(), x)
    return y.detach(), gradient


def together(networks: list[nn.Module], x: Tensor, where: int = 0) -> tuple[Tensor, Tensor]:
    for one in networks:
        keep_keys_in_buffers(one)
    parameters, buffers = stack_module_state(networks)  # type: ignore[arg-type]
    base, x = networks[0], x.clone().requires_grad_()
    with step(base, STEP, first_row=FIRST_ROW):
        y = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), in_dims=(0, 0, where))(parameters, buffers, x * 1)
        (gradient,) = torch.autograd.grad(y.pow(2).sum(), x)
    return y.detach(), gradient


@each_case
def test_outputs_and_gradients_of_every_run_are_those_of_the_seeded_layer_alone(case: str) -> None:
    x = inputs(case)
    expected = [alone(network(case, *run), own) for run, own in zip(zip(KEYS, RATES, strict=True), x, strict=True)]
    found = together([network(case, *run) for run in zip(KEYS, RATES, strict=True)], x)
    for i in range(len(KEYS)):
        if case == "weights":  # the matrix product is another one
            torch.testing.assert_close((found[0][i], found[1][i]), expected[i])
        else:
            assert torch.equal(found[0][i], expected[i][0])
            assert torch.equal(found[1][i], expected[i][1])


@pytest.mark.parametrize("case", ["table", "images", "channels"])
def test_the_masks_are_the_same_without_the_kernels(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout_pass, "native_function", lambda x: None)
    test_outputs_and_gradients_of_every_run_are_those_of_the_seeded_layer_alone(case)


@pytest.mark.parametrize("where", [1, 2])
def test_the_dimension_of_the_runs_may_be_any(where: int) -> None:
    x, networks = inputs("images"), [network("images", *run) for run in zip(KEYS, RATES, strict=True)]
    first = together(networks, x)
    moved = together(networks, x.movedim(0, where).contiguous(), where)
    assert torch.equal(moved[0], first[0])
    assert torch.equal(moved[1].movedim(where, 0), first[1])


def test_an_input_that_all_runs_share_gets_the_mask_of_each() -> None:
    x, networks = inputs("table")[0], [network("table", *run) for run in zip(KEYS, RATES, strict=True)]
    expected = torch.stack([alone(one, x)[0] for one in networks])
    for one in networks:
        keep_keys_in_buffers(one)
    _, buffers = stack_module_state(networks)  # type: ignore[arg-type]
    with step(networks[0], STEP, first_row=FIRST_ROW):
        assert torch.equal(vmap(lambda b: functional_call(networks[0], b, (x,)))(buffers), expected)


@pytest.mark.parametrize("case", ["table", "gaussian", "channels"])
def test_in_place_layers_overwrite_what_they_are_given(case: str) -> None:
    x = inputs(case)
    layers = [CASES[case][0](0.5, True, seed=key) for key in KEYS]  # type: ignore[call-arg]
    expected = []
    for layer, own in zip(layers, x.clone(), strict=True):
        with step(layer, STEP):
            layer(own)
        expected.append(own)
    for layer in layers:
        keep_keys_in_buffers(layer)
    _, buffers = stack_module_state(layers)  # type: ignore[arg-type]
    overwritten = x.clone()
    with step(layers[0], STEP):
        vmap(lambda b, x: functional_call(layers[0], b, (x,)))(buffers, overwritten)
    assert torch.equal(overwritten, torch.stack(expected))


@each_case
def test_gradients_taken_inside_of_vmap_are_the_same(case: str) -> None:
    networks = [network(case, *run) for run in zip(KEYS, RATES, strict=True)]
    x = inputs(case)
    _, expected = together(networks, x)
    parameters, buffers = stack_module_state(networks)  # type: ignore[arg-type]

    def loss(x: Tensor, p: dict[str, Tensor], b: dict[str, Tensor]) -> Tensor:
        return functional_call(networks[0], (p, b), (x * 1,)).pow(2).sum()

    with step(networks[0], STEP, first_row=FIRST_ROW):
        torch.testing.assert_close(vmap(grad(loss))(x, parameters, buffers), expected)


@each_case
def test_one_network_alone_computes_what_it_did(case: str) -> None:
    one, x = network(case, 5, 0.3), inputs(case)[0]
    expected, state, evaluated = alone(one, x), one.state_dict(), one.eval()(x)
    keep_keys_in_buffers(one)
    found = alone(one.train(), x)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert torch.equal(one.eval()(x), evaluated)
    assert list(one.state_dict()) == list(state)


def test_every_noisy_layer_has_a_twin() -> None:
    assert set(KEYED) == {kind for kind, _ in CASES.values()}


@pytest.mark.parametrize("layer", [Dropout(0.5), type("Own", (Dropout,), {})(0.5, seed=1)])
def test_a_layer_without_seed_or_of_another_class_is_refused(layer: nn.Module) -> None:
    with pytest.raises(
        OptionError, match=r"^1: expected a seeded layer of regimen.nn, got one (without a seed|of the)"
    ):
        keep_keys_in_buffers(nn.Sequential(nn.Linear(2, 2), layer))


def test_outside_of_a_step_the_noise_is_refused() -> None:
    layer = Dropout(0.5, seed=1)
    keep_keys_in_buffers(layer)
    with pytest.raises(OptionError, match="wrap forward and backward in"):
        layer(torch.ones(2, 2))
    with step(layer, 0), pytest.raises(OptionError, match=r"floating-point input in training, got torch.int64"):
        layer(torch.ones(2, 2, dtype=torch.int64))
