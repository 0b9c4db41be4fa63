"""Whatever is wrong with the input: exit code 2, one message that says what, no traceback, nothing left behind."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from regimen.store import Store

from .conftest import Regimen

TINY_RESUME = ("study", "iris", "--resume")
GOOD = [f"{i},{i % 7},{'yes' if i % 3 else 'no'}" for i in range(60)]
TABLES = {
    "good.csv": ["a,b,y", *GOOD],
    "test.csv": ["a,b,y", *GOOD[:30]],
    "other.csv": ["a,b,y", *GOOD[::-1]],
    "empty.csv": [],
    "header.csv": ["a,b,y"],
    "few.csv": ["a,b,y", *GOOD[:5]],
    "one_class.csv": ["a,b,y", *(row.replace("no", "yes") for row in GOOD)],
    "duplicate.csv": ["a,a,y", *GOOD],
    "ragged.csv": ["a,b,y", *GOOD[:30], "1,2", *GOOD[30:]],
    "quote.csv": ["a,b,y", *GOOD, '1,"2,yes'],
    "constant.csv": ["a,y", *("1,yes" if i % 2 else "1,no" for i in range(40))],
    "infinite.csv": ["a,y", *(f"{i},{i / 3}" for i in range(40)), "1,inf"],
    "words.csv": ["a,y", *(f"{i},{i / 3}" for i in range(40)), "1,abc"],
    "lacks_b.csv": ["a,y", *(row.replace(",", " ", 1).split(" ")[0] + ",yes" for row in GOOD)],
    "text_in_b.csv": ["a,b,y", "1,hello,yes"],
    "sepal.csv": ["sepal length (cm),sepal width (cm)", "5,3"],
}
RECIPES = {
    "good.toml": "lr = 0.01",
    "no_toml.toml": "lr = = 3",
    "mistyped.toml": "droput = 0.5",
    "impossible.toml": "dropout = 1.5",
    "text.toml": 'lr = "fast"',
    "rates.toml": "dropout = [0.1, 0.2, 0.3]",
    "optimizer.toml": 'optimizer = { name = "adm" }',
    "latin.toml": "latin",
}


@pytest.fixture
def workshop(regimen: Regimen, finished_study: Path) -> Iterator[Path]:
    """A folder full of things that are wrong in one way each."""
    for name, lines in TABLES.items():
        Path(name).write_text("".join(line + "\n" for line in lines))
    for name, text in RECIPES.items():
        Path(name).write_text(text + "\n")
    Path("latin.toml").write_bytes("# ü\n".encode("latin-1"))
    Path("latin.csv").write_bytes("a,y\nü,1\n".encode("latin-1"))
    Path("table.xlsx").write_bytes(b"PK\x03\x04")
    Path("file").write_text("not a folder")
    for folder in ("folder", "used"):
        Path(folder).mkdir()
    Path("used/notes.txt").write_text("mine")
    shutil.copytree(finished_study, "runs/iris-1")
    _damage(finished_study)
    with Store(Path("in_use"), create=False):
        yield Path.cwd()


def _damage(finished_study: Path) -> None:
    for name in ("no_store", "torn_store", "foreign_store", "other_store", "in_use", "torn_plan", "torn_model"):
        shutil.copytree(finished_study, name)
    shutil.copytree(finished_study, "torn_weights")
    Path("no_store/study.sqlite").unlink()
    Path("torn_store/study.sqlite").write_bytes(b"SQLite format 3\0" + b"\x17" * 5000)
    Path("foreign_store/study.sqlite").unlink()
    with sqlite3.connect("foreign_store/study.sqlite") as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    with sqlite3.connect("other_store/study.sqlite") as database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    database.close()
    with sqlite3.connect("torn_plan/study.sqlite") as database:
        database.execute("UPDATE meta SET value = '{\"data\": 3}' WHERE key = 'plan'")
    database.close()
    for name, column in (("torn_run", "result"), ("torn_outputs", "outputs")):
        shutil.copytree(finished_study, name)
        with sqlite3.connect(f"{name}/study.sqlite") as database:
            database.execute(f"UPDATE runs SET {column} = x'00'")
        database.close()
    shutil.copytree("torn_plan", "unfinished")
    Path("unfinished/results.json").unlink()
    Path("torn_model/model.json").write_text("{")
    weights = Path("torn_weights/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    Path("torn_model/results.json").write_text('{"schema": 1, "data"')
    results = json.loads(Path("torn_weights/results.json").read_text())
    Path("torn_weights/results.json").write_text(json.dumps(results | {"schema": 7}))
    del results["baseline"]
    Path("no_store/results.json").write_text(json.dumps(results))


CASES = {
    # The command line itself.
    "no data": (("study",), "expected DATA"),
    "a mistyped command": (("stdy", "iris"), "'stdy'; did you mean 'study'?"),
    "an unknown command": (("optimize",), "valid: info, predict"),
    "a mistyped option": (("study", "iris", "--epoch", "3"), "--epoch; did you mean '--epochs'?"),
    "an unknown option": (("study", "iris", "--xyz"), "no such option --xyz"),
    "an option of the group": (("--resum",), "no such option --resum"),
    "an option without its value": (("study", "iris", "--pairs"), "--pairs: expected a value"),
    "a flag with a value": (("study", "iris", "--resume=yes"), "--resume: it takes no value"),
    "a second table": (("study", "iris", "wine"), "unexpected extra argument"),
    "an empty name of data": (("study", ""), "DATA: expected a bundled table"),
    # Values of options.
    "words for a number": (("study", "iris", "--pairs", "ten"), "--pairs: expected a whole number"),
    "one pair": (("study", "iris", "--pairs", "1"), "--pairs: expected a whole number of at least 2, got '1'"),
    "too many pairs": (("study", "iris", "--pairs", "1001"), "--pairs: expected at most 1000"),
    "no epochs": (("study", "iris", "--epochs", "0"), "--epochs: expected"),
    "too many epochs": (("study", "iris", "--epochs", "2000000"), "epochs: expected"),
    "a learning rate of zero": (("study", "iris", "--lr", "0"), "--lr: expected a number above 0"),
    "a learning rate that is no number": (("study", "iris", "--lr", "nan"), "--lr: expected"),
    "a batch of none": (("study", "iris", "--batch-size", "0"), "--batch-size: expected"),
    "a mistyped technique": (("study", "iris", "--techniques", "droput"), "did you mean 'dropout'?"),
    "no technique": (("study", "iris", "--techniques", ","), "--techniques: expected"),
    "techniques of the other task": (("study", "diabetes", "--techniques", "label_smoothing"), "none of"),
    "a technique without a place": (
        ("study", "iris", "--model", "mlp:linear", "--techniques", "dropout"),
        "nothing is left to try",
    ),
    "a model of another kind": (("study", "iris", "--model", "rnn"), "--model: expected mlp"),
    "a network for images on a table": (
        ("study", "iris", "--model", "cnn"),
        "needs images, got the columns of a table",
    ),
    "a technique for images on a table": (
        ("study", "iris", "--techniques", "rotation"),
        "none of rotation applies to classification without images",
    ),
    "a model without a width": (("study", "iris", "--model", "mlp:16x"), "--model: expected widths"),
    "a model of width zero": (("study", "iris", "--model", "mlp:0"), "expected hidden widths from 1"),
    "a mistyped activation": (("study", "iris", "--model", "mlp:8:rellu"), "did you mean 'relu'?"),
    "a budget without a unit": (("study", "iris", "--budget", "300"), "--budget: expected a number of runs or a time"),
    "a budget of too few runs": (("study", "iris", "--budget", "3runs"), "--budget: one technique alone takes"),
    "a budget of too little time": (
        ("study", "iris", "--budget", "1s", "--epochs", "3", "--processes", "1"),
        "--budget: one technique alone takes",
    ),
    "a mistyped metric": (("study", "iris", "--metric", "acuracy"), "did you mean 'accuracy'?"),
    "a metric of the other task": (("study", "iris", "--metric", "rmse"), "classification"),
    "a negative smallest effect": (("study", "iris", "--smallest-effect", "-1"), "--smallest-effect: expected"),
    "an endless smallest effect": (("study", "iris", "--smallest-effect", "inf"), "--smallest-effect: expected"),
    "a smallest effect in points": (
        ("study", "iris", "--smallest-effect", "5"),
        "--smallest-effect: expected less than 1 for accuracy, which is between 0 and 1, got 5; 0.05 is 5 points",
    ),
    "a mistyped engine": (("study", "iris", "--engine", "referense"), "did you mean 'reference'?"),
    "an engine of a later version": (("study", "iris", "--engine", "ray"), "--engine: no such engine 'ray'"),
    "a mistyped device": (("study", "iris", "--device", "cpuu"), "--device: no such value 'cpuu'; did you mean 'cpu'?"),
    "a device that no engine uses": (("study", "iris", "--device", "cuda"), "--device: cuda was asked for"),
    "a negative seed": (("study", "iris", "--seed", "-1"), "--seed: expected"),
    "a seed beyond 64 bits": (("study", "iris", "--seed", "18446744073709551616"), "--seed: expected"),
    "no process": (("study", "iris", "--processes", "0"), "--processes: expected"),
    "a mistyped task": (("study", "iris", "--task", "clasification"), "did you mean 'classification'?"),
    "an empty name to ignore": (("study", "good.csv", "--target", "y", "--ignore", "a,"), "--ignore: expected"),
    # Data.
    "a file that is not there": (("study", "god.csv", "--target", "y"), "did you mean 'good.csv'?"),
    "a mistyped bundled table": (("study", "irs"), "did you mean 'iris'?"),
    "a column of images": (("study", "mnist", "--target", "y"), "images, which have classes and no columns"),
    "a folder without images": (("study", "folder"), "expected a folder for each class with images in it"),
    "no size of images": (("study", "folder", "--image-size", "32x"), "--image-size: expected pixels as 32 or"),
    "a size of images for a table": (("study", "iris", "--image-size", "32"), "image_size: iris is a table"),
    "a spreadsheet": (("study", "table.xlsx"), "export the table as .csv"),
    "an empty file": (("study", "empty.csv", "--target", "y"), "empty file"),
    "a header alone": (("study", "header.csv", "--target", "y"), "header line only"),
    "too few rows": (("study", "few.csv", "--target", "y"), "at least 20 rows"),
    "one class": (("study", "one_class.csv", "--target", "y"), "at least two different values"),
    "no target": (("study", "good.csv"), "expected the name of the target column"),
    "a mistyped target": (("study", "good.csv", "--target", "Y"), "did you mean 'y'?"),
    "infinite targets": (("study", "infinite.csv", "--target", "y"), "expected finite numbers"),
    "words among numeric targets": (("study", "words.csv", "--target", "y", "--task", "regression"), "'abc'"),
    "duplicate columns": (("study", "duplicate.csv", "--target", "y"), "'a' more than once"),
    "a short line": (("study", "ragged.csv", "--target", "y"), "line 32"),
    "a file that is cut off": (("study", "quote.csv", "--target", "y"), "cut off"),
    "constant columns alone": (("study", "constant.csv", "--target", "y"), "at least one column to learn from"),
    "text of another encoding": (("study", "latin.csv", "--target", "y"), "UTF-8"),
    "an unknown column to ignore": (("study", "good.csv", "--target", "y", "--ignore", "c"), "'c'"),
    "ignoring the target": (("study", "good.csv", "--target", "y", "--ignore", "y"), "other than the target"),
    "a test file that is not there": (("study", "good.csv", "--target", "y", "--test", "tst.csv"), "'test.csv'?"),
    "a test file that lacks a column": (("study", "good.csv", "--target", "y", "--test", "lacks_b.csv"), "'b'"),
    "a name that is no text": (("study", "bad\udcff.csv"), "UTF-8"),
    # Recipes.
    "a baseline that is not there": (("study", "iris", "--baseline", "b.toml"), "expected a recipe in TOML at b.toml"),
    "a baseline that is no TOML": (("study", "iris", "--baseline", "no_toml.toml"), "no_toml.toml: expected TOML"),
    "a baseline that is no text": (("study", "iris", "--baseline", "latin.toml"), "no UTF-8 text"),
    "a mistyped key": (("study", "iris", "--baseline", "mistyped.toml"), "'droput'; did you mean 'dropout'?"),
    "an impossible value": (("study", "iris", "--baseline", "impossible.toml"), "expected a number in [0, 1), got 1.5"),
    "a value of another type": (("study", "iris", "--baseline", "text.toml"), "lr: expected a number"),
    "a mistyped optimizer": (("study", "iris", "--baseline", "optimizer.toml"), "did you mean 'adam'?"),
    "rates for other layers": (("study", "iris", "--baseline", "rates.toml"), "expected one rate or 2"),
    # Folders.
    "a used folder": (("study", "iris", "--out", "used"), "--out: expected a new or empty folder, used is used"),
    "a study's folder": (("study", "iris", "--out", "runs/iris-1"), "add --resume"),
    "a file for a folder": (("study", "iris", "--out", "file"), "--out: cannot make the folder file"),
    "a folder below a file": (("study", "iris", "--out", "file/below"), "--out: cannot make the folder file/below"),
    "nothing to resume": (("study", "wine", "--resume"), "expected a study in runs/wine-<n>"),
    "a folder without a study": ((*TINY_RESUME, "--out", "used"), "found no study.sqlite"),
    "a folder that is not there": ((*TINY_RESUME, "--out", "nowhere"), "found no study.sqlite"),
    "a study without its store": ((*TINY_RESUME, "--out", "no_store"), "found no study.sqlite"),
    "a damaged store": ((*TINY_RESUME, "--out", "torn_store"), "damaged"),
    "a store of another program": ((*TINY_RESUME, "--out", "foreign_store"), "no study of regimen"),
    "a store of another version": ((*TINY_RESUME, "--out", "other_store"), "format 99"),
    "a store in use": ((*TINY_RESUME, "--out", "in_use"), "in use by another process"),
    "a damaged plan": ((*TINY_RESUME, "--out", "torn_plan"), "plan that cannot be read"),
    "a damaged run": ((*TINY_RESUME, "--out", "torn_run"), "study.sqlite is damaged"),
    "damaged outputs of a run": ((*TINY_RESUME, "--out", "torn_outputs"), "study.sqlite is damaged"),
    "a study of other data": (("study", "wine", "--resume", "--out", "runs/iris-1"), "other content"),
    # Options beside --resume that contradict the plan.
    "other pairs": ((*TINY_RESUME, "--pairs", "4"), "--pairs 3, not 4"),
    "another seed": ((*TINY_RESUME, "--seed", "1"), "--seed 0, not 1"),
    "other epochs": ((*TINY_RESUME, "--epochs", "3"), "--epochs 2, not 3"),
    "another rate": ((*TINY_RESUME, "--lr", "0.1"), "--lr 0.001, not 0.1"),
    "another batch size": ((*TINY_RESUME, "--batch-size", "8"), "--batch-size 32, not 8"),
    "another model": ((*TINY_RESUME, "--model", "mlp:5"), "--model mlp:4, not mlp:5"),
    "another metric": ((*TINY_RESUME, "--metric", "f1_macro"), "--metric accuracy, not f1_macro"),
    "a budget where there was none": ((*TINY_RESUME, "--budget", "90runs"), "no --budget, not 90runs"),
    "an effect where there was none": ((*TINY_RESUME, "--smallest-effect", "0.1"), "no --smallest-effect, not 0.1"),
    "other techniques": ((*TINY_RESUME, "--techniques", "he,l2"), "--techniques batch_norm,he, not he,l2"),
    "another baseline": ((*TINY_RESUME, "--baseline", "good.toml"), "another --baseline (lr 0.001, not 0.01)"),
    "another target": ((*TINY_RESUME, "--target", "petal width (cm)"), "--resume"),
    "several contradictions": ((*TINY_RESUME, "--pairs", "4", "--seed", "1"), "--pairs 3, not 4; --seed 0, not 1"),
    # The other commands.
    "training without a recipe": (("train", "iris"), "expected the option --recipe"),
    "training a mistyped recipe": (("train", "iris", "--recipe", "mistyped.toml"), "did you mean 'dropout'?"),
    "training no network": (("train", "iris", "--recipe", "good.toml", "--networks", "0"), "--networks: expected"),
    "training another engine": (("train", "iris", "--recipe", "good.toml", "--engine", "ray"), "no such engine"),
    "training into a used folder": (("train", "iris", "--recipe", "good.toml", "--out", "used"), "used is used"),
    "training on cuda": (("train", "iris", "--recipe", "good.toml", "--device", "cuda"), "--device: cuda"),
    "training rates for other layers": (("train", "iris", "--recipe", "rates.toml"), "expected one rate or 2"),
    "predicting without a model": (("predict", "folder", "iris"), "expected a saved model"),
    "predicting with a damaged description": (("predict", "torn_model", "iris"), "damaged"),
    "predicting with damaged weights": (("predict", "torn_weights", "iris"), "damaged"),
    "predicting without columns": (("predict", "runs/iris-1", "sepal.csv"), "'petal length (cm)', 'petal width (cm)'"),
    "predicting nothing": (("predict", "runs/iris-1", "empty.csv"), "empty file"),
    "predicting into a folder": (("predict", "runs/iris-1", "iris", "--out", "folder"), "got the folder folder"),
    "predicting into a folder that is not there": (
        ("predict", "runs/iris-1", "iris", "--out", "nowhere/p.csv"),
        "make nowhere first",
    ),
    "predicting over the data": (("predict", "runs/iris-1", "good.csv", "--out", "good.csv"), "the file that is read"),
    "a report of nothing": (("report", "folder"), "found no results.json"),
    "a report of an unfinished study": (("report", "unfinished"), "not finished"),
    "a report of damaged results": (("report", "torn_model"), "not the results of a study"),
    "a report of another schema": (("report", "torn_weights"), "schema 7"),
    "a report of results that lack a part": (("report", "no_store"), "baseline"),
    "a summary without sizes": (("summary", "mlp:8"), "--inputs N and --outputs N"),
    "a summary with sizes twice": (("summary", "mlp:8", "--data", "iris", "--inputs", "3"), "gives them already"),
    "a summary of a target without data": (("summary", "mlp:8", "--target", "y"), "--target: expected --data"),
    "a summary of no model": (("summary", "resnet", "--inputs", "3", "--outputs", "1"), "expected the folder of"),
    "a summary of a folder without a model": (("summary", "folder"), "expected a saved model"),
    "a summary of a saved model with sizes": (("summary", "runs/iris-1", "--inputs", "3"), "has its sizes"),
    "a summary with a mistyped recipe": (
        ("summary", "mlp:8", "--data", "iris", "--recipe", "mistyped.toml"),
        "did you mean 'dropout'?",
    ),
}


def everything_below(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in found.items()
    }


@pytest.mark.parametrize(("arguments", "said"), CASES.values(), ids=CASES.keys())
def test_wrong_input_gets_one_message_and_leaves_nothing_behind(
    regimen: Regimen, workshop: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # whatever this machine has
    before = everything_below(workshop)
    result = regimen(*arguments)
    assert result.exit_code == 2, result.output
    [message] = [line for line in result.stderr.splitlines() if not line.startswith("measuring how long")]
    assert message.startswith("regimen: error: ")
    assert said in message
    assert message.isprintable()
    assert result.stdout == ""
    assert everything_below(workshop) == before


def test_there_are_enough_ways_to_be_wrong() -> None:
    assert len(CASES) >= 45


def test_an_error_that_nobody_raised_on_purpose_keeps_its_traceback(
    regimen: Regimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("regimen.study.study.make_plan", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        regimen("study", "iris", "--pairs", "2")
