"""What the runs of a bundle minimize, for all at once: each its own smoothing, weights and mixed targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from regimen.engine.devices import CPU
from regimen.engine.objective import Objective


@dataclass(kw_only=True, slots=True)
class StackedObjective:
    """The training losses of a bundle: of every run that of `Objective.training_loss` on its own rows.

    Attributes:
        classifies: Cross-entropy, else the mean squared error.
        smoothing: Label smoothing of each run, `[runs]`; None where no run has any.
        class_weights: `[runs, classes]`, ones for a run without; None where no run has any.
    """

    classifies: bool
    smoothing: Tensor | None = None
    class_weights: Tensor | None = None

    @classmethod
    def of(cls, objectives: Sequence[Objective], outputs: int, device: torch.device = CPU) -> "StackedObjective":
        """Return the objective of runs of one task.

        Args:
            objectives: One a run.
            outputs: Classes, or 1.
            device: Where losses are computed.
        """
        smoothing, weights = None, None
        if any(one.label_smoothing for one in objectives):
            smoothing = torch.tensor([one.label_smoothing for one in objectives], dtype=torch.float32).to(device)
        if any(one.class_weights is not None for one in objectives):
            ones = torch.ones(outputs, dtype=torch.float32)
            each = [ones if one.class_weights is None else one.class_weights for one in objectives]
            weights = torch.stack(each).to(device)
        return cls(classifies=objectives[0].task == "classification", smoothing=smoothing, class_weights=weights)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of each run, `[runs]`.

        Args:
            outputs: `[runs, rows, classes]`, or `[runs, rows, 1]`.
            targets: `[runs, rows]`; beside the weights of the rows `[runs, rows, 2]`, see `WeightedObjective`.

        Example:
            >>> objective = StackedObjective(classifies=True)
            >>> objective.losses(torch.zeros(3, 5, 2), torch.zeros(3, 5, dtype=torch.int64)).exp()
            tensor([2., 2., 2.])
        """
        weights: Tensor | None = None
        if targets.dim() == 3:
            targets, weights = targets.unbind(2)
            targets = targets.long() if self.classifies else targets
        if not self.classifies:
            return _mean((outputs[..., 0] - targets).square(), weights)
        logarithms = F.log_softmax(outputs, dim=-1)
        nll = -logarithms.gather(-1, targets[..., None])[..., 0]
        own = None if self.class_weights is None else self.class_weights.gather(1, targets)
        losses = _mean(nll, weights, own)
        if self.smoothing is None:
            return losses
        if self.class_weights is None or own is None:
            even = -_mean(logarithms.sum(dim=-1), weights)
        elif weights is None:
            even = -(logarithms * self.class_weights[:, None]).sum(dim=(1, 2)) / own.sum(dim=1)
        else:
            spread = (logarithms * self.class_weights[:, None]).sum(dim=2)
            even = -(spread * weights).sum(dim=1) / own.sum(dim=1)
        return (1.0 - self.smoothing) * losses + self.smoothing / outputs.shape[-1] * even

    def mixed_losses(self, outputs: Tensor, targets: Tensor, partners: Tensor | None, shares: Tensor) -> Tensor:
        """Return the losses with mixed targets: share · loss(own) + (1 - share) · loss(partners').

        Args:
            outputs: `[runs, rows, outputs]`.
            targets: `[runs, rows]`, or `[runs, rows, 2]`.
            partners: Row that each row is mixed with, int64 `[runs, rows]`; None where no run mixes.
            shares: Of their own targets, `[runs]`, 1 where a run does not mix.
        """
        losses = self.losses(outputs, targets)
        if partners is None:
            return losses
        across = partners if targets.dim() == 2 else partners[..., None].expand_as(targets)
        return shares * losses + (1.0 - shares) * self.losses(outputs, targets.gather(1, across))

    def select(self, runs: Tensor) -> None:
        """Keep these runs only, int64 indices."""
        self.smoothing = None if self.smoothing is None else self.smoothing[runs]
        self.class_weights = None if self.class_weights is None else self.class_weights[runs]


def _mean(losses: Tensor, weights: Tensor | None, own: Tensor | None = None) -> Tensor:
    """Return the mean over rows of each run: of rows with weights, and of classes with theirs (`own`)."""
    weighted = losses if weights is None else losses * weights
    return weighted.mean(dim=1) if own is None else (weighted * own).sum(dim=1) / own.sum(dim=1)
