"""Dropout that a forward calls as a function, turned into layers."""

from collections.abc import Iterator

from torch import nn

from regimen import nn as stream
from regimen.models.adapting_existing import Existing
from regimen.models.rewriting import Rewriting
from regimen.models.rewriting_nodes import RESHAPES, dropout_arguments, layer_of, name_of, words_for

LAYERS: dict[str, type[stream.StreamLayer]] = {
    "dropout": stream.Dropout,
    "dropout1d": stream.Dropout1d,
    "dropout2d": stream.Dropout2d,
    "dropout3d": stream.Dropout3d,
    "alpha_dropout": stream.AlphaDropout,
    "feature_alpha_dropout": stream.FeatureAlphaDropout,
}
ALWAYS_ON = "written without training=, which drops in evaluation too; off there now"


def as_layers(rewriting: Rewriting) -> Iterator[Existing]:
    """Turn each call of a dropout function that is on in training into a layer, in the order of the calls.

    A call that is on in evaluation too, as `F.dropout(x)` is, becomes a layer like the others, and is told of.

    Args:
        rewriting: The network and its forward, which is changed.
    """
    assert rewriting.traced is not None
    for node in list(rewriting.graph.nodes):
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
