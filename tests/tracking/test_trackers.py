"""Trackers alone: what they write, what they find again, and what they say when they cannot write."""

import csv
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from regimen.errors import OptionError, TrackingError
from regimen.records import Curves, RunResult
from regimen.tracking import CsvTracker, MlflowTracker, Subject, TensorBoardTracker, TrackedRun, Tracker, open_trackers
from regimen.tracking.tracker import flat

SUBJECT = Subject(kind="study", identity="f" * 64, data="iris", model="mlp:4", metric="accuracy", settings={})
CURVES = Curves(train_loss=(1.5, 0.1 + 0.2), validation_loss=(1.25, float("inf")), metric=(0.5, 0.75))
RUN = TrackedRun(
    identity="ab" * 32, arm="l2=0.1", phase="search", pair=3, key=7, recipe={"lr": 0.1, "optimizer": {"name": "adam"}}
)
RESULT = RunResult(
    identity=RUN.identity,
    status="finished",
    metric=0.75,
    train_loss=0.3,
    validation_loss=1.0,
    epoch=2,
    epochs_run=2,
    steps=8,
    seconds=0.1,
    curves=CURVES,
)
OTHER = replace(RUN, identity="cd" * 32, pair=4)
MAKE: dict[str, Callable[[Path], Tracker]] = {
    "csv": lambda folder: CsvTracker(folder / "curves.csv"),
    "tensorboard": lambda folder: TensorBoardTracker(folder / "tensorboard"),
    "mlflow": lambda folder: MlflowTracker(folder / "mlflow.db"),
}


@pytest.fixture(scope="module", autouse=True)
def silent() -> Iterator[None]:
    """No report of MLflow to its makers from a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield


@pytest.fixture(scope="module")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store without runs, whose making takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    write(MAKE["mlflow"](folder))
    return folder / "mlflow.db"


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder for any tracker, with a store for MLflow where that is tried."""
    if "mlflow" in request.node.name:
        shutil.copy(request.getfixturevalue("empty_mlflow"), tmp_path / "mlflow.db")
    return tmp_path


def write(tracker: Tracker, *runs: TrackedRun) -> None:
    tracker.started(SUBJECT)
    for run in runs:
        tracker.finished(run, RESULT)
    tracker.closed()


Points = dict[tuple[str, int], float]


