"""Part D: the repaired network is the described one, and the experiment gives its rows."""

from pathlib import Path

import pytest
import torch
from torch import nn

from regimen.experiments.cifar_net import PostedNet, cifar_net, described, recipe
from regimen.experiments.context import Context
from regimen.models import build


@pytest.mark.parametrize("third", [False, True])
def test_the_described_network_computes_what_the_post_s_computes(third: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        posted = PostedNet((3, 32, 32), third=third).eval()
        layers = described(third).layers((3, 32, 32), 10, dropout=recipe(third, 0.25, 1).rates)
        ours = build(layers, key=1).eval()
        x = torch.rand(4, 3, 32, 32)
    weighted = [layer for layer in ours if isinstance(layer, nn.Conv2d | nn.Linear)]
    theirs = [layer for layer in posted.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weighted) == len(theirs) == (5 if third else 4)
    for layer, other in zip(weighted, theirs, strict=True):
        layer.load_state_dict(other.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x), posted(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "third", "size"), [((3, 32, 32), False, 2304), ((3, 32, 32), True, 512), ((1, 40, 28), False, 2560)]
)
def test_the_flattened_size_follows_from_the_shape_of_the_images(
    shape: tuple[int, int, int], third: bool, size: int
) -> None:
    net = PostedNet(shape, third=third)
    assert net.fc1.in_features == size
    assert net(torch.zeros(2, *shape)).shape == (2, 10)


def test_dropout_stands_where_the_post_has_it_and_drops_elements() -> None:
    names = [
        type(layer).__name__ for layer in described(True).layers((3, 32, 32), 10, dropout=recipe(True, 0.25, 1).rates)
    ]
    assert names[-7:] == [
        "PoolLayer",
        "DropoutLayer",
        "FlattenLayer",
        "LinearLayer",
        "ActivationLayer",
        "DropoutLayer",
        "LinearLayer",
    ]
    assert names.count("DropoutLayer") == 2


def test_the_quick_experiment_trains_with_and_without_dropout_and_third_convolution(real_images: Path) -> None:
    outcome = cifar_net(Context(size="quick"))
    trained = [row.quantity for row in outcome.rows if row.quantity.startswith("test accuracy")]
    assert len(trained) == 4
    assert all("quick: 256 images, 2 epochs" in quantity for quantity in trained)
    values = {row.quantity: row.measured for row in outcome.rows}
    assert values["flattened size, two convolutions"] == 2304
    assert values["flattened size, three convolutions"] == 512
    assert values["different masks that the one dropout module draws in its two calls"] == 2
    (picture,) = outcome.pictures
    for axes in picture.figure.axes:
        assert axes.get_xlabel() == "epoch"
        assert axes.get_ylabel()
    assert "eval mode" in picture.caption
