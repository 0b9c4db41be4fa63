"""The convolutional network as a description: its name, its layers, and the module built from them."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from regimen.errors import OptionError, RecipeError
from regimen.models import (
    MLP,
    ActivationLayer,
    ConvLayer,
    ConvNet,
    Convolution,
    DropoutLayer,
    FlattenLayer,
    LinearLayer,
    NormLayer,
    PoolLayer,
    build,
    parse_model,
)
from regimen.models.layers import ACTIVATIONS
from regimen.nn import Dropout, Dropout2d
from regimen.nn import step as dropout_step

convolutions = st.builds(
    Convolution,
    channels=st.integers(1, 16_384),
    stride=st.integers(1, 31),
    pool=st.integers(1, 31),
    pooling=st.sampled_from(["max", "avg"]),
)
models = st.integers(1, 31).flatmap(
    lambda kernel: st.builds(
        ConvNet,
        convolutions=st.lists(convolutions, min_size=1, max_size=4).map(tuple),
        hidden=st.lists(st.integers(1, 16_384), max_size=3).map(tuple),
        activation=st.sampled_from(sorted(ACTIVATIONS)),
        kernel=st.just(kernel),
        padding=st.integers(0, kernel - 1),
    )
)
small = st.builds(
    ConvNet,
    convolutions=st.lists(
        st.builds(
            Convolution,
            channels=st.integers(1, 5),
            stride=st.integers(1, 2),
            pool=st.integers(1, 3),
            pooling=st.sampled_from(["max", "avg"]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    hidden=st.lists(st.integers(1, 5), max_size=2).map(tuple),
    kernel=st.just(3),
    padding=st.integers(0, 2),
)


@given(models)
def test_every_network_is_read_back_from_its_name(model: ConvNet) -> None:
    assert parse_model(model.name) == model


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("cnn", ConvNet()),
        (
            "cnn:16,32p,64p:100",
            ConvNet(
                convolutions=(
                    Convolution(channels=16),
                    Convolution(channels=32, pool=2),
                    Convolution(channels=64, pool=2),
                )
            ),
        ),
        ("cnn:8", ConvNet(convolutions=(Convolution(channels=8),))),
        ("cnn:8a:50x20", ConvNet(convolutions=(Convolution(channels=8, pool=2, pooling="avg"),), hidden=(50, 20))),
        ("cnn:8s2p3:linear", ConvNet(convolutions=(Convolution(channels=8, stride=2, pool=3),), hidden=())),
        ("cnn:8:5:tanh", ConvNet(convolutions=(Convolution(channels=8),), hidden=(5,), activation="tanh")),
        ("cnn:8:5:k5p2", ConvNet(convolutions=(Convolution(channels=8),), hidden=(5,), kernel=5, padding=2)),
        (
            "cnn:8:5:gelu:k1p0",
            ConvNet(convolutions=(Convolution(channels=8),), hidden=(5,), activation="gelu", kernel=1, padding=0),
        ),
    ],
)
def test_a_name_describes_a_network(text: str, model: ConvNet) -> None:
    assert parse_model(text) == model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cnn:", "expected convolutions such as cnn:16,32p:100, got '' in 'cnn:'"),
        ("cnn:16,,8", "expected convolutions such as"),
        ("cnn:16q", "expected convolutions such as cnn:16,32p:100, got '16q'"),
        ("cnn:p", "expected convolutions such as"),
        ("cnn:16p2s2", "expected convolutions such as"),
        ("cnn:٣", "expected convolutions such as"),
        ("cnn:0", "expected channels from 1 to 16384, got 0"),
        ("cnn:8p0", "expected pools from 1 to 31, got 0"),
        ("cnn:8s40", "expected strides from 1 to 31, got 40"),
        ("cnn:8:x", "expected widths such as mlp:256x128"),
        ("cnn:8:5:rleu", "no such activation 'rleu'; did you mean 'relu'"),
        ("cnn:8:5:k3p3", "expected a padding from 0 to 2, got 3"),
        ("cnn:8:5:k0p0", "expected kernels from 1 to 31, got 0"),
        ("cnn:8:5:relu:tanh", "expected mlp, mlp:WIDTHxWIDTH"),
        ("mlp:8:k3p1", "no such activation 'k3p1'"),
    ],
)
def test_a_name_that_describes_no_network_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        parse_model(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"convolutions": ()}, "expected one or more Convolution"),
        ({"convolutions": (16, 32)}, "expected one or more Convolution"),
        ({"hidden": (0,)}, "expected hidden widths from 1 to 16384"),
        ({"activation": "rleu"}, "no such activation"),
        ({"padding": True}, "expected a padding from 0 to 2, got True"),
        ({"padding": 1.0}, "expected a padding from 0 to 2, got 1.0"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ConvNet(**fields)


def test_a_pool_of_no_kind_is_refused_and_none_is_of_neither() -> None:
    with pytest.raises(RecipeError, match="pooling: no such value 'mean'"):
        Convolution(channels=8, pool=2, pooling="mean")  # type: ignore[arg-type]
    assert Convolution(channels=8, pooling="avg") == Convolution(channels=8)


def test_layers_come_as_convolution_norm_activation_pool_dropout_then_flattened_as_a_perceptron() -> None:
    model = ConvNet(convolutions=(Convolution(channels=4), Convolution(channels=6, pool=2)), hidden=(9,))
    layers = model.layers(
        (3, 8, 10), 5, dropout=(0.1, 0.2, 0.3), input_dropout=0.4, normalization="batch", dropout_kind="channel"
    )
    assert layers == (
        DropoutLayer(0.4, 0),
        ConvLayer(3, 4, 3, 1), NormLayer("batch", 4, 2), ActivationLayer("relu"), DropoutLayer(0.1, 1, "channel"),
        ConvLayer(4, 6, 3, 1), NormLayer("batch", 6, 2), ActivationLayer("relu"), PoolLayer("max", 2),
        DropoutLayer(0.2, 2, "channel"),
        FlattenLayer(),
        LinearLayer(6 * 4 * 5, 9), NormLayer("batch", 9), ActivationLayer("relu"), DropoutLayer(0.3, 3),
        LinearLayer(9, 5),
    )  # fmt: skip


def test_the_network_of_the_post_on_cifar_has_dropout_before_and_after_its_hidden_layer() -> None:
    third = ConvNet(convolutions=tuple(Convolution(channels=c, pool=2) for c in (32, 64, 128)), hidden=(512,))
    layers = third.layers((3, 32, 32), 10, dropout=(0.0, 0.0, 0.25, 0.25))
    assert layers[-6:] == (
        DropoutLayer(0.25, 3), FlattenLayer(), LinearLayer(128 * 4 * 4, 512), ActivationLayer("relu"),
        DropoutLayer(0.25, 4), LinearLayer(512, 10),
    )  # fmt: skip


def test_the_network_of_the_post_on_techniques_is_the_default() -> None:
    network = build(ConvNet().layers((1, 28, 28), 10, dropout=(0.2,), dropout_kind="channel"), key=1)
    kinds = [type(m).__name__ for m in network]
    assert kinds == [
        "Conv2d", "ReLU", "Dropout2d", "Conv2d", "ReLU", "MaxPool2d", "Dropout2d", "Conv2d", "ReLU", "MaxPool2d",
        "Dropout2d", "Flatten", "Linear", "ReLU", "Dropout", "Linear",
    ]  # fmt: skip
    assert network[12].in_features == 3136


def test_dropping_channels_before_or_after_a_pool_is_the_same() -> None:
    behind = build((PoolLayer("max", 2), DropoutLayer(0.4, 2, "channel")), key=3)
    before = build((DropoutLayer(0.4, 2, "channel"), PoolLayer("max", 2)), key=3)
    x = torch.relu(torch.randn(5, 8, 6, 6, generator=torch.Generator().manual_seed(1)))
    with dropout_step(behind, 4), dropout_step(before, 4):
        assert torch.equal(behind(x), before(x))


@given(small, st.sampled_from([(1, 9, 9), (3, 12, 7), (2, 2, 20)]), st.sampled_from(["none", "batch", "layer"]))
def test_the_built_network_runs_or_the_images_are_refused_as_too_small(
    model: ConvNet, inputs: tuple[int, int, int], norm: Any
) -> None:
    try:
        layers = model.layers(inputs, 4, dropout=(0.5,), input_dropout=0.1, normalization=norm, dropout_kind="channel")
    except OptionError as refused:
        assert "nothing is left of images" in str(refused)
        described = build(tuple(untouched(model, inputs)), key=1)
        with pytest.raises(RuntimeError):
            described(torch.zeros(2, *inputs))
        return
    network = build(layers, key=1).eval()
    assert network(torch.zeros(2, *inputs)).shape == (2, 4)
    for i, layer in enumerate(layers):
        if isinstance(layer, DropoutLayer):
            assert layer.site == sum(isinstance(before, LinearLayer | ConvLayer) for before in layers[:i])


def untouched(model: ConvNet, inputs: tuple[int, int, int]) -> list[ConvLayer | PoolLayer]:
    """Return the convolutions and pools of a network, without regard to sizes."""
    layers: list[ConvLayer | PoolLayer] = []
    channels = inputs[0]
    for part in model.convolutions:
        layers.append(ConvLayer(channels, part.channels, model.kernel, model.padding, part.stride))
        if part.pool > 1:
            layers.append(PoolLayer(part.pooling, part.pool))
        channels = part.channels
    return layers


def test_the_built_network_is_the_one_written_by_hand() -> None:
    model = ConvNet(
        convolutions=(Convolution(channels=4, stride=2), Convolution(channels=6, pool=3, pooling="avg")),
        hidden=(7,), activation="gelu", kernel=5, padding=2,
    )  # fmt: skip
    network = build(model.layers((3, 14, 12), 2, normalization="layer"), key=1)
    expected = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2, padding=2), nn.GroupNorm(1, 4), nn.GELU(),
        nn.Conv2d(4, 6, 5, padding=2), nn.GroupNorm(1, 6), nn.GELU(), nn.AvgPool2d(3),
        nn.Flatten(), nn.Linear(6 * 2 * 2, 7), nn.LayerNorm(7), nn.GELU(), nn.Linear(7, 2),
    )  # fmt: skip
    assert repr(network) == repr(expected)
    expected.load_state_dict(network.state_dict())
    x = torch.randn(5, 3, 14, 12)
    torch.testing.assert_close(network(x), expected(x))
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_perceptron_flattens_images_and_drops_elements_whatever_the_kind() -> None:
    layers = MLP(hidden=(8,)).layers((3, 4, 5), 2, dropout=(0.5,), input_dropout=0.1, dropout_kind="channel")
    assert layers == (
        FlattenLayer(), DropoutLayer(0.1, 0), LinearLayer(60, 8), ActivationLayer("relu"), DropoutLayer(0.5, 1),
        LinearLayer(8, 2),
    )  # fmt: skip
    assert MLP(hidden=(8,)).layers((60,), 2) == MLP(hidden=(8,)).layers(60, 2)


def test_dropout_layers_of_each_kind_draw_from_the_key_at_their_site() -> None:
    layers = ConvNet(convolutions=(Convolution(channels=4),), hidden=(3,)).layers(
        (1, 4, 4), 2, dropout=(0.25, 0.5), input_dropout=0.1, dropout_kind="channel"
    )
    found = [(type(m), m.p, m.seed, m.site) for m in build(layers, key=9) if isinstance(m, Dropout | Dropout2d)]
    assert found == [(Dropout, 0.1, 9, 0), (Dropout2d, 0.25, 9, 1), (Dropout, 0.5, 9, 2)]


@pytest.mark.parametrize("inputs", [(1, 0, 8), 0, ()])
def test_inputs_without_a_number_are_refused(inputs: Any) -> None:
    with pytest.raises(OptionError, match="inputs: expected a number of columns, or the shape of one input"):
        MLP().layers(inputs, 2)


@pytest.mark.parametrize("inputs", [(3, 8), (2, 2, 2, 2)])
def test_inputs_of_any_shape_are_flattened_by_a_perceptron_and_refused_by_convolutions(inputs: tuple[int, ...]) -> None:
    assert MLP(hidden=()).layers(inputs, 2) == (FlattenLayer(), LinearLayer(math.prod(inputs), 2))
    with pytest.raises(OptionError, match=r"model: cnn.* needs images, got inputs of shape \["):
        ConvNet().layers(inputs, 2)


@pytest.mark.parametrize(("hidden", "count"), [((), 2), ((5,), 3)])
def test_a_number_of_rates_that_fits_no_layer_is_refused(hidden: tuple[int, ...], count: int) -> None:
    model = ConvNet(convolutions=(Convolution(channels=4), Convolution(channels=4)), hidden=hidden)
    with pytest.raises(OptionError, match=rf"dropout: expected one rate or {count} \(one for each convolution"):
        model.layers((1, 8, 8), 2, dropout=(0.1,) * 4)
