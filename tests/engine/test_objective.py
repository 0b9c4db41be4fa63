"""The loss that is minimized, the criterion that compares, and the constant prediction."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from regimen.engine.objective import Objective
from regimen.run import Recipe

OUTPUTS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5], [-3.0, 1.0, 4.0], [0.0, 1.0, 0.0]])
Y = torch.tensor([0, 1, 2, 1])


def data_with(y: torch.Tensor, outputs: int = 3) -> Any:
    return SimpleNamespace(y={"train": y}, outputs=outputs)


def test_balanced_weights_make_every_class_count_the_same() -> None:
    weights = Objective.of(Recipe(class_weights="balanced"), "classification", data_with(Y)).class_weights
    assert weights is not None
    assert (weights * Y.bincount()).tolist() == pytest.approx([4 / 3] * 3)


def test_a_class_without_training_rows_weighs_nothing_and_changes_no_other_weight() -> None:
    recipe = Recipe(class_weights="balanced")
    weights = Objective.of(recipe, "classification", data_with(torch.tensor([0, 0, 0, 2]))).class_weights
    assert weights is not None
    assert weights.tolist() == pytest.approx([4 / 6, 0.0, 4 / 2])


def test_the_plain_loss_has_neither_smoothing_nor_weights() -> None:
    recipe = Recipe(class_weights="balanced", label_smoothing=0.3)
    objective = Objective.of(recipe, "classification", data_with(Y))
    expected = -OUTPUTS.double().log_softmax(1)[torch.arange(4), Y].mean().item()
    assert objective.plain_loss(OUTPUTS, Y) == pytest.approx(expected, rel=1e-14)
    assert objective.training_loss(OUTPUTS, Y).item() != pytest.approx(expected, rel=1e-3)


def test_the_training_loss_is_pytorchs_cross_entropy_with_smoothing_and_weights() -> None:
    weights = torch.tensor([1.0, 0.5, 2.0])
    objective = Objective(task="classification", label_smoothing=0.3, class_weights=weights)
    expected = F.cross_entropy(OUTPUTS, Y, weight=weights, label_smoothing=0.3)
    assert torch.equal(objective.training_loss(OUTPUTS, Y), expected)


def test_the_loss_of_a_regression_is_the_mean_squared_error() -> None:
    objective = Objective(task="regression")
    outputs, y = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 4.0])
    assert objective.training_loss(outputs, y).item() == objective.plain_loss(outputs, y) == 2.5


def test_the_constant_prediction_of_classes_is_their_log_share_with_one_added_to_each() -> None:
    outputs = Objective(task="classification").constant_outputs(torch.tensor([0, 0, 0, 2]), 5, 3)
    assert outputs.shape == (5, 3)
    assert outputs[4].exp().tolist() == pytest.approx([4 / 7, 1 / 7, 2 / 7])


def test_the_constant_prediction_of_a_regression_is_the_mean_target() -> None:
    outputs = Objective(task="regression").constant_outputs(torch.tensor([1.0, 2.0, 6.0]), 4, 1)
    assert outputs.shape == (4, 1)
    assert outputs[3].item() == 3.0


def test_a_loss_too_large_for_float32_is_still_finite() -> None:
    assert math.isfinite(Objective(task="regression").plain_loss(torch.tensor([[1e30]]), torch.tensor([-1e30])))
