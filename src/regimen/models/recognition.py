"""Networks of the user's own that are plain chains of linear layers: what the native engine trains."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import fx, nn

from regimen import nn as stream
from regimen.models.layers import ActivationLayer, DropoutLayer, FlattenLayer, Layer, LinearLayer, NormLayer
from regimen.models.rewriting_nodes import RESHAPES, layer_of, name_of, usual_activation, words_for
from regimen.models.rewriting_trace import MODES, Traced, trace

_WEIGHTED = (nn.Linear, nn.BatchNorm1d, nn.LayerNorm)
_FRAMES = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A network as a chain of layers.

    Attributes:
        layers: The layers as a description has them.
        parameters: Names of all parameters, in the order of the layers: weight and bias of each.
        buffers: Names of running mean and variance of each batch normalization, in the order of the layers.
    """

    layers: tuple[Layer, ...]
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]


def recognise(network: nn.Module, inputs: tuple[int, ...]) -> tuple[Layer, ...] | str:
    """Return the layers of a network that is a plain chain, or in words why it is none.

    A chain begins with rows of features, or with images that are flattened. Linear layers follow, each with
    normalization, activation and dropout behind it or not, in this order; the last has none of them.

    Args:
        network: The network, adapted: its dropout has a seed and a site.
        inputs: Shape of one input, without rows.

    Example:
        >>> recognise(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), (1, 8, 8))
        (FlattenLayer(), LinearLayer(in_features=64, out_features=10))
        >>> recognise(nn.Sequential(nn.Linear(8, 4), nn.Softmax(dim=1)), (8,))
        'the layer 1 is a Softmax'
    """
    found = chain(network, inputs)
    return found if isinstance(found, str) else found.layers


def chain(network: nn.Module, inputs: tuple[int, ...]) -> Chain | str:
    """Return a network as a chain of layers, or in words why it is none; see `recognise`."""
    reason = _unusual(network)
    if reason:
        return reason
    traced = trace(network, inputs)
    if isinstance(traced, str):
        return f"torch.fx cannot trace it: {traced}"
    if traced.evaluation:
        return MODES
    try:
        return _Links(network, traced, inputs).chain()
    except _Unfit as unfit:
        return str(unfit)


class _Unfit(Exception):
    """What does not fit into a chain, in words."""


def _unusual(network: nn.Module) -> str | None:
    """Return what the native engine would not notice: it calls no layer, and trains every parameter."""
    for name, layer in network.named_modules():
        which = f"the layer {name}" if name else "it"
        if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks:
            return f"{which} has hooks"
        if type(layer).train is not nn.Module.train:
            return f"{which} has a method train of its own"
        if _is_one(layer) and type(layer) not in _WEIGHTED and any(True for _ in layer.parameters()):
            return f"{which} is a {type(layer).__name__} with weights"
    for name, tensor in network.named_parameters():
        if not tensor.requires_grad:
            return f"its parameter {name} is not trained"
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            return f"its parameter {name} is {tensor.dtype} on {tensor.device}"
    return None


def _is_one(layer: nn.Module) -> bool:
    """Return whether a layer is one that a chain may have or not, rather than a frame around others."""
    of_torch = type(layer).__module__.startswith("torch.nn.")
    return not any(True for _ in layer.children()) or (of_torch and not isinstance(layer, _FRAMES))


