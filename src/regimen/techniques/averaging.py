"""Weight averaging: the network that is evaluated is a mean of the networks met on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from regimen.limits import require_number


@dataclass(frozen=True, kw_only=True, slots=True)
class Averaging:
    """What averagings share: a name, and the weight that the newest parameters get."""

    name: ClassVar[str]

    def share(self, *, step: int, steps_per_epoch: int, total: int) -> float | None:
        """Return the weight of the parameters after 0-based `step` in the average, None if they do not enter."""
        raise TypeError(f"{type(self).__name__} describes no averaging")


@dataclass(frozen=True, kw_only=True, slots=True)
class EMA(Averaging):
    """Exponential moving average after every step: a ← d · a + (1 - d) · w with d = min(decay, (1 + t) / (10 + t)).

    The rising d of the first steps keeps the random start out of short runs.

    Attributes:
        decay: In [0, 1); 0.99 looks back about 100 steps.

    Reference:
        Polyak and Juditsky (1992), "Acceleration of stochastic approximation by averaging"; the bound on d is
        TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    """

    name: ClassVar[str] = "ema"
    decay: float = 0.99

    def __post_init__(self) -> None:
        require_number("averaging.decay", self.decay, low=0, high=1, high_open=True)

    def share(self, *, step: int, steps_per_epoch: int, total: int) -> float | None:
        """Return 1 - d."""
        return 1.0 - min(self.decay, (1.0 + step) / (10.0 + step))


@dataclass(frozen=True, kw_only=True, slots=True)
class SWA(Averaging):
    """Stochastic weight averaging: the plain mean of the weights at the end of each epoch from `start` on.

    Attributes:
        start: Share of the steps before averaging begins, in [0, 1).

    Reference:
        Izmailov et al. (2018), "Averaging weights leads to wider optima and better generalization", arXiv:1803.05407.
    """

    name: ClassVar[str] = "swa"
    start: float = 0.75

    def __post_init__(self) -> None:
        require_number("averaging.start", self.start, low=0, high=1, high_open=True)

    def share(self, *, step: int, steps_per_epoch: int, total: int) -> float | None:
        """Return 1/k for the k-th epoch end that enters, None between epoch ends and before the start."""
        epochs, epoch = total // steps_per_epoch, (step + 1) // steps_per_epoch
        first = min(int(self.start * epochs), epochs - 1)
        if (step + 1) % steps_per_epoch or epoch <= first:
            return None
        return 1.0 / (epoch - first)


class Average:
    """Running average of a network's parameters, kept beside it.

    Args:
        averaging: The rule.
        module: Network whose parameters are averaged.
        steps_per_epoch: Optimizer steps in one epoch.
        total: Optimizer steps in the whole run.
    """

    def __init__(self, averaging: Averaging, module: nn.Module, *, steps_per_epoch: int, total: int) -> None:
        self.averaging = averaging
        self.steps_per_epoch = steps_per_epoch
        self.total = total
        self.live: list[Tensor] = list(module.parameters())
        self.mean: list[Tensor] | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters after 0-based optimizer `step` into the average, if the rule says so."""
        share = self.averaging.share(step=step, steps_per_epoch=self.steps_per_epoch, total=self.total)
        if share is None:
            return
        if self.mean is None:
            self.mean = [p.detach().clone() for p in self.live]
        else:
            torch._foreach_lerp_(self.mean, self.live, share)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's parameters with the average; a second call puts them back; nothing before a start."""
        if self.mean is not None:
            for live, mean in zip(self.live, self.mean, strict=True):
                kept = live.detach().clone()
                live.copy_(mean)
                mean.copy_(kept)


@torch.no_grad()
def reestimate_batch_norm(module: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics by the mean over `batches`, as averaged weights need (Izmailov et al., sec. 3.2).

    Every other layer stays in eval mode, so dropout is off; the module is in eval mode afterwards. The batches have to
    be shuffled: the variance inside of batches of one class each is too small. Layers that are in eval mode before keep
    their statistics, as training left them alone.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    module.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's cumulative mean
        norm.train()
    for batch in batches:
        module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


AVERAGINGS: dict[str, type[Averaging]] = {kind.name: kind for kind in (EMA, SWA)}
