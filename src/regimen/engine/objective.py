"""What a run minimizes while training, and the plain criterion by which all runs are compared."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from regimen.data import Prepared
from regimen.records import Task
from regimen.run import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """Cross-entropy over logits `[rows, classes]`, or the mean squared error of outputs `[rows, 1]`.

    Attributes:
        task: Which of the two.
        label_smoothing: Share of the target spread evenly over all classes.
        class_weights: Weight of each class, float32 `[classes]`, or None.
    """

    task: Task
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    @classmethod
    def of(cls, recipe: Recipe, task: Task, data: Prepared) -> Self:
        """Return the objective of a recipe; balanced class weights are n / (classes · count), 0 for absent ones.

        Weights of rows do not enter the counts: they multiply with the weights of the classes.
        """
        weights = None
        if task == "classification" and recipe.class_weights == "balanced":
            counts = torch.bincount(data.y["train"], minlength=data.outputs).to(torch.float64)
            present = counts > 0
            weights = torch.where(present, counts.sum() / (present.sum() * counts.clamp(min=1)), 0.0).float()
        smoothing = recipe.label_smoothing if task == "classification" else 0.0
        return cls(task=task, label_smoothing=smoothing, class_weights=weights)

    def training_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss that is minimized, with smoothing and class weights."""
        if self.task == "regression":
            return F.mse_loss(outputs[:, 0], targets)
        return F.cross_entropy(outputs, targets, weight=self.class_weights, label_smoothing=self.label_smoothing)

    def plain_loss(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the mean criterion without smoothing or weights, computed in float64."""
        wide = outputs.double()
        if self.task == "regression":
            return float(F.mse_loss(wide[:, 0], targets.double()))
        return float(F.cross_entropy(wide, targets))

    def constant_outputs(self, targets: Tensor, rows: int, outputs: int) -> Tensor:
        """Return the outputs of the best constant prediction: log class shares (add-one), or the mean target."""
        if self.task == "regression":
            return targets.mean().expand(rows, 1)
        counts = torch.bincount(targets, minlength=outputs) + 1.0
        return (counts / counts.sum()).log().expand(rows, outputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedObjective(Objective):
    """The objective over targets `[rows, 2]`, whose second column is the weight of the row.

    The loss of a batch of n rows is Σ wᵢ ℓᵢ / n, where w is 1 in the mean over all training rows; with class weights c,
    Σ wᵢ cᵢ ℓᵢ / Σ cᵢ, as PyTorch divides. Over the batches of an epoch these average to the weighted mean of all rows.

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
        """Return the weighted mean of the criterion without smoothing or class weights, computed in float64."""
        values, weights = targets.double().unbind(1)
        wide = outputs.double()
        if self.task == "regression":
            losses = (wide[:, 0] - values) ** 2
        else:
            losses = F.cross_entropy(wide, values.long(), reduction="none")
        return float((losses * weights).sum() / weights.sum())

    def constant_outputs(self, targets: Tensor, rows: int, outputs: int) -> Tensor:
        """Return the outputs of the best constant prediction: log weighted class shares (add-one), or the mean."""
        values, weights = targets.unbind(1)
        if self.task == "regression":
            return ((values * weights).sum() / weights.sum()).expand(rows, 1)
        counts = torch.bincount(values.long(), weights=weights, minlength=outputs) + 1.0
        return (counts / counts.sum()).log().expand(rows, outputs)


def with_weights(targets: Tensor, weights: npt.NDArray[np.float64] | None) -> Tensor:
    """Return targets beside the weights of their rows, float32 `[rows, 2]`; as they are where there are none.

    float32 holds class codes below 2^24 exactly.

    Example:
        >>> with_weights(torch.tensor([3, 1]), np.array([0.5, 1.5])).tolist()
        [[3.0, 0.5], [1.0, 1.5]]
    """
    if weights is None:
        return targets
    return torch.stack([targets.float(), torch.from_numpy(weights.astype(np.float32))], dim=1)
