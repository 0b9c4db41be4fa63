"""The forward of a network as a graph of torch.fx, traced in both modes and checked against the network itself."""

import copy
import random
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, fx, nn

from regimen.models.plain_attributes import changed_attributes, plain_attributes
from regimen.models.rewriting_gradients import differing_gradient
from regimen.models.rewriting_tracer import Tracer, shown_place

# Rows of the two inputs that are sent through to learn the shapes.
ROWS = 3, 2
MODES = "its forward does something else in training than in evaluation"
_CONSTANTS = (bool, int, float, str, type(None), torch.dtype)
# fx changes torch.nn.Module itself while it traces.
_tracing = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Traced:
    """A forward as a graph, as it is in training.

    Attributes:
        graph: Its nodes name the layers of the network.
        constants: Tensors that the graph has and the network has not, by the names that the graph gives them.
        values: Shape and type of the tensor that each node gave for the first number of rows in eval mode.
        by_row: Nodes whose tensors have rows first.
        evaluation: Nodes that get other constants in evaluation, and those arguments.
        opaque: Names of layers that could not be looked into, with the reason.
    """

    graph: fx.Graph
    constants: dict[str, Tensor]
    values: dict[fx.Node, Tensor]
    by_row: set[fx.Node]
    evaluation: dict[fx.Node, tuple[Any, Any]]
    opaque: dict[str, str]

    def shape(self, node: fx.Node) -> tuple[int, ...] | None:
        """Return the shape of a node's tensor for the first number of rows; None where it gives no tensor."""
        value = self.values.get(node)
        return None if value is None else tuple(value.shape)


def trace(network: nn.Module, inputs: tuple[int, ...]) -> Traced | str:
    """Return the forward of a network as a graph, or in words why there is none.

    Flags of the forward are at their defaults. A layer that cannot be looked into is one node.

    Args:
        network: The network; left as it is.
        inputs: Shape of one input, without rows; floats, or, where the network does not take those, whole numbers.

    Example:
        >>> found = trace(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), (4,))
        >>> [str(node.target) for node in found.graph.nodes]
        ['input', '0', '1', 'output']
    """
    attempt = _Attempt()
    with attempt, torch.random.fork_rng(devices=[]), _tracing:
        return _checked(network, inputs)
    return attempt.reason


