"""The convolutional network, described: convolutions with their pools, then a multilayer perceptron."""

from dataclasses import dataclass

from regimen.errors import OptionError
from regimen.limits import require_choice
from regimen.models.layers import (
    Activation,
    ActivationLayer,
    ConvLayer,
    DropoutKind,
    DropoutLayer,
    FlattenLayer,
    Layer,
    LinearLayer,
    Normalization,
    NormLayer,
    Pooling,
    PoolLayer,
)
from regimen.models.mlp import perceptron_layers
from regimen.models.sizes import Inputs, check_activation, check_width, rates_for, shape_of, widths_of

MAX_KERNEL = 31


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """One convolution, and the pool after it.

    Attributes:
        channels: Output channels, >= 1.
        stride: Step of the filters in pixels, >= 1.
        pool: Side of the pooled squares in pixels; 1 is no pool.
        pooling: Whether the pool takes the largest value or the mean.

    Example:
        >>> Convolution(channels=32, pool=2).name
        '32p'
    """

    channels: int
    stride: int = 1
    pool: int = 1
    pooling: Pooling = "max"

    def __post_init__(self) -> None:
        check_width(self.channels, "channels")
        check_width(self.stride, "strides", MAX_KERNEL)
        check_width(self.pool, "pools", MAX_KERNEL)
        require_choice("model: pooling", self.pooling, ("max", "avg"))
        if self.pool == 1:
            # No pool is of neither kind: one form keeps equal networks equal.
            object.__setattr__(self, "pooling", "max")

    @property
    def name(self) -> str:
        """Return its part of the network's name."""
        stride = f"s{self.stride}" if self.stride > 1 else ""
        pool = ("p" if self.pooling == "max" else "a") if self.pool > 1 else ""
        return f"{self.channels}{stride}{pool}{self.pool if self.pool > 2 else ''}"


DEFAULT_CONVOLUTIONS = (Convolution(channels=16), Convolution(channels=32, pool=2), Convolution(channels=64, pool=2))


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvNet:
    """Convolutions, then linear layers; each hidden one is followed by normalization, activation, pool and dropout.

    Dropout after a convolution stands behind its pool. Dropping channels there is the same as before the pool, on
    fewer pixels; dropping elements is not, and pixels that are pooled first are those the next layer sees.

    Attributes:
        convolutions: The convolutions, at least one.
        hidden: Widths of the hidden linear layers; may be empty.
        activation: Non-linearity after each convolution and each hidden linear layer.
        kernel: Side of all filters in pixels, >= 1.
        padding: Zeros around each image, in pixels, less than `kernel`.

    Example:
        >>> ConvNet().name
        'cnn:16,32p,64p:100'
    """

    convolutions: tuple[Convolution, ...] = DEFAULT_CONVOLUTIONS
    hidden: tuple[int, ...] = (100,)
    activation: Activation = "relu"
    kernel: int = 3
    padding: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.convolutions, list):
            object.__setattr__(self, "convolutions", tuple(self.convolutions))
        if not self.convolutions or not all(isinstance(part, Convolution) for part in self.convolutions):
            raise OptionError(f"model: expected one or more Convolution, got {self.convolutions!r}; or take an MLP")
        object.__setattr__(self, "hidden", widths_of(self.hidden))
        check_activation(self.activation)
        check_width(self.kernel, "kernels", MAX_KERNEL)
        if isinstance(self.padding, bool) or not isinstance(self.padding, int) or not 0 <= self.padding < self.kernel:
            raise OptionError(f"model: expected a padding from 0 to {self.kernel - 1}, got {self.padding!r}")

    @property
    def name(self) -> str:
        """Return the name that `parse_model` reads."""
        parts = ["cnn", ",".join(part.name for part in self.convolutions), "x".join(map(str, self.hidden)) or "linear"]
        if self.activation != "relu":
            parts.append(self.activation)
        if (self.kernel, self.padding) != (3, 1):
            parts.append(f"k{self.kernel}p{self.padding}")
        return ":".join(parts)

    @property
    def hidden_layers(self) -> int:
        """Number of layers before the last, which normalization and dropout can follow."""
        return len(self.convolutions) + len(self.hidden)

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
            inputs: Channels, height and width of the images.
            outputs: Logits, or 1 for regression.
            dropout: One rate for every convolution and hidden layer or one for each; empty for none.
            input_dropout: Rate on the pixels.
            normalization: Put between each convolution or hidden linear layer and its activation.
            dropout_kind: Whether dropout after convolutions drops elements or whole channels.

        Raises:
            OptionError: The inputs are no images, or too small for the pools, or the number of rates does not fit.
        """
        shape = shape_of(inputs)
        if len(shape) != 3:
            found = "the columns of a table" if len(shape) == 1 else f"inputs of shape {list(shape)}"
            raise OptionError(f"model: {self.name} needs images, got {found}; take --model mlp")
        places = {"convolution": len(self.convolutions), "hidden layer": len(self.hidden)}
        rates = rates_for(dropout, {what: count for what, count in places.items() if count}, self.name)
        described: list[Layer] = [DropoutLayer(input_dropout, 0)] if input_dropout else []
        channels, height, width = shape
        for site, (part, rate) in enumerate(zip(self.convolutions, rates, strict=False), start=1):
            described.append(ConvLayer(channels, part.channels, self.kernel, self.padding, part.stride))
            if normalization != "none":
                described.append(NormLayer(normalization, part.channels, 2))
            described.append(ActivationLayer(self.activation))
            if part.pool > 1:
                described.append(PoolLayer(part.pooling, part.pool))
            if rate:
                described.append(DropoutLayer(rate, site, dropout_kind))
            channels, height, width = part.channels, self._side(height, part), self._side(width, part)
            if min(height, width) < 1:
                raise OptionError(
                    f"model: nothing is left of images of {shape[1]}x{shape[2]} pixels after convolution {site} of "
                    f"{self.name}; take a model with fewer or smaller pools, or larger images"
                )
        described.append(FlattenLayer())
        features, before = channels * height * width, len(self.convolutions)
        described += perceptron_layers(
            features,
            self.hidden,
            rates[before:],
            activation=self.activation,
            normalization=normalization,
            before=before,
        )
        described.append(LinearLayer(self.hidden[-1] if self.hidden else features, outputs))
        return tuple(described)

    def _side(self, pixels: int, part: Convolution) -> int:
        return max((pixels + 2 * self.padding - self.kernel) // part.stride + 1, 0) // part.pool
