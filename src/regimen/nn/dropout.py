"""Dropout of elements and of whole channels, drop-in for torch.nn, with masks from the frozen stream."""

import warnings

from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.kernels import Form, Noise, keep_scale, keep_threshold
from regimen.nn.stream_layer import StreamLayer
from regimen.nn.symbolic import traced_as_leaf


class _Masking(StreamLayer):
    """A layer that multiplies by a mask of zeros and 1/(1 - p)."""

    form = Form.ELEMENTS

    def _noise(self, third: int, first_row: int, ahead: bool) -> Noise:
        return Noise(self.form, keep_threshold(self.p), keep_scale(self.p), 0.0, 0.0, third, first_row, ahead)


class Dropout(_Masking, nn.Dropout):
    """Zero each element with probability `p` while training, and scale the others by 1/(1 - p).

    y = x · m / (1 - p) with m ~ Bernoulli(1 - p), drawn anew at every forward call in train mode; identity in eval
    mode. `p` is the drop probability, not the keep probability. The mask is not stored: the backward pass draws it
    again (of up to 4,096 float32 elements it is, which takes less time there).

    Args:
        p: Drop probability in [0, 1]; rates are rounded to 1/65536 (`regimen.kernels.effective_p`).
        inplace: Overwrite the input.
        seed: None draws one 64-bit key from PyTorch's default generator per forward, so `torch.manual_seed` rules.
            A number makes masks follow the frozen stream; they then need the step, from `with step(model, n):`.
        site: Place in the stream, below 65,536: weight layers before this one. None takes the ordinal of the layer in
            `named_modules()` of the model that `step` is given: give it the bare model each time, not a module that
            holds it. With activation checkpointing, put forward and backward into the same `with step(model, n):`.

    Raises:
        OptionError: `p`, `seed` or `site` is out of range; in training, a seeded layer is used outside `step`, or the
            input is not of a floating-point type.

    Shape:
        Input `[rows, features…]`, output the same. One dimension counts as one row; four and five are images and
        volumes `[rows, channels, …]`, whose features are numbered channels last, however they lie in memory. Of a
        jagged nested tensor the packed rows are numbered one after the other.

    Example:
        >>> import torch
        >>> from regimen.nn import step
        >>> layer = Dropout(0.5, seed=1)
        >>> with step(layer, 0):
        ...     first = layer(torch.ones(2, 8))
        >>> with step(layer, 0):
        ...     torch.equal(first, layer(torch.ones(2, 8)))
        True

    Reference:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to prevent neural
        networks from overfitting", JMLR 15, section 4, with the scaling moved to training ("inverted dropout").
    """

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with dropout in train mode, unchanged in eval mode."""
        return self._perturb(input)


class Dropout1d(_Masking, nn.Dropout1d):
    """Zero whole channels of sequences with probability `p` while training, and scale the others by 1/(1 - p).

    y[n, c, :] = x[n, c, :] · m[n, c] / (1 - p) with m ~ Bernoulli(1 - p); identity in eval mode. Neighbouring
    positions of one channel are alike, so dropping single ones removes little; dropping channels does.

    Args:
        p: Drop probability in [0, 1] of a channel.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`; or the input has neither two nor three dimensions.

    Shape:
        Input `[rows, channels, length]`, or `[channels, length]` for one row; output the same.

    Example:
        >>> import torch
        >>> channels = Dropout1d(0.5)(torch.ones(2, 4, 10)).mean(dim=-1)
        >>> set(channels.flatten().tolist()) <= {0.0, 2.0}
        True

    Reference:
        Tompson, Goroshin, Jain, LeCun and Bregler (2015), "Efficient object localization using convolutional
        networks", section 3.2, arXiv:1411.4280.
    """

    form = Form.CHANNELS

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with channel dropout in train mode, unchanged in eval mode."""
        if input.dim() not in (2, 3):
            raise OptionError(
                "Dropout1d: expected [rows, channels, length] or [channels, length], "
                f"got {input.dim()} dimensions {list(input.shape)}"
            )
        return _with_rows(self, input, batched=input.dim() == 3)


class Dropout2d(_Masking, nn.Dropout2d):
    """Zero whole channels of images with probability `p` while training, and scale the others by 1/(1 - p).

    y[n, c, :, :] = x[n, c, :, :] · m[n, c] / (1 - p) with m ~ Bernoulli(1 - p); identity in eval mode.

    Args:
        p: Drop probability in [0, 1] of a channel.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`; or the input has fewer than two dimensions.

    Shape:
        Input `[rows, channels, height, width]`, output the same. As in torch.nn, three dimensions are taken as
        `[rows, channels, length]`, with a warning, and other numbers of dimensions are warned of.

    Example:
        >>> import torch
        >>> channels = Dropout2d(0.5)(torch.ones(2, 4, 5, 5)).mean(dim=(2, 3))
        >>> set(channels.flatten().tolist()) <= {0.0, 2.0}
        True

    Reference:
        Tompson, Goroshin, Jain, LeCun and Bregler (2015), "Efficient object localization using convolutional
        networks", section 3.2, arXiv:1411.4280.
    """

    form = Form.CHANNELS

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with channel dropout in train mode, unchanged in eval mode."""
        _require_channels(self, input)
        if input.dim() == 3:
            warnings.warn(
                "Dropout2d: three dimensions are taken as [rows, channels, length], as torch.nn does for now; "
                "Dropout1d says so without a warning",
                stacklevel=2,
            )
        elif input.dim() != 4:
            _warn_of_dimensions(self, input)
        return self._perturb(input)


