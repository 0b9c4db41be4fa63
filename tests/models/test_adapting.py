"""A recipe's wishes applied to networks of the user's own: existing dropout, its place in the stream, its rates."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regimen import nn as stream
from regimen.errors import OptionError, RecipeError
from regimen.models.adapting import Adapted, Wishes, adapt
from regimen.models.adapting_wishes import LARGEST_RATE
from regimen.nn import step

KEY = 77


class Shared(nn.Module):
    """One dropout in three places, another under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.dropout = nn.Dropout(0.5)
        self.tail = nn.Sequential(nn.Dropout(0.25), self.last)
        self.alias = self.tail[0]

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(torch.relu(self.first(self.dropout(x))))
        return self.tail(self.alias(self.dropout(torch.relu(self.second(x)))))


def of(network: nn.Module, inputs: tuple[int, ...] = (6,), key: int = KEY, **wishes: Any) -> Adapted:
    return adapt(network, Wishes(**wishes), key=key, inputs=inputs)


def noisy(network: nn.Module) -> list[stream.StreamLayer]:
    return [layer for layer in network.modules() if isinstance(layer, stream.StreamLayer)]


@pytest.mark.parametrize(
    ("written", "twin"),
    [
        (nn.Dropout, stream.Dropout),
        (nn.Dropout1d, stream.Dropout1d),
        (nn.Dropout2d, stream.Dropout2d),
        (nn.Dropout3d, stream.Dropout3d),
        (nn.AlphaDropout, stream.AlphaDropout),
        (nn.FeatureAlphaDropout, stream.FeatureAlphaDropout),
    ],
)
@pytest.mark.parametrize("inplace", [False, True])
def test_every_dropout_of_torch_becomes_its_twin_with_rate_and_place(written: Any, twin: Any, inplace: bool) -> None:
    network = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.ReLU(), written(0.3, inplace))).eval()
    (layer,) = noisy(of(network).network)
    assert type(layer) is twin
    assert (layer.p, layer.inplace, layer.seed, layer.site, layer.training) == (0.3, inplace, KEY, 4, False)


