"""Part B on few images: the post's loop, what the wrong scale of the test images does, and what is told of it."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from regimen.experiments.context import Context, Outcome
from regimen.experiments.mnist_dropout import POSTED_COSTS, mnist_dropout
from regimen.experiments.mnist_training import Trained, different_masks, network, score, train


@pytest.fixture(scope="module")
def lit() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures that are light in their upper or lower half, and which."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (400,), generator=generator)
    x = torch.rand(400, 784, generator=generator) * 0.3
    x[y == 0, :392] += 0.7
    x[y == 1, 392:] += 0.7
    return x, y


@pytest.fixture(scope="module")
def trained(lit: tuple[torch.Tensor, torch.Tensor]) -> Trained:
    x, y = lit
    with torch.random.fork_rng():
        return train(x[:300], y[:300], x[300:], y[300:], epochs=3, shown=2, on_epoch=lambda: None)


def test_the_network_is_that_of_the_post_with_one_dropout_object_in_four_places() -> None:
    layers = list(network())
    sizes = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert sizes == [(784, 512), (512, 512), (512, 512), (512, 512), (512, 10)]
    dropouts = [layer for layer in layers if isinstance(layer, nn.Dropout)]
    assert len(dropouts) == 4
    assert len({id(layer) for layer in dropouts}) == 1
    weight = layers[0].weight
    assert weight.abs().max() <= (6 / (784 + 512)) ** 0.5
    assert different_masks(network()) == 4


def test_costs_are_means_over_whole_batches_and_fall(trained: Trained) -> None:
    assert len(trained.costs) == len(trained.right) == len(trained.posted) == 3
    assert trained.costs[0] > trained.costs[1] > trained.costs[2]


def test_the_network_kept_is_the_one_after_the_epochs_that_are_shown(
    trained: Trained, lit: tuple[torch.Tensor, torch.Tensor]
) -> None:
    x, y = lit
    assert not trained.network.training
    assert score(trained.network, x[300:], y[300:]) == trained.right[1]
    assert trained.right[1] != trained.right[2]
    assert score(trained.network, 255.0 * x[300:], y[300:]) == trained.posted[1]


def test_a_relu_network_nearly_forgives_the_wrong_scale_in_accuracy_but_not_in_cross_entropy() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = network().eval()
    x = torch.rand(200, 784, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = net(x).argmax(1)
        y[:20] = (y[:20] + 1) % 10
    right, wrong = score(net, x, y), score(net, 255.0 * x, y)
    assert right.accuracy == 0.9
    assert abs(wrong.accuracy - right.accuracy) < 0.1
    assert wrong.loss > 2 * right.loss


def test_train_mode_leaves_dropout_on_in_the_score() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = network()
        x, y = torch.rand(50, 784), torch.zeros(50, dtype=torch.int64)
        assert score(net, x, y, training=True).loss != score(net, x, y, training=True).loss
        assert score(net, x, y).loss == score(net, x, y).loss


@pytest.fixture(scope="module")
def outcome(real_images: Path) -> Outcome:
    return mnist_dropout(Context(size="quick"))


def test_the_quick_experiment_tells_what_was_reduced_and_gives_every_row(outcome: Outcome) -> None:
    costs = [row for row in outcome.rows if "mean cost" in row.quantity]
    assert [row.posted for row in costs] == list(POSTED_COSTS[:2]) * 2
    assert all("quick: 2,500 images" in row.quantity for row in costs)
    fresh, shifted = costs[:2], costs[2:]
    assert [row.measured for row in fresh[1:]] == [row.measured for row in shifted[:1]], "shifted by one epoch"
    accuracy = {row.variant: row for row in outcome.rows if row.quantity.startswith("test accuracy, pixels 0..")}
    assert set(accuracy) == {"as_posted", "corrected"}
    assert all(0.5 < row.measured < 1.0 for row in accuracy.values())
    losses = {row.variant: row.measured for row in outcome.rows if row.quantity.startswith("test cross-entropy")}
    assert losses["as_posted"] > 10 * losses["corrected"]


def test_the_single_image_is_the_one_that_the_seed_picks_from_a_fresh_start(outcome: Outcome) -> None:
    values = {row.quantity: row for row in outcome.rows}
    assert values["number of the single test image that random.seed(1) picks"].measured == 2201
    assert random.Random(1).randint(0, 9999) == 2201
    label = values["label of the single test image"]
    assert (label.posted, label.measured) == (8, 4)
    assert [picture.name for picture in outcome.pictures] == ["costs", "digit"]
