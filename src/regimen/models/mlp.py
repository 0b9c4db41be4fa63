"""The multilayer perceptron, described: linear, normalization, activation, dropout, as often as wanted."""

from dataclasses import dataclass

from regimen.errors import OptionError, nearest
from regimen.models.layers import (
    ACTIVATIONS,
    Activation,
    ActivationLayer,
    DropoutLayer,
    Layer,
    LinearLayer,
    Normalization,
    NormLayer,
)

DEFAULT_HIDDEN = (128, 128)
MAX_WIDTH = 16_384


@dataclass(frozen=True, kw_only=True, slots=True)
class MLP:
    """A multilayer perceptron.

    Attributes:
        hidden: Widths of the hidden layers; empty for a linear model.
        activation: Non-linearity after each hidden layer.

    Example:
        >>> MLP(hidden=(8,)).name
        'mlp:8'
    """

    hidden: tuple[int, ...] = DEFAULT_HIDDEN
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        for width in self.hidden:
            if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= MAX_WIDTH:
                raise OptionError(f"model: expected hidden widths from 1 to {MAX_WIDTH}, got {width!r}")
        if self.activation not in ACTIVATIONS:
            raise OptionError(f"model: no such activation {self.activation!r}{nearest(self.activation, ACTIVATIONS)}")

    @property
    def name(self) -> str:
        """Return the name that `parse_model` reads."""
        tail = "" if self.activation == "relu" else f":{self.activation}"
        return "mlp:" + ("x".join(map(str, self.hidden)) or "linear") + tail

    def layers(
        self,
        in_features: int,
        out_features: int,
        *,
        dropout: tuple[float, ...] = (),
        input_dropout: float = 0.0,
        normalization: Normalization = "none",
    ) -> tuple[Layer, ...]:
        """Return the layers for given sizes and techniques.

        Args:
            in_features: Columns of the input.
            out_features: Logits, or 1 for regression.
            dropout: One rate for every hidden layer or one for each; empty for none.
            input_dropout: Rate on the input.
            normalization: Put between each hidden linear layer and its activation.

        Raises:
            OptionError: The number of rates is neither 1 nor that of the hidden layers.
        """
        if len(dropout) > 1 and len(dropout) != len(self.hidden):
            raise OptionError(
                f"dropout: expected one rate or {len(self.hidden)} (one for each hidden layer of {self.name}), "
                f"got {len(dropout)}"
            )
        rates = dropout if len(dropout) == len(self.hidden) else (dropout or (0.0,)) * len(self.hidden)
        described: list[Layer] = [DropoutLayer(input_dropout, 0)] if input_dropout else []
        width = in_features
        for site, (units, rate) in enumerate(zip(self.hidden, rates, strict=True), start=1):
            described.append(LinearLayer(width, units))
            if normalization != "none":
                described.append(NormLayer(normalization, units))
            described.append(ActivationLayer(self.activation))
            if rate:
                described.append(DropoutLayer(rate, site))
            width = units
        described.append(LinearLayer(width, out_features))
        return tuple(described)


def parse_model(text: str) -> MLP:
    """Return the model that a name describes: `mlp`, `mlp:256x256`, `mlp:64:tanh`, `mlp:linear`.

    Raises:
        OptionError: The name describes no model.

    Example:
        >>> parse_model("mlp:256x128").hidden
        (256, 128)
    """
    kind, _, rest = text.partition(":")
    if kind != "mlp":
        raise OptionError(f"--model: expected mlp, mlp:WIDTHxWIDTH or mlp:WIDTH:ACTIVATION, got {text!r}")
    if not rest:
        return MLP()
    widths, _, activation = rest.partition(":")
    hidden = () if widths == "linear" else tuple(_width(part, text) for part in widths.split("x"))
    if activation and activation not in ACTIVATIONS:
        raise OptionError(f"--model: no such activation {activation!r}{nearest(activation, ACTIVATIONS)}")
    return MLP(hidden=hidden, activation=activation or "relu")


def _width(part: str, text: str) -> int:
    if not part.isdecimal() or not part.isascii():
        raise OptionError(f"--model: expected widths such as mlp:256x128, got {part!r} in {text!r}")
    return int(part)
