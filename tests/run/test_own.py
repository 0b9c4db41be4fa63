"""The network of a run of an own module: made from its key, with the recipe applied, in training as a plain loop."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regimen.data import Split, Table, from_arrays
from regimen.errors import OptionError
from regimen.models import own_module
from regimen.nn import Dropout
from regimen.run import Recipe, Run, SavedModel
from regimen.run.own import MAKING, STEP, generator_seeds
from regimen.streams import Purpose, counter3, philox

SPLIT = Split(train=np.arange(40), validation=np.arange(40, 50), test=np.arange(50, 60))


class Mine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.drop, self.out = nn.Linear(4, 16), nn.Dropout(0.25), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(self.drop(self.hidden(x).relu()))
        return output


OWN = own_module(Mine)


def table() -> Table:
    source = np.random.default_rng(1)
    return from_arrays(source.normal(size=(60, 4)), np.arange(60) % 3, task="classification")


def run_of(model: Any = OWN, *, key: int = 5, **recipe: Any) -> Run:
    return Run(recipe=Recipe(**recipe), model=model, data=table(), split=SPLIT, key=key, metric="accuracy")


def test_initial_weights_are_those_that_the_function_draws_after_seeding_by_the_key() -> None:
    low, high, _, _ = philox(5, 0, 0, 0, counter3(Purpose.INITIALIZATION, call=2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(high) << 32 | int(low))
        expected = Mine().state_dict()
    state = torch.get_rng_state()
    made = run_of().network(4, 3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], value) for name, value in expected.items())
    assert not torch.equal(run_of(key=6).network(4, 3).state_dict()["out.weight"], made["out.weight"])


def test_another_initialization_is_that_of_the_stream() -> None:
    weights = [run_of(initialization="he_normal").network(4, 3).state_dict()["hidden.weight"] for _ in range(2)]
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], run_of().network(4, 3).state_dict()["hidden.weight"])


@pytest.mark.parametrize(
    ("recipe", "rate"),
    [({}, 0.25), ({"dropout": 0.5}, 0.5), ({"dropout_scale": 2.0}, 0.5), ({"dropout_scale": 0.0}, 0.0)],
    ids=str,
)
def test_a_recipe_sets_or_scales_the_rates_of_the_module(recipe: dict[str, Any], rate: float) -> None:
    layers = [layer for layer in run_of(**recipe).network(4, 3).modules() if isinstance(layer, Dropout)]
    assert [(layer.p, layer.seed) for layer in layers] == [(rate, 5)]


def test_seeds_of_steps_are_known_and_those_of_steps_alone() -> None:
    seeds = generator_seeds(7, STEP, first=0, count=6)
    assert seeds[:2] == [4912632886220641488, 17385463720268098873]
    assert generator_seeds(7, STEP, first=3, count=3) == seeds[3:]
    assert not set(seeds) & set(generator_seeds(7, MAKING, first=0, count=6))
    assert len(set(seeds)) == 6


def test_tied_weights_of_a_saved_model_stay_tied_and_predict_as_they_did() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.out(self.second(self.first(x).tanh()).tanh())
            return output

    run = run_of(own_module(Tied))
    network = run.network(4, 3)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    saved = SavedModel.of(run, [state])
    [loaded] = saved.networks()
    assert loaded.get_parameter("first.weight") is loaded.get_submodule("second").weight
    x = torch.from_numpy(saved.preparation.apply(run.data, np.arange(60)))
    with torch.no_grad():
        np.testing.assert_array_equal(saved.predict_outputs(run.data), network.eval()(x).double().numpy())


def test_a_lazy_module_learns_its_shapes_before_the_recipe_is_applied() -> None:
    def lazy() -> nn.Module:
        return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3))

    run = run_of(own_module(lazy), initialization="he_normal")
    state, again = (run.network(4, 3).state_dict() for _ in range(2))
    assert state["0.weight"].shape == (8, 4)
    assert all(torch.equal(value, again[name]) for name, value in state.items())
    assert run.network(4, 3).training
    assert state["1.num_batches_tracked"] == 0


def test_a_lazy_module_that_does_not_fit_the_inputs_says_so() -> None:
    model = own_module(lambda: nn.Sequential(nn.LazyLinear(8), nn.Linear(9, 3)))
    with pytest.raises(OptionError, match=r"lambda on 2 rows of shape \[4\] raised RuntimeError: mat1 and mat2 shapes"):
        run_of(model).network(4, 3)
