"""Whether a traced forward gives every parameter the gradient that the forward itself gives it."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

# Both compute the same operations. Of the largest gradient of all, for those that are nothing but rounding.
TOLERANCE, FLOOR = 1e-2, 1e-4


def differing_gradient(
    network: nn.Module, graph: fx.Graph, constants: dict[str, Tensor], x: Tensor, *, draws: bool
) -> str | None:
    """Return the name of a parameter whose gradient differs in eval mode, None if there is none.

    Where the forward itself has no gradients for these inputs nothing is compared.

    Args:
        network: The network; left as it is.
        graph: Its forward in eval mode.
        constants: Tensors that the graph has and the network has not.
        x: Inputs.
        draws: Whether the forward draws random numbers, and gradients differ from one time to the next.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 1))
        >>> differing_gradient(net, fx.symbolic_trace(net).graph, {}, torch.ones(2, 2), draws=False) is None
        True
    """
    with torch.inference_mode(False), torch.enable_grad():
        try:
            theirs = _gradients(twin := copy.deepcopy(network).eval(), twin, x)
        except RuntimeError:
            return None
        twin = copy.deepcopy(network).eval()
        for name, value in constants.items():
            setattr(twin, name, value)
        ours = _gradients(twin, fx.Interpreter(twin, graph=graph).run, x)
    known = [float(value.abs().max()) for value in theirs.values() if value is not None and value.numel()]
    floor = FLOOR * max((size for size in known if size < float("inf")), default=0.0)
    for name, wanted in theirs.items():
        found = ours[name]
        if wanted is None or found is None:
            if wanted is not found:
                return name
        elif not draws and not torch.allclose(found, wanted, rtol=TOLERANCE, atol=floor, equal_nan=True):
            return name
    return None


def _gradients(network: nn.Module, forward: Callable[[Tensor], Any], x: Tensor) -> dict[str, Tensor | None]:
    learned = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    output = forward(x.clone())
    if not learned or not output.requires_grad:
        return dict.fromkeys(learned)
    output = torch.view_as_real(output) if output.is_complex() else output
    # No sum, whose gradient vanishes behind a softmax.
    weights = torch.linspace(0.5, 1.5, output.numel()).reshape(output.shape).to(output)
    return dict(
        zip(learned, torch.autograd.grad((output * weights).sum(), [*learned.values()], allow_unused=True), strict=True)
    )
