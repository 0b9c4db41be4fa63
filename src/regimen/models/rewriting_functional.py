"""Dropout that a forward calls as a function, turned into layers."""

from collections.abc import Iterator
from typing import Any

from torch import fx, nn

from regimen import nn as stream
from regimen.models.adapting_existing import Existing
from regimen.models.rewriting import Rewriting
from regimen.models.rewriting_nodes import RESHAPES, attention_rate, dropout_arguments, layer_of, name_of, words_for

LAYERS: dict[str, type[stream.StreamLayer]] = {
    "dropout": stream.Dropout,
    "dropout1d": stream.Dropout1d,
    "dropout2d": stream.Dropout2d,
    "dropout3d": stream.Dropout3d,
    "alpha_dropout": stream.AlphaDropout,
    "feature_alpha_dropout": stream.FeatureAlphaDropout,
}
ALWAYS_ON = "as written it drops in evaluation too, since it is not told of training; off there now"


def as_layers(rewriting: Rewriting) -> Iterator[Existing]:
    """Turn each call of a dropout function that is on in training into a layer, in the order of the calls.

    Attention keeps its dropout, which PyTorch's generator draws; its rate can be set.

    A call that is on in evaluation too, as `F.dropout(x)` is, becomes a layer like the others, and is told of.

    Args:
        rewriting: The network and its forward, which is changed.
    """
    assert rewriting.traced is not None
    for node in list(rewriting.graph.nodes):
        yield from _attention(rewriting, node)
        kind = LAYERS.get(name_of(node)) if node.op == "call_function" else None
        if kind is None:
            continue
        p, training, inplace = dropout_arguments(node)
        # Calls that are off, and those whose rate is computed, stay as they are.
        if training is True and isinstance(p, int | float):
            layer = rewriting.noisy(kind, float(p), inplace=inplace)
            place = words_for(node, rewriting.network)
            note = "" if node in rewriting.traced.evaluation else ALWAYS_ON
            rewriting.replace(node, layer, "dropout")
            yield Existing(place=place, layer=layer, note=note)


class AttentionDropout:
    """The rate of dropout that a call of `scaled_dot_product_attention` gives to its weights.

    Args:
        rewriting: The network and its forward, which is changed when the rate is set.
        node: The call.
    """

    def __init__(self, rewriting: Rewriting, node: fx.Node) -> None:
        self.rewriting, self.node = rewriting, node

    @property
    def dropout(self) -> Any:
        """The rate in training; any value where it is computed."""
        return attention_rate(self.node)

    @dropout.setter
    def dropout(self, rate: float) -> None:
        if rate != self.dropout:
            self.node.args, self.node.kwargs = self._arguments(rate)
            self.rewriting.change()

    def turn_off_in_evaluation(self) -> None:
        """Let the call drop in training alone."""
        assert self.rewriting.traced is not None
        self.rewriting.traced.evaluation[self.node] = self._arguments(0.0)
        self.rewriting.change()

    def _arguments(self, rate: float) -> tuple[Any, Any]:
        args, kwargs = self.node.args, self.node.kwargs
        return ((*args[:4], rate, *args[5:]), kwargs) if len(args) > 4 else (args, {**kwargs, "dropout_p": rate})


def _attention(rewriting: Rewriting, node: fx.Node) -> Iterator[Existing]:
    call = AttentionDropout(rewriting, node)
    if isinstance(call.dropout, int | float) and call.dropout > 0.0:
        assert rewriting.traced is not None
        always = node not in rewriting.traced.evaluation
        if always:
            call.turn_off_in_evaluation()
        yield Existing(place=words_for(node, rewriting.network), layer=call, note=ALWAYS_ON if always else "")


def take_site_of_input(rewriting: Rewriting) -> None:
    """Give dropout that stands on the inputs and nowhere else their site, 0, as described networks do."""
    assert rewriting.traced is not None
    network, tensors, nodes = rewriting.network, rewriting.traced.values, list(rewriting.graph.nodes)
    users = [nodes[0]]
    while len(users) == 1:
        layer = layer_of(users[0], network)
        if isinstance(layer, stream.Dropout):
            if sum(layer_of(other, network) is layer for other in nodes) == 1:
                layer.site = 0
            return
        passes = isinstance(layer, nn.Flatten | nn.Identity) or name_of(users[0]) in RESHAPES
        if users[0] is not nodes[0] and not passes:
            return
        users = [user for user in users[0].users if user in tensors]
