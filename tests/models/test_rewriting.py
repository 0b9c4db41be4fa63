"""What is wished for is put into networks as users write them, or refused with the reason."""

import copy
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regimen import nn as stream
from regimen.errors import OptionError
from regimen.models.adapting import Adapted, Wishes, adapt, draws_elsewhere
from regimen.models.sizes import shape_of
from regimen.nn import step

from .architectures import ARCHITECTURES, Architecture, LeNet, ResidualMLP, ResNet

KEY = 11
WISHES: dict[str, dict[str, Any]] = {
    "none": {},
    "dropout": {"dropout": (0.5,)},
    "channels": {"dropout": (0.5,), "dropout_kind": "channel"},
    "scale": {"dropout_scale": 0.5},
    "inputs": {"input_dropout": 0.2},
    "paths": {"drop_path": 0.3},
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer"},
    "all": {"dropout": (0.3,), "dropout_kind": "channel", "input_dropout": 0.1, "normalization": "layer"},
}
NO_SUM = "has no residual addition"
NO_DROPOUT = "has no dropout whose rate could be scaled"
NORMED = "has no linear or convolutional layer that an activation follows without a norm between"
UNTRACEABLE = r"torch.fx cannot trace it: .* \(architectures.py line \d+\)"
REFUSED: dict[str, dict[str, str]] = {
    "functional mlp": {"paths": NO_SUM},
    "lenet": {"paths": NO_SUM, "scale": NO_DROPOUT},
    "resnet": {"scale": NO_DROPOUT, "batch": NORMED, "layer": NORMED, "all": NORMED},
    "residual mlp": {"scale": NO_DROPOUT},
    "convnet with dropout2d": {"paths": NO_SUM},
    "gru": {"scale": NO_DROPOUT, "paths": NO_SUM, "batch": NORMED, "layer": NORMED, "all": NORMED},
    "transformer": {
        "paths": "what is inside of torch.nn's TransformerEncoder cannot be reached", "batch": NORMED, "layer": NORMED,
        "all": NORMED
    },
    "autoencoder": {"paths": NO_SUM},
    "tied weights": {"paths": NO_SUM},
    "control flow": {"paths": UNTRACEABLE, "batch": UNTRACEABLE, "layer": UNTRACEABLE, "all": UNTRACEABLE},
}  # fmt: skip
CASES = [(which, wish) for which in ARCHITECTURES for wish in WISHES]


def inputs_of(shape: tuple[int, ...], rows: int = 6) -> Tensor:
    size = (rows, *shape_of(shape))
    return torch.sin(torch.arange(torch.Size(size).numel(), dtype=torch.float32)).reshape(size)


def of(network: nn.Module, inputs: tuple[int, ...], **wishes: Any) -> Adapted:
    return adapt(network, Wishes(**wishes), key=KEY, inputs=inputs)