@dataclass
class _Links:
    """The chain as far as it has been read.

    Attributes:
        network: The network.
        traced: Its forward.
        inputs: Shape of one input.
        layers: What was read so far.
        names: Parameters so far, in the order of the layers.
        buffers: Buffers so far.
        uses: How often each dropout was used so far.
        flat: Whether rows of features have been reached.
    """

    network: nn.Module
    traced: Traced
    inputs: tuple[int, ...]
    layers: list[Layer] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)
    uses: dict[nn.Module, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.flat = len(self.inputs) == 1

    def chain(self) -> Chain:
        for node in self._links():
            self._add(node)
        if not self.layers or not isinstance(self.layers[-1], LinearLayer):
            raise _Unfit("its last layer is not linear")
        self._require_all_tensors()
        return Chain(layers=tuple(self.layers), parameters=tuple(self.names), buffers=tuple(self.buffers))

    def _links(self) -> Iterator[fx.Node]:
        """Yield the nodes from input to output, each of which takes the one before and nothing else."""
        last: fx.Node | None = None
        for node in self.traced.graph.nodes:
            if self.traced.shape(node) is None or node.op == "get_attr":
                continue  # a size, or a parameter on its own, which is missed by what follows
            sources = [source for source in node.all_input_nodes if self.traced.shape(source) is not None]
            if any(source.op == "get_attr" for source in sources):
                raise _Unfit(f"{words_for(node, self.network)} uses a parameter outside of its layer")
            if node.op != "placeholder" and sources != [last]:
                raise _Unfit(f"{words_for(node, self.network)} takes more than the output of the layer before")
            last = node
            if node.op not in ("placeholder", "output"):
                yield node

    def _add(self, node: fx.Node) -> None:
        layer, activation = layer_of(node, self.network), usual_activation(node, self.network)
        if activation is not None:
            self._require(node, (LinearLayer, NormLayer), "activation")
            self.layers.append(ActivationLayer(activation))
        elif type(layer) is nn.Flatten or name_of(node) in RESHAPES:
            self._reshape(node)
        elif type(layer) is nn.Linear:
            self._linear(str(node.target), layer)
        elif isinstance(layer, nn.BatchNorm1d | nn.LayerNorm) and type(layer) in (nn.BatchNorm1d, nn.LayerNorm):
            self._norm(node, layer)
        elif isinstance(layer, stream.Dropout | stream.ReLUDropout):
            self._dropout(node, layer)
        elif type(layer) is not nn.Identity:
            kind = f"a {type(layer).__name__}" if layer is not None else "no layer of a chain"
            raise _Unfit(f"{'the layer ' if layer is not None else ''}{words_for(node, self.network)} is {kind}")

    def _require(self, node: fx.Node, before: tuple[type[Layer], ...], what: str) -> None:
        if not self.layers or not isinstance(self.layers[-1], before):
            raise _Unfit(f"the {what} {words_for(node, self.network)} does not follow the layers it has to follow")

    def _reshape(self, node: fx.Node) -> None:
        before, after = (self.traced.shape(one) for one in (node.all_input_nodes[0], node))
        if before == after:
            return
        rows = before[0] if before else 0
        begun = any(not isinstance(layer, DropoutLayer) for layer in self.layers)
        if begun or after != (rows, math.prod(self.inputs)):
            raise _Unfit(f"{words_for(node, self.network)} makes {after} of {before}")
        self.layers.append(FlattenLayer())
        self.flat = True

    def _linear(self, name: str, layer: nn.Linear) -> None:
        if not self.flat:
            raise _Unfit(f"the linear layer {name} comes before the images are flattened")
        if layer.bias is None:
            raise _Unfit(f"the linear layer {name} has no bias")
        self._name(name, "weight", "bias")
        self.layers.append(LinearLayer(layer.in_features, layer.out_features))

    def _norm(self, node: fx.Node, layer: nn.BatchNorm1d | nn.LayerNorm) -> None:
        self._require(node, (LinearLayer,), "normalization")
        linear, name = self.layers[-1], str(node.target)
        assert isinstance(linear, LinearLayer)
        batch = isinstance(layer, nn.BatchNorm1d)
        usual = nn.BatchNorm1d(linear.out_features) if batch else nn.LayerNorm(linear.out_features)
        settings = ("eps", "momentum", "affine", "track_running_stats", "normalized_shape", "elementwise_affine")
        if any(getattr(layer, which, None) != getattr(usual, which, None) for which in settings) or layer.bias is None:
            raise _Unfit(f"the normalization {name} has other settings than PyTorch's defaults")
        if any(not torch.equal(buffer, getattr(usual, which)) for which, buffer in layer.named_buffers()):
            raise _Unfit(f"the normalization {name} has running statistics already")
        self._name(name, "weight", "bias")
        if batch:
            self.buffers += [f"{name}.running_mean", f"{name}.running_var"]
        self.layers.append(NormLayer("batch" if batch else "layer", linear.out_features))

    def _dropout(self, node: fx.Node, layer: stream.Dropout | stream.ReLUDropout) -> None:
        name = words_for(node, self.network)
        if isinstance(layer, stream.ReLUDropout):
            self._require(node, (LinearLayer, NormLayer), "activation")
            self.layers.append(ActivationLayer("relu"))
        if layer.p == 0.0:
            return
        call = self.uses[layer] = self.uses.get(layer, -1) + 1
        if layer.seed is None or layer.site is None:
            raise _Unfit(f"the dropout {name} does not follow the run")
        if layer.p == 1.0:
            raise _Unfit(f"the dropout {name} drops everything")
        at_input = all(isinstance(one, FlattenLayer) for one in self.layers)
        if at_input and (layer.site, call) != (0, 0):
            raise _Unfit(f"the dropout {name} is the second on the inputs, or is used elsewhere too")
        if at_input and not self.flat and len(self.inputs) in (3, 4) and self.inputs[0] > 1:
            # Of images the last dimension of features is the channel, wherever it lies: flattened they have another.
            raise _Unfit(f"the dropout {name} drops elements of images before they are flattened")
        if not at_input:
            self._require(node, (ActivationLayer,), "dropout")
        self.layers.append(DropoutLayer(layer.p, layer.site, call=call))

    def _name(self, layer: str, *tensors: str) -> None:
        for name in (f"{layer}.{tensor}" for tensor in tensors):
            if name in self.names:
                raise _Unfit(f"the layer {layer} is used twice")
            self.names.append(name)

    def _require_all_tensors(self) -> None:
        # A tensor that two layers share has one name here, and the second layer's name for it is none of them.
        known = dict(self.network.named_parameters())
        if set(self.names) != set(known):
            different = min(set(self.names) ^ set(known))
            raise _Unfit(f"its parameter {different} is {'shared' if different in self.names else 'not used'}")
        counts = {name.removesuffix("running_mean") + "num_batches_tracked" for name in self.buffers}
        other = {name for name, _ in self.network.named_buffers()} - set(self.buffers) - counts
        if other:
            raise _Unfit(f"its buffer {min(other)} belongs to no layer of a chain")
