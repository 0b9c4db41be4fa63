"""Dropout and Gaussian noise by PyTorch's operations: on any device, and where the C++ kernels are not installed."""

import functools
import math

import torch
from torch import Tensor

from regimen.kernels.dropout import kept_elements, require_in_stream
from regimen.kernels.dropout_noise import Form, Noise
from regimen.streams import normal, philox

# Masks of steps that are sure to follow are drawn together: 16 steps in the time of two.
AHEAD_STEPS = 16
AHEAD_ELEMENTS = 1 << 18


def add_noise_by_operations(x: Tensor, key: int, step: int, noise: Noise) -> Tensor:
    """Return `x` with noise; see `regimen.kernels.add_noise`, whose readable reference this is."""
    wide = x.to(torch.float64 if x.dtype == torch.float64 else torch.float32)
    rows, features = _rows_and_features(x.shape)
    if noise.form is Form.GAUSSIAN:
        factors = (1.0 + noise.scale * _normals(x.device, key, step, noise, rows, features)).to(torch.float32)
        return (wide * _like(factors, x.shape)).to(x.dtype)
    if noise.form is Form.ROWS:
        rows, features = x.shape[0], 1
    elif noise.form is Form.CHANNELS:
        features = x.shape[1]
    kept = _kept(x.device, key, step, noise, rows, features)
    kept = _spread(kept, x.shape, noise.form)
    # Numbers of Python are rounded once, to the tensor's type. As tensors of float64, which not every device has, they
    # would also have to be copied there.
    y = wide * kept * noise.scale
    if noise.kept_shift != 0.0 or noise.dropped_shift != 0.0:
        y = torch.where(kept, y + noise.kept_shift, y + noise.dropped_shift)
    return y.to(x.dtype)


def add_noise_of_runs(
    x: Tensor, keys: Tensor, numbers: Tensor, step: int | Tensor, noise: Noise, *, linear: bool = False
) -> Tensor:
    """Return the rows of many runs, each with its own noise: that of `add_noise` for each of them, to the bit.

    All runs at once and without reading a number back, so that a graphics card is not waited for.

    Args:
        x: Floating-point tensor `[runs, …]`.
        keys: 64-bit keys as int64, `[runs]`.
        numbers: Of `regimen.kernels.dropout_bundle.pack_noise`, float64 `[runs, 5]`.
        step: Optimizer step, counted from 0; a tensor without dimensions lets a recorded graph draw anew.
        noise: What all runs share: `form`, `third`, `first_row`, and whether there are shifts (either is not 0).
        linear: Leave the shifts out, as the derivative does.
    """
    wide = x.to(torch.float64 if x.dtype == torch.float64 else torch.float32)
    p, threshold, scale, kept_shift, dropped_shift = (
        column.reshape(-1, *(1,) * (x.dim() - 1)) for column in numbers.unbind(1)
    )
    shape = x.shape[1:]
    rows, features = _rows_and_features(shape)
    key = keys[:, None, None]
    if noise.form is Form.GAUSSIAN:
        normals = _normals(x.device, key, step, noise, rows, features)
        y = wide * _like((1.0 + scale.reshape(-1, 1, 1) * normals).to(torch.float32), shape)
    else:
        if noise.form is Form.ROWS:
            rows, features = shape[0], 1
        elif noise.form is Form.CHANNELS:
            features = shape[1]
        kept = kept_elements(
            key, threshold.reshape(-1, 1, 1), rows=rows, features=features, step=step, third=noise.third,
            first_row=noise.first_row, device=x.device,
        )  # fmt: skip
        kept = _spread(kept, shape, noise.form)
        y = wide * kept * scale.to(wide.dtype)
        if not linear and (noise.kept_shift != 0.0 or noise.dropped_shift != 0.0):
            y = y + torch.where(kept, kept_shift, dropped_shift).to(wide.dtype)
    y = torch.where(p == 0.0, wide, torch.where(p == 1.0, wide * 0.0, y))
    return y.to(x.dtype)


def _rows_and_features(shape: torch.Size) -> tuple[int, int]:
    return (1, math.prod(shape)) if len(shape) < 2 else (shape[0], math.prod(shape[1:]))


def _like(values: Tensor, shape: torch.Size) -> Tensor:
    """Give `[…, rows, features]` of a flattened input that input's shape; images count channels last."""
    runs = values.shape[:-2]
    if len(shape) in (4, 5):
        return values.reshape(*runs, shape[0], *shape[2:], shape[1]).movedim(-1, len(runs) + 1)
    return values.reshape(*runs, *shape)


def _spread(kept: Tensor, shape: torch.Size, form: Form) -> Tensor:
    """Give what is kept, `[…, rows, features]`, the shape of an input, with ones where elements share a number."""
    if form is Form.ELEMENTS:
        return _like(kept, shape)
    shared = 2 if form is Form.CHANNELS else 1
    return kept.reshape(*kept.shape[:-2], *kept.shape[-2:][:shared], *(1,) * (len(shape) - shared))


def _kept(device: torch.device, key: int, step: int, noise: Noise, rows: int, features: int) -> Tensor:
    block = AHEAD_STEPS * (padded := -(-rows // 32) * 32) * features
    if noise.ahead and block <= AHEAD_ELEMENTS and device.type == "cpu":
        first = step - step % AHEAD_STEPS
        return _ahead(key, noise.threshold, padded, features, first, noise.third, noise.first_row)[step - first, :rows]
    return kept_elements(
        key, noise.threshold, rows=rows, features=features, step=step, third=noise.third, first_row=noise.first_row,
        device=device,
    )[0]  # fmt: skip


@functools.lru_cache(maxsize=64)  # 16 MB; the backward pass of a step finds its masks here too
def _ahead(key: int, threshold: int, rows: int, features: int, step: int, third: int, first_row: int) -> Tensor:
    return kept_elements(
        key, threshold, rows=rows, features=features, step=step, steps=AHEAD_STEPS, third=third, first_row=first_row
    )


def _normals(
    device: torch.device, key: int | Tensor, step: int | Tensor, noise: Noise, rows: int, features: int
) -> Tensor:
    """Return standard normal numbers, float64 `[…, rows, features]`; c0 = feature // 4."""
    require_in_stream(features, noise.first_row + rows - 1, step if isinstance(step, int) else 0, per_counter=4)
    c0 = torch.arange(-(-features // 4), dtype=torch.int64, device=device)
    c1 = torch.arange(noise.first_row, noise.first_row + rows, dtype=torch.int64, device=device)[:, None]
    words = torch.stack(philox(key, c0, c1, step, noise.third), dim=-1).flatten(-2)
    return normal(words)[..., :features]