def trained_step(network: nn.Module, x: Tensor, n: int = 0) -> Tensor:
    """One optimizer step; returns the outputs before it."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    with step(network, n):
        outputs = network(x)
        outputs.square().mean().backward()
    optimizer.step()
    return outputs.detach()


@pytest.mark.parametrize(("which", "wish"), CASES, ids=[f"{which}-{wish}" for which, wish in CASES])
def test_every_wish_is_fulfilled_in_every_architecture_or_refused_with_the_reason(which: str, wish: str) -> None:
    architecture: Architecture = ARCHITECTURES[which]
    plain = architecture.make()
    network = copy.deepcopy(plain)
    reason = REFUSED[which].get(wish)
    if reason is not None:
        with pytest.raises(OptionError, match=reason):
            of(network, architecture.inputs, **WISHES[wish])
        return
    assert of(network, architecture.inputs, **WISHES[wish]).network is network
    x, names = inputs_of(architecture.inputs), list(plain.state_dict())
    assert list(network.state_dict())[: len(names)] == names
    if wish not in ("batch", "layer", "all"):
        assert list(network.state_dict()) == names
        assert torch.equal(network.eval()(x), plain.eval()(x))
    again = copy.deepcopy(network)
    torch.manual_seed(1)
    before = trained_step(network, x)
    torch.manual_seed(1)
    assert torch.equal(trained_step(again, x), before)
    assert before.shape == (len(x), architecture.outputs)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert isinstance(network, architecture.make)
    assert torch.isfinite(network.eval()(x)).all()


@pytest.mark.parametrize("which", ARCHITECTURES)
def test_initial_weights_and_the_default_generator_are_left_alone(which: str) -> None:
    network = ARCHITECTURES[which].make()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    of(network, ARCHITECTURES[which].inputs, dropout=(0.1,))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("which", [which for which in ARCHITECTURES if which not in ("transformer", "control flow")])
def test_masks_are_those_of_the_run_alone(which: str) -> None:
    network = of(ARCHITECTURES[which].make(), ARCHITECTURES[which].inputs, dropout=(0.5,)).network.train()
    assert draws_elsewhere(network) is None
    x, outputs = inputs_of(ARCHITECTURES[which].inputs), []
    for seed, n in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(seed)
        with step(copy.deepcopy(network), n), step(network, n):
            outputs.append(network(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_dropout_is_inserted_behind_the_pools_and_norms_are_before_the_activations() -> None:
    network = of(LeNet(), (1, 8, 8), dropout=(0.5, 0.25, 0.1), dropout_kind="channel", normalization="batch").network
    added = network.inserted
    assert [type(layer) for layer in added.values()] == [
        nn.BatchNorm2d, nn.BatchNorm2d, nn.BatchNorm1d, stream.Dropout2d, stream.Dropout2d, stream.Dropout
    ]  # fmt: skip
    x = inputs_of((1, 8, 8))

    def written() -> Tensor:
        h = added.dropout_0(network.pool(torch.tanh(added.norm_0(network.conv1(x)))))
        h = added.dropout_1(network.pool(torch.tanh(added.norm_1(network.conv2(h)))))
        h = added.dropout_2(torch.tanh(added.norm_2(network.fc1(torch.flatten(h, 1)))))
        return network.fc2(h)

    outputs = []
    for forward in (lambda: network(x), written):
        network.train()
        with step(network, 4):
            outputs.append(forward())
    assert torch.equal(*outputs)


def test_dropout_of_residual_networks_stands_on_the_branches_and_in_the_stem() -> None:
    adapted = of(ResNet(), (1, 8, 8), dropout=(0.5,))
    assert [change.place.partition(" (")[0] for change in adapted.changes] == [
        "after stem.2", "after layer1.0.relu", "after layer1.1.relu", "after layer2.relu"
    ]  # fmt: skip


def test_layer_normalization_of_convolutions_is_over_channels_and_positions() -> None:
    network = of(LeNet(), (1, 8, 8), normalization="layer").network
    assert [type(layer) for layer in network.inserted.values()] == [nn.GroupNorm, nn.GroupNorm, nn.LayerNorm]
    assert network.inserted.norm_0.num_groups == 1


def test_a_norm_before_an_activation_that_overwrites_has_the_gradient_of_one_that_does_not() -> None:
    gradients = []
    for inplace in (True, False):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace), nn.Linear(6, 3))
        of(network, (4,), normalization="batch", dropout=(0.5,))
        trained_step(network, inputs_of((4,)))
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


@pytest.mark.parametrize(("make", "sums"), [(ResNet, 3), (ResidualMLP, 3)])
def test_drop_path_is_on_the_branch_and_its_rates_grow(make: type[nn.Module], sums: int) -> None:
    network = of(make(), (1, 8, 8), drop_path=0.3).network
    paths = [layer for layer in network.modules() if isinstance(layer, stream.DropPath)]
    assert [layer.p for layer in paths] == pytest.approx([0.3 * n / sums for n in range(1, sums + 1)])
    # All branches dropped: what is left is the way of the identities.
    for layer in paths:
        layer.p = 1.0
    x = inputs_of((1, 8, 8))
    with step(network, 0):
        outputs = network.train()(x)
    if isinstance(network, ResidualMLP):
        assert torch.equal(outputs, network.head(network.inner(x.flatten(1))))
    outputs.sum().backward()
    block = network.blocks[1][1] if isinstance(network, ResidualMLP) else network.layer1[1].conv1
    assert not block.weight.grad.any()


def test_the_inputs_may_be_dropped_and_be_one_of_the_ways_of_a_sum() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(x + F.relu(self.a(x)))

    places = [change.place for change in of(Net(), (4,), input_dropout=0.1, drop_path=0.1, dropout=(0.5,)).changes]
    assert [re.sub(r" \(.*", "", place) for place in places] == ["input", "after relu", "branch of add"]


class AlwaysOn(nn.Module):
    """The classical mistake: dropout functions do not know whether the network is in training."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.a(x)), 0.4)
        x = torch.dropout(F.relu(self.b(x)), p=0.1, train=self.training)
        x = F.alpha_dropout(x, 0.3)
        return self.c(F.dropout(x, 0.9, training=False))


