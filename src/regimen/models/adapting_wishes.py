"""What a recipe wants of the layers of a network, and what was done to a network for that."""

from dataclasses import dataclass

from torch import nn

from regimen.limits import require_choice, require_number
from regimen.models.layers import DROPOUT_KINDS, NORMALIZATIONS, DropoutKind, Normalization

# Rates are scaled to less than 1: to the largest that the 16-bit threshold of the stream holds.
LARGEST_RATE = 1.0 - 2.0**-16


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

    def scaled(self, rate: float) -> float:
        """Return a rate times the scale, below 1.

        Example:
            >>> Wishes(dropout_scale=0.5).scaled(0.4), Wishes(dropout_scale=4.0).scaled(0.4)
            (0.2, 0.9999847412109375)
        """
        return rate if self.dropout_scale == 1.0 else min(rate * self.dropout_scale, LARGEST_RATE)


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