def read_csv(folder: Path) -> dict[str, Points]:
    found: dict[str, Points] = {}
    with (folder / "curves.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            points = found.setdefault(f"{line['phase']}/{line['arm']}/{line['pair']}", {})
            for name in ("train_loss", "validation_loss", "metric"):
                place = (name, int(line["epoch"]))
                assert place not in points, "an epoch of a run is there twice"
                points[place] = float(line[name])
    return found


def read_tensorboard(folder: Path) -> dict[str, Points]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    names = {"loss/train": "train_loss", "loss/validation": "validation_loss", "metric/accuracy": "metric"}
    found: dict[str, Points] = {}
    for events in (folder / "tensorboard").glob("*/*/*/events*"):
        accumulator = EventAccumulator(str(events.parent))
        accumulator.Reload()
        tags = accumulator.Tags()["scalars"]
        points = [(names[tag], point) for tag in tags for point in accumulator.Scalars(tag)]
        phase, arm, pair = events.parent.relative_to(folder / "tensorboard").parts
        found[f"{phase}/{arm}/{pair.split('-')[1]}"] = {(name, p.step): p.value for name, p in points}
        assert len(points) == len({(name, p.step) for name, p in points})
    return found


def read_mlflow(folder: Path) -> dict[str, Points]:
    query = (
        "SELECT t.value, m.key, m.step, CASE WHEN m.is_nan THEN 9e999 ELSE m.value END FROM metrics m "
        "JOIN tags t ON t.run_uuid = m.run_uuid JOIN runs r ON r.run_uuid = m.run_uuid "
        "WHERE t.key = 'regimen.run' AND r.lifecycle_stage = 'active' AND m.key != 'best'"
    )
    found: dict[str, Points] = {}
    with sqlite3.connect(folder / "mlflow.db") as database:
        for place, key, step, value in database.execute(query):
            points = found.setdefault(place.rpartition("/")[0], {})
            name = "metric" if key == "accuracy" else key
            assert (name, step) not in points
            points[name, step] = float("inf") if value > 1e300 else value
    database.close()
    return found


READ = {"csv": read_csv, "tensorboard": read_tensorboard, "mlflow": read_mlflow}
EXPECTED: Points = {
    ("train_loss", 1): 1.5,
    ("train_loss", 2): 0.1 + 0.2,
    ("validation_loss", 1): 1.25,
    ("validation_loss", 2): float("inf"),
    ("metric", 1): 0.5,
    ("metric", 2): 0.75,
}


@pytest.mark.parametrize("kind", MAKE)
def test_curves_are_written_by_epoch_and_nothing_twice_when_a_study_is_resumed(kind: str, folder: Path) -> None:
    write(MAKE[kind](folder), RUN)
    write(MAKE[kind](folder), RUN, OTHER, RUN)
    found = READ[kind](folder)
    assert set(found) == {"search/l2=0.1/3", "search/l2=0.1/4"}
    expected = pytest.approx(EXPECTED, rel=1e-6) if kind == "tensorboard" else EXPECTED  # which keeps 32 bits
    assert found["search/l2=0.1/3"] == found["search/l2=0.1/4"] == expected


def test_a_csv_that_was_cut_off_in_a_run_is_completed(tmp_path: Path) -> None:
    write(MAKE["csv"](tmp_path), RUN, OTHER)
    path = tmp_path / "curves.csv"
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 30, len(whole) - 90, 10, 0):
        path.write_bytes(whole[:length])
        write(MAKE["csv"](tmp_path), RUN, OTHER)
        assert path.read_bytes() == whole


def test_a_csv_leaves_the_cells_of_missing_numbers_empty(tmp_path: Path) -> None:
    tracker = CsvTracker(tmp_path / "curves.csv")
    tracker.started(SUBJECT)
    missing = Curves(train_loss=(1.5,), validation_loss=(float("nan"),), metric=(float("nan"),))
    tracker.finished(RUN, replace(RESULT, curves=missing))
    tracker.closed()
    assert (tmp_path / "curves.csv").read_text().splitlines()[1].endswith(",3,1,1.5,,")


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow"])
def test_missing_numbers_are_no_points_of_a_curve(kind: str, folder: Path) -> None:
    """The final training has no validation part."""
    tracker, nothing = MAKE[kind](folder), (float("nan"),)
    missing = Curves(train_loss=(1.5,), validation_loss=nothing, metric=nothing)
    tracker.started(SUBJECT)
    tracker.finished(RUN, replace(RESULT, curves=missing, metric=float("nan")))
    tracker.closed()
    assert READ[kind](folder) == {"search/l2=0.1/3": {("train_loss", 1): 1.5}}
    if kind == "mlflow":
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            assert database.execute("SELECT count(*) FROM metrics WHERE key = 'best'").fetchone() == (0,)


def test_a_csv_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TrackingError, match="holds other columns"):
        write(CsvTracker(path), RUN)
    assert path.read_text() == "a,b\n1,2\n"


def test_a_run_that_a_kill_left_half_written_in_mlflow_is_written_again(folder: Path) -> None:
    write(MAKE["mlflow"](folder), RUN)
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("UPDATE runs SET status = 'RUNNING' WHERE name LIKE '%pair 3'")
        database.execute("DELETE FROM metrics WHERE step = 2")
    database.close()
    write(MAKE["mlflow"](folder), RUN)
    assert read_mlflow(folder) == {"search/l2=0.1/3": EXPECTED}


