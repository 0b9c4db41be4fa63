"""One pass of dropout or Gaussian noise over a tensor: in C++ where that is installed, else by PyTorch's operations."""

import torch
from torch import Tensor

from regimen.kernels.dropout_native import in_logical_order, native_function, prepare_pass, run_pass
from regimen.kernels.dropout_noise import Noise
from regimen.kernels.dropout_operations import add_noise_by_operations


def add_noise(x: Tensor, key: int, step: int, noise: Noise, out: Tensor | None = None) -> Tensor:
    """Return `x` with noise, computed in float32 (float64 for float64) and rounded once; autograd does not see it.

    Args:
        x: Floating-point tensor of any layout in memory. Elements are numbered by their logical place: dimension 0 is
            the row, the rest is flattened, channels last in four and five dimensions.
        key: 64-bit key.
        step: Optimizer step, counted from 0.
        noise: What is done.
        out: `x` itself, to overwrite it; else the result has the layout of `torch.empty_like(x)`.

    Raises:
        OptionError: A row, feature or step does not fit in the counter.

    Example:
        >>> from regimen.kernels import Form
        >>> halves = Noise(Form.ELEMENTS, 1 << 15, 2.0, 0.0, 0.0, 1 << 24)
        >>> sorted(set(add_noise(torch.ones(4, 16), 1, 0, halves).flatten().tolist()))
        [0.0, 2.0]
    """
    if torch._C._functorch.is_legacy_batchedtensor(x):  # of `is_grads_batched`: it has no storage of its own
        return add_noise_by_operations(x, key, step, noise)
    if out is None:
        out = torch.empty_like(x)
    elif x.is_neg():  # what lies in memory is the negative of the numbers, and has to be so afterwards
        return out.copy_(add_noise(x.resolve_neg(), key, step, noise))
    if x.numel() == 0 or x.is_meta:
        return out
    function = native_function(x)
    if function is None:
        return out.copy_(add_noise_by_operations(x, key, step, noise))
    if x.is_neg():
        x = x.resolve_neg()
    prepared = prepare_pass(x, key, step, noise)
    if prepared is not None:
        return run_pass(function, prepared, x, out)
    x = in_logical_order(x, noise.form)
    prepared = prepare_pass(x, key, step, noise)
    assert prepared is not None
    return out.copy_(run_pass(function, prepared, x, x))
