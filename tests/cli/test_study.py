"""`regimen study` from the table to the files, in this process."""

import json
import shlex
from pathlib import Path

import pytest

from regimen.cli.folders import claim
from regimen.records import Results
from regimen.run import SavedModel, read_recipe

from .conftest import TINY, Regimen

FILES = {"results.json", "report.html", "recipe.toml", "model.safetensors", "model.json", "study.sqlite"}


def test_a_study_writes_its_files_and_nothing_else(finished_study: Path) -> None:
    assert {path.name for path in finished_study.iterdir()} == FILES


def test_the_files_say_the_same(finished_study: Path) -> None:
    results = Results.read(finished_study / "results.json")
    model = SavedModel.load(finished_study)
    recipe = read_recipe(finished_study / "recipe.toml")
    assert results.design.pairs == 3
    assert results.design.pilot
    assert {technique.name for technique in results.techniques} == {"batch_norm", "he"}
    assert model.recipe == recipe
    assert model.model.name == results.model.name == "mlp:4"
    assert model.classes == results.data.classes == ("setosa", "versicolor", "virginica")
    assert "iris" in (finished_study / "report.html").read_text()


def test_the_stored_command_can_be_run_again(finished_study: Path) -> None:
    command = Results.read(finished_study / "results.json").plan["command"]
    assert command == "regimen study iris --model mlp:4 --epochs 2 --techniques batch_norm,he --pairs 3 --processes 1"


def test_the_recipe_says_how_to_train_it(regimen: Regimen) -> None:
    Path("my data.csv").write_text("\n".join(["a,b,y", *(f"{i * 37 % 101},{i % 7},{i % 2}" for i in range(60))]) + "\n")
    assert regimen("study", "my data.csv", "--target", "y", "--ignore", "b", *TINY).exit_code == 0
    first = Path("runs/my_data-1/recipe.toml").read_text().splitlines()[0]
    assert first.startswith("# regimen train 'my data.csv' --target y --ignore b ")
    trained = regimen(*shlex.split(first.removeprefix("# regimen")), "--epochs", "1")
    assert trained.exit_code == 0, trained.output
    assert SavedModel.load("runs/my_data-2").model.name == "mlp:4"


def test_the_end_of_a_study_names_its_files(regimen: Regimen) -> None:
    result = regimen("study", "iris", *TINY)
    assert result.exit_code == 0
    for name in ("report.html", "recipe.toml", "model.safetensors"):
        assert str(Path("runs/iris-1") / name) in result.stdout
    assert "batch norm" in result.stdout
    assert "This pilot of 3 pairs" in result.stdout


def test_studies_of_one_table_are_numbered(regimen: Regimen) -> None:
    Path("runs/iris-1").mkdir(parents=True)
    Path("runs/iris-2").write_text("a file")
    assert regimen("study", "iris", *TINY).exit_code == 0
    assert Path("runs/iris-3/results.json").is_file()


