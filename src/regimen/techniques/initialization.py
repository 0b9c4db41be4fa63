"""Initial weights from the run's stream: made once, in float64 on the CPU, and handed to every engine."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

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

    Args:
        module: Network; its weight layers are numbered in the order of `module.modules()`.
        kind: One of the names above.
        key: 64-bit run key.
        std: Standard deviation for `normal`, > 0.
    """
    layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    for site, layer in enumerate(layers):
        weight = layer.weight
        field = weight[0, 0].numel()
        fan_in, fan_out = weight.shape[1] * field, weight.shape[0] * field
        weight.copy_(_draw(kind, key, site, weight, fan_in, fan_out, std))
        if layer.bias is None:
            continue
        if kind == "default":
            bound = 1.0 / math.sqrt(fan_in)
            drawn = words(key, layer.bias.numel(), 0, 0, counter3(Purpose.INITIALIZATION, site=site, call=1))
            layer.bias.copy_((2.0 * uniform(drawn) - 1.0) * bound)
        else:
            layer.bias.zero_()


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
