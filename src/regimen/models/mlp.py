"""The multilayer perceptron, described: linear, normalization, activation, dropout, as often as wanted."""

import math
from dataclasses import dataclass

from regimen.models.layers import (
    Activation,
    ActivationLayer,
    DropoutKind,
    DropoutLayer,
    FlattenLayer,
    Layer,
    LinearLayer,
    Normalization,
    NormLayer,
)
from regimen.models.sizes import Inputs, check_activation, rates_for, shape_of, widths_of

DEFAULT_HIDDEN = (128, 128)


@dataclass(frozen=True, kw_only=True, slots=True)
class MLP:
    """A multilayer perceptron; images are flattened first.

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
        object.__setattr__(self, "hidden", widths_of(self.hidden))
        check_activation(self.activation)

    @property
    def name(self) -> str:
        """Return the name that `parse_model` reads."""
        tail = "" if self.activation == "relu" else f":{self.activation}"
        return "mlp:" + ("x".join(map(str, self.hidden)) or "linear") + tail

    @property
    def hidden_layers(self) -> int:
        """Number of layers before the last, which normalization and dropout can follow."""
        return len(self.hidden)

    def layers(
        self,
        inputs: Inputs,
        outputs: int,
        *,
        dropout: tuple[float, ...] = (),
        input_dropout: float = 0.0,
        normalization: Normalization = "none",
        dropout_kind: DropoutKind = "element",
    ) -> tuple[Layer, ...]:
        """Return the layers for given sizes and techniques.

        Args:
            inputs: Columns of the input, or the shape of an image.
            outputs: Logits, or 1 for regression.
            dropout: One rate for every hidden layer or one for each; empty for none.
            input_dropout: Rate on the input.
            normalization: Put between each hidden linear layer and its activation.
            dropout_kind: Of convolutions; linear layers drop elements whatever it is.

        Raises:
            OptionError: The number of rates is neither 1 nor that of the hidden layers.
        """
        rates = rates_for(dropout, {"hidden layer": len(self.hidden)}, self.name)
        shape = shape_of(inputs)
        described: list[Layer] = [FlattenLayer()] if len(shape) > 1 else []
        if input_dropout:
            described.append(DropoutLayer(input_dropout, 0))
        described += perceptron_layers(
            math.prod(shape), self.hidden, rates, activation=self.activation, normalization=normalization, before=0
        )
        described.append(LinearLayer(self.hidden[-1] if self.hidden else math.prod(shape), outputs))
        return tuple(described)


def perceptron_layers(
    width: int,
    hidden: tuple[int, ...],
    rates: tuple[float, ...],
    *,
    activation: Activation,
    normalization: Normalization,
    before: int,
) -> list[Layer]:
    """Return linear, normalization, activation, dropout for each hidden width.

    Args:
        width: Inputs of the first.
        hidden: Outputs of each.
        rates: Dropout of each; 0 leaves none.
        activation: After each.
        normalization: Before each activation.
        before: Weight layers that stand before these.
    """
    described: list[Layer] = []
    for site, (units, rate) in enumerate(zip(hidden, rates, strict=True), start=before + 1):
        described.append(LinearLayer(width, units))
        if normalization != "none":
            described.append(NormLayer(normalization, units))
        described.append(ActivationLayer(activation))
        if rate:
            described.append(DropoutLayer(rate, site))
        width = units
    return described
