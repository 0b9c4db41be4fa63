"""The plain-PyTorch script of a recipe: short, on torch alone, with the layers of the saved network."""

import ast
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from regimen.models import MLP, build
from regimen.records import Task
from regimen.run import Recipe, Run
from regimen.techniques import Adam

from .recipes import BASE, CLASSES, FEATURES, KEY, every_recipe, execute, run_of, script, table


@every_recipe
def test_the_script_runs_on_torch_alone_and_leaves_a_network_in_eval_mode(recipe: Recipe, task: Task) -> None:
    model = execute(script(recipe.replace(epochs=3), task))["model"]
    assert not any(module.training for module in model.modules())
    assert all(value.isfinite().all() for value in model.state_dict().values())


@every_recipe
def test_a_saved_network_loads_into_the_scripts_model(recipe: Recipe, task: Task) -> None:
    outputs = CLASSES if task == "classification" else 1
    names = execute(script(recipe.replace(epochs=1), task))
    ours = build(run_of(recipe, task).layers(FEATURES, outputs), key=1)
    names["model"].load_state_dict(ours.state_dict(), strict=True)
    dropped = [(i, layer.p) for i, layer in enumerate(ours) if type(layer).__name__ == "Dropout"]
    assert [(i, layer.p) for i, layer in enumerate(names["model"]) if isinstance(layer, nn.Dropout)] == dropped


@every_recipe
def test_the_script_keeps_to_lines_of_100_and_uses_every_name_it_makes(recipe: Recipe, task: Task) -> None:
    code = script(recipe, task)
    assert max(map(len, code.splitlines())) <= 100
    assert code.endswith("model.eval()\n") and not any(line != line.rstrip() for line in code.splitlines())
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    assert made <= {node.id for node in names if isinstance(node.ctx, ast.Load)} | {"epoch"}


def test_the_script_of_the_plain_baseline_is_this_one() -> None:
    assert script(Recipe(), "classification", model=MLP(hidden=(8,))) == (
        """\
# x_train: float32 [rows, 5], numeric columns scaled to mean 0 and variance 1 over these rows.
# y_train: int64 [rows], class codes from 0 to 2.
import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(5, 8), nn.ReLU(),
    nn.Linear(8, 3),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
cuts = [*range(32, len(x_train) - 1, 32)]  # a lone last row joins the batch before it
for epoch in range(40):
    for rows in torch.randperm(len(x_train)).tensor_split(cuts):
        loss = criterion(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.eval()
"""
    )


@pytest.mark.parametrize("kind", ["he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "normal"])
def test_the_scripts_initialization_has_the_engines_spread(kind: str) -> None:
    recipe = Recipe(initialization=kind, initialization_std=0.3, epochs=1, lr=1e-30)  # type: ignore[arg-type]
    wide = MLP(hidden=(400, 300))
    model = execute(script(recipe, "classification", model=wide, features=200), features=200)["model"]
    run = Run(recipe=recipe, model=wide, data=table("regression"), split=run_of(BASE, "regression").split, key=KEY,
              metric="rmse")  # fmt: skip
    for ours, theirs in zip(run.network(200, CLASSES), model, strict=True):
        if isinstance(ours, nn.Linear) and ours.weight.numel() > 10_000:
            # Standard error of a standard deviation over 80,000 normals: 0.25 %; a wrong gain is off by 15 % at least.
            torch.testing.assert_close(theirs.weight.std(), ours.weight.std(), rtol=0.02, atol=0.0)
            torch.testing.assert_close(theirs.weight.abs().max(), ours.weight.abs().max(), rtol=0.25, atol=0.0)
            assert theirs.bias.abs().max() < 1e-20


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust", "none"])
def test_the_script_says_how_its_inputs_are_scaled(scaling: str) -> None:
    words: dict[str, Callable[[str], bool]] = {
        "standard": lambda line: "variance 1" in line,
        "minmax": lambda line: "0 to 1" in line,
        "robust": lambda line: "median" in line,
        "none": lambda line: "as they are" in line,
    }
    first = script(Recipe(input_scaling=scaling), "regression").splitlines()[0]  # type: ignore[arg-type]
    assert [name for name, fits in words.items() if fits(first)] == [scaling]


def test_numbers_from_numpy_are_written_as_numbers() -> None:
    rate = float(np.float64(0.25))
    given = Recipe(lr=np.float64(0.25), dropout=np.float64(0.25), optimizer=Adam(betas=(np.float64(0.25), 0.5)))
    plain = Recipe(lr=rate, dropout=rate, optimizer=Adam(betas=(rate, 0.5)))
    assert script(given, "regression") == script(plain, "regression")


def test_a_class_without_rows_does_not_break_balanced_weights() -> None:
    code = script(Recipe(class_weights="balanced", label_smoothing=0.1, epochs=2), "classification")
    code = code.replace("minlength=3", "minlength=4").replace("nn.Linear(6, 3)", "nn.Linear(6, 4)")
    assert all(value.isfinite().all() for value in execute(code)["model"].state_dict().values())
