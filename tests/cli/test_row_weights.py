"""Weights of rows on the command line: asked for once, kept by --resume and by the recipe, not needed to predict."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regimen.cli.progress import StudyProgress
from regimen.cli.request import StudyRequest
from regimen.cli.study import read_command_line
from regimen.data import METRICS, load
from regimen.records import RunResult
from regimen.run import SavedModel
from regimen.study.layout import Layout

from .conftest import TINY, Regimen


@pytest.fixture
def survey(regimen: Regimen) -> str:
    """Answers of 80 people, with how many others each stands for; five stand for nobody."""
    lines = ["age,income,stands for,y"]
    for i in range(80):
        weight = 0 if i % 16 == 3 else 1 + i * 29 % 97 / 9
        lines.append(f"{i * 37 % 101 / 7},{i % 7 / 3},{weight},{'ab'[i * i % 5 % 2]}")
    Path("survey.csv").write_text("\n".join(lines) + "\n")
    return "survey.csv"


def results(folder: str) -> Any:
    return json.loads((Path(folder) / "results.json").read_text())


def test_a_weighted_study_goes_on_where_it_was_interrupted(
    regimen: Regimen, survey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("study", survey, "--target", "y", "--weights", "stands for", *TINY)
    whole = regimen(*asked, "--out", "whole")
    assert whole.exit_code == 0
    assert "note: left out 5 rows of survey.csv whose weight in 'stands for' is 0" in whole.stderr
    assert "note: rows count by their weights in 'stands for', 1 to 11.6667, in training and in every" in whole.stderr
    count, finished = 0, StudyProgress.finished

    def counting(self: StudyProgress, result: RunResult, *, stored: bool, **more: Any) -> None:
        nonlocal count
        finished(self, result, stored=stored, **more)
        count += not stored
        if count == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StudyProgress, "finished", counting)
        assert regimen(*asked, "--out", "part").exit_code == 130
    # The column of weights is not named again.
    assert regimen("study", survey, "--resume", "--out", "part").exit_code == 0
    assert [run["metric"] for run in results("part")["runs"]] == [run["metric"] for run in results("whole")["runs"]]
    assert results("part")["data"]["weights"] == "stands for"
    refused = regimen("study", survey, "--resume", "--out", "part", "--weights", "income")
    assert refused.exit_code == 2 and "--weights stands for, not income" in refused.stderr
    page = (Path("part") / "report.html").read_text()
    assert "Rows count by their weights (stands for), in training and in every loss and metric here." in page


def test_a_recipe_is_trained_by_weights_and_predicts_without_them(regimen: Regimen, survey: str) -> None:
    found = regimen("study", survey, "--target", "y", "--weights", "stands for", *TINY, "--out", "s")
    assert found.exit_code == 0
    assert "--weights 'stands for'" in Path("s/recipe.toml").read_text().splitlines()[0]
    asked = ("train", survey, "--target", "y", "--weights", "stands for", "--recipe", "s/recipe.toml")
    trained = regimen(*asked, "--model", "mlp:4", "--metric", "log_loss", "--out", "t")
    assert trained.exit_code == 0
    table = load(survey, target="y", weights="stands for")
    assert table.weights is not None
    rows = Layout.of(table).test
    outputs = SavedModel.load("t").predict_outputs(table)[rows]
    weighted = METRICS["log_loss"].function(table.y[rows], outputs, table.weights.values[rows])
    assert f"{weighted:.4g}" in trained.stdout
    assert not np.isclose(weighted, METRICS["log_loss"].function(table.y[rows], outputs))
    Path("new.csv").write_text("age,income\n1.5,2\n3,0.25\n")
    without = regimen("predict", "t", "new.csv")
    assert len(without.stdout.splitlines()) == 3
    Path("more.csv").write_text("age,stands for,income\n1.5,,2\n3,-1,0.25\n")
    assert regimen("predict", "t", "more.csv").stdout == without.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "stand for"), "did you mean 'stands for'"),
        (("--weights", "y"), "a column of weights other than the target, got 'y'"),
        (("--weights", "stands for", "--group", "stands for"), "other than that of groups or times"),
    ],
)
def test_weights_that_can_not_be_are_refused_and_nothing_is_written(
    regimen: Regimen, survey: str, options: tuple[str, ...], message: str
) -> None:
    found = regimen("study", survey, "--target", "y", *options)
    assert found.exit_code == 2
    assert message in found.stderr
    assert not Path("runs").exists()


def test_a_command_line_repeats_the_weights() -> None:
    asked = StudyRequest(data="t.csv", weights="a b", group="g")
    assert read_command_line(asked.command_line("study")) == asked
