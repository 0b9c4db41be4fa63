"""What the noisy layers share: where their random numbers come from, and the step that they belong to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.kernels import Noise, is_traced, needs_tensors, noisy
from regimen.streams import Purpose, check_key, counter3

MAX_ROWS = MAX_STEPS = 1 << 32
MAX_CALLS = 1 << 8
KEYS = -(1 << 63), (1 << 63) - 1


class _Scratch(threading.local):
    """One number of each thread to draw into: making a tensor for each would cost 8 µs of 45."""

    def __init__(self) -> None:
        self.random_ = torch.empty((), dtype=torch.int64, device="cpu").random_


_scratch = _Scratch()


def _draw_key() -> int:
    """Return 64 bits from PyTorch's default generator, those that `torch.randint(*KEYS, ())` would be."""
    return int(_scratch.random_(*KEYS)) & 0xFFFFFFFF_FFFFFFFF


class _Moment(NamedTuple):
    """The optimizer step that a forward belongs to, told by `step`."""

    step: int
    step_tensor: Tensor  # the same: a compiled forward takes it as an input instead of being compiled for each step
    first_row: int
    ahead: bool


class StreamLayer(nn.Module):
    """A layer whose noise is a pure function of key, place, step, row and feature.

    Attributes:
        p: Drop probability in [0, 1]; may be changed between forwards, each of which checks it.
        seed: None draws one 64-bit key from PyTorch's default generator for each training forward; a number is the
            key, and the counter then holds site, call, step, row and feature.
        site: Its place in the stream; None takes its ordinal in `model.named_modules()` of `step(model, n)`, which
            therefore has to be given the bare model each time, not a module that holds it.
    """

    purpose: ClassVar[int] = int(Purpose.MASK)
    p: float
    _apply_noise = staticmethod(noisy)
    inplace: bool = False
    seed: int | None
    site: int | None
    _moment: _Moment | None
    _ordinal: int
    _calls: int
    _before: tuple[int, int, int] | None  # step, first row and uses of the last step that used the layer
    _made: tuple[float, Noise | None]

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, seed: int | None = None, site: int | None = None
    ) -> None:
        # Not super(): the layers that stand for one of torch.nn have its constructor next in line.
        nn.Module.__init__(self)
        self._take_place(p, seed, site)
        self.inplace = inplace

    def _take_place(self, p: float, seed: int | None, site: int | None) -> None:
        self._require_rate(p)
        # NumPy's float32, say, is a number and neither of these two.
        self.p = p if isinstance(p, (int, float)) else float(p)
        self.seed = None if seed is None else check_key(seed)
        if site is not None:
            counter3(Purpose(self.purpose), site=site)
        self.site = site
        self._moment, self._ordinal, self._calls, self._before, self._made = None, 0, 0, None, (p, None)

    def _require_rate(self, p: float) -> None:
        if isinstance(p, bool) or not isinstance(p, Real) or not 0.0 <= p <= 1.0:
            raise OptionError(f"p: expected a drop probability in [0, 1], got {p!r}")

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: all but the step, which would never end for the copy."""
        return self.__dict__ | {"_moment": None, "_calls": 0, "_before": None}

    def extra_repr(self) -> str:
        """Return the arguments as torch.nn prints them."""
        return f"p={self.p}, inplace={self.inplace}{self._place_repr()}"

    def _place_repr(self) -> str:
        seed = "" if self.seed is None else f", seed={self.seed}"
        return seed + ("" if self.site is None else f", site={self.site}")

    def _noise(self, third: int, first_row: int, ahead: bool) -> Noise:
        """Return what this layer does to its input in training, for 0 < p < 1."""
        raise NotImplementedError

    def _same_noise(self) -> Noise:
        """Return the noise of an unseeded layer, made anew only when `p` has changed: a microsecond of twenty."""
        made_for, noise = self._made
        if noise is None or made_for != self.p:
            noise = self._noise(self.purpose << 24, 0, False)
            self._made = self.p, noise
        return noise

    def _perturb(self, input: Tensor) -> Tensor:
        """Return `input` with this layer's noise if it is in train mode."""
        if not self.training or self.p == 0.0 or input.numel() == 0:
            return input
        if not input.is_floating_point():
            raise OptionError(
                f"{type(self).__name__}: expected a floating-point input in training, got {input.dtype}; "
                "convert it first, with input.float() say"
            )
        if self.inplace and input.is_leaf and input.requires_grad and torch.is_grad_enabled():
            raise RuntimeError(
                f"{type(self).__name__}: a leaf tensor that requires a gradient cannot be overwritten; "
                "use inplace=False, or give it a tensor that was computed"
            )
        if not 0.0 < self.p < 1.0:
            self._require_rate(self.p)  # it may have been changed since
            return input.mul_(0.0) if self.inplace else input * 0.0
        if self.seed is None:
            if needs_tensors():
                # The device is named since `torch.set_default_device` would move the number, not the generator.
                key = torch.randint(*KEYS, (), device="cpu")
                return self._apply_noise(input, key, 0, self._noise(self.purpose << 24, 0, False), inplace=self.inplace)
            return self._apply_noise(input, _draw_key(), 0, self._same_noise(), inplace=self.inplace)
        moment = self._moment
        if moment is None:
            raise OptionError(
                f"{type(self).__name__} with a seed needs the step in training: wrap forward and backward in "
                "`with step(model, n):`"
            )
        site = self._ordinal if self.site is None else self.site
        noise = self._noise(self.purpose << 24 | self._call(moment) << 16 | site, moment.first_row, moment.ahead)
        n = moment.step_tensor if is_traced() else moment.step
        return self._apply_noise(input, self.seed, n, noise, inplace=self.inplace)

    def _call(self, moment: _Moment) -> int:
        if not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
            # A forward inside of a backward pass is activation checkpointing that computes the first one again.
            calls = self._calls or self._calls_of(moment)
            if calls > 1:
                raise OptionError(
                    f"{type(self).__name__} with a seed was used {calls} times in this step: expected once where "
                    "activation checkpointing runs the forward again; use one layer for each place"
                )
            return 0
        call, self._calls = self._calls, self._calls + 1
        if call >= MAX_CALLS:
            raise OptionError(f"random stream exhausted: expected at most {MAX_CALLS} uses of a layer in one step")
        return call

    def _calls_of(self, moment: _Moment) -> int:
        """Return how often the step was entered before used the layer, which must be `moment` where any was."""
        if self._before is None:
            return 0
        n, first_row, calls = self._before
        if (n, first_row) != (moment.step, moment.first_row):
            raise OptionError(
                f"{type(self).__name__} with a seed: a forward of step {n}, first row {first_row}, is computed again "
                f"by activation checkpointing in step {moment.step}, first row {moment.first_row}, which draws another "
                "mask; put forward and backward into the same `with step(model, n):`"
            )
        return calls


