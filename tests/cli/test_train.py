"""`regimen train`: the study's test part held out, everything else trained on, one network or several."""

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regimen.data import METRICS, hold_out, load
from regimen.engine import train
from regimen.run import Run, SavedModel, read_recipe
from regimen.study.layout import Layout, final_key

from .conftest import Regimen

RECIPE = "dropout = 0.2\nepochs = 4\n"


@pytest.fixture(autouse=True)
def recipe(regimen: Regimen) -> Path:
    path = Path("recipe.toml")
    path.write_text(RECIPE)
    return path


def test_a_recipe_trains_on_all_rows_outside_the_test_part(regimen: Regimen, recipe: Path) -> None:
    result = regimen("train", "iris", "--recipe", recipe, "--model", "mlp:6", "--seed", "7", "--out", "out")
    assert result.exit_code == 0, result.output
    iris = load("iris")
    split = Layout.of(iris).final_split()
    assert set(split.train) == set(hold_out(iris).development)
    run = Run(
        recipe=read_recipe(recipe),
        model=SavedModel.load("out").model,
        data=iris,
        split=split,
        key=final_key(7),
        metric="accuracy",
    )
    expected = train([run], keep=("weights",))[0].weights
    assert expected is not None
    [found] = SavedModel.load("out").states
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert {path.name for path in Path("out").iterdir()} == {"model.json", "model.safetensors", "recipe.toml"}
    assert read_recipe("out/recipe.toml") == read_recipe(recipe)


@pytest.mark.parametrize(
    ("data", "metric", "line"),
    [
        ("iris", "accuracy", r"accuracy on 30 test rows: {:.1f} %"),
        ("iris", "log_loss", r"log loss on 30 test rows: {:.4g} nats"),
        ("diabetes", "rmse", r"RMSE on 88 test rows: {:.4g} (in units of target)"),
        ("diabetes", "r2", r"R² on 88 test rows: {:.4g}"),
    ],
)
def test_the_test_metric_is_printed_with_its_rows_and_unit(
    regimen: Regimen, recipe: Path, data: str, metric: str, line: str
) -> None:
    result = regimen("train", data, "--recipe", recipe, "--metric", metric, "--networks", "2", "--processes", "1")
    assert result.exit_code == 0, result.output
    table = load(data)
    rows = hold_out(table).test
    outputs = SavedModel.load(f"runs/{data}-1").predict_outputs(table)[rows]
    value = METRICS[metric].function(table.y[rows], outputs)
    assert line.format(100 * value if metric == "accuracy" else value) in result.stdout.splitlines()


def test_networks_have_keys_of_their_own_and_predict_together(regimen: Regimen, recipe: Path) -> None:
    result = regimen("train", "iris", "--recipe", recipe, "--networks", "3", "--processes", "1", "--out", "out")
    assert result.exit_code == 0, result.output
    model = SavedModel.load("out")
    assert model.keys == tuple(final_key(0, network) for network in range(3))
    first, second = (model.states[i]["0.weight"] for i in (0, 1))
    assert not np.array_equal(first, second)
    assert regimen("predict", "out", "iris").exit_code == 0


def test_a_recipe_with_early_stopping_says_which_epoch_it_returned(regimen: Regimen, recipe: Path) -> None:
    recipe.write_text("lr = 0.05\nearly_stopping = { patience = 1 }\n")
    result = regimen("train", "iris", "--recipe", recipe, "--epochs", "60", "--out", "out")
    assert result.exit_code == 0, result.output
    found = re.search(r"epoch (\d+) of 60", result.stdout)
    assert found is not None
    assert 1 <= int(found[1]) < 60


def test_what_diverges_is_not_saved(regimen: Regimen, recipe: Path) -> None:
    recipe.write_text('lr = 1e30\nepochs = 4\noptimizer = "sgd"\n')
    result = regimen("train", "iris", "--recipe", recipe)
    assert result.exit_code == 1
    [message] = result.stderr.splitlines()
    assert message.startswith("regimen: error: the network could not be trained: ")
    assert not Path("runs").exists()


def test_ctrl_c_leaves_nothing(regimen: Regimen, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(self: Any, *arguments: object, **options: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("regimen.cli.progress.Meter.step", pressed)
    result = regimen("train", "iris", "--recipe", recipe)
    assert result.exit_code == 130
    assert result.stderr.strip() == "regimen: interrupted; nothing was saved"
    assert not Path("runs").exists()


def test_the_recipe_of_a_study_can_be_trained(regimen: Regimen, finished_study: Path) -> None:
    assert regimen("train", "iris", "--recipe", finished_study / "recipe.toml", "--model", "mlp:4").exit_code == 0


def test_a_used_folder_is_refused_without_offering_what_train_lacks(regimen: Regimen, recipe: Path) -> None:
    assert regimen("train", "iris", "--recipe", recipe, "--out", "out").exit_code == 0
    result = regimen("train", "iris", "--recipe", recipe, "--out", "out")
    assert result.exit_code == 2
    assert "out is used; name another" in result.stderr
    assert "--resume" not in result.stderr
