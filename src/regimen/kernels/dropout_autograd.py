"""Derivatives of dropout, its form under `torch.func`, and the operator that `torch.compile` sees."""

from typing import Any

import torch
from torch import Tensor, library
from torch.autograd import forward_ad
from torch.autograd.function import FunctionCtx

from regimen.kernels.dropout_native import native_function, prepare_pass, run_pass
from regimen.kernels.dropout_noise import Form, Noise
from regimen.kernels.dropout_pass import add_noise

is_legacy_batchedtensor = torch._C._functorch.is_legacy_batchedtensor
MASK64 = (1 << 64) - 1
# Up to here a mask is kept for the backward pass, 16 KB of it: drawing it again takes a backward written in Python. At
# 2^10 elements both passes took 1.17 times as long as F.dropout; a product with its own backward takes 1.00 times.
KEPT_ELEMENTS = 1 << 12
Key = int | Tensor  # a tensor holds the same 64 bits as int64
_ONES = torch.ones(KEPT_ELEMENTS, device="cpu")


class _Eager(torch.autograd.Function):
    """The quick form: `setup_context` would cost another 20 µs a call."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, call: tuple[int, int, Noise, bool]) -> Tensor:
        key, step, noise, inplace = ctx.call = call
        ctx.prepared = None
        if inplace:
            ctx.mark_dirty(x)
            return add_noise(x, key, step, noise, x)
        function = native_function(x)
        prepared = None if function is None or x.is_neg() or not x.numel() else prepare_pass(x, key, step, noise)
        if function is None or prepared is None:
            return add_noise(x, key, step, noise)
        if not noise.kept_shift and not noise.dropped_shift:
            ctx.prepared = x.stride(), function, prepared
        return run_pass(function, prepared, x, torch.empty_like(x))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        key, step, noise, _ = ctx.call
        if torch.is_grad_enabled() or forward_ad._current_level >= 0:  # derivatives of the derivative
            return noisy(grad, key, step, noise.linear()), None
        # Gradients mostly lie in memory as the input does: what was prepared for it saves 2 µs of 20.
        if ctx.prepared is not None and not is_legacy_batchedtensor(grad) and not grad.is_neg():
            stride, function, prepared = ctx.prepared
            if grad.stride() == stride and not grad._is_zerotensor():
                return run_pass(function, prepared, grad, torch.empty_like(grad)), None
        return add_noise(grad, key, step, noise.linear()), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        assert tangents[0] is not None
        key, step, noise, inplace = ctx.call
        return noisy(tangents[0], key, step, noise.linear(), inplace=inplace)


class _Transformable(torch.autograd.Function):
    """The form that `torch.func` takes apart."""

    @staticmethod
    def forward(x: Tensor, key: Key, step: int, noise: Noise) -> Tensor:
        if not _is_plain(x):  # a tensor that holds no numbers
            return _operate(x, key, step, noise)
        return add_noise(x, _number(key), step, noise)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, key, ctx.step, noise = inputs
        ctx.noise = noise.linear()
        ctx.key = None if isinstance(key, Tensor) else key
        if isinstance(key, Tensor):
            ctx.save_for_backward(key)
            ctx.save_for_forward(key)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        key = ctx.saved_tensors[0] if ctx.key is None else ctx.key
        return _transformed(grads[0], key, ctx.step, ctx.noise), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        key = ctx.saved_tensors[0] if ctx.key is None else ctx.key
        assert tangents[0] is not None
        return _transformed(tangents[0], key, ctx.step, ctx.noise)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, key: Key, step: int, noise: Noise
    ) -> tuple[Tensor, int]:
        """Each example has its own rows; its key too, where `randomness` is "different"."""
        xs = x.expand(info.batch_size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
        if info.batch_size == 0:
            return torch.empty_like(xs), 0
        keys = [key] * info.batch_size if in_dims[1] is None else key.unbind(in_dims[1])  # type: ignore[union-attr]
        ys = [_transformed(one, own, step, noise) for one, own in zip(xs.unbind(0), keys, strict=True)]
        return torch.stack(ys), 0


class _EagerRelu(torch.autograd.Function):
    """ReLU and a mask as one step of autograd: what is positive afterwards was positive before, and kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, key: int, step: int, noise: Noise, inplace: bool) -> Tensor:
        if inplace:
            ctx.mark_dirty(x)
        y = torch.relu_(x) if inplace else torch.relu(x)
        add_noise(y, key, step, noise, y)
        ctx.save_for_backward(y)
        ctx.scale = noise.scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grads[0], y, 0) * ctx.scale, None, None, None, None


def relu_noisy(x: Tensor, key: Key, step: int | Tensor, noise: Noise, *, inplace: bool = False) -> Tensor:
    """Return max(x, 0) with noise, as `noisy` does; one step of autograd for masks, which need no drawing in backward.

    Args:
        x: Floating-point tensor.
        key: As for `noisy`.
        step: As for `noisy`.
        noise: A mask: no shifts, scale at least 1.
        inplace: Overwrite `x`.
    """
    if needs_tensors() or not _is_plain(x) or forward_ad._current_level >= 0:
        z = noisy(torch.relu(x), key, step, noise)
        return x.copy_(z) if inplace else z
    # A backward written in Python would take longer than the two of PyTorch.
    if not inplace and x.numel() <= KEPT_ELEMENTS and (mask := _small_mask(x, key, step, noise)) is not None:
        return torch.mul(torch.relu(x), mask)
    y: Tensor = _EagerRelu.apply(x, key, step, noise, inplace)  # type: ignore[no-untyped-call]
    return y


