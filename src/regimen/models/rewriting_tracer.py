"""A tracer of torch.fx that knows the sizes of tensors: a forward may look at all but the number of rows."""

import inspect
import math
import operator
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, fx, nn

import regimen
from regimen.nn import StreamLayer

# What is not the user's own code.
_OTHERS = (*torch.__path__, *regimen.__path__, "<eval_with_key>", "<frozen")
# What tells about a tensor without looking at its values; not where it lies, which may be changed later.
_SIZES = ("size", "shape")
_FACTS = ("dim", "ndimension", "ndim", "dtype", "is_floating_point", "is_complex")
# Functions that do not see that a number they are given is a proxy. Not all of math, as fx has it: wrapping those for
# each trace takes longer than the trace itself, and sizes are known.
_FACTORIES = (torch.zeros, torch.ones, torch.full, torch.empty, torch.arange, torch.rand, torch.randn)
_ROUNDINGS = (math.sqrt, math.floor, math.ceil)
UNKNOWN = (
    "the number of rows is no plain number while the forward is traced; write x.size(0) as it is, without len or int"
)
AUTOGRAD = "it uses an autograd function of its own, whose backward a graph has not"
MODE_OF_TORCH = "it turns gradients or autocast on or off, which a graph has not"
# However it is called: by the class, or by a name that was given to it before.
_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]
Pair = tuple[Any, Any]


