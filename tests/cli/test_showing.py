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
    for shown in ("Linear", "BatchNorm1d", "Dropout", "[-1, 32]", "[-1, 10]", "Params size (MB)"):
        assert shown in result.stdout


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


def test_the_summary_has_the_sizes_of_the_post_on_digits(regimen: Regimen) -> None:
    Path("recipe.toml").write_text("dropout = 0.5\n")
    result = regimen("summary", "mlp:100x100x100x100", "--data", "digits", "--recipe", "recipe.toml")
    assert result.exit_code == 0, result.output
    assert "Total params: 37,810" in result.stdout and "Non-trainable params: 0" in result.stdout
    sizes = [line.rpartition(": ")[2] for line in result.stdout.splitlines() if "(MB)" in line]
    assert sizes == ["0.00", "0.01", "0.14", "0.15"]


def test_the_summary_of_a_convolutional_network_has_its_shapes(regimen: Regimen) -> None:
    Path("recipe.toml").write_text(
        'dropout = 0.2\ndropout_kind = "channel"\n[[augmentation]]\nname = "rotation"\ndegrees = 5\n'
    )
    result = regimen("summary", "cnn", "--inputs", "1x28x28", "--outputs", "10", "--recipe", "recipe.toml")
    assert result.exit_code == 0, result.output
    assert "cnn:16,32p,64p:100, images 1x28x28, 10 outputs" in result.stdout
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in (
        "0 Conv2d [-1, 16, 28, 28] 160",
        "2 Dropout2d [-1, 16, 28, 28] 0",
        "11 Flatten [-1, 3136] 0",
        "15 Linear [-1, 10] 1,010",
        "dropout_kind channel default element",
        "augmentation rotation 5 default none",
    ):
        assert line in lines


MODULES = """
import sys
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))

def number():
    return 5

def broken():
    return 1 / 0

def leaving():
    sys.exit("gone")

width = 3
"""


def test_the_summary_of_a_module_of_ones_own(regimen: Regimen) -> None:
    Path("nets.py").write_text(MODULES)
    Path("recipe.toml").write_text("lr = 0.1\n")
    result = regimen("summary", "nets.py:small", "--inputs", "1x28x28", "--recipe", "recipe.toml")
    assert result.exit_code == 0, result.output
    assert "nets.py:small, images 1x28x28" in result.stdout
    assert "Total params: 27,090" in result.stdout
    assert "lr 0.1 default 0.001" in [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_file_of_ones_own_may_import_its_neighbours(regimen: Regimen) -> None:
    Path("sizes_of_mine.py").write_text("WIDTH = 7\n")
    text = "from torch import nn\nimport sizes_of_mine\ndef net():\n    return nn.Linear(3, sizes_of_mine.WIDTH)\n"
    Path("nets.py").write_text(text)
    result = regimen("summary", "nets.py:net", "--inputs", "3")
    assert result.exit_code == 0, result.output
    assert "[-1, 7]" in result.stdout


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("nets.py", (), "expected FILE.py:FUNCTION, a function without arguments that returns a torch.nn.Module"),
        ("none.py:small", (), "there is no file none.py"),
        ("nets.py:smal", (), "expected a function smal in nets.py, there is none of that name; did you mean 'small'?"),
        ("nets.py:width", (), "expected a function width in nets.py, width is int; valid: broken, leaving, number"),
        ("nets.py:number", (), "expected number() of nets.py to return a torch.nn.Module, got int"),
        ("nets.py:broken", (), "broken() of nets.py raised ZeroDivisionError: division by zero (line 12); correct it"),
        ("nets.py:leaving", (), "leaving() of nets.py raised SystemExit: gone (line 15); correct it"),
        ("syntax.py:net", (), "running syntax.py raised SyntaxError"),
        ("raises.py:net", (), "running raises.py raised KeyError: 'missing' (line 2); correct it"),
        (
            "nets.py:small",
            (),
            "expected the shape of one input, got none; add --data DATA, or --inputs such as 1x28x28",
        ),
        ("nets.py:small", ("--inputs", "5"), "nets.py:small on 5 inputs raised RuntimeError"),
        ("nets.py:small", ("--inputs", "5", "--outputs", "3"), "--outputs: a module of your own has its outputs"),
        ("cnn", ("--inputs", "28x28", "--outputs", "3"), "--inputs: expected a number of columns, or channels, height"),
        (
            "cnn",
            ("--inputs", "1x0x28", "--outputs", "3"),
            "--inputs: expected a number of columns, or channels, height",
        ),
        ("cnn", ("--inputs", "4", "--outputs", "3"), "needs images, got the columns of a table; take --model mlp"),
        ("cnn", ("--inputs", "1x3x3", "--outputs", "3"), "nothing is left of images of 3x3 pixels after convolution 3"),
    ],
)
def test_what_can_not_be_summed_up_is_refused(
    regimen: Regimen, model: str, options: tuple[str, ...], message: str
) -> None:
    Path("nets.py").write_text(MODULES)
    Path("syntax.py").write_text("def net(:\n")
    Path("raises.py").write_text("settings = {}\nsettings['missing']\n")
    result = regimen("summary", model, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


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
    for source in ("mnist, fashion-mnist, cifar10", "a folder for each class", "IDX", "openml:NAME", "cnn:32p,64p"):
        assert source in shown
    assert str(Path.cwd()) in shown
