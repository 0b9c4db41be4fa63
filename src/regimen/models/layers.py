"""Networks as plain descriptions: a tuple of frozen layers that engines, code writer and summary all read."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from regimen.nn import Dropout, Dropout2d

Normalization = Literal["none", "batch", "layer"]
Activation = Literal["relu", "leaky_relu", "tanh", "gelu", "silu", "sigmoid"]
DropoutKind = Literal["element", "channel"]
Pooling = Literal["max", "avg"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)
DROPOUT_KINDS: tuple[str, ...] = get_args(DropoutKind)
# Of all parameters, whatever `torch.set_default_dtype` says: the type of the inputs, and of the C++ kernels.
DTYPE = torch.float32

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
class ConvLayer:
    """Cross-correlation with square filters, W `[out_channels, in_channels, kernel, kernel]`, and a bias a channel.

    A side of n pixels becomes floor((n + 2 · padding - kernel) / stride) + 1.
    """

    in_channels: int
    out_channels: int
    kernel: int = 3
    padding: int = 0
    stride: int = 1


@dataclass(frozen=True, slots=True)
class PoolLayer:
    """The largest value, or the mean, of each square of `size` pixels; a side of n becomes floor(n / size)."""

    kind: Pooling
    size: int


@dataclass(frozen=True, slots=True)
class FlattenLayer:
    """An image `[channels, height, width]` as one row of features, a channel after the other."""


@dataclass(frozen=True, slots=True)
class NormLayer:
    """Batch or layer normalization, with a scale and a shift for each of `features`.

    With `dims = 2` the features are the channels of images: batch normalization takes mean and variance over batch and
    positions, layer normalization over all channels and positions of a row (Wu and He 2018, arXiv:1803.08494: group
    normalization with one group).
    """

    kind: Literal["batch", "layer"]
    features: int
    dims: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class ActivationLayer:
    """An element-wise non-linearity."""

    kind: Activation


@dataclass(frozen=True, slots=True)
class DropoutLayer:
    """Dropout with drop probability `p` of elements, or of whole channels of images.

    `site` counts the weight layers before it (0 is the input); in networks of the user's own it is another number, and
    `call` says how often the same layer was used before.
    """

    p: float
    site: int
    kind: DropoutKind = "element"
    call: int = 0


Layer = LinearLayer | ConvLayer | PoolLayer | FlattenLayer | NormLayer | ActivationLayer | DropoutLayer


def build(layers: tuple[Layer, ...], *, key: int) -> nn.Sequential:
    """Return the described network; its dropout layers draw from the stream of `key`.

    Weights are left as PyTorch makes them; `regimen.techniques.initialize` sets them. Filters lie channels last in
    memory, as the images that the engine feeds; results do not depend on that but for rounding.

    Example:
        >>> build((LinearLayer(4, 2), ActivationLayer("relu")), key=1)
        Sequential(
          (0): Linear(in_features=4, out_features=2, bias=True)
          (1): ReLU()
        )
    """
    network = nn.Sequential(*(_module(layer, key) for layer in layers))
    if any(isinstance(layer, ConvLayer) for layer in layers):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _module(layer: Layer, key: int) -> nn.Module:
    match layer:
        case LinearLayer():
            return nn.Linear(layer.in_features, layer.out_features, dtype=DTYPE)
        case ConvLayer(in_channels=inputs, out_channels=outputs):
            return nn.Conv2d(inputs, outputs, layer.kernel, stride=layer.stride, padding=layer.padding, dtype=DTYPE)
        case PoolLayer(kind="max"):
            return nn.MaxPool2d(layer.size)
        case PoolLayer():
            return nn.AvgPool2d(layer.size)
        case FlattenLayer():
            return nn.Flatten()
        case NormLayer(kind="batch"):
            return (nn.BatchNorm1d if layer.dims == 1 else nn.BatchNorm2d)(layer.features, dtype=DTYPE)
        case NormLayer():
            if layer.dims == 1:
                return nn.LayerNorm(layer.features, dtype=DTYPE)
            return nn.GroupNorm(1, layer.features, dtype=DTYPE)
        case ActivationLayer():
            return ACTIVATIONS[layer.kind]()
        case DropoutLayer(kind="channel"):
            return Dropout2d(layer.p, seed=key, site=layer.site)
        case DropoutLayer():
            return Dropout(layer.p, seed=key, site=layer.site)
