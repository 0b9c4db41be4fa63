"""The forward of a network as a graph of torch.fx, traced in both modes and checked against the network itself."""

import copy
import inspect
import random
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, fx, nn

import regimen
from regimen.nn import StreamLayer

# Rows of the inputs that are sent through to learn the shapes.
ROWS = 3
MODES = "its forward does something else in training than in evaluation"
# fx changes torch.nn.Module itself while it traces.
_tracing = threading.Lock()
# What is not the user's own code.
_OTHERS = (*torch.__path__, *regimen.__path__, "<eval_with_key>", "<frozen")


@dataclass(frozen=True, kw_only=True, slots=True)
class Traced:
    """A forward as a graph, as it is in training.

    Attributes:
        graph: Its nodes name the layers of the network.
        constants: Tensors that the graph has and the network has not, by the names that the graph gives them.
        values: The tensor that each node gave for `ROWS` rows in eval mode.
        always: Nodes of dropout that is on in eval mode too.
        opaque: Names of layers that could not be looked into, with the reason.
    """

    graph: fx.Graph
    constants: dict[str, Tensor]
    values: dict[fx.Node, Tensor]
    always: frozenset[fx.Node]
    opaque: dict[str, str]

    def shape(self, node: fx.Node) -> tuple[int, ...] | None:
        """Return the shape of a node's tensor, rows first; None where it gives no tensor."""
        value = self.values.get(node)
        return None if value is None else tuple(value.shape)


def trace(network: nn.Module, inputs: tuple[int, ...]) -> Traced | str:
    """Return the forward of a network as a graph, or in words why there is none.

    Flags of the forward are at their defaults. A layer that can not be looked into is one node. Threads that run other
    networks meanwhile are not disturbed.

    Args:
        network: The network; left as it is.
        inputs: Shape of one input, without rows; floats, or, where the network does not take those, whole numbers.

    Example:
        >>> found = trace(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), (4,))
        >>> [str(node.target) for node in found.graph.nodes]
        ['input', '0', '1', 'output']
    """
    if "forward" in vars(network):
        return "its forward was replaced on the object, not in the class"
    attempt = _Attempt()
    with attempt, torch.random.fork_rng(devices=[]), _tracing:
        return _checked(network, inputs)
    return attempt.reason


def training_graph(network: nn.Module) -> fx.Graph | str:
    """Return the forward of a network in training as a graph, unchecked, or in words why there is none.

    Example:
        >>> len(training_graph(nn.Sequential(nn.Linear(4, 2), nn.ReLU())).nodes)
        4
    """
    attempt = _Attempt()
    opaque: dict[str, str] = {}
    with attempt, torch.random.fork_rng(devices=[]), _tracing:
        graph, _ = _traced(network, True, opaque)
        if opaque:
            name, reason = next(iter(opaque.items()))
            raise _Refused(f"its layer {name} can not be looked into: {reason}")
        return graph
    return attempt.reason


