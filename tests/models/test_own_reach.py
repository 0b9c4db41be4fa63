"""The digest of a module that is given in Python: whatever changes what it computes makes it another one."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regimen.models import own_module

SLOPE, RATES, ACT, CALLS = 0.1, {"rates": [0.1, 0.2]}, torch.relu, 0


def helper(x: Tensor) -> Tensor:
    return x * SLOPE


@dataclass
class Itself:
    held: Any = None


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)
        self.register_buffer("mean", torch.full((4,), SLOPE).round())


class Net(Base):
    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = ACT(helper(self.out(x - RATES["rates"][0])))
        return output


def net() -> nn.Module:
    return Net()


def digest(source: Callable[[], nn.Module] = net) -> str:
    return own_module(source).digest


@pytest.mark.parametrize(
    ("name", "value"),
    [("SLOPE", 0.2), ("RATES", {"rates": [0.1, 0.3]}), ("ACT", torch.tanh), ("helper", torch.sigmoid)],
)
@pytest.mark.parametrize("source", [net, Net, lambda: Net()], ids=["function", "class", "lambda"])
def test_a_global_that_is_read_belongs_to_the_module(
    name: str, value: Any, source: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(source)
    assert digest(source) == before
    monkeypatch.setitem(globals(), name, value)
    assert digest(source) != before


def test_a_global_that_only_counts_calls_does_not() -> None:
    def counting() -> nn.Module:
        global CALLS
        CALLS += 1
        return nn.Linear(4, 3)

    assert digest(counting) == digest(counting)
    assert CALLS == 4


def test_a_base_class_belongs_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(Net)
    monkeypatch.setattr(Base, "half", lambda self: 0.5, raising=False)
    assert digest(Net) != before


def test_attributes_and_buffers_belong_to_the_module() -> None:
    def made(scale: float, mean: float) -> nn.Module:
        found = nn.Linear(4, 3)
        found.scales = [scale]  # type: ignore[assignment]
        found.register_buffer("mean", torch.full((4,), mean))
        return found

    def of(scale: float, mean: float) -> str:
        tensors = torch.tensor([scale, mean])  # an object that is not followed
        return digest(lambda: made(*tensors.tolist()))

    assert of(1.0, 2.0) == of(1.0, 2.0)
    assert len({of(1.0, 2.0), of(1.5, 2.0), of(1.0, 2.5)}) == 3


def test_what_a_function_closes_over_belongs_to_the_module() -> None:
    def of(widths: Any) -> str:
        def net() -> nn.Module:
            assert widths
            return nn.Linear(4, 3)

        return digest(net)

    assert of([1, {"a": 2}]) == of([1, {"a": 2}])
    assert len({of([1, {"a": 2}]), of([1, {"a": 3}]), of([1, {"b": 2}]), of((1, {"a": 2}))}) == 4


def test_functions_and_lists_that_hold_each_other_have_an_end() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    itself = Itself()
    itself.held = itself

    def one() -> nn.Module:
        return nn.Linear(4, 3 if endless and itself else two().out_features)

    def two() -> Any:
        return one()

    assert digest(one) == digest(one)


SCRIPT = """
from torch import nn
from regimen.models import own_module
NAMES = {"relu", "tanh", "gelu", "selu", "elu"}
class Thing:
    pass
THING = [Thing(), lambda: 3, nn.ReLU, Thing]
class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        self.names, self.thing = set(NAMES), THING
    def forward(self, x):
        return super().forward(x) if "relu" in {"relu", "tanh"} | NAMES and THING else x
print(own_module(Net).digest, own_module(lambda: Net()).digest)
"""


def test_the_digest_is_the_same_in_each_process() -> None:
    found = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=99
        )
        assert len(done.stdout) == 130, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
