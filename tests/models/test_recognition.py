"""Which networks of the user's own are plain chains of linear layers, and why the others are none."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regimen.models import ActivationLayer, DropoutLayer, FlattenLayer, LinearLayer, NormLayer
from regimen.models.adapting import Wishes, adapt
from regimen.models.recognition import chain, recognise
from regimen.nn import Dropout, ReLUDropout


class Functional(nn.Module):
    """Layers in another order than they are used in, one dropout in two places, a view, a flag."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.25)
        self.out = nn.Linear(5, 3)
        self.norm = nn.BatchNorm1d(7)
        self.layers = nn.ModuleList([nn.Linear(12, 7), nn.Linear(7, 5)])

    def forward(self, x: Tensor, hidden: bool = False) -> Tensor:
        x = x.view(x.size(0), -1)
        x = self.dropout(F.relu(self.norm(self.layers[0](x))))
        x = self.dropout(torch.tanh(self.layers[1](x)))
        return x if hidden else self.out(x)


class Calls(nn.Module):
    """Calls `function` with itself and the input; has some layers."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def adapted(network: nn.Module, inputs: tuple[int, ...] = (4,), **wishes: Any) -> nn.Module:
    return adapt(network, Wishes(**wishes), key=3, inputs=inputs).network


def test_a_sequence_of_layers_is_recognised() -> None:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.5), nn.Identity(), nn.Linear(8, 3)
    )
    assert recognise(adapted(network, (3, 2, 2)), (3, 2, 2)) == (
        FlattenLayer(),
        LinearLayer(12, 8),
        NormLayer("layer", 8),
        ActivationLayer("gelu"),
        DropoutLayer(0.5, 5),
        LinearLayer(8, 3),
    )


def test_a_forward_with_functions_and_one_dropout_used_twice_is_recognised() -> None:
    found = chain(adapted(Functional(), (3, 2, 2)), (3, 2, 2))
    assert not isinstance(found, str)
    assert found.layers == (
        FlattenLayer(),
        LinearLayer(12, 7),
        NormLayer("batch", 7),
        ActivationLayer("relu"),
        DropoutLayer(0.25, 1, call=0),
        LinearLayer(7, 5),
        ActivationLayer("tanh"),
        DropoutLayer(0.25, 1, call=1),
        LinearLayer(5, 3),
    )
    assert found.parameters == (
        "layers.0.weight", "layers.0.bias", "norm.weight", "norm.bias", "layers.1.weight", "layers.1.bias",
        "out.weight", "out.bias",
    )  # fmt: skip
    assert found.buffers == ("norm.running_mean", "norm.running_var")


FLATTENS: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten": lambda x: x.flatten(1),
    "torch.flatten": lambda x: torch.flatten(x, 1),
    "view of columns": lambda x: x.view(-1, 12),
    "view of shape": lambda x: x.view(x.shape[0], -1),
    "reshape of size": lambda x: x.reshape((x.size()[0], 12)),
    "contiguous": lambda x: x.contiguous().flatten(1),
}


@pytest.mark.parametrize("flatten", FLATTENS.values(), ids=FLATTENS)
def test_images_may_be_flattened_in_any_way(flatten: Any) -> None:
    class Flat(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return self.inner(flatten(x))

    network = Flat(1, 1)
    del network.weight, network.bias
    network.inner = nn.Linear(12, 3)
    assert recognise(network, (3, 2, 2)) == (FlattenLayer(), LinearLayer(12, 3))


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "F.relu": (F.relu, "relu"),
    "torch.relu": (torch.relu, "relu"),
    "torch.relu_": (torch.relu_, "relu"),
    "method": (lambda x: x.relu(), "relu"),
    "in place": (lambda x: F.relu(x, True), "relu"),
    "F.leaky_relu": (F.leaky_relu, "leaky_relu"),
    "F.gelu": (F.gelu, "gelu"),
    "F.silu": (F.silu, "silu"),
    "torch.tanh": (torch.tanh, "tanh"),
    "sigmoid": (lambda x: x.sigmoid(), "sigmoid"),
}


@pytest.mark.parametrize(("activate", "kind"), ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations_may_be_functions_and_methods(activate: Any, kind: Any) -> None:
    network = Calls(lambda self, x: self.c(activate(self.a(x))))
    del network.b, network.scale
    assert recognise(network, (4,)) == (LinearLayer(4, 4), ActivationLayer(kind), LinearLayer(4, 2))


def test_dropout_at_rate_zero_is_no_layer_and_fused_dropout_is_two() -> None:
    network = nn.Sequential(
        nn.Linear(4, 4), ReLUDropout(0.5), nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4, 2)
    )
    assert recognise(adapted(network), (4,)) == (
        LinearLayer(4, 4),
        ActivationLayer("relu"),
        DropoutLayer(0.5, 2),
        LinearLayer(4, 4),
        ActivationLayer("relu"),
        LinearLayer(4, 2),
    )


def _frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    network[0].weight.requires_grad_(False)
    return network


def _hooked() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 2))
    network[0].register_forward_hook(lambda *_: None)
    return network


def _tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    network[2].weight = network[0].weight
    return network


def _counting() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 2))
    network.register_buffer("seen", torch.zeros(1))
    return network


def _trained_norm() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    network[1].running_mean += 1.0
    return network


class Frozen(nn.BatchNorm1d):
    def train(self, mode: bool = True) -> "Frozen":
        return self


LINEAR = nn.Linear(4, 4)
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "residual": (lambda: Calls(lambda self, x: self.c(x + self.a(x))), "add .* takes more than the output"),
    "branch": (lambda: Calls(lambda self, x: self.c(self.a(x)) * self.b(x)[:, :2]), "takes more than the output"),
    "unused": (lambda: Calls(lambda self, x: self.c(F.relu(self.a(x)))), "its parameter b.bias is not used"),
    "scaled": (lambda: Calls(lambda self, x: self.c(self.a(x) * self.scale)), "mul .* uses a parameter outside"),
    "twice": (lambda: nn.Sequential(LINEAR, nn.ReLU(), LINEAR), "the layer 0 is used twice"),
    "tied": (_tied, "its parameter (0|2).weight is (shared|not used)"),
    "softmax": (lambda: nn.Sequential(nn.Linear(4, 2), nn.Softmax(1)), "the layer 1 is a Softmax"),
    "log softmax": (lambda: Calls(lambda self, x: F.log_softmax(self.c(x), 1)), "log_softmax .* is no layer"),
    "last activation": (lambda: nn.Sequential(nn.Linear(4, 2), nn.ReLU()), "its last layer is not linear"),
    "no bias": (lambda: nn.Sequential(nn.Linear(4, 2, bias=False)), "the linear layer 0 has no bias"),
    "slope": (lambda: nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2)), "the layer 1 is a LeakyReLU"),
    "tanh gelu": (lambda: nn.Sequential(nn.Linear(4, 4), nn.GELU("tanh"), nn.Linear(4, 2)), "the layer 1 is a GELU"),
    "late norm": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        "the normalization 2 does not follow",
    ),
    "norm settings": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=0.01), nn.Linear(4, 2)),
        "the normalization 1 has other settings",
    ),
    "norm without bias": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4, bias=False), nn.Linear(4, 2)), "has other settings"
    ),
    "trained norm": (_trained_norm, "the normalization 1 has running statistics already"),
    "two input dropouts": (
        lambda: nn.Sequential(nn.Dropout(0.2), nn.Dropout(0.1), nn.Linear(4, 2)), "the dropout 1 does not follow"
    ),
    "shared input dropout": (
        lambda: nn.Sequential(dropout := nn.Dropout(0.2), nn.Linear(4, 4), nn.ReLU(), dropout, nn.Linear(4, 2)),
        "the dropout 0 is the second on the inputs, or is used elsewhere too",
    ),
    "early dropout": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.2), nn.ReLU(), nn.Linear(4, 2)), "the dropout 1 does not"
    ),
    "total dropout": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(1.0), nn.Linear(4, 2)), "drops everything"
    ),
    "frozen": (_frozen, "its parameter 0.weight is not trained"),
    "double": (lambda: nn.Linear(4, 2).double(), "is torch.float64 on cpu"),
    "hooks": (_hooked, "the layer 0 has hooks"),
    "own train": (lambda: nn.Sequential(nn.Linear(4, 4), Frozen(4)), "the layer 1 has a method train of its own"),
    "buffer": (_counting, "its buffer seen belongs to no layer"),
    "recurrent": (
        lambda: Calls(lambda self, x: self.c(nn.GRU(4, 4)(self.a(x))[0])), "torch.fx cannot trace it: NameError"
    ),
    "control flow": (
        lambda: Calls(lambda self, x: self.c(x) if x.sum() > 0 else self.c(-x)),
        r"torch.fx cannot trace it: TraceError: .* \(test_recognition.py line \d+\)",
    ),
    "mode": (
        lambda: Calls(lambda self, x: self.c(x * 2.0 if self.training else x)), "something else in training"
    ),
    "transformer": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8), nn.Linear(4, 2)), "0 is a TransformerEncoderLayer"
    ),
    "convolution": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 1, 4), nn.Flatten()), "is a Conv1d with weights"
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_no_chain_is_refused_with_the_reason(which: str) -> None:
    make, reason = REFUSED[which]
    found = recognise(adapted(make()), (4,))
    assert isinstance(found, str)
    assert re.search(reason, found), found


def test_images_that_are_not_flattened_are_refused() -> None:
    assert recognise(nn.Linear(4, 2), (3, 4, 4)) != (LinearLayer(4, 2),)
    found = recognise(nn.Sequential(nn.Linear(4, 2)), (3, 4, 4))
    assert found == "the linear layer 0 comes before the images are flattened"


def test_dropout_on_the_inputs_has_their_site() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 2))
    assert recognise(adapted(network, (3, 2, 2)), (3, 2, 2)) == (
        FlattenLayer(),
        DropoutLayer(0.2, 0),
        LinearLayer(12, 2),
    )
    functional = Calls(lambda self, x: self.c(F.dropout(x.view(x.size(0), -1), 0.2, self.training)))
    del functional.a, functional.b, functional.scale
    assert recognise(adapted(functional, (2, 2)), (2, 2)) == (FlattenLayer(), DropoutLayer(0.2, 0), LinearLayer(4, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_dropout_of_images_numbers_their_channels_last(channels: int) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4 * channels, 2))
    found = recognise(adapted(network, (channels, 2, 2), input_dropout=0.2), (channels, 2, 2))
    if channels == 1:
        assert found == (DropoutLayer(0.2, 0), FlattenLayer(), LinearLayer(4, 2))
    else:
        assert found == "the dropout inserted.input_0 drops elements of images before they are flattened"


def test_dropout_that_does_not_follow_the_run_is_refused() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Dropout(0.5), nn.Linear(4, 2))
    assert recognise(network, (4,)) == "the dropout 2 does not follow the run"