class Tracer(fx.Tracer):
    """Traces a network while it computes each node for two numbers of rows; what both have in common is known.

    Layers of torch.nn and of regimen.nn are one node, and those that it is told to. The network gets one input; flags
    of its forward are at their defaults. Threads that run other networks meanwhile are not disturbed.

    Args:
        twin: A copy of the network in eval mode, which computes; None for none, and nothing is known.
        examples: Inputs with two different numbers of rows.
        opaque: Names of further layers to see as one node.

    Attributes:
        values: What each node gave for both, in eval mode.
        draws: Whether something drew from PyTorch's default generator in eval mode.
        failed: Name of the innermost layer whose forward raised; None where none did, or the network's own.
    """

    proxy_buffer_attributes = True

    def __init__(self, twin: nn.Module | None, examples: tuple[Tensor, ...], opaque: dict[str, str]) -> None:
        super().__init__(autowrap_modules=(), autowrap_functions=(*_FACTORIES, *_ROUNDINGS))  # type: ignore[arg-type]
        # Not only where they are imported by name.
        self._autowrap_search += [torch, math]
        self.twin, self.examples, self.opaque = twin, examples, opaque
        self.values: dict[fx.Node, Pair] = {}
        self.draws = False
        self.failed: str | None = None
        self._thread, self._computing = threading.get_ident(), False
        self._modes = _modes_of_torch()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a layer is one node."""
        known = isinstance(m, StreamLayer) or super().is_leaf_module(m, module_qualified_name)
        return known or module_qualified_name in self.opaque

    def create_args_for_root(self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None) -> Any:
        """Return the forward and what it is called with: itself and one input."""
        return root_fn, [self.root, self.create_proxy("placeholder", _first_argument(root_fn), (), {})]

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> Any:
        """Return a proxy for a new node, or what the node gives, where that is a size or another fact."""
        self._require_what_a_graph_has()
        proxy: Any = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        node: fx.Node = proxy.node
        node.meta["place"] = _place_of_caller()
        if self.twin is None:
            return proxy
        one, other = self._computed(node, self.twin)
        asked = args[1] if target is getattr else target if kind == "call_method" else None
        if one == other if asked in _FACTS else asked == "size" and isinstance(one, int) and one == other:
            self.graph.erase_node(node)
            return one
        self.values[node] = one, other
        if asked in _SIZES and isinstance(one, torch.Size) and len(one) == len(other):
            return Sizes(size if size == other[n] else proxy[n] for n, size in enumerate(one))
        return proxy

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return a proxy for a node."""
        return _Proxy(node, self)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return what a layer gives: one node, or what the nodes inside give."""
        if self._computing or threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        # Here it is what calls the layer that cannot be looked into, not the layer.
        self._require_what_a_graph_has()
        name, done = self.path_of_module(m), False
        try:
            output = super().call_module(m, forward, args, kwargs)
            done = True
        finally:
            if not done and self.failed is None:
                self.failed = name
        return output

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Return an attribute of a layer; a proxy for a parameter or buffer."""
        if self._computing or threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def known(self, node: fx.Node) -> Pair:
        """Return what a node gives for both examples; nothing known is two times None."""
        return self.values.get(node, (None, None))

    def _require_what_a_graph_has(self) -> None:
        """Refuse what is not recorded, since it is no operation: modes of torch, and backwards of the user's own."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is not fx.Tracer.trace.__code__:
            if frame.f_code is _APPLY:
                raise fx.proxy.TraceError(AUTOGRAD)
            frame = frame.f_back
        if _modes_of_torch() != self._modes:
            raise fx.proxy.TraceError(MODE_OF_TORCH)

    def _computed(self, node: fx.Node, twin: nn.Module) -> Pair:
        if node.op == "placeholder":
            return self.examples[0].clone(), self.examples[1].clone()
        with self._apart():
            return self._computed_for(node, 0, twin), self._computed_for(node, 1, twin)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Compute without a trace in the graph, in autograd or in the generator."""
        self._computing, before = True, torch.get_rng_state()
        try:
            with torch.no_grad():
                yield
        finally:
            self._computing = False
            self.draws |= not torch.equal(torch.get_rng_state(), before)
            torch.set_rng_state(before)

    def _computed_for(self, node: fx.Node, which: int, twin: nn.Module) -> Any:
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda source: self._value(source, which))
        target: Any = node.target
        if node.op == "call_module":
            return twin.get_submodule(target)(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        if node.op == "call_function":
            return target(*args, **kwargs)
        return self._value(node, which)

    def _value(self, node: fx.Node, which: int) -> Any:
        if node.op == "get_attr":
            # The tracer keeps constants on the network that it traces, without a proxy of their own.
            path, _, name = str(node.target).rpartition(".")
            found = getattr(self.root.get_submodule(path), name)
            # It is the network's own, and what follows may overwrite it.
            return found.clone() if isinstance(found, Tensor) else found
        return self.values[node][which]


class Sizes(tuple[Any, ...]):
    """The sizes of a tensor, of which those that depend on the number of rows are proxies."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        """Return a size, or some of them."""
        found = super().__getitem__(index)
        return Sizes(found) if isinstance(index, slice) else found

    def numel(self) -> Any:
        """Return how many elements there are."""
        count: Any = 1
        for size in self:
            count = size * count
        return count


class _Proxy(fx.Proxy):
    """A proxy of a tensor whose sizes are known, or of several values whose number is known."""

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "dtype"):
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return super().__getattr__(name)

    def __len__(self) -> int:
        count = self._count()
        if count is None:
            raise fx.proxy.TraceError(UNKNOWN)
        return count

    def __int__(self) -> int:
        raise fx.proxy.TraceError(UNKNOWN)

    def __index__(self) -> int:
        raise fx.proxy.TraceError(UNKNOWN)

    def __iter__(self) -> Iterator[Any]:
        count = self._count()
        return super().__iter__() if count is None else iter([operator.getitem(self, n) for n in range(count)])

    def _count(self) -> int | None:
        tracer = self.tracer
        assert isinstance(tracer, Tracer)
        one, other = (
            len(value) if isinstance(value, tuple | list) or (isinstance(value, Tensor) and value.dim()) else None
            for value in tracer.known(self.node)
        )
        return one if one == other else None


def shown_place(filename: str, line: int) -> str:
    """Return a line of the user's own code in words; empty where it is not the user's.

    Example:
        >>> shown_place("/home/me/net.py", 12), shown_place(torch.__file__, 12)
        ('net.py line 12', '')
    """
    return "" if filename.startswith(_OTHERS) else f"{Path(filename).name} line {line}"


def _modes_of_torch() -> tuple[bool, ...]:
    """Return what torch does beside computing: record for gradients, and compute in half precision."""
    half = (torch.is_autocast_enabled(device) for device in ("cpu", "cuda"))
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *half


def _place_of_caller() -> str:
    """Return which line of the user's own code is being traced; empty where none is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not fx.Tracer.trace.__code__:
        place = shown_place(frame.f_code.co_filename, frame.f_lineno)
        if place:
            return place
        frame = frame.f_back
    return ""


def _first_argument(forward: Callable[..., Any]) -> str:
    named = [p for p in inspect.signature(forward).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return named[1].name if len(named) > 1 else "input"