def test_dropout_that_is_on_in_evaluation_is_told_of_and_off() -> None:
    adapted = of(AlwaysOn(), (6,))
    first, second = adapted.changes
    assert "dropout 0.4 (as written), site 4; as written it drops in evaluation too" in first.what
    assert re.fullmatch(r"dropout \(test_rewriting.py line \d+\)", first.place)
    assert second.what == "dropout 0.1 (as written), site 5"
    network, x = adapted.network.eval(), inputs_of((6,))
    assert torch.equal(network(x), network.c(F.relu(network.b(F.relu(network.a(x))))))
    assert draws_elsewhere(network.train()) is None


FUNCTIONS: dict[str, Any] = {
    "dropout": (F.dropout, stream.Dropout, (6,)),
    "torch.dropout_": (lambda x, p, training: torch.dropout_(x.clone(), p, training), stream.Dropout, (6,)),
    "alpha_dropout": (F.alpha_dropout, stream.AlphaDropout, (6,)),
    "dropout1d": (F.dropout1d, stream.Dropout1d, (3, 6)),
    "dropout2d": (F.dropout2d, stream.Dropout2d, (3, 2, 6)),
    "dropout3d": (F.dropout3d, stream.Dropout3d, (3, 2, 2, 6)),
    "feature_alpha_dropout": (F.feature_alpha_dropout, stream.FeatureAlphaDropout, (3, 2, 6)),
}


@pytest.mark.parametrize("which", FUNCTIONS)
def test_every_dropout_function_becomes_its_layer(which: str) -> None:
    function, layer, inputs = FUNCTIONS[which]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(function(x, 0.25, training=self.training)).flatten(1).sum(1, keepdim=True)

    network = of(Net(), inputs).network
    (found,) = network.inserted.values()
    assert (type(found), found.p, found.seed) == (layer, 0.25, KEY)
    with step(network, 0):
        network(inputs_of(inputs)).sum().backward()


def test_an_inserted_layer_takes_no_name_and_no_mask_of_another() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    network.inserted = nn.Identity()
    plain = copy.deepcopy(network)
    added = of(network, (4,), dropout=(0.5,)).network.inserted_1
    with_norm = of(plain, (4,), dropout=(0.5,), normalization="layer").network.inserted_1
    sites = [layer.site for layer in added.values()]
    assert len(set(sites)) == 2
    assert sites == [layer.site for layer in with_norm.values() if isinstance(layer, stream.Dropout)]


def test_networks_of_one_arm_are_of_one_class_and_those_of_another_are_not() -> None:
    kinds = [type(of(ResidualMLP(), (1, 8, 8), dropout=(p,)).network) for p in (0.1, 0.2)]
    other = of(ResidualMLP(), (1, 8, 8), drop_path=0.1).network
    assert kinds[0] is kinds[1]
    assert type(other) is not kinds[0]
    assert type(other).__name__ == "ResidualMLP"
    assert (
        vars(other)["_rewritten_forward"]
        != vars(of(ResidualMLP(), (1, 8, 8), dropout=(0.1,)).network)["_rewritten_forward"]
    )


class Centered(nn.Module):
    """Has a tensor that no layer has."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(self.a(x - torch.tensor([0.5, 0.25, 0.0, 1.0]))))


def test_tensors_of_the_forward_come_along_and_the_mode_of_the_network_is_that_of_what_is_inserted() -> None:
    plain = Centered().eval()
    network = of(copy.deepcopy(plain), (4,), dropout=(0.5,)).network
    assert torch.equal(copy.deepcopy(network)(inputs_of((4,))), plain(inputs_of((4,))))
    assert not network.inserted.dropout_0.training


class Gated(nn.Module):
    """A gate, an activation of the outputs, one of the parameters, and one hidden activation used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gate, self.b = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.a(x)) + torch.sigmoid(self.scale)
        hidden = torch.sigmoid(self.gate(x)) * hidden
        return torch.sigmoid(self.b(F.relu(hidden)))