def test_mlflow_of_the_user_s_own_is_as_patient_as_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    write(MAKE["mlflow"](folder), RUN)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_mlflow_nests_runs_below_their_arm_with_the_recipe_as_parameters(folder: Path) -> None:
    write(MAKE["mlflow"](folder), RUN, OTHER)
    with sqlite3.connect(folder / "mlflow.db") as database:
        names = dict(database.execute("SELECT run_uuid, name FROM runs"))
        parents = dict(database.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'"))
        params = set(database.execute("SELECT run_uuid, key, value FROM params"))
        best = set(database.execute("SELECT step, value FROM metrics WHERE key = 'best'"))
    database.close()
    assert sorted(names.values()) == ["l2=0.1 search", "l2=0.1 search pair 3", "l2=0.1 search pair 4"]
    assert {(names[run], names[parent]) for run, parent in parents.items()} == {
        ("l2=0.1 search pair 3", "l2=0.1 search"),
        ("l2=0.1 search pair 4", "l2=0.1 search"),
    }
    assert params == {(run, *pair) for run in names for pair in (("lr", "0.1"), ("optimizer.name", "adam"))}
    assert best == {(2, 0.75)}


def test_mlflow_takes_curves_and_recipes_longer_than_it_takes_at_once(folder: Path) -> None:
    epochs = tuple(float(epoch) for epoch in range(1, 61))
    tracker = MAKE["mlflow"](folder)
    tracker.started(SUBJECT)
    long = Curves(train_loss=epochs, validation_loss=epochs, metric=epochs)
    tracker.finished(replace(RUN, recipe={"dropout": [0.5] * 150}), replace(RESULT, curves=long))
    tracker.closed()
    [points] = read_mlflow(folder).values()
    assert points == {(name, int(e)): e for name in ("train_loss", "validation_loss", "metric") for e in epochs}
    with sqlite3.connect(folder / "mlflow.db") as database:
        [(count,)] = database.execute("SELECT COUNT(*) FROM params")
    database.close()
    assert count == 2 * 150


def test_tensorboard_sees_only_whole_runs_and_their_recipe(tmp_path: Path) -> None:
    write(MAKE["tensorboard"](tmp_path), RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
    [events] = (tmp_path / "tensorboard").rglob("events*")
    assert json.dumps(RUN.recipe, indent=1).encode() in events.read_bytes()


@pytest.mark.parametrize("kind", MAKE)
def test_a_place_that_can_not_be_written_is_a_tracking_error(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match=r"cannot write|MLflow at"):
        write(MAKE[kind](tmp_path / "file"), RUN)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_a_tracking_error(tmp_path: Path) -> None:
    tracker = CsvTracker(tmp_path / "curves.csv")
    tracker.started(SUBJECT)
    tracker.closed()
    tracker._file = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(TrackingError, match="No space left"):
        tracker.finished(RUN, RESULT)
    tracker.closed()


def test_a_server_that_is_gone_is_a_tracking_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(TrackingError, match=r"MLflow at http://127\.0\.0\.1:9"):
        MlflowTracker("http://127.0.0.1:9").started(SUBJECT)


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(OptionError, match=rf"needs {kind}.*: pip install {kind}"):
        open_trackers(["csv", kind], tmp_path)


def test_an_unknown_tracker_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such tracker 'tensorbord'; did you mean 'tensorboard'"):
        open_trackers(["tensorbord"], tmp_path)


def test_nested_values_are_flattened() -> None:
    assert flat({"a": {"b": [1, {"c": None}]}, "d": []}) == {"a.b.0": 1, "a.b.1.c": None}


@pytest.mark.parametrize(
    ("kind", "package"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow"), ("mlflow", "alembic")]
)
def test_a_tracker_made_directly_without_its_package_is_refused_when_it_is_made(
    kind: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptionError, match=rf"Tracker needs {package}: pip install {package}$"):
        MAKE[kind](tmp_path)


def test_an_mlflow_server_needs_no_packages_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)
    assert MlflowTracker("http://localhost:1").uri == "http://localhost:1"
