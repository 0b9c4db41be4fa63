"""Training with a weight for each row: it multiplies the loss of the row, whatever batch the row stands in."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from regimen.data import stop_split
from regimen.engine.objective import Objective
from regimen.engine.reference import Training
from regimen.estimators.inputs import Weights
from regimen.run import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedObjective(Objective):
    """The objective over targets `[rows, 2]`, whose second column is the weight of the row.

    The loss of a batch of n rows is Σ wᵢ ℓᵢ / n, where w is 1 in the mean over all training rows; with class weights c,
    Σ wᵢ cᵢ ℓᵢ / Σ cᵢ, as PyTorch divides. Over the batches of an epoch these average to the weighted mean of all rows.
    Targets of one dimension, such as those of validation rows, have no weights.

    Note:
        The batch's own Σ wᵢ below the line would take out of a weight what the rows beside it have too: all of it in
        batches of one row.
    """

    def training_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean of weighted losses that is minimized, with smoothing and class weights."""
        values, weights = targets.unbind(1)
        if self.task == "regression":
            return ((outputs[:, 0] - values) ** 2 * weights).mean()
        labels = values.long()
        losses = F.cross_entropy(
            outputs, labels, weight=self.class_weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        weighted = losses * weights
        return weighted.mean() if self.class_weights is None else weighted.sum() / self.class_weights[labels].sum()

    def plain_loss(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the mean criterion without smoothing or class weights, in float64; weighted where targets are."""
        if targets.dim() == 1:
            return Objective.plain_loss(self, outputs, targets)
        values, weights = targets.double().unbind(1)
        wide = outputs.double()
        if self.task == "regression":
            return float(_mean((wide[:, 0] - values) ** 2, weights))
        return float(_mean(F.cross_entropy(wide, values.long(), reduction="none"), weights))

    def constant_outputs(self, targets: Tensor, rows: int, outputs: int) -> Tensor:
        """Return the outputs of the best constant prediction, of rows that count alike."""
        values = targets if targets.dim() == 1 else targets[:, 0]
        if self.task == "classification":
            values = values.long()
        return Objective.constant_outputs(self, values, rows, outputs)


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum()


class WeightedTraining(Training):
    """A run of the reference engine whose training rows have weights.

    Args:
        run: What to train.
        weights: Weight of each training row, > 0, in the order of `run.split.train`, divided by the mean weight; None
            for an ordinary training.
    """

    def __init__(self, run: Run, weights: Weights | None) -> None:
        super().__init__(run, keep=("weights",))
        if weights is None:
            return
        labels = self.data.y["train"].numpy() if run.data.task == "classification" else None
        # A mean of 1 over all rows, not over each batch, leaves the size of penalties against the loss as it is without
        # weights; float32 holds class codes below 2^24 exactly.
        of_rows = torch.from_numpy(weights.astype(np.float32))
        rows = np.arange(len(of_rows))
        if self.stop is not None:
            rows, stop = stop_split(rows, labels, run.key)
            self.stop = (self.stop[0], torch.stack([self.stop[1].float(), of_rows[stop]], dim=1))
        self.y = torch.stack([self.y.float(), of_rows[rows]], dim=1)
        plain = self.objective
        self.objective = WeightedObjective(
            task=plain.task, label_smoothing=plain.label_smoothing, class_weights=plain.class_weights
        )
