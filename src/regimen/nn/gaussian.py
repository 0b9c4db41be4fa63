"""Multiplicative Gaussian noise with the variance of dropout."""

import math

from torch import Tensor

from regimen.errors import OptionError
from regimen.kernels import Form, Noise
from regimen.nn.stream_layer import StreamLayer
from regimen.nn.symbolic import traced_as_leaf
from regimen.streams import Purpose


class GaussianDropout(StreamLayer):
    """Multiply each element by a normal number of mean 1 and variance p/(1 - p) while training.

    y = x · (1 + sqrt(p / (1 - p)) · n) with n ~ N(0, 1): mean and variance of `Dropout` with the same `p`, but nothing
    is zeroed; identity in eval mode.

    Args:
        p: Drop probability in [0, 1) whose noise is matched.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: `p` is 1, where the variance is infinite; else as for `Dropout`.

    Shape:
        Input `[rows, features…]`, output the same.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> y = GaussianDropout(0.2)(torch.ones(100, 1000))
        >>> bool((y.var() - 0.25).abs() < 0.01)
        True

    Note:
        The normal numbers of the C++ kernels and of PyTorch agree to 4 units in the last place of float32, not to the
        bit. For float64 inputs too they are rounded to float32.

    Reference:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to prevent neural
        networks from overfitting", JMLR 15, section 10.
    """

    purpose = int(Purpose.GAUSSIAN)

    def _require_rate(self, p: float) -> None:
        super()._require_rate(p)
        if p == 1.0:
            raise OptionError("p: expected a drop probability in [0, 1) for Gaussian noise of finite variance, got 1")

    def _noise(self, third: int, first_row: int, ahead: bool) -> Noise:
        return Noise(Form.GAUSSIAN, 0, math.sqrt(self.p / (1.0 - self.p)), 0.0, 0.0, third, first_row, ahead)

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with Gaussian noise in train mode, unchanged in eval mode."""
        return self._perturb(input)
