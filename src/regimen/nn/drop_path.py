"""Stochastic depth: dropping the residual branch of whole rows."""

from torch import Tensor

from regimen.errors import OptionError
from regimen.kernels import Form, Noise, keep_scale, keep_threshold
from regimen.nn.stream_layer import StreamLayer
from regimen.nn.symbolic import traced_as_leaf
from regimen.streams import Purpose


class DropPath(StreamLayer):
    """Zero whole rows (samples) of a residual branch with probability `p` while training; scale the others.

    y[n] = x[n] · m[n] / (1 - p) with m ~ Bernoulli(1 - p); identity in eval mode. Put it on the branch, before the
    addition: `x + drop_path(branch(x))`.

    Args:
        p: Drop probability in [0, 1] of a row; rates are rounded to 1/65536.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`; or the input has no dimension.

    Shape:
        Input `[rows, …]`, output the same.

    Example:
        >>> import torch
        >>> rows = DropPath(0.5)(torch.ones(6, 3, 4)).mean(dim=(1, 2))
        >>> set(rows.tolist()) <= {0.0, 2.0}
        True

    Reference:
        Huang, Sun, Liu, Sedra and Weinberger (2016), "Deep networks with stochastic depth", equation 2,
        arXiv:1603.09382.

    Note:
        The paper drops a block for the whole batch, and scales in evaluation; here each row is dropped by itself, and
        the scaling is moved to training.
    """

    purpose = int(Purpose.DROP_PATH)

    def _noise(self, third: int, first_row: int, ahead: bool) -> Noise:
        return Noise(Form.ROWS, keep_threshold(self.p), keep_scale(self.p), 0.0, 0.0, third, first_row, ahead)

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with rows dropped in train mode, unchanged in eval mode."""
        if input.dim() == 0:
            raise OptionError("DropPath: expected [rows, …], got a single number")
        return self._perturb(input)
