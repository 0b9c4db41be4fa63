"""The reference engine trains modules of the user's own as a loop of the user's own would."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regimen import streams
from regimen.data import Split, from_images, prepare
from regimen.engine import Trainer, train_one
from regimen.errors import EngineError
from regimen.models import OwnModule, own_module
from regimen.nn import step
from regimen.run import Recipe, Run
from regimen.run.own import STEP, generator_seeds
from regimen.techniques import SGD, Adagrad, Adam, Optimizer, RMSprop


class Net(nn.Module):
    """Functional calls, a layer that PyTorch's own generator drops inside of, and one that is overwritten."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.drop = nn.Linear(4, 16), nn.Dropout(0.25)
        self.recurrent = nn.GRU(16, 8, num_layers=2, dropout=0.5, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2.0)
        hidden = self.drop(self.hidden(x).relu())
        output: Tensor = self.out(self.recurrent(hidden[:, None])[0][:, -1])
        return output


class Late(nn.Module):
    """Its second layer is used from the second training forward on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.uses = nn.Linear(4, 3), nn.Linear(4, 3), 0

    def forward(self, x: Tensor) -> Tensor:
        self.uses += self.training
        output: Tensor = self.first(x)
        return output + self.second(x) if self.uses > 1 else output


OWN = own_module(Net)


@pytest.fixture
def own_run(classification: Any, split: Split) -> Callable[..., Run]:
    def make(model: OwnModule = OWN, *, key: int = 5, **changes: Any) -> Run:
        recipe = Recipe(**({"epochs": 2, "batch_size": 10, "lr": 0.01} | changes))
        return Run(recipe=recipe, model=model, data=classification, split=split, key=key, metric="accuracy")

    return make


def test_training_is_that_of_a_plain_loop_with_the_generator_seeded_at_each_step(own_run: Callable[..., Run]) -> None:
    run = own_run(weight_decay=0.01)
    found = train_one(run, keep=("weights",))
    prepared = prepare(run.data, run.split, "standard")
    x, y = prepared.x["train"], prepared.y["train"]
    with torch.random.fork_rng(devices=[]):
        network = run.network(4, 3)
        weights = [p for p in network.parameters() if p.dim() == 2]
        others = [p for p in network.parameters() if p.dim() == 1]
        groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": 0.01}, {"params": others}]
        optimizer = torch.optim.Adam(groups, lr=0.01)
        n = 0
        for epoch in range(2):
            order = streams.permutation(run.key, len(x), epoch=epoch)
            for rows in (order[:10], order[10:20], order[20:30], order[30:]):
                torch.manual_seed(generator_seeds(run.key, STEP, first=n, count=1)[0])
                with step(network, n):
                    loss = F.cross_entropy(network(x[rows]), y[rows])
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                n += 1
    assert found.weights is not None
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(found.weights[name], value.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam(), RMSprop(momentum=0.9), Adagrad()])
def test_a_parameter_may_get_its_first_gradient_later_than_others(
    own_run: Callable[..., Run], optimizer: Optimizer
) -> None:
    assert train_one(own_run(own_module(Late), optimizer=optimizer)).status == "finished"


def test_a_run_is_the_same_again_and_leaves_generator_and_data_alone(own_run: Callable[..., Run]) -> None:
    run = own_run()
    rows = prepare(run.data, run.split, "standard").x["train"].clone()
    state = torch.get_rng_state()
    first = train_one(run, keep=("weights",))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    again = train_one(run, keep=("weights",))
    assert first.weights is not None and again.weights is not None
    assert first.curves == again.curves
    assert all(np.array_equal(value, again.weights[name]) for name, value in first.weights.items())
    # The module multiplies its input in place; the rows of all runs must not be its own.
    assert torch.equal(prepare(run.data, run.split, "standard").x["train"], rows)


def test_other_keys_draw_otherwise(own_run: Callable[..., Run]) -> None:
    assert train_one(own_run(key=6)).curves != train_one(own_run()).curves


def test_frozen_parameters_and_scales_of_any_norm_do_not_decay(own_run: Callable[..., Run]) -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fixed, self.norm, self.out = nn.Linear(4, 4), nn.LayerNorm((1, 4)), nn.Linear(4, 3)
            self.fixed.requires_grad_(False)
            self.unused = nn.Linear(2, 2)
            nn.init.constant_(self.norm.weight, 2.0)

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.out(self.norm(self.fixed(x)[:, None])[:, 0].detach())
            return output

    run = own_run(own_module(Frozen), decoupled_weight_decay=5.0, l1=0.1, l1_step="proximal", max_norm=0.01)
    before = run.network(4, 3).state_dict()
    after = train_one(run, keep=("weights",)).weights
    assert after is not None
    for name in ("fixed.weight", "fixed.bias", "norm.weight"):
        assert np.array_equal(after[name], before[name].numpy()), name
    assert np.abs(after["unused.weight"]).max() < np.abs(before["unused.weight"].numpy()).max()


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.out = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 9, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.max_pool2d(self.norm(self.convolution(x)).relu(), 2)
        output: Tensor = self.out(hidden.view(len(x), -1))
        return output


@pytest.mark.parametrize("changes", [{}, {"averaging": "ema"}, {"mixup": 0.2, "input_noise": 0.1}], ids=str)
def test_images_come_in_plain_memory_so_that_view_works(changes: dict[str, Any]) -> None:
    from regimen.run import recipe_from_dict

    pixels = np.random.default_rng(1).integers(0, 255, (30, 3, 8, 8)).astype(np.uint8)
    images = from_images(pixels, np.arange(30) % 2)
    parts = Split(train=np.arange(20), validation=np.arange(20, 25), test=np.arange(25, 30))
    recipe = recipe_from_dict({"epochs": 1, "batch_size": 6, **changes})
    run = Run(recipe=recipe, model=own_module(LeNet), data=images, split=parts, key=1, metric="accuracy")
    assert train_one(run).status == "finished"


class Fails(nn.Module):
    """Raises in training, at the batch of odd size."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 11:
            raise ValueError("an odd batch")
        output: Tensor = self.out(x)
        return output


@pytest.fixture(scope="module")
def two_processes(classification: Any) -> Iterator[Trainer]:
    with Trainer([classification], engine="reference", processes=2) as trainer:
        yield trainer


@pytest.mark.slow
def test_worker_processes_give_what_one_gives(own_run: Callable[..., Run], two_processes: Trainer) -> None:
    # By file: no process can import this module of tests.
    model = own_module(f"{__file__}:Net")
    runs = [own_run(model, key=key, dropout=0.5) for key in (1, 2, 3)]
    alone = [train_one(run, keep=("outputs",)) for run in runs]
    together = two_processes.train(runs, keep=("outputs",))
    for one, other in zip(alone, together, strict=True):
        assert one.curves == other.curves
        assert one.outputs is not None and other.outputs is not None
        assert all(np.array_equal(values, other.outputs[part]) for part, values in one.outputs.items())


MESSAGE = r"training test_own\.py:Fails raised ValueError: an odd batch \(line \d+\); correct it and start anew"


def test_code_that_raises_in_training_is_named_with_its_line(own_run: Callable[..., Run]) -> None:
    with pytest.raises(EngineError, match=MESSAGE):
        train_one(own_run(own_module(f"{__file__}:Fails")))


@pytest.mark.slow
def test_code_that_raises_in_a_worker_is_named_too(own_run: Callable[..., Run], two_processes: Trainer) -> None:
    with pytest.raises(EngineError, match=MESSAGE):
        two_processes.train([own_run(own_module(f"{__file__}:Fails"), key=key) for key in (1, 2)])
