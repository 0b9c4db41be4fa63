"""Noise of many runs in one operation: under `torch.vmap` each run has its own key, its own rate and its own rows."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from regimen.kernels.dropout_noise import Form, Noise
from regimen.kernels.dropout_operations import add_noise_of_runs
from regimen.kernels.dropout_pass import add_noise

MASK64 = (1 << 64) - 1
# What `pack_noise` writes, in this order.
NUMBERS = ("p", "threshold", "scale", "kept_shift", "dropped_shift")


class Place(NamedTuple):
    """What the noise of all runs of a bundle shares: where and when it is drawn.

    Attributes:
        step: Optimizer step, counted from 0; as a tensor where it is not known yet, which the processor does not take.
        form: What one random number belongs to.
        third: Counter word c3: purpose, call and site.
        first_row: Number of the first row within the optimizer step.
        ahead: Whether more steps are sure to follow.
        shifted: Whether something is added to what is kept or dropped.
    """

    step: int | Tensor
    form: Form
    third: int
    first_row: int = 0
    ahead: bool = False
    shifted: bool = True


def pack_noise(p: float, noise: Noise) -> Tensor:
    """Return the numbers of one run's noise, float64 `[5]`, as `noisy_by_run` reads them.

    Args:
        p: Drop probability in [0, 1]; 0 changes nothing and 1 gives zeros, whatever `noise` says.
        noise: What is done to the input for 0 < p < 1.
    """
    return torch.tensor([p, *noise[1:5]], dtype=torch.float64, device="cpu")


def noisy_by_run(x: Tensor, key: Tensor, numbers: Tensor, place: Place) -> Tensor:
    """Return `x` with the noise of its run; under `torch.vmap` that of each run, equal to the bit to it alone.

    The gradient passes through the same masks, which are drawn again, never stored.

    Args:
        x: Floating-point tensor.
        key: 64-bit key of the run as int64, without dimensions.
        numbers: Of `pack_noise`, float64 `[5]`.
        place: What all runs share.

    Example:
        >>> keys, x = torch.tensor([1, 2]), torch.ones(2, 4, 16)
        >>> half = Noise(Form.ELEMENTS, 1 << 15, 2.0, 0.0, 0.0, 0)
        >>> numbers = torch.stack([pack_noise(0.5, half), pack_noise(0.0, half)])
        >>> here = Place(0, Form.ELEMENTS, 1 << 24)
        >>> both = torch.vmap(lambda x, key, numbers: noisy_by_run(x, key, numbers, here))(x, keys, numbers)
        >>> torch.equal(both[0], add_noise(x[0], 1, 0, half._replace(third=1 << 24))), torch.equal(both[1], x[1])
        (True, True)
    """
    y: Tensor = _OfOneRun.apply(x, key, numbers, place)  # type: ignore[no-untyped-call]
    return y


class _OfOneRun(torch.autograd.Function):
    """What `torch.vmap` takes apart: the noise of a run whose key and rate are tensors."""

    @staticmethod
    def forward(x: Tensor, key: Tensor, numbers: Tensor, place: Place) -> Tensor:
        out = torch.empty_like(x)
        _write(x, out, int(key), numbers.tolist(), place, linear=False)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, key, numbers, ctx.place = inputs
        ctx.save_for_backward(key, numbers)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        key, numbers = ctx.saved_tensors
        return noisy_by_run(grads[0], key, numbers * _linear(numbers), ctx.place), None, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, key: Tensor, numbers: Tensor, place: Place
    ) -> tuple[Tensor, int]:
        """Give the runs' own rows, keys and rates to one operation."""
        x, key, numbers = (
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip((x, key, numbers), in_dims[:3], strict=True)
        )
        y: Tensor = _OfEveryRun.apply(x, key, numbers, place, False)  # type: ignore[no-untyped-call]
        return y, 0


def _linear(numbers: Tensor) -> Tensor:
    """Return the factors that leave of packed noise the part that multiplies."""
    return numbers.new_tensor([1.0, 1.0, 1.0, 0.0, 0.0])


class _OfEveryRun(torch.autograd.Function):
    """The noise of all runs of a bundle, `[runs, …]`, one after the other into one result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, key: Tensor, numbers: Tensor, place: Place, linear: bool) -> Tensor:
        ctx.save_for_backward(key, numbers)
        ctx.place = place
        x = x.contiguous()
        if x.device.type != "cpu":
            shift = 1.0 if place.shifted else 0.0
            noise = Noise(place.form, 0, 0.0, shift, shift, place.third, place.first_row)
            return add_noise_of_runs(x, key, numbers, place.step, noise, linear=linear)
        out = torch.empty_like(x)
        for one, own, number, packed in zip(x.unbind(0), out.unbind(0), key.tolist(), numbers.tolist(), strict=True):
            _write(one, own, number, packed, place, linear=linear)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        key, numbers = ctx.saved_tensors
        grad: Tensor = _OfEveryRun.apply(grads[0], key, numbers, ctx.place, True)  # type: ignore[no-untyped-call]
        return grad, None, None, None, None


def _write(x: Tensor, out: Tensor, key: int, packed: list[float], place: Place, *, linear: bool) -> None:
    """Write `x` with the noise of one run to `out`."""
    p, threshold, scale, kept_shift, dropped_shift = packed
    if p == 0.0:
        out.copy_(x)
    elif p == 1.0:
        torch.mul(x, 0.0, out=out)
    else:
        noise = Noise(
            place.form, int(threshold), scale, kept_shift, dropped_shift, place.third, place.first_row, place.ahead
        )  # fmt: skip
        add_noise(x, key & MASK64, int(place.step), noise.linear() if linear else noise, out)
