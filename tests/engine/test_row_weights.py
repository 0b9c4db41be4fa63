"""Weights of rows: the loss that is minimized, what is measured, and what all engines make of them."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from regimen.engine.objective import Objective, WeightedObjective


@pytest.mark.parametrize("class_weights", [None, [1.0, 2.0, 0.5]], ids=["alike", "by class"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_of_one_give_the_loss_of_pytorch(class_weights: Any, smoothing: float) -> None:
    source = torch.Generator().manual_seed(1)
    outputs, y = torch.randn(12, 3, generator=source), torch.randint(0, 3, (12,), generator=source)
    by_class = None if class_weights is None else torch.tensor(class_weights)
    weighted = WeightedObjective(task="classification", label_smoothing=smoothing, class_weights=by_class)
    targets = torch.stack([y.float(), torch.ones(12)], dim=1)
    expected = F.cross_entropy(outputs, y, weight=by_class, label_smoothing=smoothing)
    torch.testing.assert_close(weighted.training_loss(outputs, targets), expected)
    plain = Objective(task="classification", label_smoothing=smoothing, class_weights=by_class)
    assert weighted.plain_loss(outputs, targets) == pytest.approx(plain.plain_loss(outputs, y), rel=1e-12)


def test_class_weights_and_weights_of_rows_multiply() -> None:
    outputs, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, 1.0])
    weights, by_class = torch.tensor([3.0, 1.0]), torch.tensor([5.0, 1.0])
    objective = WeightedObjective(task="classification", class_weights=by_class)
    losses = F.cross_entropy(outputs, y.long(), reduction="none")
    expected = (3.0 * 5.0 * losses[0] + 1.0 * 1.0 * losses[1]) / (5.0 + 1.0)  # as PyTorch divides
    torch.testing.assert_close(objective.training_loss(outputs, torch.stack([y, weights], dim=1)), expected)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_batches_of_any_size_add_up_to_the_loss_of_all_rows(task: Any) -> None:
    source = torch.Generator().manual_seed(2)
    outputs, y = torch.randn(12, 2, generator=source), torch.randint(0, 2, (12,), generator=source).float()
    weights = torch.rand(12, generator=source) * 9.0
    targets = torch.stack([y, weights / weights.mean()], dim=1)
    objective = WeightedObjective(task=task)
    whole = objective.training_loss(outputs, targets)
    assert float(whole) == pytest.approx(objective.plain_loss(outputs, targets), rel=1e-6)
    for size in (1, 3, 6):
        parts = [objective.training_loss(outputs[i : i + size], targets[i : i + size]) for i in range(0, 12, size)]
        torch.testing.assert_close(torch.stack(parts).mean(), whole)
