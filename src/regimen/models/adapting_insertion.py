"""What a recipe wishes for and a network does not have, put into its traced forward."""

from collections.abc import Iterator

from torch import fx, nn

from regimen import nn as stream
from regimen.errors import OptionError
from regimen.models.adapting_existing import noun
from regimen.models.adapting_wishes import Change, Wishes
from regimen.models.layers import DropoutKind
from regimen.models.rewriting import Rewriting
from regimen.models.rewriting_nodes import layer_of, words_for
from regimen.models.rewriting_places import Place, Places
from regimen.models.rewriting_trace import place_of
from regimen.models.sizes import rates_for

OF_CHANNELS: dict[int, type[stream.StreamLayer]] = {3: stream.Dropout1d, 4: stream.Dropout2d, 5: stream.Dropout3d}
BATCH_NORMS: dict[int, type[nn.Module]] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def needed(wishes: Wishes, *, has_dropout: bool, has_paths: bool) -> tuple[str, ...]:
    """Return the names of the wishes that need a layer that the network has not.

    Example:
        >>> needed(Wishes(dropout=(0.5,), normalization="batch"), has_dropout=True, has_paths=False)
        ('normalization',)
    """
    wanted = {
        "input_dropout": wishes.input_dropout > 0.0,
        "normalization": wishes.normalization != "none",
        "dropout": bool(wishes.dropout) and not has_dropout,
        "drop_path": wishes.drop_path > 0.0 and not has_paths,
    }
    return tuple(name for name, wanting in wanted.items() if wanting)


def insert(rewriting: Rewriting, wishes: Wishes, names: tuple[str, ...]) -> list[Change]:
    """Insert what is wished for; return what was inserted.

    Args:
        rewriting: The network and its forward, to which layers are added.
        wishes: What is wanted.
        names: The wishes to fulfil, see `needed`.

    Raises:
        OptionError: Something has no place.
    """
    changes: list[Change] = []
    if "input_dropout" in names:
        changes.append(_inputs(rewriting, wishes.input_dropout))
    if set(names) <= {"input_dropout"}:
        return changes
    assert rewriting.traced is not None
    # All places are found before the first layer is inserted.
    places = Places(rewriting.network, rewriting.traced)
    behind, before, branches = places.for_dropout(), places.for_norms(), places.residual
    if "normalization" in names:
        changes += _norms(rewriting, wishes, before)
    if "dropout" in names:
        changes += _dropouts(rewriting, wishes, behind)
    if "drop_path" in names:
        if not branches:
            raise OptionError(_no_place(rewriting, "drop_path", "has no residual addition, such as x + branch(x)"))
        for number, branch in enumerate(branches, start=1):
            layer = rewriting.noisy(stream.DropPath, path_rate(wishes.drop_path, number, len(branches)))
            place = f"branch of {words_for(branch.addition, rewriting.network)}"
            rewriting.insert_before(branch.addition, branch.argument, layer, "drop_path")
            changes.append(Change(place=place, what=f"drop path {layer.p:g}, site {layer.site}"))
    return changes


def path_rate(p: float, number: int, count: int) -> float:
    """Return the drop probability of one of several residual branches, counted from 1: it grows linearly to `p`.

    Reference:
        Huang, Sun, Liu, Sedra and Weinberger (2016), "Deep networks with stochastic depth", equation 4,
        arXiv:1603.09382.

    Example:
        >>> [path_rate(0.2, number, 4) for number in (1, 2, 4)]
        [0.05, 0.1, 0.2]
    """
    return p * number / count


def _inputs(rewriting: Rewriting, p: float) -> Change:
    traced = rewriting.traced
    if traced is not None and not traced.values[next(iter(traced.graph.nodes))].is_floating_point():
        raise OptionError(
            f"input_dropout: {type(rewriting.network).__name__} takes whole numbers, none of which can be dropped"
        )
    layer = rewriting.drop_inputs(p)
    return Change(place="input", what=f"dropout {p:g}, site {layer.site}")


def _dropouts(rewriting: Rewriting, wishes: Wishes, places: list[Place]) -> Iterator[Change]:
    if not places:
        raise OptionError(
            _no_place(rewriting, "dropout", "has no dropout, and no hidden activation to insert it behind")
        )
    rates = rates_for(wishes.dropout, {"hidden activation": len(places)}, type(rewriting.network).__name__)
    for place, rate in zip(places, rates, strict=True):
        kind = _kind(place, wishes.dropout_kind)
        layer = rewriting.noisy(kind, wishes.scaled(rate))
        rewriting.insert_behind(place.node, layer, "dropout")
        yield Change(place=_after(place, rewriting.network), what=f"{noun(layer)} {layer.p:g}, site {layer.site}")


def _kind(place: Place, kind: DropoutKind) -> type[stream.StreamLayer]:
    of_channels = kind == "channel" and place.convolutional
    return OF_CHANNELS.get(len(place.shape), stream.Dropout) if of_channels else stream.Dropout


def _norms(rewriting: Rewriting, wishes: Wishes, places: list[Place]) -> Iterator[Change]:
    fitting = [
        place for place in places if place.convolutional or wishes.normalization == "layer" or len(place.shape) == 2
    ]
    if not fitting:
        why = "has no linear or convolutional layer that an activation follows without a norm between"
        if places:
            why = "has linear layers on sequences only, whose features batch normalization cannot tell from their steps"
        raise OptionError(_no_place(rewriting, "normalization", why))
    for place in fitting:
        features = place.shape[1 if place.convolutional else -1]
        layer = _norm(place, wishes, features).to(place.dtype)
        rewriting.insert_behind(place.node, layer, "norm")
        yield Change(
            place=_after(place, rewriting.network), what=f"{wishes.normalization} normalization of {features} features"
        )


def _norm(place: Place, wishes: Wishes, features: int) -> nn.Module:
    if wishes.normalization == "batch":
        return BATCH_NORMS[len(place.shape)](features)
    # Over all channels and positions of a row: what the described convolutional networks call layer normalization.
    return nn.GroupNorm(1, features) if place.convolutional else nn.LayerNorm(features)


def _after(place: Place, network: nn.Module) -> str:
    words = f"after {words_for(place.name_node, network)}"
    if layer_of(place.name_node, network) is not None and place_of(place.name_node):
        words += f" ({place_of(place.name_node)})"
    return words if place.node is place.name_node else f"{words} and {words_for(place.node, network)}"


def _no_place(rewriting: Rewriting, wish: str, why: str) -> str:
    traced = rewriting.traced
    text = f"{wish}: {type(rewriting.network).__name__} {why}"
    hidden = _keeping_to_themselves(rewriting.network, traced.graph) if traced else []
    if traced and traced.opaque:
        name, reason = next(iter(traced.opaque.items()))
        text += f"; its layer {name} could not be looked into: {reason}"
    elif hidden:
        text += f"; what is inside of torch.nn's {hidden[0]} cannot be reached"
    return text + f"; leave {wish} out, or write it into the network itself"


def _keeping_to_themselves(network: nn.Module, graph: fx.Graph) -> list[str]:
    layers = (layer_of(node, network) for node in graph.nodes)
    return [type(layer).__name__ for layer in layers if layer is not None and any(True for _ in layer.children())]
