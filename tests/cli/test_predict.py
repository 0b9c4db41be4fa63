"""`regimen predict`: original labels, probabilities in their order, a whole file or none."""

import csv
import io
import stat
from pathlib import Path

import numpy as np
import pytest

from regimen.data import load, read_features
from regimen.run import SavedModel

from .conftest import TINY, Regimen

ROWS = [(f"{i * 37 % 101 / 10}", ("red", "dark green", "blue")[i % 3], ("no, thanks", "yes")[i % 2]) for i in range(90)]


def write_table(name: str, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("size", "color", "answer")) -> None:
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def trained(regimen: Regimen) -> Path:
    """A model of a table with a text column and text labels, one with a comma."""
    write_table("train.csv", ROWS)
    assert regimen("study", "train.csv", "--target", "answer", *TINY, "--out", "model").exit_code == 0
    return Path("model")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predictions_are_labels_and_their_probabilities(trained: Path, regimen: Regimen) -> None:
    result = regimen("predict", trained, "train.csv")
    found = read(result.stdout)
    assert result.exit_code == 0
    assert len(found) == len(ROWS)
    assert list(found[0]) == ["prediction", "p_no, thanks", "p_yes"]
    for row in found:
        shares = {label: float(row[f"p_{label}"]) for label in ("no, thanks", "yes")}
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-8)
        assert row["prediction"] == max(shares, key=lambda label: shares[label])


def test_predictions_are_those_of_the_saved_model(trained: Path, regimen: Regimen) -> None:
    model = SavedModel.load(trained)
    features = read_features("train.csv", model.preparation)
    found = read(regimen("predict", trained, "train.csv").stdout)
    assert [row["prediction"] for row in found] == model.predict(features).tolist()
    shares = np.array([[float(row["p_no, thanks"]), float(row["p_yes"])] for row in found])
    np.testing.assert_allclose(shares, model.probabilities(features), rtol=1e-8)


def test_columns_may_stand_in_another_order_with_others_between_and_without_the_target(
    trained: Path, regimen: Regimen
) -> None:
    write_table("new.csv", [(color, "x", size) for size, color, _ in ROWS], ("color", "note", "size"))
    result = regimen("predict", trained, "new.csv")
    assert result.stdout == regimen("predict", trained, "train.csv").stdout
    assert "'note'" in result.stderr


def test_unseen_levels_and_missing_cells_are_predicted(trained: Path, regimen: Regimen) -> None:
    write_table("new.csv", [("", "red"), ("1.5", "violet"), ("2.5", "")], ("size", "color"))
    found = read(regimen("predict", trained, "new.csv").stdout)
    assert len(found) == 3
    assert all(float(row["p_yes"]) == pytest.approx(1 - float(row["p_no, thanks"]), abs=1e-8) for row in found)


def test_a_file_gets_what_standard_output_would(trained: Path, regimen: Regimen) -> None:
    Path("p.csv").write_text("old")
    printed = regimen("predict", trained, "train.csv", "--out", "-").stdout
    result = regimen("predict", trained, "train.csv", "--out", "p.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert Path("p.csv").read_text() == printed
    assert {path.name for path in Path().iterdir()} == {"model", "train.csv", "p.csv"}
    # As any file this process makes, not the private mode of temporary files.
    Path("mine").touch()
    assert stat.S_IMODE(Path("p.csv").stat().st_mode) == stat.S_IMODE(Path("mine").stat().st_mode)


def test_amounts_have_one_column_in_units_of_the_target(regimen: Regimen) -> None:
    Path("recipe.toml").write_text("epochs = 5\n")
    assert regimen("train", "diabetes", "--recipe", "recipe.toml", "--out", "model").exit_code == 0
    lines = regimen("predict", "model", "diabetes").stdout.splitlines()
    assert lines[0] == "prediction"
    values = np.array([float(line) for line in lines[1:]])
    target = load("diabetes").y
    assert len(values) == len(target)
    assert 0.2 * target.mean() < values.mean() < 2 * target.mean()


def test_whole_number_classes_come_back_as_they_were_written(regimen: Regimen) -> None:
    rows = [(size, color, str(3 + i % 2 * 4)) for i, (size, color, _) in enumerate(ROWS)]
    write_table("codes.csv", rows)
    Path("recipe.toml").write_text("epochs = 1\n")
    options = ("--target", "answer", "--task", "classification", "--recipe", "recipe.toml", "--out", "model")
    assert regimen("train", "codes.csv", *options).exit_code == 0
    found = read(regimen("predict", "model", "codes.csv").stdout)
    assert list(found[0]) == ["prediction", "p_3", "p_7"]
    assert {row["prediction"] for row in found} <= {"3", "7"}
