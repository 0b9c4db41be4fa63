"""Initial weights have the variances and bounds of the papers; that their numbers are frozen is in test_streams.py."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from regimen.errors import OptionError
from regimen.techniques import INITIALIZATIONS, initialize

KEY, FALSE_ALARM = 3, 1e-9
LAYERS = {
    "linear": (lambda: nn.Linear(100, 300), 100, 300),
    "conv1d": (lambda: nn.Conv1d(20, 300, 5), 100, 1500),
    "conv2d": (lambda: nn.Conv2d(10, 300, 3), 90, 2700),
    "conv3d": (lambda: nn.Conv3d(4, 300, 3), 108, 8100),
    "grouped": (lambda: nn.Conv2d(20, 300, 3, groups=2), 90, 2700),
}
each_layer = pytest.mark.parametrize("layer", LAYERS)


def drawn(layer: str, kind: str, **options: float) -> tuple[torch.Tensor, nn.Module, int, int]:
    make, fan_in, fan_out = LAYERS[layer]
    module = make()
    initialize(module, kind, KEY, **options)  # type: ignore[arg-type]
    return module.weight.detach().double().flatten(), module, fan_in, fan_out


def distance_bound(n: int) -> float:
    """Massart's bound on the distance of distribution functions."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))


@each_layer
@pytest.mark.parametrize("kind", ["he_normal", "xavier_normal", "normal"])
def test_normal_weights_have_the_variance_of_the_paper(layer: str, kind: str) -> None:
    weight, _, fan_in, fan_out = drawn(layer, kind, std=0.07)
    variance = {"he_normal": 2 / fan_in, "xavier_normal": 2 / (fan_in + fan_out), "normal": 0.07**2}[kind]
    # Sum of squares over the variance is chi-square with n degrees of freedom: an exact two-sided interval.
    low, high = stats.chi2(weight.numel()).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
    assert low <= weight.square().sum().item() / variance <= high
    found = stats.kstest(weight.numpy(), stats.norm(scale=math.sqrt(variance)).cdf)
    assert found.statistic <= distance_bound(weight.numel())


@each_layer
@pytest.mark.parametrize("kind", ["default", "he_uniform", "xavier_uniform"])
def test_uniform_weights_fill_the_interval_of_the_paper(layer: str, kind: str) -> None:
    weight, _, fan_in, fan_out = drawn(layer, kind)
    bound = {
        "default": 1 / math.sqrt(fan_in),
        "he_uniform": math.sqrt(6 / fan_in),
        "xavier_uniform": math.sqrt(6 / (fan_in + fan_out)),
    }[kind]
    assert weight.abs().max() <= bound * (1 + 2**-24)
    found = stats.kstest(weight.numpy(), stats.uniform(-bound, 2 * bound).cdf)
    assert found.statistic <= distance_bound(weight.numel())


@each_layer
def test_the_default_has_the_bounds_of_pytorchs_own_layers(layer: str) -> None:
    _, module, fan_in, _ = drawn(layer, "default")
    theirs = LAYERS[layer][0]()
    bound = 1 / math.sqrt(fan_in)
    for ours, parameter in ((module.weight, theirs.weight), (module.bias, theirs.bias)):
        # The largest of n uniforms falls short of the bound by more than a share s with probability (1 - s)^n.
        shortfall = 1 - FALSE_ALARM ** (1 / parameter.numel())
        for found in (ours, parameter):
            assert bound * (1 - shortfall) <= found.abs().max().item() <= bound * (1 + 2**-23)


@pytest.mark.parametrize("kind", INITIALIZATIONS)
def test_biases_are_zero_except_by_default(kind: str) -> None:
    layer = nn.Linear(5, 4)
    initialize(layer, kind, KEY)  # type: ignore[arg-type]
    assert bool(layer.bias.any()) == (kind == "default")


@pytest.mark.parametrize("kind", INITIALIZATIONS)
def test_norms_keep_one_and_zero_and_layers_without_bias_stay_so(kind: str) -> None:
    net = nn.Sequential(nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.LayerNorm(4))
    initialize(net, kind, KEY)  # type: ignore[arg-type]
    assert net[0].bias is None
    for norm in (net[1], net[3]):
        assert torch.equal(norm.weight, torch.ones(4))
        assert torch.equal(norm.bias, torch.zeros(4))


@pytest.mark.parametrize("kind", INITIALIZATIONS)
def test_weights_are_a_function_of_the_key_alone(kind: str) -> None:
    first, second, other = (nn.Linear(7, 3) for _ in range(3))
    initialize(first, kind, KEY)  # type: ignore[arg-type]
    torch.rand(3)
    initialize(second, kind, KEY)  # type: ignore[arg-type]
    initialize(other, kind, KEY + 1)  # type: ignore[arg-type]
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)


def test_layers_of_the_same_shape_get_different_weights() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    initialize(net, "default", KEY)
    assert not torch.equal(net[0].weight, net[1].weight)
    assert not torch.equal(net[0].bias, net[1].bias)


def test_what_is_frozen_stays_as_it_is_and_changes_no_number_of_the_others() -> None:
    """Above all weights that were learned elsewhere, which a study of initializations must not throw away."""
    module, free = (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(2))
    frozen = module[0].requires_grad_(False)
    weight, bias = frozen.weight.clone(), frozen.bias.clone()
    initialize(module, "he_normal", KEY)
    initialize(free, "he_normal", KEY)
    assert torch.equal(frozen.weight, weight)
    assert torch.equal(frozen.bias, bias)
    assert torch.equal(module[2].weight, free[2].weight)


def test_a_weight_is_set_through_its_parametrization() -> None:
    module, plain = nn.utils.parametrizations.weight_norm(nn.Linear(4, 8)), nn.Linear(4, 8)
    initialize(module, "xavier_uniform", KEY)
    initialize(plain, "xavier_uniform", KEY)
    torch.testing.assert_close(module.weight, plain.weight)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_weight_that_is_computed_anew_in_each_forward_is_refused() -> None:
    module = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 8)))
    with pytest.raises(OptionError, match="initialization: the weight of 0 is no parameter but computed from others"):
        initialize(module, "he_normal", KEY)