def test_a_folder_that_another_process_makes_first_is_left_to_it(
    regimen: Regimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.mkdir

    def racing(path: Path, *arguments: object, **options: object) -> None:
        if path.name == "iris-1":
            made(path)  # the other process, a moment earlier
        made(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", racing)
    assert claim(None, "iris").path == Path("runs/iris-2")


def test_an_empty_folder_is_used_and_parents_are_made(regimen: Regimen) -> None:
    Path("empty").mkdir()
    assert claim("empty", "iris").made == ()
    claimed = claim("a/b/c", "iris")
    assert claimed.made == (Path("a"), Path("a/b"), Path("a/b/c"))
    claimed.withdraw()
    assert not Path("a").exists()


def test_all_data_options_reach_the_table(regimen: Regimen) -> None:
    rows = [f"{i * 37 % 101},{i % 7},{i % 5},{i % 2 + 1}" for i in range(80)]
    for name, part in (("train", rows[:50]), ("test", rows[50:65]), ("check", rows[65:])):
        Path(f"{name}.csv").write_text("\n".join(["a,b,c,y", *part]) + "\n")
    parts = ("--test", "test.csv", "--validation", "check.csv", "--ignore", "b,c", "--task", "classification")
    result = regimen("study", "train.csv", "--target", "y", *parts, *TINY, "--out", "out")
    assert result.exit_code == 0, result.output
    data = Results.read(Path("out/results.json")).data
    assert (data.rows.test, data.rows.validation, data.rows.train) == (15, 15, 50)
    assert data.features == 1
    assert data.classes == ("1", "2")


def test_all_study_options_reach_the_plan(regimen: Regimen) -> None:
    Path("base.toml").write_text("dropout = 0.25\nlr = 0.5\n")
    result = regimen(
        *("study", "iris", "--baseline", "base.toml", "--lr", "0.02", "--batch-size", "16", "--epochs", "1"),
        *("--techniques", "l2", "--budget", "30runs", "--metric", "f1_macro", "--smallest-effect", "0.03"),
        *("--model", "mlp:3:tanh", "--engine", "reference", "--device", "cpu", "--seed", "18446744073709551615"),
        *("--processes", "1", "--out", "out"),
    )
    assert result.exit_code == 0, result.output
    plan = Results.read(Path("out/results.json")).plan
    recipe = plan["baseline"]
    assert (recipe["dropout"], recipe["lr"], recipe["batch_size"], recipe["epochs"]) == (0.25, 0.02, 16, 1)
    assert {arm["technique"] for arm in plan["arms"]} == {"l2"}
    assert (plan["budget"], plan["metric"], plan["smallest_effect"]) == ("30runs", "f1_macro", 0.03)
    assert (plan["model"], plan["engine"], plan["seed"]) == ("mlp:3:tanh", "reference", 2**64 - 1)
    train, note = Path("out/recipe.toml").read_text().splitlines()[:2]
    assert "--metric f1_macro" in train
    assert note == "# The baseline: nothing that was tried is shown to be better."
    assert "recipe.toml (the baseline)" in result.output


def test_a_regression_is_studied_in_units_of_its_target(regimen: Regimen) -> None:
    result = regimen("study", "diabetes", *TINY, "--out", "out")
    assert result.exit_code == 0, result.output
    results = Results.read(Path("out/results.json"))
    assert (results.data.task, results.design.metric, results.design.metric_unit) == ("regression", "rmse", "target")


HOSTILE = "<script>alert(1)</script>"


def test_text_from_the_data_reaches_page_terminal_and_csv_escaped(regimen: Regimen) -> None:
    name, labels = f"{HOSTILE.replace('/', '')}.csv", (HOSTILE, "\x1b[31mred [bold]", 'a,"b"')
    lines = ["x,y", *(f'{i * 37 % 101},"{labels[i % 3].replace(chr(34), chr(34) * 2)}"' for i in range(60))]
    Path(name).write_text("\n".join(lines) + "\n")
    result = regimen("study", name, "--target", "y", *TINY, "--out", "out")
    assert result.exit_code == 0, result.output
    assert "\x1b[31mred" not in result.output
    page = Path("out/report.html").read_text()
    assert HOSTILE not in page
    assert "\x1b" not in page
    predicted = regimen("predict", "out", name)
    assert predicted.exit_code == 0
    assert '"p_a,""b"""' in predicted.stdout.splitlines()[0]
    assert json.loads(Path("out/results.json").read_text())["data"]["classes"] == sorted(labels)


def test_a_file_whose_name_has_line_breaks_gets_a_plain_folder_and_a_valid_recipe(regimen: Regimen) -> None:
    name = "my\ndata [red].csv"
    Path(name).write_text("\n".join(["x,y", *(f"{i * 37 % 101},{'a' if i % 3 else 'b'}" for i in range(60))]) + "\n")
    assert regimen("study", name, "--target", "y", *TINY).exit_code == 0
    assert read_recipe("runs/my_data_red-1/recipe.toml").epochs == 2
