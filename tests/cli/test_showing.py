"""`regimen report`, `summary` and `info`: what is stored or installed, shown."""

from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from regimen.data import BUNDLED
from regimen.models import MLP
from regimen.run import Recipe, SavedModel

from .conftest import Regimen


def test_the_report_is_written_again_from_the_results_alone(study_copy: Path, regimen: Regimen) -> None:
    page = study_copy / "report.html"
    before = page.read_bytes()
    for path in study_copy.iterdir():
        if path.name != "results.json":
            path.unlink()
    result = regimen("report", study_copy)
    assert result.exit_code == 0, result.output
    assert page.read_bytes() == before
    assert str(page) in result.stdout


def test_the_summary_counts_what_pytorch_counts(regimen: Regimen) -> None:
    Path("recipe.toml").write_text('dropout = 0.5\nnormalization = "batch"\n')
    result = regimen("summary", "mlp:32x16", "--data", "digits", "--recipe", "recipe.toml")
    assert result.exit_code == 0, result.output
    layers = MLP(hidden=(32, 16)).layers(64, 10, dropout=(0.5,), normalization="batch")
    from regimen.models import build

    count = sum(parameter.numel() for parameter in build(layers, key=0).parameters())
    assert "mlp:32x16, 64 inputs, 10 outputs" in result.stdout
    assert f"Total params: {count:,}" in result.stdout
    for shown in ("Linear", "BatchNorm1d", "Dropout", "[1, 32]", "[1, 10]", "Params size (MB)"):
        assert shown in result.stdout
    assert "Units." not in result.stdout


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("", ["The recipe is the default: Adam without regularization."]),
        ("dropout = 0.5", ["dropout 0.5 default none"]),
        ('optimizer = "sgd"\nlr = 0.1', ["optimizer.name sgd default adam", "lr 0.1 default 0.001"]),
        ("early_stopping = { patience = 3 }", ["early_stopping.patience 3 default none"]),
        ('normalization = "batch"\nmax_norm = 3', ["normalization batch default none", "max_norm 3 default none"]),
    ],
)
def test_the_summary_says_what_the_recipe_changes(regimen: Regimen, recipe: str, changes: list[str]) -> None:
    Path("recipe.toml").write_text(recipe + "\n")
    result = regimen("summary", "mlp:8", "--inputs", "4", "--outputs", "3", "--recipe", "recipe.toml")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert all(change in lines for change in changes)


def test_the_summary_of_a_saved_model_knows_its_sizes_and_recipe(finished_study: Path, regimen: Regimen) -> None:
    result = regimen("summary", finished_study)
    assert result.exit_code == 0, result.output
    model = SavedModel.load(finished_study)
    assert model.recipe == Recipe(epochs=2)
    count = sum(value.size for value in model.states[0].values())
    assert f"Total params: {count:,}" in result.stdout
    assert "epochs 2 default 40" in [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_info_names_versions_engines_and_instruction_set_with_reasons(regimen: Regimen) -> None:
    result = regimen("info")
    assert result.exit_code == 0, result.output
    shown = result.stdout
    for name in ("torch", "numpy", "scikit-learn", "polars"):
        assert version(name) in shown
    assert torch.backends.cpu.get_cpu_capability() in shown
    assert "auto" in shown
    assert "reference" in shown
    assert ", ".join(BUNDLED) in shown
    assert str(Path.cwd()) in shown
