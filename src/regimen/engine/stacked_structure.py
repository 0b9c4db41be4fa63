"""What a network computes apart from the numbers in its parameters and buffers: what stacked networks must share.

`torch.func.functional_call` computes with one network's code and attributes and every run's parameters and buffers. Two
networks that differ in anything else would silently be trained as the first one.
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
from regimen.nn.keyed import KEYED

# Of the noisy layers: what is told to them by each run, and by each step.
_OF_A_RUN = {"p", "seed", "_moment", "_ordinal", "_calls", "_before", "_made", "_form", "training"}
_OF_TORCH = {*vars(nn.Module()), "_flat_weights", "_flat_weight_refs"}
_OF_GRAPHS = {*vars(fx.GraphModule(nn.Module(), fx.Graph())), "_graph", "_code"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def why_not_stackable(network: nn.Module) -> str | None:
    """Return why a network can not be stacked with others of its kind, or None if nothing speaks against it.

    Example:
        >>> why_not_stackable(nn.Linear(3, 2).requires_grad_(False))
        'has nothing to learn'
    """
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not learned:
        return "has nothing to learn"
    if len({parameter.dtype for parameter in learned}) > 1:
        return "has parameters of several types"
    if not learned[0].is_floating_point():
        return "has parameters that are no real numbers"
    for name, module in network.named_modules():
        if isinstance(module, StreamLayer) and type(module) not in KEYED and type(module) not in KEYED.values():
            return f"has a noisy layer of its own kind ({name})"
        if any(vars(module).get(hooks) for hooks in _HOOKS):
            return f"has hooks ({name or type(module).__name__})"
    return None


def structure(network: nn.Module) -> tuple[object, ...]:
    """Return all that networks must have in common to be stacked; equal for those that differ in numbers only.

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
    """Return a text that is equal for values that do the same; never equal where that can not be told."""
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
        return f"{type(value).__name__} {id(value)}"
    try:
        return hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError, RuntimeError):
        return f"{type(value).__name__} {id(value)}"


def _digest(flat: Tensor) -> str:
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()
