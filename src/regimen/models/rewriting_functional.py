"""Dropout that a forward calls as a function, turned into layers."""

from collections.abc import Iterator

from regimen import nn as stream
from regimen.models.adapting_existing import Existing
from regimen.models.rewriting import Rewriting
from regimen.models.rewriting_nodes import dropout_arguments, name_of, words_for

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