class Dropout3d(_Masking, nn.Dropout3d):
    """Zero whole channels of volumes with probability `p` while training, and scale the others by 1/(1 - p).

    y[n, c, :, :, :] = x[n, c, :, :, :] · m[n, c] / (1 - p) with m ~ Bernoulli(1 - p); identity in eval mode.

    Args:
        p: Drop probability in [0, 1] of a channel.
        inplace: Overwrite the input.
        seed: As for `Dropout`.
        site: As for `Dropout`.

    Raises:
        OptionError: As for `Dropout`; or the input has no dimension for channels.

    Shape:
        Input `[rows, channels, depth, height, width]`, or without rows for one row; output the same. As in torch.nn,
        other numbers of dimensions are warned of and taken as `[channels, …]`.

    Example:
        >>> import torch
        >>> channels = Dropout3d(0.5)(torch.ones(2, 4, 3, 3, 3)).mean(dim=(2, 3, 4))
        >>> set(channels.flatten().tolist()) <= {0.0, 2.0}
        True

    Reference:
        Tompson, Goroshin, Jain, LeCun and Bregler (2015), "Efficient object localization using convolutional
        networks", section 3.2, arXiv:1411.4280.
    """

    form = Form.CHANNELS

    @traced_as_leaf
    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with channel dropout in train mode, unchanged in eval mode."""
        if input.dim() not in (4, 5):
            _warn_of_dimensions(self, input)
        return _with_rows(self, input, batched=input.dim() == 5)


def _with_rows(layer: StreamLayer, input: Tensor, *, batched: bool) -> Tensor:
    """Apply `layer` to `input`, which is a single row unless `batched`."""
    if batched:
        return layer._perturb(input)
    _require_channels(layer, input[None])
    output = layer._perturb(input.unsqueeze(0))
    return input if layer.inplace else output.squeeze(0)


def _require_channels(layer: nn.Module, input: Tensor) -> None:
    if input.dim() < 2:
        raise OptionError(
            f"{type(layer).__name__}: expected at least a dimension of rows and one of channels, "
            f"got {input.dim()} dimensions {list(input.shape)}; Dropout takes any"
        )


def _warn_of_dimensions(layer: nn.Module, input: Tensor) -> None:
    warnings.warn(
        f"{type(layer).__name__}: {input.dim()} dimensions are neither images nor volumes; torch.nn deprecates this: "
        "use Dropout for elements",
        stacklevel=3,
    )
