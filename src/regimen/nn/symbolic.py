"""How `torch.fx.symbolic_trace` sees a layer: as one node, the way it sees those of torch.nn."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor, fx, nn

Forward = TypeVar("Forward", bound=Callable[[Any, Tensor], Tensor])


def traced_as_leaf(forward: Forward) -> Forward:
    """Return `forward` that puts a call of its layer into the graph where it is given a tracer's proxy.

    The tracer takes modules of torch.nn for leaves by the name of their Python module, and goes into all others, where
    the mode, the rate and the shape decide what is done: a graph traced in eval mode would lack the layer for ever. Of
    a layer that is traced by itself, without a model around it, there is no call to put down: there fx says what fails.
    """

    @functools.wraps(forward)
    def traced(self: nn.Module, input: Tensor) -> Tensor:
        if isinstance(input, fx.Proxy) and getattr(input.tracer, "root", self) is not self:
            tracer = cast(fx.Tracer, input.tracer)
            return cast(Tensor, tracer.create_proxy("call_module", tracer.path_of_module(self), (input,), {}))
        return forward(self, input)

    return cast(Forward, traced)