def _transformed(x: Tensor, key: Key, step: int, noise: Noise) -> Tensor:
    y: Tensor = _Transformable.apply(x, key, step, noise)  # type: ignore[no-untyped-call]
    return y


def noisy(x: Tensor, key: Key, step: int | Tensor, noise: Noise, *, inplace: bool = False) -> Tensor:
    """Return `x` with noise that autograd, `torch.func` and `torch.compile` see through; see `add_noise`.

    The gradient passes through the same mask, which is drawn again from `key`, not stored; only the masks of small
    float32 tensors, up to 4,096 elements, are.

    Args:
        x: Floating-point tensor.
        key: 64-bit key; a tensor where `needs_tensors()`.
        step: Optimizer step; a tensor where `is_traced()`.
        noise: What is done.
        inplace: Overwrite `x`.
    """
    if is_traced() or not _is_plain(x):
        y = _operate(x, key, step, noise)
    elif torch._C._are_functorch_transforms_active():
        assert not isinstance(step, Tensor)
        y = _transformed(x, key, step, noise)
    elif inplace and not torch.is_grad_enabled() and forward_ad._current_level < 0:
        torch.autograd.graph.increment_version(x)
        return add_noise(x, _number(key), int(step), noise, x)
    elif not inplace and x.numel() <= KEPT_ELEMENTS and (mask := _small_mask(x, key, step, noise)) is not None:
        return torch.mul(x, mask)
    else:
        out: Tensor = _Eager.apply(x, (key, step, noise, inplace))  # type: ignore[no-untyped-call]
        return out
    return x.copy_(y) if inplace else y


def _small_mask(x: Tensor, key: Key, step: int | Tensor, noise: Noise) -> Tensor | None:
    """Return the factors of the elements of `x`, None where the C++ does not read it as it lies, or does more to it."""
    if noise.form is Form.GAUSSIAN or noise.kept_shift or noise.dropped_shift or x.dtype is not torch.float32:
        return None
    function = native_function(x)
    if function is None or not x.numel() or is_legacy_batchedtensor(x):
        return None
    prepared = prepare_pass(x, _number(key), int(step), noise)
    return None if prepared is None else run_pass(function, prepared, _ONES, torch.empty_like(x))


def is_traced() -> bool:
    """Return whether operations are recorded rather than done, so that numbers must stay tensors."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0 or torch._C._is_tracing()


def needs_tensors() -> bool:
    """Return whether a key that PyTorch's generator draws may not be read out."""
    return is_traced() or torch._C._are_functorch_transforms_active()


def _is_plain(x: Tensor) -> bool:
    return type(x) is Tensor or type(x) is torch.nn.Parameter


def _number(key: Key) -> int:
    return int(key) & MASK64


def _operate(x: Tensor, key: Key, step: int | Tensor, noise: Noise) -> Tensor:
    if x.is_nested and x.layout is torch.jagged and noise.form in (Form.ELEMENTS, Form.GAUSSIAN):
        packed = noisy(x.values(), key, step, noise)
        # With the offsets of `x` themselves: by them PyTorch knows that both have one shape, and can be added.
        jagged: Any = x
        return torch.nested.nested_tensor_from_jagged(packed, jagged.offsets(), jagged.lengths(), jagged._ragged_idx)
    keys = key if isinstance(key, Tensor) else torch.tensor(key - (1 << 64) if key >> 63 else key, device="cpu")
    steps = step if isinstance(step, Tensor) else torch.tensor(step, device="cpu")
    y: Tensor = _operator(x, keys, steps, int(noise.form), *noise[1:7])
    return y


@library.custom_op("regimen::noise", mutates_args=())
def _operator(
    x: Tensor,
    key: Tensor,
    step: Tensor,
    form: int,
    threshold: int,
    scale: float,
    kept_shift: float,
    dropped_shift: float,
    third: int,
    first_row: int,
) -> Tensor:
    noise = Noise(Form(form), threshold, scale, kept_shift, dropped_shift, third, first_row)
    return add_noise(x, _number(key), int(step), noise)


@_operator.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


def _keep_place(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, key, step, *noise = inputs
    ctx.save_for_backward(key, step)
    ctx.noise = Noise(*noise).linear()  # type: ignore[attr-defined]


def _derive(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    key, step = ctx.saved_tensors
    return (_operator(grad, key, step, *ctx.noise[:7]), *(None,) * 9)


_operator.register_autograd(_derive, setup_context=_keep_place)


@_operator.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], x: Tensor, key: Tensor, step: Tensor, *noise: Any) -> Any:
    columns = [
        [value] * info.batch_size if dim is None else value.unbind(dim)
        for value, dim in zip((x, key, step), in_dims, strict=False)
    ]
    return torch.stack([_operator(*place, *noise) for place in zip(*columns, strict=True)]), 0
