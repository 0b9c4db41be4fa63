"""Searches over images, regression and networks of the user's own, and without Optuna: what fits is searched."""

import subprocess
import sys

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from regimen.data import Data, Table, from_arrays, from_images, load
from regimen.errors import OptionError
from regimen.run import Recipe
from regimen.search import search

QUICK = {"trials": 4, "bundle": 4, "pairs": 2, "confirm": 2, "processes": 1}


class Net(nn.Module):
    """A network as a user writes it, without any place for dropout of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 6), nn.Dropout(0.2), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.drop(self.first(x).relu()))


def pictures() -> Data:
    draw = np.random.default_rng(0)
    return from_images(draw.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8), np.arange(60) % 2)


def numbers() -> Data:
    x = np.random.default_rng(0).normal(size=(60, 3))
    return from_arrays(x, x.sum(axis=1), task="regression")


@pytest.mark.parametrize(
    "make, model, searched, left_out",
    [
        (pictures, "cnn:2p:4", {"erasing", "shift", "mixing", "dropout"}, set()),
        (numbers, "mlp:4", {"mixing", "decay"}, {"label_smoothing", "class_weights", "erasing", "flip"}),
        (lambda: load("iris"), Net, {"dropout", "normalization", "mixing"}, {"flip"}),
    ],
    ids=["images", "regression", "own"],
)
def test_the_whole_space_of_what_fits_is_searched_and_confirmed(make, model, searched, left_out) -> None:
    data = make()
    found = search(data, model=model, baseline=Recipe(epochs=1), **QUICK)
    parts = {name for trial in found.trials for name in trial.parameters}
    assert not parts & left_out
    assert parts >= searched
    assert not [trial.refusal for trial in found.trials if trial.refusal]
    assert {trial.state for trial in found.trials} == {"complete"}
    assert found.confirmation.pairs == 2


def test_a_recipe_that_has_no_place_in_a_network_of_the_users_own_is_refused() -> None:
    def space(trial: optuna.Trial, baseline: Recipe) -> Recipe:
        return baseline.replace(drop_path=trial.suggest_categorical("drop_path", [0.0, 0.5]))

    sampler = optuna.samplers.GridSampler({"drop_path": [0.0, 0.5]}, seed=0)
    found = search(load("iris"), model=Net, baseline=Recipe(epochs=1), space=space, sampler=sampler, **QUICK)
    refused = {trial.parameters["drop_path"]: trial.refusal for trial in found.trials}
    assert refused[0.0] == ""
    assert "drop_path" in refused[0.5] or "drop path" in refused[0.5]


def test_a_missing_optuna_is_named_with_the_command_that_installs_it(
    iris: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"needs optuna: pip install optuna"):
        search(iris)


def test_a_graphics_card_that_is_not_there_is_refused(iris: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match="--device: cuda was asked for"):
        search(iris, device="cuda")


def test_the_search_is_at_hand_in_the_package_and_imports_optuna_only_when_it_is_called() -> None:
    code = (
        "import sys, regimen; assert 'torch' not in sys.modules; regimen.search.search; "
        "sys.exit(str({'optuna', 'sqlalchemy'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
