"""Layers put into a traced forward, which then becomes the forward of the network itself."""

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import Tensor, fx, nn

from regimen import nn as stream
from regimen.models.rewriting_trace import Traced, merged

INPUT = "input"


class Rewriting:
    """A network that gets further layers; its own keep their names, and it stays the object that it is.

    The layers are kept in one further layer of the network, named `inserted`, so that no name of a parameter changes.
    They work once `finish` has been called.

    Args:
        network: The network.
        traced: Its forward; None where there is no graph, and dropout can be put before the forward only.
        key: 64-bit run key, the seed of all noisy layers.
    """

    def __init__(self, network: nn.Module, traced: Traced | None, key: int) -> None:
        self.network, self.traced, self.key = network, traced, key
        self.layers = nn.ModuleDict()
        self.name = next(name for name in _names("inserted") if not hasattr(network, name))
        # Behind the ordinals of all layers that there are: inserting a norm gives no other layer other masks.
        self._sites = itertools.count(sum(1 for _ in network.modules()))
        self._rewritten = False

    @property
    def graph(self) -> fx.Graph:
        """The forward, as changed so far."""
        assert self.traced is not None
        return self.traced.graph

    def noisy(self, kind: type[stream.StreamLayer], p: float, *, inplace: bool = False) -> stream.StreamLayer:
        """Return a new noisy layer with a site of its own."""
        return kind(p, inplace, seed=self.key, site=next(self._sites))

    def replace(self, node: fx.Node, layer: nn.Module, name: str) -> None:
        """Let a layer do what a node does to its first input."""
        with self.graph.inserting_before(node):
            new = self.graph.call_module(self._registered(layer, name), (node.all_input_nodes[0],))
        self._know_as(new, node)
        node.replace_all_uses_with(new)
        self.graph.erase_node(node)
        assert self.traced is not None
        self.traced.evaluation.pop(node, None)

    def insert_behind(self, node: fx.Node, layer: nn.Module, name: str) -> None:
        """Put a layer between a node and all that use it."""
        with self.graph.inserting_after(node):
            new = self.graph.call_module(self._registered(layer, name), (node,))
        self._know_as(new, node)
        node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)

    def insert_before(self, node: fx.Node, argument: int, layer: nn.Module, name: str) -> None:
        """Put a layer before one argument of a node."""
        with self.graph.inserting_before(node):
            new = self.graph.call_module(self._registered(layer, name), (node.args[argument],))
        node.update_arg(argument, new)

    def change(self) -> None:
        """Say that the graph was changed, and has to become the forward."""
        self._rewritten = True

    def drop_inputs(self, p: float) -> stream.StreamLayer:
        """Put dropout before the forward, at site 0, which is nobody's ordinal but the network's."""
        layer = stream.Dropout(p, seed=self.key, site=0)
        if self.traced is None:
            self._keep(layer, INPUT)
        else:
            self.insert_behind(next(iter(self.graph.nodes)), layer, INPUT)
        return layer

    def finish(self) -> None:
        """Give the network its layers and its forward."""
        self.layers.train(self.network.training)
        if self._rewritten:
            assert self.traced is not None
            for name, value in self.traced.constants.items():
                setattr(self.network, name, value)
            self._choose_by_mode(self.traced)
            kind: Any = type(self.network)
            code = fx.GraphModule(self.network, self.graph)
            self.network.__class__ = _with_forward(kind, _Forward(type(code).forward, code.code))
            # Read by those who tell networks apart by what they are made of.
            vars(self.network)["_rewritten_forward"] = code.code
        if INPUT in self.layers:
            kind = type(self.network)
            self.network.__class__ = _with_input(kind, self.name)

    def _choose_by_mode(self, traced: Traced) -> None:
        """Let the constants that differ in evaluation depend on the mode that the network is in."""
        if traced.evaluation:
            with self.graph.inserting_before(next(iter(self.graph.nodes))):
                mode = self.graph.get_attr("training")
        for node, (args, kwargs) in traced.evaluation.items():
            # Nodes are those of now: layers may have been put before them.
            with self.graph.inserting_before(node):
                node.args = merged(node.args, args, lambda *pair: self.graph.call_function(by_mode, (mode, *pair)))
                node.kwargs = merged(
                    node.kwargs, kwargs, lambda *pair: self.graph.call_function(by_mode, (mode, *pair))
                )

    def _know_as(self, new: fx.Node, node: fx.Node) -> None:
        """Take down that a new node gives tensors of the shape of another."""
        assert self.traced is not None
        if node in self.traced.values:
            self.traced.values[new] = self.traced.values[node]
        if node in self.traced.by_row:
            self.traced.by_row.add(new)

    def _registered(self, layer: nn.Module, name: str) -> str:
        self.change()
        number = next(n for n in itertools.count() if f"{name}_{n}" not in self.layers)
        self._keep(layer, f"{name}_{number}")
        return f"{self.name}.{name}_{number}"

    def _keep(self, layer: nn.Module, name: str) -> None:
        if not self.layers:
            self.network.add_module(self.name, self.layers)
        self.layers[name] = layer


def by_mode(training: bool, one: Any, other: Any) -> Any:
    """Return what a forward uses in training, or what it uses in evaluation.

    Example:
        >>> by_mode(False, 0.1, 0.0)
        0.0
    """
    return one if training else other


class _Forward:
    """A generated function, equal to others of the same code that call the same functions.

    Args:
        function: The function.
        code: Its source.
    """

    def __init__(self, function: Callable[..., Any], code: str) -> None:
        self.function, self.code = function, code
        called: dict[str, Any] = getattr(function, "__globals__", {})
        self.called = frozenset((name, id(value)) for name, value in called.items() if not name.startswith("__"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Forward) and (self.code, self.called) == (other.code, other.called)

    def __hash__(self) -> int:
        return hash((self.code, self.called))


# One class for all runs of an arm: what is of one class can be trained together.
@lru_cache(maxsize=256)
def _with_forward(kind: Any, forward: _Forward) -> type[nn.Module]:
    return _subclass(kind, forward.function)


@lru_cache(maxsize=256)
def _with_input(kind: Any, name: str) -> type[nn.Module]:
    def forward(self: nn.Module, input: Tensor, *args: Any, **options: Any) -> Any:
        return kind.forward(self, self.get_submodule(name).get_submodule(INPUT)(input), *args, **options)

    return _subclass(kind, forward)


def _subclass(kind: type[nn.Module], forward: Callable[..., Any]) -> type[nn.Module]:
    shown = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(kind.__name__, (kind,), shown | {"forward": forward})


def _names(first: str) -> "itertools.chain[str]":
    return itertools.chain([first], (f"{first}_{n}" for n in itertools.count(1)))
