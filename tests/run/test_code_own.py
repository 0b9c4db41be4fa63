"""The script for a module of the user's own imports it, sets rates, and names what is to be written into its source."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regimen.models import own_module
from regimen.run import Recipe, plain_pytorch
from regimen.techniques import EMA

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.first, self.second = nn.Dropout(0.1), nn.Dropout(0.2)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.second(self.first(self.norm(self.hidden(x)).relu())))

def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
"""


@pytest.fixture(autouse=True)
def beside_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("net_of_mine.py").write_text(NET)
    monkeypatch.delitem(sys.modules, "net_of_mine", raising=False)


def script(function: str = "Net", **recipe: Any) -> str:
    model = own_module(f"net_of_mine.py:{function}")
    return plain_pytorch(Recipe(**({"epochs": 1} | recipe)), model, inputs=(4,), outputs=3, task="classification")


def run(code: str) -> nn.Module:
    source = torch.Generator().manual_seed(1)
    x, y = torch.randn(40, 4, generator=source), torch.arange(40) % 3
    names: dict[str, Any] = {"x_train": x, "y_train": y}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        exec(code, names)
    model = names["model"]
    assert isinstance(model, nn.Module)
    return model


def rates(model: nn.Module) -> list[float]:
    return [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, [0.1, 0.2]),
        ({"dropout": 0.5}, [0.5, 0.5]),
        ({"dropout": (0.5, 0.25)}, [0.5, 0.25]),
        ({"dropout_scale": 2.0}, [0.2, 0.4]),
        ({"dropout_scale": 0.0}, [0.0, 0.0]),
    ],
    ids=str,
)
def test_the_script_trains_the_module_with_the_rates_of_the_recipe(
    recipe: dict[str, Any], expected: list[float]
) -> None:
    code = script(**recipe)
    assert "from net_of_mine import Net\nmodel = Net()\n" in code
    assert "regimen" not in code
    assert rates(run(code)) == expected


def test_everything_that_trains_beside_the_module_is_in_the_script() -> None:
    code = script(averaging=EMA(), initialization="he_normal", decoupled_weight_decay=0.1, max_norm=3.0, lr=0.01)
    trained = run(code)
    assert rates(trained) == [0.1, 0.2]
    assert torch.equal(trained.get_buffer("norm.num_batches_tracked"), torch.tensor(2))


def test_what_has_to_be_written_into_the_source_is_named() -> None:
    code = script("plain", dropout=0.5)
    assert "# What the recipe puts into the module; write it into net_of_mine.py:\n# - " in code
    [line] = [line for line in code.splitlines() if line.startswith("# - ")]
    assert "dropout 0.5" in line and "site" not in line
    run(code)


class Local(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.out = nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(x)
        return output


@pytest.mark.parametrize("factory", [lambda: Local(), partial(Local, 3)], ids=["lambda", "partial"])
def test_a_function_that_can_not_be_imported_is_left_to_the_reader(factory: Callable[[], nn.Module]) -> None:
    code = plain_pytorch(Recipe(), own_module(factory), inputs=(4,), outputs=3, task="classification")
    assert "# make_model: your own function that makes the network.\nmodel = make_model()\n" in code


def test_a_class_of_a_module_is_imported_from_it() -> None:
    code = plain_pytorch(Recipe(), own_module(Local), inputs=(4,), outputs=3, task="classification")
    assert f"from {__name__} import Local\nmodel = Local()\n" in code
