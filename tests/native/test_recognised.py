"""Networks of the user's own that are plain chains train natively as the reference trains them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regimen.data import Split, Table, load
from regimen.engine import train
from regimen.engine.size import against_native, weights
from regimen.models import own_module
from regimen.run import Recipe, Run
from regimen.techniques import EMA, SGD, EarlyStopping

from .conftest import FEATURES
from .test_agreement import compare

MakeRun = Callable[..., Run]
HEAVY = SGD(momentum=0.9)


def sequence() -> nn.Module:
    return nn.Sequential(
        nn.Linear(FEATURES, 37),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(37, 16),
        nn.GELU(),
        nn.Dropout(0.1),
        nn.Linear(16, 5),
    )


class Functional(nn.Module):
    """Layers defined in another order than they are used in, functions, and one dropout in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.4)
        self.out = nn.Linear(16, 5)
        self.norm = nn.BatchNorm1d(37)
        self.hidden = nn.ModuleList([nn.Linear(FEATURES, 37), nn.Linear(37, 16)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.relu(self.norm(self.hidden[0](x))))
        x = self.dropout(torch.tanh(self.hidden[1](x)))
        return self.out(x)


def no_activation() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 12), nn.LayerNorm(12), nn.Linear(12, 5))


class Digits(nn.Module):
    """What a user would write for images of digits."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 20), nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(-1, 64)
        return self.fc2(F.relu(self.fc1(x)))


CHANGES: dict[str, dict[str, Any]] = {
    "as written": {},
    "one rate": {"dropout": 0.5},
    "two steps of an epoch": {"batch_size": 100, "epochs": 3},
    "decay everywhere": {"decoupled_weight_decay": 1.0, "decay_bias_and_norm": True, "weight_decay": 0.01},
    "clipping": {"clip_norm": 0.1, "l1": 1e-2, "weight_decay": 0.1, "max_norm": 1.0},
    "average": {"averaging": EMA(decay=0.9), "epochs": 2},
    "early stopping": {"early_stopping": EarlyStopping(patience=1, min_delta=0.3), "epochs": 9},
    "mixup": {"mixup": 0.4, "label_smoothing": 0.1},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("factory", [sequence, Functional, no_activation])
def test_a_chain_trains_as_in_the_reference(best_kernels: object, make_run: MakeRun, factory: Any, change: str) -> None:
    if factory is no_activation and "dropout" in CHANGES[change]:
        pytest.skip("there is no place for dropout")
    # Not Adam: what is left of the gradient of a bias before batch normalization is rounding.
    compare(make_run(model=own_module(factory), optimizer=HEAVY, **CHANGES[change]))


def test_every_instruction_set_draws_the_masks_of_a_layer_that_is_used_twice(engine: str, make_run: MakeRun) -> None:
    compare(make_run(model=own_module(Functional), dropout=0.5, epochs=2, optimizer=HEAVY))


def test_initial_weights_may_be_drawn_anew(best_kernels: object, make_run: MakeRun) -> None:
    compare(make_run(model=own_module(sequence), initialization="he_normal"))


def test_rates_may_be_scaled(best_kernels: object, make_run: MakeRun) -> None:
    compare(make_run(model=own_module(Functional), dropout_scale=0.5, optimizer=HEAVY))


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 37), nn.ReLU(), nn.Linear(37, 16), nn.SiLU(), nn.Linear(16, 5))


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_what_was_inserted_trains_natively_too(best_kernels: object, make_run: MakeRun, normalization: str) -> None:
    changes = {"normalization": normalization, "dropout": (0.2, 0.4), "epochs": 2, "clip_norm": 0.5}
    compare(make_run(model=own_module(plain), optimizer=HEAVY, **changes))


def test_dropout_on_the_inputs_may_be_a_layer_a_function_or_a_wish(best_kernels: object, make_run: MakeRun) -> None:
    class Net(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.drop, self.inner = layer, sequential()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.drop(x))

    def sequential() -> nn.Module:
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 5))

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = sequential()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(F.dropout(x, 0.2, training=self.training))

    compare(make_run(model=own_module(lambda: Net(nn.Dropout(0.2))), input_noise=0.1))
    compare(make_run(model=own_module(Functional), mixup=0.4))
    compare(make_run(model=own_module(sequential), input_dropout=0.2))


def test_regression_trains_natively_too(best_kernels: object, make_run: MakeRun, regression: Table) -> None:
    model = own_module(lambda: nn.Sequential(nn.Linear(FEATURES, 9), nn.Tanh(), nn.Linear(9, 1)))
    compare(make_run(model=model, data=regression), 1e-4)


def test_a_network_for_digits_is_trained_natively_by_itself(best_kernels: object) -> None:
    data, rows = load("digits"), np.arange(400)
    split = Split(train=rows[:300], validation=rows[300:350], test=rows[350:])
    run = Run(
        recipe=Recipe(epochs=1, dropout=0.5), model=own_module(Digits), data=data, split=split, key=1, metric="accuracy"
    )
    assert against_native(run, "auto") is None
    assert weights(run) == 64 * 20 + 20 * 10
    (result,) = train([run])
    assert result.engine == "native"


def test_weights_come_back_under_the_names_of_the_module(best_kernels: object, make_run: MakeRun) -> None:
    run = make_run(model=own_module(Functional), epochs=2)
    (result,) = train([run], engine="native", keep=("weights",))
    assert result.weights is not None
    network = Functional()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in result.weights.items()})
    assert int(network.norm.num_batches_tracked) == 18


class Frozen(Digits):
    """Digits whose first layer is not to learn."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = F.relu(self.fc1(x.view(-1, 64)))
        return self.fc2(x)


class Detached(Digits):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(x.view(-1, 64))).detach())


class Reversed(Digits):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(Reversal.apply(F.relu(self.fc1(x.view(-1, 64)))))


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class Counting(Digits):
    """Digits that are taken apart by a counter in the end."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Frozen, "turns gradients or autocast on or off"),
        (Detached, "detach (test_recognised.py line"),
        (Reversed, "gives fc1.weight another gradient than its forward"),
        (Counting, "its forward changes calls"),
    ],
)
def test_what_does_more_than_a_chain_computes_is_not_trained_natively(network: Any, reason: str) -> None:
    rows = np.arange(40)
    split = Split(train=rows[:20], validation=rows[20:30], test=rows[30:])
    run = Run(
        recipe=Recipe(epochs=1), model=own_module(network), data=load("digits"), split=split, key=1, metric="accuracy"
    )
    assert reason in str(against_native(run, "native"))


def test_what_is_no_chain_is_not_trained_natively_and_the_reason_says_why(make_run: MakeRun) -> None:
    run = make_run(model=own_module(lambda: nn.Sequential(nn.Linear(FEATURES, 5), nn.Softmax(dim=1))))
    assert against_native(run, "native") == "trains plain chains of linear layers only: the layer 1 is a Softmax"
