"""Dropout and Gaussian noise in C++: how a tensor lies in memory, and the call."""

import functools
import os
from collections.abc import Callable

import torch
from torch import Tensor

from regimen.kernels import native_types
from regimen.kernels.dropout import require_in_stream
from regimen.kernels.dropout_noise import Form, Noise
from regimen.kernels.native import VARIABLE, find_kernels

# Below this many elements a second thread loses time: it starts beside PyTorch's own, which spin for a while after
# their last work. Measured on two cores, one thread against two: 2^20 0.39 and 1.04 ms, 2^22 1.44 and 1.68 ms, 2^24
# in place 4.97 and 2.86 ms.
THREADED_ELEMENTS = 1 << 23

Function = Callable[[bytes], None]
Layout = tuple[int, int, int, int]  # form, rows, features, positions; a plain tuple saves a microsecond of ten

_TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
_ELEMENTS, _GAUSSIAN, _ROWS, _CHANNELS = Form.ELEMENTS, Form.GAUSSIAN, Form.ROWS, Form.CHANNELS
_environment = os.environ.get
_pack_pass, _pack_addresses = native_types.PASS.pack, native_types.ADDRESSES.pack


def native_function(x: Tensor) -> Function | None:
    """Return the C++ function for tensors like `x`, None if there is none."""
    # The zeros that automatic differentiation makes for what does not depend on its input lie nowhere in memory.
    return _found(_environment(VARIABLE, "")) if x.is_cpu and x.dtype in _TYPES and not x._is_zerotensor() else None


@functools.cache
def _found(forced: str) -> Function | None:
    """Return what `find_kernels` finds under that value of REGIMEN_ISA, which it reads itself."""
    kernels = find_kernels()
    return None if kernels is None else kernels.functions.regimen_dropout


def prepare_pass(x: Tensor, key: int, step: int, noise: Noise) -> bytes | None:
    """Return what `run_pass` needs for a tensor of the type, shape and strides of `x`; None if it cannot be read.

    Raises:
        OptionError: A row, feature or step does not fit in the counter.
    """
    layout = _layout(x, noise.form)
    if layout is None:
        return None
    form, rows, features, positions = layout
    width = features * positions
    require_in_stream(width, noise.first_row + rows - 1, step, 4 if form is _GAUSSIAN else 8)
    threads = torch.get_num_threads() if rows * width >= THREADED_ELEMENTS else 1
    return _pack_pass(
        key, step, noise.third, noise.threshold, noise.scale, noise.kept_shift, noise.dropped_shift,
        noise.first_row, form, _TYPES[x.dtype], threads, rows, features, positions,
    )  # fmt: skip


def run_pass(function: Function, prepared: bytes, x: Tensor, out: Tensor) -> Tensor:
    """Write `x` with noise to `out`, which may be `x`, and return it."""
    function(prepared + _pack_addresses(x.data_ptr(), out.data_ptr()))
    return out


def in_logical_order(x: Tensor, form: Form) -> Tensor:
    """Return a copy whose order in memory is that of its elements' numbers, so that a pass can be prepared."""
    if x.dim() in (4, 5) and form in (Form.ELEMENTS, Form.GAUSSIAN):
        return x.clone(memory_format=_channels_last(x.dim()))
    return x.clone(memory_format=torch.contiguous_format)


def _layout(x: Tensor, form: Form) -> Layout | None:
    """Return how the C++ reads `x` in place, None if it cannot."""
    dims, count = x.dim(), x.numel()
    if dims < 4 and (form is _ELEMENTS or form is _GAUSSIAN):
        if not x.is_contiguous():
            return None
        rows = x.shape[0] if dims > 1 else 1
        return form, rows, count // rows, 1
    rows = x.shape[0] if dims > 1 or form is _ROWS else 1
    last = dims in (4, 5) and x.is_contiguous(memory_format=_channels_last(dims))
    if not last and not x.is_contiguous():
        return None
    if form is _ROWS:
        return _CHANNELS, rows, 1, count // rows
    if form is _CHANNELS:
        channels = x.shape[1]
        last = last or count == rows * channels  # one position: channels side by side
        return Form.CHANNELS_LAST if last else form, rows, channels, count // (rows * channels)
    if last or dims > 5:
        return form, rows, count // rows, 1
    channels = x.shape[1]
    if form is _ELEMENTS and channels % 8 == 0:
        return Form.PLANES, rows, channels, count // (rows * channels)
    return None


def _channels_last(dims: int) -> torch.memory_format:
    return torch.channels_last if dims == 4 else torch.channels_last_3d
