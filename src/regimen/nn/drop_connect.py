"""A linear layer whose weights, not activations, are dropped."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from regimen.kernels import Form, Noise, keep_scale, keep_threshold
from regimen.nn.stream_layer import StreamLayer
from regimen.nn.symbolic import traced_as_leaf
from regimen.streams import Purpose


class DropConnectLinear(StreamLayer, nn.Linear):
    """A linear layer each of whose weights is zeroed with probability `p` while training; the others are scaled.

    y = x (W ∘ M / (1 - p))ᵀ + b with M ~ Bernoulli(1 - p) of the shape of W, one for all rows of a forward; in eval
    mode y = x Wᵀ + b. State dict and initialization are those of `torch.nn.Linear`.

    Args:
        in_features: Inputs.
        out_features: Outputs.
        bias: Whether there is b, which is never dropped.
        device: Of the parameters.
        dtype: Of the parameters.
        p: Drop probability in [0, 1] of a weight; rates are rounded to 1/65536.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`.

    Shape:
        Input `[…, in_features]`, output `[…, out_features]`.

    Example:
        >>> import torch
        >>> layer = DropConnectLinear(3, 2, p=1.0)
        >>> torch.equal(layer(torch.ones(4, 3)), layer.bias.expand(4, 2))
        True

    Reference:
        Wan, Zeiler, Zhang, LeCun and Fergus (2013), "Regularization of neural networks using DropConnect", ICML,
        section 3.

    Note:
        The paper draws a mask for each row, and in evaluation samples from a normal distribution of the same moments;
        here rows of a forward share the mask, and evaluation uses the mean.
    """

    purpose = int(Purpose.DROP_CONNECT)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        p: float = 0.5,
        seed: int | None = None,
        site: int | None = None,
    ) -> None:
        nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self._take_place(p, seed, site)

    def extra_repr(self) -> str:
        """Return the arguments as torch.nn.Linear prints them, then those of the noise."""
        return f"{nn.Linear.extra_repr(self)}, p={self.p}{self._place_repr()}"

    def _noise(self, third: int, first_row: int, ahead: bool) -> Noise:
        # The weights belong to the step, not to a row: micro-batches share the mask.
        return Noise(Form.ELEMENTS, keep_threshold(self.p), keep_scale(self.p), 0.0, 0.0, third, 0, ahead)

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return the linear map of `input`, with weights dropped in train mode."""
        # One dimension: element out · in_features + in is numbered as such, all in row 0.
        weight = self._perturb(self.weight.flatten()).view_as(self.weight)
        return F.linear(input, weight, self.bias)
