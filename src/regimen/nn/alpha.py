"""Alpha dropout: noise for self-normalizing networks, which keeps mean and variance."""

import math

from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.kernels import Form, Noise, effective_p, keep_threshold
from regimen.nn.stream_layer import StreamLayer
from regimen.nn.symbolic import traced_as_leaf
from regimen.streams import Purpose

# λ · α of SELU: what it tends to for inputs far below zero is the negative of this.
SATURATION = 1.7580993408473766


class _Alpha(StreamLayer):
    """A layer that sets what it drops to SELU's lower end, then scales and shifts everything."""

    purpose = int(Purpose.GAUSSIAN)
    form = Form.ELEMENTS

    def _noise(self, third: int, first_row: int, ahead: bool) -> Noise:
        p = effective_p(self.p)
        a = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * SATURATION**2))
        shift = a * p * SATURATION
        return Noise(
            self.form, keep_threshold(self.p), a, shift, shift - a * SATURATION, third, first_row, ahead
        )  # fmt: skip


class AlphaDropout(_Alpha, nn.AlphaDropout):
    """Set each element with probability `p` to SELU's lower end while training; mean 0 and variance 1 are kept.

    y = a · (m · x + (1 - m) · α') + b with m ~ Bernoulli(1 - p), α' = -1.7580993, a = ((1 - p)(1 + p·α'²))^(-1/2) and
    b = -a · p · α'; identity in eval mode. For inputs of mean 0 and variance 1, as SELU makes them.

    Args:
        p: Drop probability in [0, 1]; rates are rounded to 1/65536. 1 gives zeros, as in torch.nn.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`.

    Shape:
        Input `[rows, features…]`, output the same.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> y = AlphaDropout(0.2)(torch.randn(100, 1000))
        >>> bool(y.mean().abs() < 0.02), bool((y.std() - 1).abs() < 0.02)
        (True, True)

    Reference:
        Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-normalizing neural networks", section "New Dropout
        Technique", arXiv:1706.02515.
    """

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with alpha dropout in train mode, unchanged in eval mode."""
        return self._perturb(input)


class FeatureAlphaDropout(_Alpha, nn.FeatureAlphaDropout):
    """Set whole channels with probability `p` to SELU's lower end while training; mean 0 and variance 1 are kept.

    The formula of `AlphaDropout` with one m for each row and channel; identity in eval mode.

    Args:
        p: Drop probability in [0, 1] of a channel. 1 gives zeros, as in torch.nn.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`; or the input has fewer than two dimensions.

    Shape:
        Input `[rows, channels, …]`, output the same.

    Example:
        >>> import torch
        >>> y = FeatureAlphaDropout(0.5)(torch.zeros(2, 4, 5, 5))
        >>> len(y[0, 0].unique())
        1

    Reference:
        Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-normalizing neural networks", section "New Dropout
        Technique", arXiv:1706.02515; by channels as Tompson et al. (2015), arXiv:1411.4280.
    """

    form = Form.CHANNELS

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with alpha dropout of channels in train mode, unchanged in eval mode."""
        if input.dim() < 2:
            raise OptionError(
                "FeatureAlphaDropout: expected [rows, channels, …], "
                f"got {input.dim()} dimensions {list(input.shape)}; AlphaDropout takes any"
            )
        return self._perturb(input)