def example(network: nn.Module, inputs: tuple[int, ...], rows: int = ROWS[0]) -> tuple[Tensor, Tensor]:
    """Return inputs and what a network in eval mode makes of them: of floats if it takes them, else of integers.

    Raises:
        Exception: Whatever the network raises of integers too, and of floats first.
    """
    size = torch.Size((rows, *inputs))
    x = torch.linspace(-1.0, 1.0, max(1, size.numel())).reshape(size)
    attempt, second = _Attempt(), _Attempt()
    with torch.no_grad():
        with attempt:
            return x, network(x.clone())  # which it may overwrite
        whole = torch.zeros(size, dtype=torch.int64)
        with second:
            return whole, network(whole.clone())
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
        places = [shown_place(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(frames)]
        where = next((f" ({place})" for place in reversed(places) if place), "")
        self.reason = said if isinstance(error, _Refused) else f"{type(error).__name__}: {said}{where}"
        return True


def _checked(network: nn.Module, inputs: tuple[int, ...]) -> Traced:
    if "forward" in vars(network):
        raise _Refused("its forward was replaced on the object, not in the class")
    # A whole copy computes: a forward may overwrite parameters and buffers.
    twin = copy.deepcopy(network).eval()
    x, expected = example(twin, inputs)
    examples = x, example(twin, inputs, ROWS[1])[0]
    opaque: dict[str, str] = {}
    training = _traced(network, True, twin, examples, opaque)
    evaluation = _traced(network, False, twin, examples, opaque)
    nodes = list(training.graph.nodes)
    if not isinstance(nodes[-1].args[0], fx.Node):
        raise _Refused(f"its forward returns {type(nodes[-1].args[0]).__name__}, not one tensor")
    others = _compared(nodes, list(evaluation.graph.nodes))
    constants = _constants(network, training.root)
    if not all(torch.equal(value, getattr(evaluation.root, name)) for name, value in constants.items()):
        raise _Refused(MODES)
    found, _ = evaluation.known(list(evaluation.graph.nodes)[-1].args[0])
    # What draws in evaluation too gives other numbers each time.
    equal = isinstance(expected, Tensor) and (
        evaluation.draws or torch.allclose(found, expected, rtol=1e-5, equal_nan=True)
    )
    if not equal:
        raise _Refused("its traced form computes something else than its forward")
    wrong = differing_gradient(network, evaluation.graph, constants, examples[1], draws=evaluation.draws)
    if wrong:
        raise _Refused(f"its traced form gives {wrong} another gradient than its forward")
    pairs = {node: evaluation.known(named) for node, named in zip(nodes, evaluation.graph.nodes, strict=True)}
    tensors = {node: pair for node, pair in pairs.items() if isinstance(pair[0], Tensor)}
    return Traced(
        graph=training.graph,
        constants=constants,
        values={node: torch.empty(one.shape, dtype=one.dtype, device="meta") for node, (one, _) in tensors.items()},
        by_row={node for node, pair in tensors.items() if _rows(pair) == ROWS},
        evaluation=others,
        opaque=opaque,
    )


def _rows(pair: tuple[Tensor, Tensor]) -> tuple[int, ...]:
    return tuple(len(value) for value in pair if value.dim())


def training_graph(network: nn.Module, inputs: tuple[int, ...] | None = None) -> fx.Graph | str:
    """Return the forward of a network in training as a graph, unchecked, or in words why there is none.

    Args:
        network: The network; left as it is.
        inputs: Shape of one input, without rows; without it a forward that looks at sizes cannot be traced.

    Example:
        >>> len(training_graph(nn.Sequential(nn.Linear(4, 2), nn.ReLU())).nodes)
        4
    """
    attempt = _Attempt()
    opaque: dict[str, str] = {}
    with attempt, torch.random.fork_rng(devices=[]), _tracing:
        twin: nn.Module | None = None
        examples: tuple[Tensor, ...] = ()
        if inputs is not None:
            twin = copy.deepcopy(network).eval()
            examples = example(twin, inputs)[0], example(twin, inputs, ROWS[1])[0]
        tracer = _traced(network, True, twin, examples, opaque)
        if opaque:
            name, reason = next(iter(opaque.items()))
            raise _Refused(f"its layer {name} cannot be looked into: {reason}")
        return tracer.graph
    return attempt.reason


def _traced(
    network: nn.Module, mode: bool, twin: nn.Module | None, examples: tuple[Tensor, ...], opaque: dict[str, str]
) -> Tracer:
    """Return the tracer of a copy in train or eval mode; add to `opaque` what cannot be looked into."""
    while True:
        # Parameters are shared: they may be large, and the tracer does not touch them. Buffers may be assigned to.
        root = copy.deepcopy(network, {id(tensor): tensor for tensor in network.parameters()}).train(mode)
        tracer, attempt, before = Tracer(twin, examples, opaque), _Attempt(), _generators()
        attributes = plain_attributes(root)
        # A forward may leave gradients turned off.
        with attempt, torch.set_grad_enabled(torch.is_grad_enabled()):
            tracer.trace(root)
            for node in tracer.graph.nodes:
                # Else the code of the graph would declare functions of torch as wrapped, for all later traces.
                node.meta.pop("is_wrapped", None)
            if _generators() != before:
                raise _Refused("its forward draws random numbers that belong to no layer")
            kept = [name for layer in root.modules() for name in _kept(vars(layer))]
            if kept:
                raise _Refused(f"its forward keeps what it computes on itself, as {kept[0]}")
            changed = changed_attributes(attributes, plain_attributes(root))
            if changed:
                raise _Refused(f"its forward changes {changed[0]}, which a graph would keep as it is")
            return tracer
        assert attempt.error is not None
        if isinstance(attempt.error, _Refused) or tracer.failed is None or tracer.failed in opaque:
            raise attempt.error
        opaque[tracer.failed] = attempt.reason


def _generators() -> tuple[bytes, Any]:
    return torch.get_rng_state().numpy().tobytes(), random.getstate()


def _kept(attributes: dict[str, Any]) -> Iterator[str]:
    """Yield the names of attributes that have become proxies."""
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from (f"{name}[{key!r}]" if not name.startswith("_") else key for key in _kept(value))
        elif any(isinstance(part, fx.Proxy) for part in (value if isinstance(value, list | tuple) else (value,))):
            yield str(name)


def _constants(network: nn.Module, root: nn.Module) -> dict[str, Tensor]:
    """Return what the tracer made of tensors that no layer has."""
    new = {name: value for name, value in vars(root).items() if name not in vars(network)}
    return {name: value for name, value in new.items() if isinstance(value, Tensor)}


def _compared(ours: list[fx.Node], theirs: list[fx.Node]) -> dict[fx.Node, tuple[Any, Any]]:
    """Return the nodes whose constants differ in evaluation, with those; refuse what else depends on the mode."""
    twins = dict(zip(theirs, ours, strict=False))
    others: dict[fx.Node, tuple[Any, Any]] = {}
    for one, other in zip(ours, theirs, strict=False):
        if (one.op, one.target, one.name) != (other.op, other.target, other.name):
            raise _Refused(MODES + (f" ({place_of(one)})" if place_of(one) else ""))
        arguments = fx.map_arg((other.args, other.kwargs), lambda node: twins[node])
        # Refuses what differs in more than constants.
        if [twins[source] for source in other.all_input_nodes] != one.all_input_nodes:
            raise _Refused(MODES)
        merged((one.args, one.kwargs), arguments, lambda *pair: pair)
        if repr((one.args, one.kwargs)) != repr(arguments):
            others[one] = arguments
    if len(ours) != len(theirs):
        raise _Refused(MODES)
    return others


def merged(one: Any, other: Any, choose: Callable[[Any, Any], Any]) -> Any:
    """Return arguments of a node, with a choice wherever constants of two modes differ.

    Raises:
        _Refused: They differ in more than constants.

    Example:
        >>> merged((1, [2.0, None]), (1, [3.0, None]), lambda a, b: (a, b))
        (1, [(2.0, 3.0), None])
    """
    if isinstance(one, tuple | list) and isinstance(other, tuple | list) and len(one) == len(other):
        parts = [merged(mine, its, choose) for mine, its in zip(one, other, strict=True)]
        return tuple(parts) if isinstance(one, tuple) else parts
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return {name: merged(value, other[name], choose) for name, value in one.items()}
    if isinstance(one, _CONSTANTS) and isinstance(other, _CONSTANTS):
        return one if repr(one) == repr(other) else choose(one, other)
    if isinstance(one, fx.Node) != isinstance(other, fx.Node) or (type(one) is slice and repr(one) != repr(other)):
        raise _Refused(MODES)
    return one
