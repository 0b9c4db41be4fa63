"""Trackers of studies and searches: every run reaches them once, and none that fails stops the training."""

import csv
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from regimen.cli.commands import app
from regimen.cli.request import StudyRequest
from regimen.cli.study import read_command_line
from regimen.data import Table, load
from regimen.errors import OptionError, TrackingError
from regimen.models import MLP
from regimen.records import Results, RunResult
from regimen.run import Recipe
from regimen.search import search
from regimen.study import Study, StudyOptions, Watch
from regimen.tracking import CsvTracker, Subject, TrackedRun

SMALL = StudyOptions(
    model=MLP(hidden=(4,)), baseline=Recipe(epochs=2, lr=0.02), techniques="mixup", pairs=2, processes=1
)


@pytest.fixture(scope="module")
def iris() -> Table:
    return load("iris")


class Listening:
    """A tracker that remembers, and fails or interrupts when told to."""

    name = "listening"

    def __init__(self, *, fails_at: int | None = None, interrupts_at: int | None = None) -> None:
        self.fails_at, self.interrupts_at = fails_at, interrupts_at
        self.subjects: list[Subject] = []
        self.runs: list[tuple[TrackedRun, RunResult]] = []
        self.closings = 0

    def started(self, subject: Subject) -> None:
        self.subjects.append(subject)

    def finished(self, run: TrackedRun, result: RunResult) -> None:
        if len(self.runs) == self.fails_at:
            raise TrackingError("the disk is full")
        if len(self.runs) == self.interrupts_at:
            raise KeyboardInterrupt
        self.runs.append((run, result))

    def closed(self) -> None:
        self.closings += 1


class Heard(Watch):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def figures(results: Results) -> Any:
    return [replace(run, seconds=0.0) for run in results.runs], results.confirmation


def test_every_run_of_a_study_reaches_its_trackers_with_its_place_and_recipe(iris: Table) -> None:
    tracker = Listening()
    results = Study(data=iris, options=SMALL, trackers=[tracker]).run().results
    assert Counter((run.arm, run.phase, run.pair, run.key) for run, _ in tracker.runs) == Counter(
        (run.arm, run.phase, run.pair, run.seed) for run in results.runs
    )
    assert all(run.identity == result.identity for run, result in tracker.runs)
    recipes = {run.arm: run.recipe for run, _ in tracker.runs if run.phase == "search"}
    assert recipes["mixup=0.4"] == {**recipes["baseline"], "mixup": 0.4}
    [subject] = tracker.subjects
    assert (subject.kind, subject.data, subject.model, subject.metric) == ("study", "iris", "mlp:4", "accuracy")
    assert tracker.closings == 1


def test_a_tracker_that_fails_is_told_of_once_and_changes_nothing(iris: Table) -> None:
    heard, failing, other = Heard(), Listening(fails_at=3), Listening()
    results = Study(data=iris, options=SMALL, watch=heard, trackers=[failing, other]).run().results
    assert [note for note in heard.notes if "disk" in note] == [
        "listening: the disk is full; nothing more is written there"
    ]
    assert len(failing.runs) == 3
    assert (failing.closings, other.closings) == (1, 1)
    assert len(other.runs) == len(results.runs)
    assert figures(results) == figures(Study(data=iris, options=SMALL).run().results)


def test_a_resumed_study_completes_its_curves_and_writes_none_twice(iris: Table, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        # The fifth run is stored when the kill comes, but not yet written.
        trackers = [Listening(interrupts_at=4), CsvTracker(tmp_path / "curves.csv")]
        Study(data=iris, options=SMALL, trackers=trackers).run(tmp_path)
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 1 + 4 * 2
    tracker = Listening()
    study = Study(data=iris, options=SMALL, trackers=[tracker, CsvTracker(tmp_path / "curves.csv")])
    results = study.run(tmp_path, resume=True).results
    with (tmp_path / "curves.csv").open(newline="") as file:
        lines = [(line["arm"], line["phase"], line["pair"], line["epoch"]) for line in csv.DictReader(file)]
    assert len(lines) == len(set(lines)) == 2 * len(results.runs)
    again = Listening()
    Study(data=iris, options=SMALL, trackers=[again]).run(tmp_path, resume=True)
    assert again.subjects == tracker.subjects


def test_the_trials_of_a_search_reach_its_trackers(iris: Table) -> None:
    tracker = Listening()
    found = search(
        iris,
        model="mlp:4",
        baseline=Recipe(epochs=1),
        space=lambda trial, baseline: baseline.replace(mixup=trial.suggest_float("mixup", 0.1, 1.0)),
        trials=3,
        bundle=3,
        pairs=2,
        confirm=2,
        processes=1,
        trackers=[tracker],
    )
    searched = {(run.arm, run.pair) for run, _ in tracker.runs if run.phase == "search"}
    arms = ("baseline", "trial 0", "trial 1", "trial 2")
    assert searched == {(arm, pair) for arm in arms for pair in (0, 1)}
    assert {run.phase for run, _ in tracker.runs} == {"search", "confirm", "final"}
    assert tracker.subjects[0].kind == "search"
    assert tracker.closings == 1
    assert len(found.trials) == 3


@pytest.fixture
def command(iris: Table) -> list[str]:
    return ["study", "iris", "--model", "mlp:4", "--techniques", "l2", "--pairs", "2", "--epochs", "1", "--track"]


def test_the_command_line_writes_curves_below_the_folder_of_the_study(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*command, "csv,tensorboard", "--processes", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert len((out / "curves.csv").read_text().splitlines()) == 1 + 2 * 4 + 2 + 1  # arms, confirmation, final
    assert len(list((out / "tensorboard" / "search").glob("*/pair-*/events*"))) == 2 * 4


def test_a_tracker_whose_package_is_missing_is_refused_before_anything_is_written(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = CliRunner().invoke(app, [*command, "csv,tensorboard", "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "--track tensorboard needs tensorboard: pip install tensorboard" in done.output
    assert not (tmp_path / "out").exists()


def test_the_command_line_to_go_on_with_asks_for_the_same_trackers() -> None:
    asked = StudyRequest(data="iris", track=("csv", "mlflow"), out="o", resume=True)
    assert "--track csv,mlflow" in asked.command_line("study")
    assert read_command_line(asked.command_line("study")) == asked


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"trackers": ["csv"]}, "trackers such as CsvTracker"), ({"options": {"pairs": 3}}, "options: expected StudyOp")],
)
def test_what_is_no_tracker_and_no_options_is_refused(iris: Table, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Study(data=iris, **wrong).run()