def test_masks_follow_the_run_and_its_step_not_the_default_generator() -> None:
    networks = [of(Shared()).network for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    x = torch.ones(4, 6)
    outputs = []
    for n, network in ((3, networks[0]), (3, networks[1]), (4, networks[0])):
        torch.manual_seed(len(outputs))
        with step(network, n):
            outputs.append(network(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_a_layer_in_several_places_or_under_two_names_stays_one_layer() -> None:
    network = Shared()
    names = list(network.state_dict())
    of(network, dropout=(0.4, 0.1))
    assert network.alias is network.tail[0]
    assert [layer.p for layer in noisy(network)] == [0.4, 0.1]
    assert list(network.state_dict()) == names
    x = torch.ones(200, 6)
    with step(network, 0):
        masks = [network.dropout(x) for _ in range(2)]
    assert not torch.equal(*masks)


def test_hooks_and_other_references_to_a_replaced_layer_go_on_to_work() -> None:
    network = Shared()
    kept, seen = network.dropout, []
    kept.register_forward_hook(lambda *_: seen.append(1))
    of(network)
    assert network.dropout is kept
    seen.clear()
    with step(network, 0):
        network(torch.ones(2, 6))
    assert len(seen) == 3


def test_layers_of_regimen_take_the_key_and_their_ordinal_too() -> None:
    network = nn.Sequential(nn.Linear(6, 4), stream.ReLUDropout(0.2), stream.GaussianDropout(0.1, seed=1, site=9))
    adapted = of(network, dropout=(0.5,))
    assert [(layer.p, layer.seed, layer.site) for layer in noisy(network)] == [(0.5, KEY, 2), (0.5, KEY, 3)]
    assert [change.what for change in adapted.changes] == [
        "dropout 0.5 (was 0.2), site 2",
        "Gaussian dropout 0.5 (was 0.1), site 3",
    ]


def test_without_wishes_the_rates_stay_as_written() -> None:
    adapted = of(Shared())
    assert [layer.p for layer in noisy(adapted.network)] == [0.5, 0.25]
    assert [(change.place, change.what) for change in adapted.changes] == [
        ("dropout", "dropout 0.5 (as written), site 4"),
        ("tail.0", "dropout 0.25 (as written), site 6"),
    ]


@pytest.mark.parametrize(
    ("wishes", "rates"),
    [
        ({"dropout": (0.3,)}, [0.3, 0.3]),
        ({"dropout": (0.3, 0.0)}, [0.3, 0.0]),
        ({"dropout_scale": 0.5}, [0.25, 0.125]),
        ({"dropout_scale": 0.0}, [0.0, 0.0]),
        ({"dropout_scale": 3.0}, [LARGEST_RATE, 0.75]),
        ({"dropout": (0.3,), "dropout_scale": 2.0}, [0.6, 0.6]),
    ],
)
def test_rates_are_set_or_scaled(wishes: dict[str, Any], rates: list[float]) -> None:
    assert [layer.p for layer in noisy(of(Shared(), **wishes).network)] == rates


def test_the_wrong_number_of_rates_is_refused() -> None:
    with pytest.raises(OptionError, match=r"expected one rate or 2 \(one for each dropout layer of Shared\), got 3"):
        of(Shared(), dropout=(0.1, 0.2, 0.3))


def test_dropout_inside_of_recurrent_and_attention_layers_takes_the_rates() -> None:
    network = nn.Module()
    network.gru = nn.GRU(6, 4, num_layers=2, dropout=0.1)
    network.encoder = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2, batch_first=True)
    network.quiet = nn.MultiheadAttention(4, 2)
    with pytest.warns(UserWarning, match="num_layers=1"):
        network.idle = nn.LSTM(4, 4, dropout=0.5)
    changes = of(network, dropout=(0.5,)).changes
    assert network.gru.dropout == network.encoder.self_attn.dropout == network.encoder.dropout1.p == 0.5
    assert (network.quiet.dropout, network.idle.dropout) == (0.0, 0.5)
    assert [change.place for change in changes if change.place != "Module"] == [
        "gru", "encoder.self_attn", "encoder.dropout", "encoder.dropout1", "encoder.dropout2"
    ]  # fmt: skip
    assert changes[0].what == "dropout between its layers 0.5 (was 0.1), drawn by PyTorch's generator"
    assert changes[1].what == "dropout of its attention weights 0.5 (was 0.2), drawn by PyTorch's generator"


def test_a_dropout_of_the_users_own_with_another_forward_is_left_alone() -> None:
    class Always(nn.Dropout):
        def forward(self, input: Tensor) -> Tensor:
            return nn.functional.dropout(input, self.p, training=True)

    network = nn.Sequential(nn.Linear(6, 4), Always(0.1))
    of(network)
    assert type(network[1]) is Always


def test_an_adapted_network_can_be_copied_and_its_copy_draws_the_same() -> None:
    network = of(Shared()).network
    x, outputs = torch.ones(3, 6), []
    for one in (network, copy.deepcopy(network)):
        with step(one, 5):
            outputs.append(one(x))
    assert torch.equal(*outputs)


def test_in_eval_mode_nothing_has_changed() -> None:
    network = Shared().eval()
    x = torch.linspace(-1, 1, 12).reshape(2, 6)
    before = network(x)
    assert torch.equal(of(network, dropout=(0.9,)).network(x), before)


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ({"dropout": (1.0,)}, RecipeError),
        ({"dropout_scale": -1.0}, RecipeError),
        ({"input_dropout": 1.0}, RecipeError),
        ({"drop_path": 1.0}, RecipeError),
        ({"dropout_kind": "row"}, RecipeError),
        ({"normalization": "group"}, RecipeError),
    ],
)
def test_impossible_wishes_are_refused(wishes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(wishes))):
        Wishes(**wishes)


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="Linear has no dropout whose rate could be scaled; set dropout"):
        of(nn.Linear(6, 2), dropout_scale=0.5)
