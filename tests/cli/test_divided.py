"""Groups, times, folds and samples on the command line: asked for once, kept by --resume, trained and predicted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regimen.cli.progress import StudyProgress
from regimen.cli.request import StudyRequest
from regimen.cli.study import read_command_line
from regimen.records import RunResult

from .conftest import TINY, Regimen


@pytest.fixture
def visits(regimen: Regimen) -> str:
    """A table of visits: ten patients, a date each, two classes."""
    lines = ["patient,day,a,b,y"]
    for i in range(80):
        day = f"2024-{i // 28 + 1:02d}-{i % 28 + 1:02d}"
        lines.append(f"p{i * 7 % 10},{day},{i * 37 % 101 / 7},{i % 7 / 3},{'ab'[i * i % 5 % 2]}")
    Path("visits.csv").write_text("\n".join(lines) + "\n")
    return "visits.csv"


def results(folder: str) -> Any:
    return json.loads((Path(folder) / "results.json").read_text())


def test_a_study_of_groups_in_folds_goes_on_where_it_was_interrupted(
    regimen: Regimen, visits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("study", visits, "--target", "y", "--group", "patient", "--folds", "4", *TINY, "--pairs", "4")
    assert regimen(*asked, "--out", "whole").exit_code == 0
    count, finished = 0, StudyProgress.finished

    def counting(self: StudyProgress, result: RunResult, *, stored: bool, **more: Any) -> None:
        nonlocal count
        finished(self, result, stored=stored, **more)
        count += not stored
        if count == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StudyProgress, "finished", counting)
        assert regimen(*asked, "--out", "part").exit_code == 130
    # Neither groups nor folds are named again.
    assert regimen("study", visits, "--resume", "--out", "part").exit_code == 0
    whole, part = results("whole"), results("part")
    assert [run["metric"] for run in part["runs"]] == [run["metric"] for run in whole["runs"]]
    assert part["design"]["folds"] == 4 and part["design"]["division_column"] == "patient"
    refused = regimen("study", visits, "--resume", "--out", "part", "--folds", "5")
    assert refused.exit_code == 2 and "--folds 4, not 5" in refused.stderr
    refused = regimen("study", visits, "--resume", "--out", "part", "--group", "day")
    assert refused.exit_code == 2 and "--group patient, not day" in refused.stderr
    refused = regimen("study", visits, "--resume", "--out", "part", "--time", "day")
    assert refused.exit_code == 2 and "both" not in refused.stderr
    kept = "divides its rows by --group patient, not by --time day, and a resumed study keeps its plan"
    assert kept in refused.stderr
    assert regimen("study", visits, "--resume", "--out", "part", "--pairs", "3").exit_code == 0


def test_a_study_in_time_trains_again_and_predicts_without_the_time(regimen: Regimen, visits: str) -> None:
    found = regimen("study", visits, "--target", "y", "--time", "day", "--ignore", "patient", *TINY, "--out", "s")
    assert found.exit_code == 0
    assert "note: rows are divided by the time 'day' (80 times)" in found.stderr
    page = (Path("s") / "report.html").read_text()
    assert "Rows are divided by time (day)" in page
    header = Path("s/recipe.toml").read_text().splitlines()[0]
    assert "--time day" in header
    trained = regimen(
        "train",
        visits,
        "--target",
        "y",
        "--time",
        "day",
        "--ignore",
        "patient",
        "--recipe",
        "s/recipe.toml",
        "--out",
        "t",
    )
    assert trained.exit_code == 0 and "accuracy on 16 test rows" in trained.stdout
    Path("new.csv").write_text("a,b\n1.5,2\n3,0.25\n")
    assert len(regimen("predict", "t", "new.csv").stdout.splitlines()) == 3


def test_samples_are_studied_trained_and_predicted(regimen: Regimen) -> None:
    x = np.random.default_rng(1).normal(size=(60, 3, 4))
    np.savez("signals.npz", X=x, y=np.arange(60) % 2, person=np.arange(60) // 5)
    np.savez("new.npz", X=x[:3])
    asked = ("study", "signals.npz", "--group", "person", *TINY, "--out", "s")
    assert regimen(*asked).exit_code == 0
    assert results("s")["data"]["sample"] == "3x4"
    assert "samples of 3x4" in (Path("s") / "report.html").read_text()
    predicted = regimen("predict", "s", "new.npz").stdout.splitlines()
    assert predicted[0] == "prediction,p_0,p_1" and len(predicted) == 4
    assert regimen("predict", "s", "iris").exit_code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--group", "patien"), "did you mean 'patient'"),
        (("--group", "patient", "--time", "day"), "--group, --time: expected one of them, got both"),
        (("--time", "day", "--folds", "3"), "--folds: expected rows that can be divided into folds, got an order"),
        (("--group", "patient", "--folds", "9"), "at most one fold for each of the 8 groups"),
        (("--folds", "101"), "--folds: expected at most 100"),
        (("--folds", "1"), "expected a whole number of at least 2"),
    ],
)
def test_divisions_that_can_not_be_are_refused_and_nothing_is_written(
    regimen: Regimen, visits: str, options: tuple[str, ...], message: str
) -> None:
    found = regimen("study", visits, "--target", "y", *options)
    assert found.exit_code == 2
    assert message in found.stderr
    assert not Path("runs").exists()


def test_a_command_line_repeats_how_rows_are_divided() -> None:
    asked = StudyRequest(data="t.csv", group="a b", folds=5)
    assert read_command_line(asked.command_line("study")) == asked
    asked = StudyRequest(data="t.csv", time="day")
    assert read_command_line(asked.command_line("study")) == asked
