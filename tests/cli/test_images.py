"""Folders of images are studied, trained on and predicted as tables are, and files are named by their paths."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Regimen

# One arm and two pairs of a small convolutional network, each for one epoch.
SMALL = ("--techniques", "he", "--pairs", "2", "--epochs", "1", "--model", "cnn:4p:6", "--processes", "1")


@pytest.fixture
def pictures(regimen: Regimen) -> str:
    """Forty pictures of 9 x 7 pixels in folders for two classes, bright ones and dark ones, and one broken file."""
    for i in range(40):
        path = Path("pictures", ("bright", "dark")[i % 2], f"{i:02d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        low = 0 if i % 2 else 120
        Image.fromarray(np.random.default_rng(i).integers(low, low + 130, (9, 7, 3)).astype(np.uint8)).save(path)
    Path("pictures/dark/broken.png").write_bytes(b"x")
    return "pictures"


def test_a_study_of_images_can_be_trained_from_predicted_with_and_resumed(pictures: str, regimen: Regimen) -> None:
    result = regimen("study", pictures, *SMALL, "--image-size", "8")
    assert result.exit_code == 0, result.output
    assert "note: left out 1 file, unreadable or cut off: 'dark/broken.png'" in result.stderr
    assert "note: resized to 8 x 8 (height x width)" in result.stderr
    found = json.loads(Path("runs/pictures-1/results.json").read_text())
    assert (found["data"]["features"], found["data"]["classes"]) == (3 * 8 * 8, ["bright", "dark"])
    rows = found["data"]["rows"]
    assert rows["train"] + rows["validation"] + rows["test"] == 40

    assert "--image-size 8" in Path("runs/pictures-1/recipe.toml").read_text()
    again = regimen("study", pictures, "--resume")
    assert again.exit_code == 0, again.output
    other = regimen("study", pictures, "--resume", "--image-size", "6")
    assert other.exit_code == 2
    assert "--image-size 8, not 6" in other.stderr

    # Without a size: the model holds that of training.
    result = regimen("predict", "runs/pictures-1", pictures)
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(lines[0]) == ["image", "prediction", "p_bright", "p_dark"]
    assert [line["image"] for line in lines[:2]] == ["bright/00.png", "bright/02.png"]
    assert len(lines) == 40
    assert "note: left out 1 file" in result.stderr


def test_a_recipe_is_trained_on_images_and_what_was_left_out_is_said(pictures: str, regimen: Regimen) -> None:
    Path("recipe.toml").write_text("epochs = 6\nlr = 0.01\n")
    result = regimen("train", pictures, "--recipe", "recipe.toml", "--model", "cnn:4p:6", "--out", "model")
    assert result.exit_code == 0, result.output
    assert "note: left out 1 file, unreadable or cut off: 'dark/broken.png'" in result.stderr
    lines = list(csv.DictReader(io.StringIO(regimen("predict", "model", "pictures/dark").stdout)))
    assert [line["image"] for line in lines[:2]] == ["01.png", "03.png"]
    assert {line["prediction"] for line in lines} == {"dark"}
