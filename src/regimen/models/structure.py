"""What a network computes apart from the numbers in its parameters and buffers: by what networks of runs are compared.

`torch.func.functional_call` computes with one network's code and attributes and every run's parameters and buffers, and
a traced forward holds the attributes of the network that was traced. Two networks that differ in anything else would
silently compute as the first one.
"""

import hashlib
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor, fx, nn

from regimen.nn import StreamLayer

# Of the noisy layers: what is told to them by each run, and by each step.
_OF_A_RUN = {"p", "seed", "_moment", "_ordinal", "_calls", "_before", "_made", "_form", "training"}
_OF_TORCH = {*vars(nn.Module()), "_flat_weights", "_flat_weight_refs"}
_OF_GRAPHS = {*vars(fx.GraphModule(nn.Module(), fx.Graph())), "_graph", "_code"}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# What can be told from others only as long as it lives: of a lock, a generator, what cannot be pickled.
_ITSELF = "known as itself alone:"


def outlives(structure: tuple[object, ...]) -> bool:
    """Return whether a structure may be compared with one of a network that is gone.

    Example:
        >>> outlives(structure(nn.Linear(3, 2)))
        True
    """
    return _ITSELF not in repr(structure)


def structure(network: nn.Module) -> tuple[object, ...]:
    """Return all that networks have to have in common to compute alike; equal for those that differ in numbers only.

    Numbers are those in parameters and buffers, and the keys and rates of noisy layers.

    Example:
        >>> structure(nn.Linear(3, 2)) == structure(nn.Linear(3, 2))
        True
        >>> structure(nn.LeakyReLU(0.1)) == structure(nn.LeakyReLU(0.2))
        False
    """
    tensors = [*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)]
    first: dict[int, str] = {}
    for name, tensor in tensors:
        first.setdefault(id(tensor), name)
    known = {id(module): f"module {name}" for name, module in network.named_modules()} | {
        id(tensor): f"tensor {name}" for name, tensor in tensors
    }
    # Tied ones share the first name.
    shapes = tuple((name, first[id(t)], t.shape, t.dtype, t.requires_grad) for name, t in tensors)
    return shapes, tuple(_of_module(name, module, known) for name, module in network.named_modules())


def _of_module(name: str, module: nn.Module, known: dict[int, str]) -> tuple[object, ...]:
    skipped = _OF_TORCH | (_OF_A_RUN if isinstance(module, StreamLayer) else set())
    kind: object = (type(module).__module__, type(module).__qualname__)
    if isinstance(module, fx.GraphModule):  # each has a class of its own
        kind, skipped = module.code, skipped | _OF_GRAPHS
    elif "<locals>" in type(module).__qualname__:  # made by a function, it may hold on to what that function knew
        kind = id(type(module))
    attributes = {key: value for key, value in vars(module).items() if key not in skipped}
    return name, kind, tuple(sorted((key, _plain(value, known)) for key, value in attributes.items()))


def _plain(value: Any, known: dict[int, str]) -> str:
    """Return a text that is equal for values that do the same; never equal where that cannot be told."""
    if id(value) in known:
        return known[id(value)]
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, Tensor):
        return f"{value.dtype}{tuple(value.shape)}{_digest(value.detach().cpu().contiguous().flatten())}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(_plain(part, known) for part in value)})"
    if isinstance(value, dict):
        return f"{type(value).__name__}({', '.join(f'{key!r}: {_plain(part, known)}' for key, part in value.items())})"
    return _pickled(value)


def _pickled(value: Any) -> str:
    if isinstance(value, weakref.ref | Iterator):
        return f"{_ITSELF} {type(value).__name__} {id(value)}"
    try:
        return hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError, RuntimeError):
        return f"{_ITSELF} {type(value).__name__} {id(value)}"


def _digest(flat: Tensor) -> str:
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()
