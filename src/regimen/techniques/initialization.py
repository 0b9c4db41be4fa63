"""Initial weights from the run's stream: made once, in float64 on the CPU, and handed to every engine."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from regimen.errors import OptionError
from regimen.kernels import words
from regimen.streams import Purpose, counter3, normal, uniform

Initialization = Literal["default", "he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "normal"]
INITIALIZATIONS: tuple[str, ...] = get_args(Initialization)


@torch.no_grad()
def initialize(module: nn.Module, kind: Initialization, key: int, *, std: float = 0.02) -> None:
    """Fill the weights and biases of every linear and convolutional layer; normalization layers keep 1 and 0.

    With fan_in and fan_out the connections into and out of a unit:

    - `default`: weights and biases uniform within 1/sqrt(fan_in), as PyTorch's layers do;
    - `he_normal`, `he_uniform`: variance 2/fan_in (He et al. 2015, arXiv:1502.01852, eq. 10), biases 0;
    - `xavier_normal`, `xavier_uniform`: variance 2/(fan_in + fan_out) (Glorot and Bengio 2010, eq. 12), biases 0;
    - `normal`: standard deviation `std`, biases 0.

    What is frozen stays as it is, weights learned elsewhere above all. A weight with a parametrization of
    `torch.nn.utils.parametrize` is set through that, which may put it onto its own set of matrices.

    Args:
        module: Network; its weight layers are numbered in the order of `module.modules()`.
        kind: One of the names above.
        key: 64-bit run key.
        std: Standard deviation for `normal`, > 0.

    Raises:
        OptionError: A weight is computed from others in another way, by the old `weight_norm` say.
    """
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, kinds)]
    for site, (name, layer) in enumerate(layers):
        if "weight" not in layer._parameters and not is_parametrized(layer, "weight"):
            raise OptionError(
                f"initialization: the weight of {name or type(layer).__name__} is no parameter but computed from "
                "others; leave initialization out, or use torch.nn.utils.parametrizations"
            )
        weight = layer.weight
        field = weight[0, 0].numel()
        fan_in, fan_out = weight.shape[1] * field, weight.shape[0] * field
        _set(layer, "weight", _draw(kind, key, site, weight, fan_in, fan_out, std))
        if layer.bias is None:
            continue
        if kind == "default":
            bound = 1.0 / math.sqrt(fan_in)
            drawn = words(key, layer.bias.numel(), 0, 0, counter3(Purpose.INITIALIZATION, site=site, call=1))
            _set(layer, "bias", (2.0 * uniform(drawn) - 1.0) * bound)
        else:
            _set(layer, "bias", torch.zeros_like(layer.bias))


def _set(layer: nn.Module, name: str, values: Tensor) -> None:
    """Overwrite a tensor of a layer, unless it is frozen."""
    tensor: Tensor = getattr(layer, name)
    if is_parametrized(layer, name):
        behind = layer.get_submodule(f"parametrizations.{name}").parameters()
        if any(parameter.requires_grad for parameter in behind):
            setattr(layer, name, values.to(tensor.dtype))
    elif tensor.requires_grad:
        tensor.copy_(values)


def _draw(kind: Initialization, key: int, site: int, weight: Tensor, fan_in: int, fan_out: int, std: float) -> Tensor:
    count = weight.numel() + weight.numel() % 2
    drawn = words(key, count, 0, 0, counter3(Purpose.INITIALIZATION, site=site))
    if kind == "normal":
        values = std * normal(drawn)
    elif kind == "he_normal":
        values = math.sqrt(2.0 / fan_in) * normal(drawn)
    elif kind == "xavier_normal":
        values = math.sqrt(2.0 / (fan_in + fan_out)) * normal(drawn)
    else:
        bound = {
            "default": 1.0 / math.sqrt(fan_in),
            "he_uniform": math.sqrt(6.0 / fan_in),
            "xavier_uniform": math.sqrt(6.0 / (fan_in + fan_out)),
        }[kind]
        values = (2.0 * uniform(drawn) - 1.0) * bound
    return values[: weight.numel()].reshape(weight.shape)
