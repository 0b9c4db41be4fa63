"""What a run minimizes while training, and the plain criterion by which all runs are compared."""

from dataclasses import dataclass

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
    def of(cls, recipe: Recipe, task: Task, data: Prepared) -> "Objective":
        """Return the objective of a recipe; balanced class weights are n / (classes · count), 0 for absent ones."""
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