def _wraps(module: nn.Module) -> bool:
    """Return whether `module` is one of PyTorch's that stands around a model and adds no place to it."""
    parallel = isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel))
    return parallel or "_orig_mod" in module._modules  # of torch.compile


@contextmanager
def step(model: nn.Module, n: int, *, ahead: int = 1, first_row: int = 0) -> Iterator[None]:
    """Tell the seeded layers of `model` that the forward and backward inside belong to optimizer step `n`.

    A layer without a site takes its ordinal among the modules of `model`, so always give the whole bare model, not a
    module that holds it: the ordinals, and with them the masks, would be others. `torch.compile`, `DataParallel` and
    `DistributedDataParallel` are seen through.

    Activation checkpointing runs a forward again in the backward pass, which must therefore stand in the `with` of its
    forward. One in another step is refused where that step has no forward of the layer; where it has one, the
    mask of that other step would be drawn unnoticed, and the gradient be wrong.

    Args:
        model: The bare model whose seeded layers are told.
        n: Optimizer step, counted from 0, skipped ones included; below 2^32.
        ahead: How many steps, this one included, are sure to follow; without the C++ kernels their masks are drawn
            together, which changes no mask.
        first_row: Number of the first row within the optimizer step: the rows of the micro-batches before this one.

    Raises:
        OptionError: `n` or `first_row` does not fit in the stream.

    Example:
        >>> from regimen.nn import Dropout
        >>> layer = Dropout(0.5, seed=7)
        >>> with step(layer, 0):
        ...     first = layer(torch.ones(4, 100))
        >>> with step(layer, 0):
        ...     torch.equal(layer(torch.ones(4, 100)), first)
        True
    """
    if not 0 <= n < MAX_STEPS or not 0 <= first_row < MAX_ROWS:
        raise OptionError(f"random stream exhausted: expected step and first row in [0, 2^32), got {n} and {first_row}")
    moment = _Moment(n, torch.tensor(n, device="cpu"), first_row, ahead > 1)
    layers = []
    for ordinal, module in enumerate(module for module in model.modules() if not _wraps(module)):
        if isinstance(module, StreamLayer) and module.seed is not None:
            counter3(Purpose(module.purpose), site=ordinal)
            module._moment, module._ordinal, module._calls = moment, ordinal, 0
            layers.append(module)
    try:
        yield
    finally:
        for layer in layers:
            if layer._calls:
                layer._before = n, first_row, layer._calls
            layer._moment = None
