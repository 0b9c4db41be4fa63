"""Forwards are traced once for all runs of a module: equal to a trace of each, and never of a module that differs."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regimen.errors import OptionError
from regimen.models import own_module, rewriting_trace
from regimen.models.adapting import Adapted, Wishes, adapt
from regimen.nn import step
from regimen.run import Recipe
from regimen.run.own import own_network
from regimen.study import Study, StudyOptions

from .architectures import ARCHITECTURES


class Net(nn.Module):
    """Dropout as a function, a tensor that the forward makes, and an attribute that it reads."""

    def __init__(self, slope: float = 0.1, p: float = 0.2) -> None:
        super().__init__()
        self.hidden, self.drop, self.out, self.slope = nn.Linear(4, 8), nn.Dropout(p), nn.Linear(8, 3), slope

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.hidden(x) + torch.arange(8.0), self.slope)
        return self.out(F.dropout(x, self.drop.p, self.training))


class Random(Net):
    def __init__(self) -> None:
        super().__init__(slope=float(torch.rand(())))


# The same in all, but whoever is at its address later would seem the same too.
LOCK = threading.Lock()


class Locked(Net):
    def __init__(self) -> None:
        super().__init__()
        self.lock = LOCK


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name of the class of each network that is traced."""
    found: list[str] = []
    checked = rewriting_trace._checked

    def counting(network: nn.Module, inputs: tuple[int, ...]) -> Any:
        found.append(type(network).__name__)
        return checked(network, inputs)

    monkeypatch.setattr(rewriting_trace, "_checked", counting)
    return found


def seeded(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory()


def adapted(factory: Callable[[], nn.Module], wishes: Wishes, inputs: tuple[int, ...], **options: Any) -> Any:
    """Return an adapted network of the weights of seed 2, or why there is none."""
    try:
        return adapt(seeded(factory, 2), wishes, key=7, inputs=inputs, **options)
    except OptionError as error:
        return str(error)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(
    "wishes",
    [Wishes(), Wishes(dropout=(0.3,)), Wishes(normalization="batch", drop_path=0.2)],
    ids=["none", "one", "two"],
)
def test_a_network_is_the_same_by_the_trace_of_an_earlier_one(name: str, wishes: Wishes, traces: list[str]) -> None:
    architecture = ARCHITECTURES[name]
    source = f"{name} {wishes}"
    adapt(seeded(architecture.make, 1), Wishes(), key=3, inputs=architecture.inputs, source=source)
    before = len(traces)
    ours = adapted(architecture.make, wishes, architecture.inputs, source=source)
    assert len(traces) == before
    alone = adapted(architecture.make, wishes, architecture.inputs)
    if not isinstance(alone, Adapted):
        assert ours == alone
        return
    assert ours.changes == alone.changes
    assert ours.network.state_dict().keys() == alone.network.state_dict().keys()
    x = torch.randn(5, *architecture.inputs, generator=torch.Generator().manual_seed(1))
    for network in (ours.network, alone.network):
        network.train()
    with torch.random.fork_rng(devices=[]):
        outputs = []
        for network in (ours.network, alone.network):
            torch.manual_seed(0)
            with step(network, 3):
                outputs.append(network(x))
    assert torch.equal(*outputs)


def test_networks_of_one_trace_share_neither_tensors_nor_classes_of_another() -> None:
    first, second = (
        adapt(seeded(Net, seed), Wishes(dropout=(0.5,)), key=seed, inputs=(4,), source="shares").network
        for seed in (1, 2)
    )
    assert type(first) is type(second)
    theirs = {id(value) for layer in first.modules() for value in vars(layer).values() if isinstance(value, Tensor)}
    theirs |= {id(value) for value in (*first.parameters(), *first.modules())}
    ours = [value for layer in second.modules() for value in vars(layer).values() if isinstance(value, Tensor)]
    assert ours
    assert not theirs & {id(value) for value in (*ours, *second.parameters(), *second.modules())}


@pytest.mark.parametrize(
    ("factories", "count"),
    [
        ([lambda: Net(0.1), lambda: Net(0.1)], 1),
        ([lambda: Net(0.1), lambda: Net(0.9)], 2),
        ([lambda: Net(p=0.2), lambda: Net(p=0.4)], 2),
        ([Random, Random], 2),
        ([Locked, Locked], 2),
    ],
    ids=["the same", "another attribute", "another rate", "an attribute by chance", "what cannot be compared"],
)
def test_what_a_forward_reads_is_that_of_its_own_network(
    factories: list[Callable[[], nn.Module]], count: int, traces: list[str], request: pytest.FixtureRequest
) -> None:
    for seed, factory in enumerate(factories):
        network = seeded(factory, seed)
        x = torch.randn(5, 4)
        expected = network.eval()(x)
        made = adapt(network, Wishes(input_dropout=0.1), key=1, inputs=(4,), source=request.node.name).network
        assert torch.equal(made.eval()(x), expected)
    assert len(traces) == count


def test_another_source_and_another_shape_are_traced_anew(traces: list[str]) -> None:
    for source, inputs in (("a", (4,)), ("a", (3, 4)), ("b", (4,)), ("a", (4,)), ("", (4,)), ("", (4,))):
        adapt(Net(), Wishes(), key=1, inputs=inputs, source=f"anew {source}" if source else "")
    assert len(traces) == 5


def test_a_study_traces_a_module_once_and_not_for_each_run(traces: list[str]) -> None:
    class Studied(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    options = StudyOptions(techniques="dropout,batch_norm", pairs=2, epochs=1, processes=1, engine="reference")
    found = Study(data="iris", model=Studied, options=options).run()
    assert len(found.results.runs) >= 6
    assert traces == ["Studied"]


def test_runs_of_one_key_are_equal_whoever_was_traced_before() -> None:
    own, recipe = own_module(Net), Recipe(dropout=0.4, input_dropout=0.1)
    weights = []
    for key in (5, 6, 5):
        network = own_network(own, recipe, key=key, inputs=(4,)).network.train()
        with step(network, 0):
            network(torch.ones(6, 4)).square().sum().backward()
        weights.append([(p.detach(), p.grad) for p in network.parameters()])
    for (one, its), (other, theirs) in zip(weights[0], weights[2], strict=True):
        assert torch.equal(one, other) and torch.equal(its, theirs)
    assert not torch.equal(weights[0][0][0], weights[1][0][0])
