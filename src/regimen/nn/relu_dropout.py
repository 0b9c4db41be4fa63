"""ReLU and dropout as one layer, for the sequence that most networks repeat."""

from torch import Tensor
from torch.nn import functional as F

from regimen.kernels import relu_noisy
from regimen.nn.dropout import _Masking
from regimen.nn.symbolic import traced_as_leaf


class ReLUDropout(_Masking):
    """max(x, 0), then dropout: what `ReLU` and `Dropout` do one after the other, in one step of autograd.

    y = max(x, 0) · m / (1 - p) with m ~ Bernoulli(1 - p) in train mode; y = max(x, 0) in eval mode. The backward pass
    draws nothing: an output above 0 was above 0 before and kept, so gradient = (y > 0) / (1 - p) · gradient of y.

    Args:
        p: Drop probability in [0, 1]; rates are rounded to 1/65536.
        inplace: Overwrite the input in train mode and in eval mode; safe behind a linear, convolution or batch norm
            layer, which do not need their output again.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`.

    Shape:
        Input `[rows, features…]`, output the same; numbered as by `Dropout`.

    Example:
        >>> import torch
        >>> from regimen.nn import Dropout, step
        >>> x, fused, apart = torch.randn(4, 100), ReLUDropout(0.5, seed=1), Dropout(0.5, seed=1)
        >>> with step(fused, 0), step(apart, 0):
        ...     torch.equal(fused(x), apart(torch.relu(x)))
        True

    Reference:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to prevent neural
        networks from overfitting", JMLR 15, section 4.

    Note:
        Up to 4,096 float32 elements it is ReLU and a product with the mask, which takes less time there. Where a
        dropped element has an infinite gradient, ReLU and dropout apart give NaN for it, this layer above that size 0.
    """

    _apply_noise = staticmethod(relu_noisy)

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return max(`input`, 0), with dropout in train mode."""
        if self.training and self.p > 0.0:
            return self._perturb(input)
        return self._perturb(F.relu(input, self.inplace))
