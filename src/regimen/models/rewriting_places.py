"""Where layers can be inserted into a traced forward: behind hidden activations, before them, on residual branches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from regimen.models.rewriting_nodes import (
    has_weights,
    is_activation,
    is_convolution,
    is_norm,
    is_pool,
    layer_of,
    name_of,
)
from regimen.models.rewriting_trace import Traced

ADDITIONS = frozenset({"add", "iadd"})
PRODUCTS = frozenset({"mul", "imul"})
# What takes a part of a tensor, or gives it another shape.
_PARTS = frozenset({"getitem", "squeeze", "select"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place behind a node.

    Attributes:
        node: The node.
        name_node: The node that names the place: the activation, where pools are in between.
        shape: Of its tensor, rows first.
        dtype: Of its tensor.
        convolutional: Whether the layer with weights before it is a convolution.
    """

    node: fx.Node
    name_node: fx.Node
    shape: tuple[int, ...]
    dtype: torch.dtype
    convolutional: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A residual addition.

    Attributes:
        addition: The node.
        argument: Which of its arguments is the branch.
    """

    addition: fx.Node
    argument: int


class Places:
    """Reads a traced forward once, and finds places in it.

    Args:
        network: The network.
        traced: Its forward, before anything is inserted.
    """

    def __init__(self, network: nn.Module, traced: Traced) -> None:
        self.network, self.traced = network, traced
        self.nodes = list(traced.graph.nodes)
        self.weighted = {node for node in self.nodes if has_weights(node, network)}
        self.of_input = _reached(node for node in self.nodes if node.op == "placeholder")
        self.before = _ancestors(self.nodes)
        self.residual = self.branches()
        # Nodes whose values go through weights on their way to the output.
        self.hidden: set[fx.Node] = set()
        for node in reversed(self.nodes):
            if any(user in self.hidden or user in self.weighted for user in node.users):
                self.hidden.add(node)

        self.gates = {gate for node in self.nodes for gate in self._gates(node)}
        # Nodes whose values reach the output by another way than through a gate.
        self.open: set[fx.Node] = set()
        for node in reversed(self.nodes):
            if node.op == "output" or any(user in self.open and user not in self.gates for user in node.users):
                self.open.add(node)

    def activations(self) -> Iterator[fx.Node]:
        """Yield the hidden activations, but for gates, what makes gates, and sums, which all residual branches share.

        In residual networks dropout stands on the branches (Zagoruyko and Komodakis 2016, arXiv:1605.07146, section
        2.4).
        """
        for node in self.nodes:
            hidden = node in self.hidden and node in self.of_input and node in self.open - self.gates
            if not hidden or not is_activation(node, self.network):
                continue
            trunk = any(branch.addition is node.all_input_nodes[0] for branch in self.residual)
            if not trunk:
                yield node

    def for_dropout(self) -> list[Place]:
        """Return the places behind hidden activations, and behind the pools and norms that follow them directly.

        What recurrent layers give is a hidden activation too.
        """
        found: dict[fx.Node, Place] = {}
        for activation in self.activations():
            node = self._behind(activation, lambda user: is_pool(user, self.network) or is_norm(user, self.network))
            follower = _only_user(node)
            if follower is None or not is_activation(follower, self.network):
                self._add(found, node, activation)
        for node in self.nodes:
            if isinstance(layer_of(node, self.network), nn.RNNBase):
                for part in node.users:
                    self._add_recurrent(found, part, node)
        return sorted(found.values(), key=lambda place: self.nodes.index(place.node))

    def for_norms(self) -> list[Place]:
        """Return the places behind linear and convolutional layers whose activation follows without a norm between."""
        found: dict[fx.Node, Place] = {}
        for activation in self.activations():
            node = activation.all_input_nodes[0]
            while is_pool(node, self.network):
                node = node.all_input_nodes[0]
            linear = isinstance(layer_of(node, self.network), nn.Linear) or name_of(node) == "linear"
            if linear or is_convolution(node, self.network):
                self._add(found, node, node)
        return list(found.values())

    def branches(self) -> list[Branch]:
        """Return the residual additions: of two ways from one node, that with more weights on it is the branch."""
        inputs = sum(1 << number for number, node in enumerate(self.nodes) if node in self.of_input)
        found = []
        for node in self.nodes:
            if self._is_sum(node):
                one, other = (argument for argument in node.args[:2] if isinstance(argument, fx.Node))
                shared = self.before[one] & self.before[other] & inputs
                lengths = self._lengths(self.nodes[shared.bit_length() - 1]) if shared else {}
                if lengths.get(one, 0) != lengths.get(other, 0):
                    found.append(Branch(addition=node, argument=int(lengths[other] > lengths[one])))
        return found

    def _lengths(self, fork: fx.Node) -> dict[fx.Node, int]:
        """Return how many layers with weights are on the shortest way from a node to all that follow."""
        lengths = {fork: 0}
        for node in self.nodes[self.nodes.index(fork) + 1 :]:
            reached = [lengths[source] for source in node.all_input_nodes if source in lengths]
            if reached:
                lengths[node] = min(reached) + (node in self.weighted)
        return lengths

    def _is_sum(self, node: fx.Node) -> bool:
        """Return whether a node adds two tensors of one shape that both depend on the input, row by row."""
        terms = [term for term in node.args[:2] if isinstance(term, fx.Node) and term in self.of_input]
        shapes = {self.traced.shape(term) for term in terms}
        if name_of(node) not in ADDITIONS or len(terms) != 2 or len(shapes) != 1:
            return False
        (shape,) = shapes
        return shape is not None and len(shape) > 1 and self.traced.by_row.issuperset(terms)

    def _gates(self, node: fx.Node) -> list[fx.Node]:
        """Return the activations that only weigh the other factor of a product; the rest of factors are values."""
        factors = [factor for factor in node.args if isinstance(factor, fx.Node) and factor in self.of_input]
        if name_of(node) not in PRODUCTS or len(factors) != 2:
            return []
        # What the other factor was made of is what it weighs.
        gates = [
            one
            for one, other in (factors, factors[::-1])
            if is_activation(one, self.network) and not self.before[other] >> self.nodes.index(one) & 1
        ]
        return [gate for gate in gates if "sigmoid" in self._kind(gate)] if len(gates) == 2 else gates

    def _kind(self, node: fx.Node) -> str:
        layer = layer_of(node, self.network)
        return name_of(node) if layer is None else type(layer).__name__.lower()

    def _behind(self, node: fx.Node, passes: Callable[[fx.Node], bool]) -> fx.Node:
        """Return the last of the nodes that follow one another directly and pass."""
        user = _only_user(node)
        while user is not None and passes(user):
            node, user = user, _only_user(user)
        return node

    def _add_recurrent(self, found: dict[fx.Node, Place], part: fx.Node, recurrent: fx.Node) -> None:
        """Add the place behind what is taken of a recurrent layer: its outputs, or the last state of each row."""
        if name_of(part) != "getitem":
            return
        if self.traced.shape(part) is None:  # the two states of an LSTM
            for state in part.users:
                self._add_recurrent(found, state, recurrent)
            return
        node = self._behind(part, lambda user: name_of(user) in _PARTS)
        # The last step of a sequence may be taken twice: then all steps are dropped.
        if node in self.traced.by_row:
            if node in self.hidden:
                self._add(found, node, recurrent)
        else:
            for user in node.users:
                if name_of(user) == "getitem":
                    self._add_recurrent(found, user, recurrent)

    def _add(self, found: dict[fx.Node, Place], node: fx.Node, name_node: fx.Node) -> None:
        value: Tensor | None = self.traced.values.get(node)
        if value is None or not value.is_floating_point() or not node.users:
            return
        found[node] = Place(
            node=node,
            name_node=name_node,
            shape=tuple(value.shape),
            dtype=value.dtype,
            convolutional=self._is_convolutional(node),
        )

    def _is_convolutional(self, node: fx.Node) -> bool:
        """Return whether the nearest layer with weights before or at a node is a convolution."""
        waiting = [node]
        for one in waiting:
            if one in self.weighted:
                return is_convolution(one, self.network)
            waiting += [source for source in one.all_input_nodes if source not in waiting]
        return False


def _ancestors(nodes: list[fx.Node]) -> dict[fx.Node, int]:
    """Return for each node the bits of the numbers of itself and of all that it is made of."""
    before: dict[fx.Node, int] = {}
    for number, node in enumerate(nodes):
        before[node] = 1 << number
        for source in node.all_input_nodes:
            before[node] |= before[source]
    return before


def _reached(nodes: Iterator[fx.Node]) -> set[fx.Node]:
    """Return nodes and all that depend on them."""
    found, waiting = set(), list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.users
    return found


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
