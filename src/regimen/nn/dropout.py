"""Element dropout whose masks depend on nothing but key, place, step, row and feature."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.kernels import dropout_mask
from regimen.streams import check_key

# Masks drawn ahead are kept as float32; 2^22 elements are 16 MB, which amortises the drawing at any batch size.
MAX_AHEAD = 1 << 22


class _Block(NamedTuple):
    """Masks `[steps, rows, features]` of one call from step `first` on, and all else that they depend on."""

    drawn_for: tuple[int, float, int, int, torch.dtype]
    first: int
    masks: Tensor

    def holds(self, step: int, rows: int) -> bool:
        return self.first <= step < self.first + len(self.masks) and rows <= self.masks.shape[1]


class Dropout(nn.Module):
    """Zero each element with probability `p` while training, and scale the others by 1/(1 - p).

    y = x · m / (1 - p) with m ~ Bernoulli(1 - p), drawn anew at every forward call in train mode; identity in eval
    mode. `p` is the drop probability, not the keep probability.

    Args:
        p: Drop probability in [0, 1]; rates are rounded to 1/65536 (`regimen.kernels.effective_p`).
        inplace: Overwrite the input.
        seed: None draws one 64-bit key from PyTorch's default generator per forward, so `torch.manual_seed` rules.
            A number makes masks follow the frozen stream; they then need the step, from `with step(model, n):`.
        site: Weight layers before this one (0 is the input): its place in the stream.

    Raises:
        OptionError: `p` or `seed` is out of range; a seeded layer is used in training outside `step`.

    Shape:
        Input `[rows, features…]`, output the same. One dimension counts as one row; four and five are images and
        volumes `[rows, channels, …]`, whose features are numbered channels last.

    Example:
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

    def __init__(self, p: float = 0.5, inplace: bool = False, *, seed: int | None = None, site: int = 0) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise OptionError(f"p: expected a drop probability in [0, 1], got {p!r}")
        self.p = p
        self.inplace = inplace
        self.seed = None if seed is None else check_key(seed)
        self.site = site
        self._step: int | None = None
        self._ahead = 1
        self._calls = 0
        self._blocks: dict[int, _Block] = {}

    def extra_repr(self) -> str:
        """Return the arguments as torch.nn prints them."""
        return f"p={self.p}, inplace={self.inplace}" + ("" if self.seed is None else f", seed={self.seed}")

    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with dropout in train mode, unchanged in eval mode."""
        if not self.training or self.p == 0.0 or input.numel() == 0:
            return input
        rows, features = (1, input.numel()) if input.dim() < 2 else (input.shape[0], input[0].numel())
        # Half types are multiplied in float32 and rounded once.
        dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
        if self.seed is None:
            key = int(torch.randint(-(1 << 63), (1 << 63) - 1, ()).item()) & ((1 << 64) - 1)
            mask = dropout_mask(key, self.p, rows=rows, features=features, step=0, dtype=dtype)[0]
        else:
            mask = self._mask(self.seed, rows, features, dtype)
        mask = _like(mask, input.shape).to(input.device)
        return input.mul_(mask) if self.inplace else (input * mask).to(input.dtype)

    def _mask(self, seed: int, rows: int, features: int, dtype: torch.dtype) -> Tensor:
        if self._step is None:
            raise OptionError(
                "Dropout with a seed needs the step in training: wrap the forward in `with step(model, n):`"
            )
        call, self._calls = self._calls, self._calls + 1
        block = self._blocks.get(call)
        drawn_for = (seed, self.p, self.site, features, dtype)
        if block is None or block.drawn_for != drawn_for or not block.holds(self._step, rows):
            steps = max(1, min(self._ahead, MAX_AHEAD // (rows * features)))
            masks = dropout_mask(
                seed, self.p, rows=rows, features=features, step=self._step, steps=steps, site=self.site, call=call,
                dtype=dtype,
            )  # fmt: skip
            block = self._blocks[call] = _Block(drawn_for, self._step, masks)
        return block.masks[self._step - block.first, :rows]


def _like(mask: Tensor, shape: torch.Size) -> Tensor:
    """Give the mask `[rows, features]` of a flattened input that input's shape; images count channels last."""
    if len(shape) in (4, 5):
        return mask.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1)
    return mask.reshape(shape)


@contextmanager
def step(model: nn.Module, n: int, *, ahead: int = 1) -> Iterator[None]:
    """Tell the seeded layers of `model` that the forward inside belongs to optimizer step `n` (from 0).

    Args:
        model: Module whose seeded layers are told.
        n: Optimizer step, counted from 0.
        ahead: How many steps, this one included, are sure to follow: their masks may be drawn together.
    """
    layers = [module for module in model.modules() if isinstance(module, Dropout) and module.seed is not None]
    for layer in layers:
        layer._step, layer._ahead, layer._calls = n, ahead, 0
    try:
        yield
    finally:
        for layer in layers:
            layer._step = None