def example(network: nn.Module, inputs: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return `ROWS` inputs and what a network in eval mode makes of them: of floats if it takes them, else of integers.

    Raises:
        Exception: Whatever the network raises of integers too, and of floats first.
    """
    size = (ROWS, *inputs)
    x = torch.linspace(-1.0, 1.0, max(1, torch.Size(size).numel())).reshape(size)
    attempt = _Attempt()
    with torch.no_grad():
        with attempt:
            return x, network(x.clone())  # which it may overwrite
        whole = torch.zeros(size, dtype=torch.int64)
        second = _Attempt()
        with second:
            return whole, network(whole)
    assert attempt.error is not None
    raise attempt.error


def takes(network: nn.Module, inputs: tuple[int, ...]) -> bool:
    """Return whether a network in eval mode makes anything of inputs of a shape.

    Example:
        >>> takes(nn.Linear(4, 2), (4,)), takes(nn.Linear(4, 2), (5,))
        (True, False)
    """
    attempt = _Attempt()
    with attempt:
        example(copy.deepcopy(network).eval(), inputs)
    return attempt.error is None


def place_of(node: fx.Node) -> str:
    """Return where in the user's own code a node is, such as `net.py line 12`; empty where that is not known."""
    place: str = node.meta.get("place", "")
    return place


class _Refused(Exception):
    """There is a graph, but it would not do what the network does."""


class _Attempt:
    """Code of the user's, which may raise anything; afterwards `reason` says what it raised, and where."""

    def __init__(self) -> None:
        self.reason = ""
        self.error: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error
        said = (str(error).strip().splitlines() or [""])[0][:200]
        places = [
            f" ({_shown(code.co_filename, line)})"
            for code, line in ((frame.f_code, line) for frame, line in traceback.walk_tb(frames))
            if _is_users(code.co_filename)
        ]
        where = places[-1] if places else ""
        self.reason = said if isinstance(error, _Refused) else f"{type(error).__name__}: {said}{where}"
        return True


def _is_users(filename: str) -> bool:
    return not filename.startswith(_OTHERS)


def _shown(filename: str, line: int) -> str:
    return f"{Path(filename).name} line {line}"


def _last_place() -> str:
    """Return where the user's own code is right now, below the call of `_traced`; empty where it is not."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _traced.__code__:
        if _is_users(frame.f_code.co_filename):
            return _shown(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


class _Tracer(fx.Tracer):
    """Sees layers of torch.nn and of regimen.nn as one node, and those that it is told to; the root gets one input.

    Args:
        opaque: Names of further layers to see as one node.
    """

    proxy_buffer_attributes = True

    def __init__(self, opaque: dict[str, str]) -> None:
        super().__init__(param_shapes_constant=True)
        self.opaque = opaque
        self.failed: str | None = None
        self.thread = threading.get_ident()

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        node.meta["place"] = _last_place()
        return node

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, StreamLayer) or super().is_leaf_module(m, module_qualified_name)
        return known or module_qualified_name in self.opaque

    def create_args_for_root(self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None) -> Any:
        return root_fn, [self.root, self.create_proxy("placeholder", _first_argument(root_fn), (), {})]

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        name, done = self.path_of_module(m), False
        try:
            output = super().call_module(m, forward, args, kwargs)
            done = True
        finally:
            if not done and self.failed is None:
                self.failed = name
        return output

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _first_argument(forward: Callable[..., Any]) -> str:
    named = [p for p in inspect.signature(forward).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return named[1].name if len(named) > 1 else "input"


def _checked(network: nn.Module, inputs: tuple[int, ...]) -> Traced:
    opaque: dict[str, str] = {}
    training, other = _traced(network, True, opaque)
    evaluation, root = _traced(network, False, opaque)
    always = _compared(training, evaluation)
    nodes = list(training.nodes)
    if not isinstance(nodes[-1].args[0], fx.Node):
        raise _Refused(f"its forward returns {type(nodes[-1].args[0]).__name__}, not one tensor")
    torch.default_generator.manual_seed(0)
    x, expected = example(root, inputs)
    torch.default_generator.manual_seed(0)
    recorder = _Recorder(root, evaluation)
    with torch.no_grad():
        found = recorder.run(x.clone())
    if not isinstance(expected, Tensor) or not torch.allclose(found, expected, rtol=1e-5, equal_nan=True):
        raise _Refused("its traced form computes something else than its forward")
    values = {node: recorder.values[name] for node in nodes if (name := node.name) in recorder.values}
    constants = _constants(network, root)
    if not all(torch.equal(value, getattr(other, name)) for name, value in constants.items()):
        raise _Refused(MODES)
    return Traced(graph=training, constants=constants, values=values, always=always, opaque=opaque)


def _traced(network: nn.Module, mode: bool, opaque: dict[str, str]) -> tuple[fx.Graph, nn.Module]:
    """Return the graph of a copy in train or eval mode; add to `opaque` what can not be looked into."""
    while True:
        # Parameters and buffers are shared: they are not touched, and may be large.
        shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
        root = copy.deepcopy(network, shared).train(mode)
        tracer, attempt, before = _Tracer(opaque), _Attempt(), _generators()
        with attempt:
            graph = tracer.trace(root)
            if _generators() != before:
                raise _Refused("its forward draws random numbers that belong to no layer")
            kept = [name for layer in root.modules() for name, value in vars(layer).items() if _is_proxy(value)]
            if kept:
                raise _Refused(f"its forward keeps what it computes on itself, as {kept[0]}")
            return graph, root
        assert attempt.error is not None
        if isinstance(attempt.error, _Refused) or tracer.failed is None or tracer.failed in opaque:
            raise attempt.error
        opaque[tracer.failed] = attempt.reason


def _generators() -> tuple[bytes, Any]:
    return torch.get_rng_state().numpy().tobytes(), random.getstate()


def _is_proxy(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
    return any(isinstance(part, fx.Proxy) for part in parts)


def _constants(network: nn.Module, root: nn.Module) -> dict[str, Tensor]:
    """Return what the tracer made of tensors that no layer has."""
    new = {name: value for name, value in vars(root).items() if name not in vars(network)}
    return {name: value for name, value in new.items() if isinstance(value, Tensor)}


def _compared(training: fx.Graph, evaluation: fx.Graph) -> frozenset[fx.Node]:
    """Return the nodes of dropout that is on in both modes; refuse what else depends on the mode."""
    ours, theirs = list(training.nodes), list(evaluation.nodes)
    always = []
    for one, other in zip(ours, theirs, strict=False):
        same = (one.op, one.target, one.name) == (other.op, other.target, other.name)
        drops = one.op == "call_function" and "dropout" in getattr(one.target, "__name__", "")
        equal = same and repr((one.args, one.kwargs)) == repr((other.args, other.kwargs))
        if drops and equal:
            always.append(one)
        if not equal and not (same and drops):
            raise _Refused(MODES + (f" ({place_of(one)})" if place_of(one) else ""))
    if len(ours) != len(theirs):
        raise _Refused(MODES)
    return frozenset(always)


class _Recorder(fx.Interpreter):
    """Runs a graph, and keeps the tensors that its nodes gave."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        super().__init__(root, graph=graph)
        self.values: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.values[n.name] = result
        return result
