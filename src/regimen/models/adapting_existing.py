"""The noisy layers that a network has: made to follow the run's stream, their rates read, set and described."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from regimen import nn as stream

TWINS: dict[type[nn.Module], type[stream.StreamLayer]] = {
    nn.Dropout: stream.Dropout,
    nn.Dropout1d: stream.Dropout1d,
    nn.Dropout2d: stream.Dropout2d,
    nn.Dropout3d: stream.Dropout3d,
    nn.AlphaDropout: stream.AlphaDropout,
    nn.FeatureAlphaDropout: stream.FeatureAlphaDropout,
}
NOUNS: dict[type[nn.Module], str] = {
    stream.Dropout: "dropout",
    stream.ReLUDropout: "dropout",
    stream.AlphaDropout: "alpha dropout",
    stream.FeatureAlphaDropout: "alpha dropout of channels",
    stream.GaussianDropout: "Gaussian dropout",
    stream.DropPath: "drop path",
    stream.DropConnectLinear: "dropped weights",
}


class HasDropout(Protocol):
    """What has a rate of dropout that PyTorch's generator draws."""

    dropout: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Existing:
    """A noisy layer that a network has.

    Attributes:
        place: Where it is, in words.
        layer: The layer, or one of torch.nn with dropout inside, or a call with its rate as `dropout`.
        note: What else there is to say; may be empty.
    """

    place: str
    layer: nn.Module | HasDropout
    note: str = ""

    @property
    def is_path(self) -> bool:
        """Whether it drops residual branches."""
        return isinstance(self.layer, stream.DropPath)

    @property
    def is_dropout(self) -> bool:
        """Whether it drops activations: neither branches nor weights."""
        return not isinstance(self.layer, stream.DropPath | stream.DropConnectLinear)

    @property
    def rate(self) -> float:
        """Its drop probability."""
        layer = self.layer
        return float(layer.p if isinstance(layer, stream.StreamLayer) else layer.dropout)  # type: ignore[arg-type]

    def set_rate(self, rate: float) -> None:
        """Set its drop probability, in [0, 1]."""
        if isinstance(self.layer, stream.StreamLayer):
            self.layer.p = rate
        else:
            self.layer.dropout = rate

    def described(self, before: float) -> str:
        """Return in words what it does now, and at which rate it did so before."""
        was = "as written" if self.rate == before else f"was {before:g}"
        if isinstance(self.layer, stream.StreamLayer):
            text = f"{noun(self.layer)} {self.rate:g} ({was}), site {self.layer.site}"
        else:
            where = "between its layers" if isinstance(self.layer, nn.RNNBase) else "of its attention weights"
            text = f"dropout {where} {self.rate:g} ({was}), drawn by PyTorch's generator"
        return f"{text}; {self.note}" if self.note else text


def noun(layer: stream.StreamLayer) -> str:
    """Return what a noisy layer does, in words.

    Example:
        >>> noun(stream.Dropout2d(0.1))
        'dropout of channels'
    """
    return NOUNS.get(type(layer), "dropout of channels")


def follow_stream(network: nn.Module, key: int) -> Iterator[Existing]:
    """Let every noisy layer of a network follow the stream of a key, and yield each.

    The layers of torch.nn become their twins of `regimen.nn`; `site` is the ordinal in `network.modules()`.

    Args:
        network: The network, which is changed.
        key: 64-bit run key.
    """
    for site, (name, layer) in enumerate(network.named_modules()):
        twin = TWINS.get(type(layer))
        if twin is not None:
            # The layer itself becomes its twin, so that wherever it is used, under whatever names, it stays one layer.
            fresh = twin(layer.p, layer.inplace, seed=key, site=site)
            layer.__class__ = twin
            vars(layer).update(vars(fresh) | vars(layer))
        elif isinstance(layer, stream.StreamLayer):
            layer.seed, layer.site = key, site
        if isinstance(layer, stream.StreamLayer) or draws_inside(layer):
            yield Existing(place=name or type(layer).__name__, layer=layer)


def draws_inside(layer: nn.Module) -> bool:
    """Return whether a layer of torch.nn has a dropout inside that was asked for and does something.

    Example:
        >>> draws_inside(nn.GRU(4, 4, num_layers=2, dropout=0.1)), draws_inside(nn.MultiheadAttention(4, 2))
        (True, False)
    """
    if isinstance(layer, nn.RNNBase):
        return layer.num_layers > 1 and layer.dropout > 0.0
    return isinstance(layer, nn.MultiheadAttention) and layer.dropout > 0.0