class Squeezing(nn.Module):
    """Weighs its channels by what it makes of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        return self.out((x * self.squeeze(x)).mean(dim=(2, 3)))


@pytest.mark.parametrize("wish", [{"dropout": (0.5,)}, {"normalization": "batch"}])
def test_what_makes_a_gate_gets_neither_dropout_nor_norms(wish: dict[str, Any]) -> None:
    (change,) = of(Squeezing(), (1, 8, 8), **wish).changes
    assert change.place.startswith(("after relu", "after conv"))


def test_gates_and_activations_of_outputs_and_parameters_get_no_dropout() -> None:
    adapted = of(Gated(), (4,), dropout=(0.5,))
    assert [re.sub(r"line \d+", "", change.place) for change in adapted.changes] == [
        "after tanh (test_rewriting.py )", "after relu (test_rewriting.py )"
    ]  # fmt: skip


class Opaque(nn.Module):
    """A block that looks at its values, and calls dropout as a function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.1, self.training) if x.mean() > 0.0 else x


def test_a_block_that_can_not_be_looked_into_is_left_as_it_is_and_the_rest_is_done() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), Opaque(), nn.Linear(6, 2))
    adapted = of(network, (4,), dropout=(0.5,))
    assert [change.place for change in adapted.changes] == ["after 1", "2"]
    assert adapted.changes[1].what.startswith("not looked into (TraceError: symbolically traced variables can")
    assert "its layer 2 cannot be looked into" in str(draws_elsewhere(network))
    trained_step(network, inputs_of((4,)))


def test_whole_numbers_may_be_inputs_and_can_not_be_dropped() -> None:
    def words() -> nn.Module:
        return nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 2))

    network = of(words(), (3,), dropout=(0.5,)).network
    trained_step(network, torch.ones(4, 3, dtype=torch.int64))
    with pytest.raises(OptionError, match="input_dropout: Sequential takes whole numbers"):
        of(words(), (3,), input_dropout=0.1)


@pytest.mark.parametrize("which", ["control flow", "residual mlp", "sequence"])
def test_dropout_of_inputs_needs_no_graph_and_has_the_site_of_the_input(which: str) -> None:
    sequence = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    network = sequence if which == "sequence" else ARCHITECTURES[which].make()
    of(network, (1, 8, 8), input_dropout=0.5)
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
    with step(network, 0), step(alone := stream.Dropout(0.5, seed=KEY, site=0), 0):
        seen: list[Tensor] = []
        first.register_forward_hook(lambda _, given, __: seen.append(given[0]))
        network(inputs_of((1, 8, 8)))
        assert torch.equal(seen[0], alone(inputs_of((1, 8, 8))).flatten(1))


@pytest.mark.parametrize("kind", ["out", "state", "lstm", "both ways"])
def test_what_a_recurrent_layer_gives_is_a_hidden_activation(kind: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            cell = nn.LSTM if kind == "lstm" else nn.GRU
            self.rnn = cell(3, 4, batch_first=True, bidirectional=kind == "both ways")
            self.head = nn.Linear(8 if kind == "both ways" else 4, 2)

        def forward(self, x: Tensor) -> Tensor:
            out, state = self.rnn(x)
            if kind == "out":
                return self.head(out.mean(dim=1))
            if kind == "state":
                return self.head(state[-1])
            if kind == "lstm":
                hidden, _ = state
                return self.head(hidden[-1])
            return self.head(torch.cat([state[0], state[1]], dim=1))

    adapted = of(Net(), (5, 3), dropout=(0.5,))
    assert len(adapted.changes) == (2 if kind == "both ways" else 1)
    trained_step(adapted.network, inputs_of((5, 3)))


def test_a_second_dropout_is_never_inserted() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    of(network, (4,), dropout=(0.5,))
    assert [layer.p for layer in network.modules() if isinstance(layer, stream.StreamLayer)] == [0.5]


def test_drop_path_of_the_networks_own_takes_the_rates() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.first, self.second = stream.DropPath(0.1), stream.DropPath(0.1)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.first(self.a(x))
            return x + self.second(self.b(x))

    network = of(Net(), (4,), drop_path=0.4).network
    assert (network.first.p, network.second.p) == (0.2, 0.4)
    assert not hasattr(network, "inserted")
