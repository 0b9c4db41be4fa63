"""Networks as plain descriptions: a tuple of frozen layers that engines, code writer and summary all read."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from regimen.nn import Dropout

Normalization = Literal["none", "batch", "layer"]
Activation = Literal["relu", "leaky_relu", "tanh", "gelu", "silu", "sigmoid"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
}


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """y = x Wᵀ + b with W `[out_features, in_features]`."""

    in_features: int
    out_features: int


@dataclass(frozen=True, slots=True)
class NormLayer:
    """Batch or layer normalization over `features`, each with scale and shift."""

    kind: Literal["batch", "layer"]
    features: int


@dataclass(frozen=True, slots=True)
class ActivationLayer:
    """An element-wise non-linearity."""

    kind: Activation


@dataclass(frozen=True, slots=True)
class DropoutLayer:
    """Element dropout with drop probability `p`; `site` counts the weight layers before it (0 is the input)."""

    p: float
    site: int


Layer = LinearLayer | NormLayer | ActivationLayer | DropoutLayer


def build(layers: tuple[Layer, ...], *, key: int) -> nn.Sequential:
    """Return the described network; its dropout layers draw from the stream of `key`.

    Weights are left as PyTorch makes them; `regimen.techniques.initialize` sets them.

    Example:
        >>> build((LinearLayer(4, 2), ActivationLayer("relu")), key=1)
        Sequential(
          (0): Linear(in_features=4, out_features=2, bias=True)
          (1): ReLU()
        )
    """
    return nn.Sequential(*(_module(layer, key) for layer in layers))


def _module(layer: Layer, key: int) -> nn.Module:
    match layer:
        case LinearLayer():
            return nn.Linear(layer.in_features, layer.out_features)
        case NormLayer(kind="batch"):
            return nn.BatchNorm1d(layer.features)
        case NormLayer():
            return nn.LayerNorm(layer.features)
        case ActivationLayer():
            return ACTIVATIONS[layer.kind]()
        case DropoutLayer():
            return Dropout(layer.p, seed=key, site=layer.site)
