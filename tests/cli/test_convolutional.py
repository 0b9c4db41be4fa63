"""Convolutional networks on a folder of images: study, train, summary and predict, as a user types them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regimen.kernels.native import find_kernels
from regimen.records import Results
from regimen.run import SavedModel, read_recipe
from regimen.techniques import Rotation

from .conftest import Regimen, run

CLASSES = ("left", "right")
TINY = ("--model", "cnn:3p,4p:6", "--pairs", "2", "--epochs", "2", "--processes", "1")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of class folders with 40 images each of 9x8 pixels, bright on the left or on the right."""
    folder, source = tmp_path_factory.mktemp("pictures") / "sides", np.random.default_rng(1)
    for label, bright in zip(CLASSES, (slice(0, 4), slice(4, 8)), strict=True):
        (folder / label).mkdir(parents=True)
        for number in range(40):
            pixels = source.integers(0, 120, (9, 8), dtype=np.uint8)
            pixels[:, bright] += 100
            Image.fromarray(pixels).save(folder / label / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def study_of_pictures(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studied") / "study"
    result = run("study", pictures, *TINY, "--techniques", "channel_dropout,rotation,l2", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_a_study_of_images_has_every_part_and_its_report(study_of_pictures: Path) -> None:
    results = Results.read(study_of_pictures / "results.json")
    assert results.model.name == "cnn:3p,4p:6"
    assert results.data.classes == CLASSES
    assert results.data.features == 72
    assert {record.name for record in results.techniques} == {"channel_dropout", "rotation", "l2"}
    assert all(record.status == "finished" for record in results.runs)
    assert "nn.Conv2d(1, 3, 3, padding=1)" in results.recipe.code
    page = (study_of_pictures / "report.html").read_text(encoding="utf-8")
    assert "rotation" in page and "cnn:3p,4p:6" in page


def test_the_model_of_a_study_of_images_predicts_files(
    study_of_pictures: Path, pictures: Path, regimen: Regimen
) -> None:
    result = regimen("predict", study_of_pictures, pictures, "--out", "out.csv")
    assert result.exit_code == 0, result.output
    with open("out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert {row["prediction"] for row in rows} <= set(CLASSES)
    assert all(abs(float(row["p_left"]) + float(row["p_right"]) - 1) < 1e-6 for row in rows)


def test_the_summary_of_that_model_knows_its_images(study_of_pictures: Path, regimen: Regimen) -> None:
    result = regimen("summary", study_of_pictures)
    assert result.exit_code == 0, result.output
    assert "cnn:3p,4p:6, images 1x9x8, 2 outputs" in result.stdout
    assert "[-1, 4, 2, 2]" in result.stdout


def test_a_recipe_with_augmentation_is_trained_with_a_convolutional_network_by_default(
    pictures: Path, regimen: Regimen
) -> None:
    Path("recipe.toml").write_text('epochs = 2\n[[augmentation]]\nname = "rotation"\ndegrees = 10\n')
    result = regimen("train", pictures, "--recipe", "recipe.toml", "--out", "trained")
    assert result.exit_code == 0, result.output
    assert "cnn:16,32p,64p:100" in result.stdout
    assert read_recipe("trained/recipe.toml").augmentation == (Rotation(degrees=10),)
    assert SavedModel.load("trained").preparation.inputs == (1, 9, 8)


def test_the_epochs_of_a_network_in_plain_pytorch_are_counted_with_the_time_that_is_left(
    pictures: Path, regimen: Regimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regimen.cli.progress.INTERVAL", 0.0)
    Path("recipe.toml").write_text("epochs = 3\n")
    result = regimen("train", pictures, "--recipe", "recipe.toml", "--model", "cnn:2p:3")
    assert result.exit_code == 0, result.output
    assert "training: 2 of 3 epochs" in result.stderr
    assert " left" in result.stderr


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("", ("--model", "cnn:8p,8p,8p,8p:4"), "nothing is left of images of 9x8 pixels after convolution 4"),
        ('[[augmentation]]\nname = "random_crop"\nsize = 5\n', (), "expected images as large as before, 9x8"),
        ('[[augmentation]]\nname = "rotate"\n', (), "no such augmentation 'rotate'; did you mean 'rotation'?"),
        ("cutmix = 1.0\nmixup = 0.2\n", (), "cutmix: both it and mixup mix the targets"),
        pytest.param(
            "",
            ("--engine", "native"),
            "trains multilayer perceptrons only, not ConvNet",
            marks=pytest.mark.skipif(find_kernels() is None, reason="the C++ engine is not installed"),
        ),
    ],
    ids=["too small", "smaller than the test images", "mistyped", "twice mixed", "another engine"],
)
def test_what_does_not_fit_images_is_refused_and_nothing_is_written(
    pictures: Path, regimen: Regimen, recipe: str, options: tuple[str, ...], message: str
) -> None:
    Path("recipe.toml").write_text("epochs = 1\n" + recipe)
    result = regimen("train", pictures, "--recipe", "recipe.toml", "--out", "trained", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("trained").exists()
