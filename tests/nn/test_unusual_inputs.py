"""Inputs, rates and recordings that torch.nn's layers take, and few networks have."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from regimen.errors import OptionError
from regimen.nn import AlphaDropout, Dropout, DropPath, GaussianDropout, ReLUDropout, step

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*nested tensors:UserWarning")


@pytest.mark.parametrize("p", [1.5, -0.1, math.nan, True])
@pytest.mark.parametrize("layer", [Dropout, AlphaDropout, DropPath, ReLUDropout])
def test_a_rate_changed_to_an_impossible_one_is_refused_by_the_forward(layer: type[nn.Module], p: float) -> None:
    changed = layer(0.5)
    changed.p = p
    with pytest.raises(OptionError, match="drop probability"):
        changed(torch.ones(4, 8))


def test_gaussian_noise_whose_rate_was_changed_to_one_is_refused() -> None:
    layer = GaussianDropout(0.5)
    layer.p = 1.0
    with pytest.raises(OptionError, match="finite variance"):
        layer(torch.ones(4, 8))


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.float16(0.5)])
def test_numbers_of_numpy_are_rates(number: float) -> None:
    layer = Dropout(number, seed=1)
    assert repr(layer) == "Dropout(p=0.5, inplace=False, seed=1)"
    with step(layer, 0):
        y = layer(torch.ones(4, 8))
    with step(plain := Dropout(0.5, seed=1), 0):
        assert torch.equal(y, plain(torch.ones(4, 8)))


@pytest.mark.parametrize("width", [4, 100])
@pytest.mark.parametrize("layer", [Dropout, GaussianDropout, ReLUDropout])
@pytest.mark.parametrize("enabled", [False, True])
def test_zeros_that_lie_nowhere_in_memory_stay_zeros(layer: type[nn.Module], width: int, enabled: bool) -> None:
    with torch.set_grad_enabled(enabled):
        y = layer(0.5)(torch._efficientzerotensor((width, width)))
    assert y.shape == (width, width)
    assert not (y + 0.0).any()


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_vmap_over_no_examples_gives_none(randomness: str) -> None:
    dropped = vmap(Dropout(0.5), randomness=randomness)
    assert dropped(torch.ones(0, 3)).shape == (0, 3)
    assert grad(lambda x: dropped(x).sum())(torch.ones(0, 3)).shape == (0, 3)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of numbers of elements, which a trace fixes
@pytest.mark.parametrize("width", [8, 100])
@pytest.mark.parametrize("layer", [Dropout, ReLUDropout])
def test_a_trace_in_train_mode_draws_anew_at_each_forward(layer: type[nn.Module], width: int) -> None:
    x = torch.ones(width, width)
    traced = torch.jit.trace(layer(0.5), x, check_trace=False)
    first, second = traced(x), traced(x)
    assert set(first.unique().tolist()) == set(second.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(first, second)


@pytest.mark.parametrize("width", [3, 300])
@pytest.mark.parametrize("layer", [Dropout, AlphaDropout, GaussianDropout, ReLUDropout])
def test_a_jagged_nested_tensor_is_dropped_as_its_packed_rows(layer: type[nn.Module], width: int) -> None:
    parts = [torch.randn(2, width), torch.randn(30, width)]
    x = torch.nested.nested_tensor(parts, layout=torch.jagged, requires_grad=True)
    packed = x.detach().values().clone().requires_grad_()
    seeded = layer(0.5, seed=1)
    with step(seeded, 3):
        y = seeded(x)
    with step(seeded, 3):
        expected = seeded(packed)
    assert torch.equal(y.values(), expected)
    (x + y).values().pow(2).sum().backward()  # of one shape with the input
    (packed + expected).pow(2).sum().backward()
    assert torch.equal(x.grad.values(), packed.grad)
