"""The multilayer perceptron: its name, its layers, and the module built from them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from regimen.errors import OptionError
from regimen.models import (
    MLP,
    ActivationLayer,
    ConvNet,
    Convolution,
    DropoutLayer,
    LinearLayer,
    NormLayer,
    build,
    parse_model,
)
from regimen.models.layers import ACTIVATIONS
from regimen.nn import Dropout
from regimen.nn import step as dropout_step

models = st.builds(
    MLP,
    hidden=st.lists(st.integers(1, 16_384), max_size=5).map(tuple),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
)


@given(models)
def test_every_model_is_read_back_from_its_name(model: MLP) -> None:
    assert parse_model(model.name) == model


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("mlp", MLP()),
        ("mlp:256x128", MLP(hidden=(256, 128))),
        ("mlp:64:tanh", MLP(hidden=(64,), activation="tanh")),
        ("mlp:linear", MLP(hidden=())),
        ("mlp:linear:gelu", MLP(hidden=(), activation="gelu")),
    ],
)
def test_a_name_describes_a_model(text: str, model: MLP) -> None:
    assert parse_model(text) == model


@pytest.mark.parametrize(
    "text",
    ["", "cn", "MLP", "mlp:0", "mlp:-3", "mlp:8x", "mlp:x8", "mlp:8X8", "mlp:1e3", "mlp:16385", "mlp:٣", "mlp: 8"],
)
def test_a_name_that_describes_no_model_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="model: expected"):
        parse_model(text)


def test_a_mistyped_activation_is_refused_with_the_nearest() -> None:
    message = "no such activation 'rleu'; did you mean 'relu'"
    with pytest.raises(OptionError, match=message):
        parse_model("mlp:8:rleu")
    with pytest.raises(OptionError, match=message):
        MLP(activation="rleu")  # type: ignore[arg-type]


def test_widths_may_stand_in_a_list_and_be_numbers_of_numpy() -> None:
    """A description is compared and hashed: by the engines, which gather runs of equal networks."""
    for widths in ([8, 4], np.array([8, 4]), (np.int64(8), 4)):
        model = MLP(hidden=widths)  # type: ignore[arg-type]
        assert model == MLP(hidden=(8, 4))
        assert hash(model) == hash(MLP(hidden=(8, 4)))
    net = ConvNet(convolutions=[Convolution(channels=4)], hidden=[8])  # type: ignore[arg-type]
    assert hash(net) == hash(ConvNet(convolutions=(Convolution(channels=4),), hidden=(8,)))


def test_a_width_that_stands_alone_is_refused_with_how_to_write_it() -> None:
    for make in (MLP, ConvNet):
        with pytest.raises(OptionError, match=r"model: expected hidden widths such as \(128, 64\), got 8"):
            make(hidden=8)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [0, -1, 2.0, True, 16_385, "8"])
def test_an_impossible_width_is_refused(width: object) -> None:
    with pytest.raises(OptionError, match="model: expected hidden widths from 1 to 16384"):
        MLP(hidden=(8, width))  # type: ignore[arg-type]


def test_layers_come_as_linear_norm_activation_dropout() -> None:
    layers = MLP(hidden=(8, 4), activation="tanh").layers(
        5, 3, dropout=(0.5,), input_dropout=0.2, normalization="batch"
    )
    assert layers == (
        DropoutLayer(0.2, 0),
        LinearLayer(5, 8), NormLayer("batch", 8), ActivationLayer("tanh"), DropoutLayer(0.5, 1),
        LinearLayer(8, 4), NormLayer("batch", 4), ActivationLayer("tanh"), DropoutLayer(0.5, 2),
        LinearLayer(4, 3),
    )  # fmt: skip


def test_without_techniques_only_linear_layers_and_activations_remain() -> None:
    assert MLP(hidden=(8,)).layers(5, 3) == (LinearLayer(5, 8), ActivationLayer("relu"), LinearLayer(8, 3))
    assert MLP(hidden=()).layers(5, 3, dropout=(0.5,), normalization="batch") == (LinearLayer(5, 3),)


def test_a_rate_for_each_layer_goes_to_its_layer_and_zero_leaves_none() -> None:
    layers = MLP(hidden=(8, 8, 8)).layers(5, 3, dropout=(0.1, 0.0, 0.3))
    assert [layer for layer in layers if isinstance(layer, DropoutLayer)] == [
        DropoutLayer(0.1, 1),
        DropoutLayer(0.3, 3),
    ]


@pytest.mark.parametrize("hidden", [(), (8,), (8, 8, 8)])
def test_a_number_of_rates_that_fits_no_layer_is_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=rf"dropout: expected one rate or {len(hidden)} .*, got 2"):
        MLP(hidden=hidden).layers(5, 3, dropout=(0.1, 0.2))


@given(
    models.map(lambda m: MLP(hidden=tuple(w % 9 + 1 for w in m.hidden), activation=m.activation)),
    st.sampled_from(["none", "batch", "layer"]),
    st.sampled_from([0.0, 0.5]),
)
def test_the_site_of_a_dropout_is_the_number_of_weight_layers_before_it(
    model: MLP, norm: str, input_rate: float
) -> None:
    layers = model.layers(3, 2, dropout=(0.5,), input_dropout=input_rate, normalization=norm)  # type: ignore[arg-type]
    for i, layer in enumerate(layers):
        if isinstance(layer, DropoutLayer):
            assert layer.site == sum(isinstance(before, LinearLayer) for before in layers[:i])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_the_built_network_is_the_one_written_by_hand(activation: str, norm: str) -> None:
    model = MLP(hidden=(6, 4), activation=activation)  # type: ignore[arg-type]
    network = build(model.layers(3, 2, normalization=norm), key=1)  # type: ignore[arg-type]
    norms = {"none": [], "batch": [nn.BatchNorm1d], "layer": [nn.LayerNorm]}[norm]
    act = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU,
           "sigmoid": nn.Sigmoid}[activation]  # fmt: skip
    expected = nn.Sequential(
        nn.Linear(3, 6), *(kind(6) for kind in norms), act(), nn.Linear(6, 4), *(kind(4) for kind in norms), act(),
        nn.Linear(4, 2),
    )  # fmt: skip
    assert repr(network) == repr(expected)
    expected.load_state_dict(network.state_dict())
    x = torch.randn(5, 3)
    assert torch.equal(network(x), expected(x))


def test_dropout_layers_draw_from_the_key_at_their_site() -> None:
    network = build(MLP(hidden=(6,)).layers(3, 2, dropout=(0.5,), input_dropout=0.25), key=9)
    found = [(m.p, m.seed, m.site) for m in network.modules() if isinstance(m, Dropout)]
    assert found == [(0.25, 9, 0), (0.5, 9, 1)]
    with dropout_step(network, 0):
        assert network(torch.ones(2, 3)).shape == (2, 2)


def test_models_are_hashed_by_what_they_describe() -> None:
    assert len({MLP(), MLP(hidden=(128, 128)), MLP(activation="relu"), MLP(hidden=(8,))}) == 2
