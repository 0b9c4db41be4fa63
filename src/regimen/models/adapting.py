"""A recipe's wishes applied to a network of the user's own: its dropout follows the run and takes its rates."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from regimen import nn as stream
from regimen.errors import OptionError
from regimen.limits import require_choice, require_number
from regimen.models.layers import DROPOUT_KINDS, NORMALIZATIONS, DropoutKind, Normalization
from regimen.models.sizes import rates_for
from regimen.streams import check_key

# Rates are scaled to less than 1: the largest that the 16-bit threshold of the stream holds.
LARGEST_RATE = 1.0 - 2.0**-16

TWINS: dict[type[nn.Module], type[stream.StreamLayer]] = {
    nn.Dropout: stream.Dropout,
    nn.Dropout1d: stream.Dropout1d,
    nn.Dropout2d: stream.Dropout2d,
    nn.Dropout3d: stream.Dropout3d,
    nn.AlphaDropout: stream.AlphaDropout,
    nn.FeatureAlphaDropout: stream.FeatureAlphaDropout,
}
# Layers of `regimen.nn` whose noise is no dropout of activations: `dropout` leaves their rates alone.
NO_DROPOUT = (stream.DropPath, stream.DropConnectLinear)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What a recipe wants of the layers of a network.

    Attributes:
        dropout: Drop probabilities in [0, 1): one for every dropout of the network or one for each, in the order of
            their definition; empty keeps those that are written.
        dropout_scale: Each rate is multiplied by this, and clipped below 1; >= 0, 0 turns dropout off.
        dropout_kind: What inserted dropout drops after a convolution: `element`, or `channel`.
        input_dropout: Drop probability on the inputs, in [0, 1).
        drop_path: Drop probability of the last residual branch, in [0, 1); see `adapt`.
        normalization: What is inserted between linear or convolutional layers and their activation.

    Raises:
        RecipeError: A value is out of range.

    Example:
        >>> Wishes(dropout=(0.5,)).dropout
        (0.5,)
    """

    dropout: tuple[float, ...] = ()
    dropout_scale: float = 1.0
    dropout_kind: DropoutKind = "element"
    input_dropout: float = 0.0
    drop_path: float = 0.0
    normalization: Normalization = "none"

    def __post_init__(self) -> None:
        for rate in self.dropout:
            require_number("dropout", rate, low=0, high=1, high_open=True)
        require_number("dropout_scale", self.dropout_scale, low=0)
        for name in ("input_dropout", "drop_path"):
            require_number(name, getattr(self, name), low=0, high=1, high_open=True)
        require_choice("dropout_kind", self.dropout_kind, DROPOUT_KINDS)
        require_choice("normalization", self.normalization, NORMALIZATIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing that was done to a network, in words.

    Attributes:
        place: Where, such as `features.3`.
        what: What is there now, such as `dropout 0.5 (was 0.1), site 7`.
    """

    place: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapted:
    """A network that does what was wished, and what was done to it for that.

    Attributes:
        network: To be trained inside `regimen.nn.step`.
        changes: All that was done, existing dropout first.
    """

    network: nn.Module
    changes: tuple[Change, ...]


def adapt(network: nn.Module, wishes: Wishes, *, key: int, inputs: tuple[int, ...]) -> Adapted:
    """Apply a recipe's wishes to a network, which is changed.

    Every dropout layer of torch.nn becomes its twin of `regimen.nn`, whose masks are those of the run: `seed` is `key`,
    `site` its ordinal in `network.modules()`. Names of parameters and of layers stay.

    Dropout that torch.nn has inside other layers (of recurrent layers between their layers, of attention on its
    weights) takes rates too where it is above 0 as written; PyTorch's default generator draws it.

    Args:
        network: The network; what is returned is this one.
        wishes: What is wanted.
        key: 64-bit run key.
        inputs: Shape of one input, without rows.

    Raises:
        OptionError: Something wished for has no place in the network, or the number of rates does not fit.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 2))
        >>> adapt(net, Wishes(dropout=(0.5,)), key=1, inputs=(8,)).changes
        (Change(place='2', what='dropout 0.5 (was 0.1), site 3'),)
    """
    check_key(key, "key")
    dropouts = list(_dropouts(network, key))
    _refuse_what_has_no_place(network, wishes, dropouts)
    written = [_rate(layer) for _, layer in dropouts]
    wished = rates_for(wishes.dropout, {"dropout layer": len(dropouts)}, type(network).__name__)
    for (_, layer), rate in zip(dropouts, wished if wishes.dropout else written, strict=True):
        _set_rate(layer, rate if wishes.dropout_scale == 1.0 else min(rate * wishes.dropout_scale, LARGEST_RATE))
    changes = [
        Change(place=name or type(layer).__name__, what=_described(layer, before))
        for (name, layer), before in zip(dropouts, written, strict=True)
    ]
    return Adapted(network=network, changes=tuple(changes))


def _dropouts(network: nn.Module, key: int) -> Iterator[tuple[str, nn.Module]]:
    """Let every noisy layer follow the stream of `key`; yield the names of those that drop activations, and them."""
    for site, (name, layer) in enumerate(network.named_modules()):
        twin = TWINS.get(type(layer))
        if twin is not None:
            # The layer itself becomes its twin, so that wherever it is used, under whatever names, it stays one layer.
            fresh = twin(layer.p, layer.inplace, seed=key, site=site)
            layer.__class__ = twin
            vars(layer).update(vars(fresh) | vars(layer))
        elif isinstance(layer, stream.StreamLayer):
            layer.seed, layer.site = key, site
        if isinstance(layer, stream.StreamLayer):
            if not isinstance(layer, NO_DROPOUT):
                yield name, layer
        elif _draws_inside(layer):
            yield name, layer


def _draws_inside(layer: nn.Module) -> bool:
    """Return whether a layer of torch.nn has a dropout inside that was asked for and does something."""
    if isinstance(layer, nn.RNNBase):
        return layer.num_layers > 1 and layer.dropout > 0.0
    return isinstance(layer, nn.MultiheadAttention) and layer.dropout > 0.0


def _rate(layer: nn.Module) -> float:
    return float(layer.p if isinstance(layer, stream.StreamLayer) else layer.dropout)  # type: ignore[arg-type]


def _set_rate(layer: nn.Module, rate: float) -> None:
    if isinstance(layer, stream.StreamLayer):
        layer.p = rate
    else:
        layer.dropout = rate  # type: ignore[assignment]


def _described(layer: nn.Module, before: float) -> str:
    rate = _rate(layer)
    was = "as written" if rate == before else f"was {before:g}"
    if isinstance(layer, stream.StreamLayer):
        return f"{noun(layer)} {rate:g} ({was}), site {layer.site}"
    where = "between its layers" if isinstance(layer, nn.RNNBase) else "of its attention weights"
    return f"dropout {where} {rate:g} ({was}), drawn by PyTorch's generator"


def noun(layer: stream.StreamLayer) -> str:
    """Return what a noisy layer does, in words.

    Example:
        >>> noun(stream.Dropout2d(0.1))
        'dropout of channels'
    """
    if isinstance(layer, stream.FeatureAlphaDropout):
        return "alpha dropout of channels"
    if isinstance(layer, stream.AlphaDropout):
        return "alpha dropout"
    if isinstance(layer, stream.GaussianDropout):
        return "Gaussian dropout"
    return "dropout" if isinstance(layer, stream.Dropout | stream.ReLUDropout) else "dropout of channels"


def _refuse_what_has_no_place(network: nn.Module, wishes: Wishes, dropouts: list[tuple[str, nn.Module]]) -> None:
    name = type(network).__name__
    if wishes.dropout_scale != 1.0 and not dropouts and not wishes.dropout:
        raise OptionError(f"dropout_scale: {name} has no dropout whose rate could be scaled; set dropout")
    wanted = {
        "dropout": bool(wishes.dropout) and not dropouts,
        "input_dropout": wishes.input_dropout > 0.0,
        "drop_path": wishes.drop_path > 0.0,
        "normalization": wishes.normalization != "none",
    }
    for wish, needed in wanted.items():
        if needed:
            raise OptionError(f"{wish}: nothing can be inserted into {name}; write the layers into the network itself")
