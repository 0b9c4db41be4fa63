"""Dropout masks from the frozen random stream: the readable reference that every faster form must equal bit for bit."""

import math

import torch
from torch import Tensor

from regimen.errors import OptionError
from regimen.streams import Purpose, counter3, philox

LEVELS = 1 << 16


def require_in_stream(features: int, last_row: int, last_step: int, per_counter: int = 8) -> None:
    """Refuse what does not fit in the counter.

    Args:
        features: Numbers that a row needs.
        last_row: Number of the last row within the optimizer step.
        last_step: Last optimizer step.
        per_counter: Features that one counter serves: eight 16-bit values, or four normal numbers.

    Raises:
        OptionError: An index does not fit.
    """
    if features >= per_counter << 32 or last_row >> 32 > 0 or last_step >> 32 > 0:
        raise OptionError(
            f"random stream exhausted: expected features < 2^{31 + per_counter.bit_length()}, rows and steps up to "
            f"2^32, got features={features}, rows={last_row + 1}, last step={last_step}"
        )


def keep_threshold(p: float) -> int:
    """Return thr = clamp(floor(p · 65536 + 0.5), 1, 65535): an element is kept iff its 16-bit value is >= thr.

    Args:
        p: Drop probability, 0 < p < 1 (0 and 1 need no random numbers and are the caller's business).
    """
    return min(max(math.floor(p * LEVELS + 0.5), 1), LEVELS - 1)


def keep_scale(p: float) -> float:
    """Return the factor of kept elements, 65536 / (65536 - thr), which keeps the expected output exactly.

    Example:
        >>> round(keep_scale(0.9), 5)
        9.99939
    """
    return LEVELS / (LEVELS - keep_threshold(p))


def effective_p(p: float) -> float:
    """Return the drop probability that 16-bit thresholds really give, thr / 65536 (0 and 1 are exact)."""
    return p if p in (0.0, 1.0) else keep_threshold(p) / LEVELS


def kept_elements(
    key: int | Tensor,
    threshold: int | Tensor,
    *,
    rows: int,
    features: int,
    step: int | Tensor,
    third: int,
    steps: int = 1,
    first_row: int = 0,
    device: torch.device | None = None,
) -> Tensor:
    """Return which elements are kept, bool `[steps, rows, features]`: those whose 16-bit value is >= `threshold`.

    Keys and thresholds of many runs, `[runs, 1, 1]`, give those of every run for one step, `[runs, rows, features]`.

    Counter: c0 = feature // 8, c1 = row, c2 = step, c3 = `third`. The four words give eight 16-bit values, low half
    first, for the features 8·c0 … 8·c0 + 7.

    Args:
        key: 64-bit key, as int64 if it is a tensor.
        threshold: Of `keep_threshold`.
        rows: Rows of the batch.
        features: Elements of one row (flattened, channels last), or its channels.
        step: First optimizer step, counted from 0; as a tensor without dimensions it is not checked.
        third: Counter word c3 of `regimen.streams.counter3`.
        steps: How many consecutive steps to draw at once.
        first_row: Number of the first row within the optimizer step.
        device: Where to draw, None for the CPU; the bits are the same everywhere.

    Raises:
        OptionError: An index does not fit in the counter.
    """
    require_in_stream(features, first_row + rows - 1, step + steps - 1 if isinstance(step, int) else 0)
    # Every tensor names its device: `torch.set_default_device` may say another one.
    device = torch.device("cpu") if device is None else device
    c0 = torch.arange(-(-features // 8), dtype=torch.int64, device=device)
    c1 = torch.arange(first_row, first_row + rows, dtype=torch.int64, device=device)[:, None]
    c2 = step + torch.arange(steps, dtype=torch.int64, device=device)[:, None, None]
    four = torch.stack(philox(key, c0, c1, c2, third), dim=-1)
    values = torch.stack((four & 0xFFFF, four >> 16), dim=-1).flatten(-3)[..., :features]
    return values >= threshold


def dropout_mask(
    key: int,
    p: float,
    *,
    rows: int,
    features: int,
    step: int,
    steps: int = 1,
    site: int = 0,
    call: int = 0,
    dtype: torch.dtype = torch.float32,
    purpose: Purpose = Purpose.MASK,
) -> Tensor:
    """Return scaled masks for consecutive optimizer steps: 0 where an element is dropped, else 1/(1 - effective_p).

    The counter is that of `kept_elements`, with c3 = (purpose, call, site).

    Args:
        key: 64-bit run key.
        p: Drop probability, 0 <= p <= 1.
        rows: Rows of the batch, counted within the optimizer step.
        features: Elements of one row (flattened, channels last).
        step: First optimizer step, counted from 0.
        steps: How many consecutive steps to draw at once.
        site: Weight layers before the dropout.
        call: How many times the module was already used in this forward.
        dtype: Of the mask; the scale is computed in float64 and rounded once.
        purpose: What is masked.

    Returns:
        Tensor `[steps, rows, features]`.

    Raises:
        OptionError: `p` is outside [0, 1], or an index does not fit in the counter.

    Example:
        >>> mask = dropout_mask(1, 0.5, rows=4, features=16, step=0)
        >>> sorted(set(mask.flatten().tolist()))
        [0.0, 2.0]
    """
    if not 0.0 <= p <= 1.0:
        raise OptionError(f"p: expected a drop probability in [0, 1], got {p!r}")
    if p in (0.0, 1.0):
        return torch.full((steps, rows, features), 1.0 - p, dtype=dtype)
    kept = kept_elements(
        key, keep_threshold(p), rows=rows, features=features, step=step, steps=steps,
        third=counter3(purpose, site=site, call=call),
    )  # fmt: skip
    return kept.to(dtype) * torch.tensor(keep_scale(p), dtype=torch.float64, device="cpu").to(dtype)
