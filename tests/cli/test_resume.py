"""Interrupted, killed, resumed: the figures are those of a study that nobody disturbed."""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from regimen.cli.progress import StudyProgress
from regimen.cli.request import StudyRequest
from regimen.cli.study import read_command_line
from regimen.kernels.native import find_kernels
from regimen.records import RunResult

from .conftest import TINY, Regimen

VARYING = ("seconds", "cost", "command", "environment")


def figures(folder: Path) -> Any:
    """Return results.json without what may differ from one run to the next."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: stripped(part) for name, part in value.items() if name not in VARYING}
        return [stripped(part) for part in value] if isinstance(value, list) else value

    return stripped(json.loads((folder / "results.json").read_text()))


def interrupt_after(monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    """Press Ctrl-C when so many runs are finished."""
    told = StudyProgress.finished
    count = iter(range(1, 10_000))

    def counting(self: StudyProgress, result: RunResult, *, stored: bool, **more: Any) -> None:
        told(self, result, stored=stored, **more)
        if next(count) == runs:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(StudyProgress, "finished", counting)


@pytest.mark.parametrize("runs", [1, 5, 9, 12, 13])
def test_a_study_that_was_interrupted_anywhere_ends_with_the_same_figures(
    regimen: Regimen, finished_study: Path, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    with monkeypatch.context() as patched:
        interrupt_after(patched, runs)
        stopped = regimen("study", "iris", *TINY)
    assert stopped.exit_code == 130
    assert f"interrupted; {runs} finished run{'s' if runs > 1 else ''} kept in runs/iris-1" in stopped.stderr
    assert {path.name for path in Path("runs/iris-1").iterdir()} == {"study.sqlite"}
    command = stopped.stderr.splitlines()[-1]
    resumed = regimen(*shlex.split(command)[1:])
    assert resumed.exit_code == 0, resumed.output
    assert figures(Path("runs/iris-1")) == figures(finished_study)


def test_the_printed_command_repeats_every_option(regimen: Regimen, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my data.csv").write_text(
        "\n".join(["a,b c,y", *(f"{i * 37 % 101},{i % 7},{i % 2}" for i in range(60))]) + "\n"
    )
    given = ("study", "my data.csv", "--target", "y", "--ignore", "b c", "--task", "classification", "--lr", "0.02")
    with monkeypatch.context() as patched:
        interrupt_after(patched, 2)
        stopped = regimen(*given, *TINY, "--out", "my study")
    command = stopped.stderr.splitlines()[-1].strip()
    assert command.startswith("regimen study 'my data.csv' --target y ")
    assert command.endswith("--out 'my study' --resume")
    assert regimen(*shlex.split(command)[1:]).exit_code == 0


def test_ctrl_c_before_the_first_run_leaves_nothing(regimen: Regimen, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("regimen.study.study.make_plan", pressed)
    result = regimen("study", "iris", *TINY)
    assert result.exit_code == 130
    assert "nothing was written" in result.stderr
    assert not Path("runs").exists()


def test_ctrl_c_while_the_files_are_written_can_be_resumed(
    regimen: Regimen, finished_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("regimen.cli.study_session.write_report", pressed)
        assert regimen("study", "iris", *TINY).exit_code == 130
    assert not Path("runs/iris-1/results.json").exists()
    assert regimen("study", "iris", "--resume").exit_code == 0
    assert figures(Path("runs/iris-1")) == figures(finished_study)


def test_a_study_that_was_killed_ends_with_the_same_figures(
    regimen: Regimen, finished_study: Path, environment: dict[str, str]
) -> None:
    code = (
        "import os, signal, sys\n"
        "from regimen.cli import app\n"
        "from regimen.cli.progress import StudyProgress\n"
        "told = StudyProgress.finished\n"
        "def finished(self, result, **more):\n"
        "    told(self, result, **more)\n"
        "    if self.meter.done == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "StudyProgress.finished = finished\n"
        "app.main(sys.argv[1:])\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, "study", "iris", *TINY], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert {path.name for path in Path("runs/iris-1").iterdir()} <= {"study.sqlite", "study.sqlite-journal"}
    resumed = regimen("study", "iris", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert figures(Path("runs/iris-1")) == figures(finished_study)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_ctrl_c_in_a_terminal_ends_all_that_trains_without_a_traceback(
    regimen: Regimen, environment: dict[str, str], engine: str
) -> None:
    if engine == "native" and find_kernels() is None:
        pytest.skip("the C++ engine is not installed")
    # Baselines that take many minutes beside arms that stop early.
    options = (
        "--techniques",
        "early_stopping",
        "--epochs",
        "500000",
        "--processes",
        "2",
        "--engine",
        engine,
        "--out",
        "out",
    )
    study = subprocess.Popen(
        [sys.executable, "-m", "regimen", "study", "iris", *options],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    store = Path("out/study.sqlite")
    # Grown beyond its empty pages: the first run is stored, so all workers are up, and one is at a baseline.
    while study.poll() is None and not (store.exists() and store.stat().st_size > 20_000):
        time.sleep(0.05)
    # A terminal sends the signal to the whole group, workers included.
    os.killpg(study.pid, signal.SIGINT)
    # Returns when the last holder of the pipe is gone, and workers hold it too.
    try:
        _, stderr = study.communicate(timeout=120)
    finally:
        study.kill()
    assert study.returncode == 130
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1].strip().endswith("--out out --resume")
    with sqlite3.connect(store) as database:
        assert database.execute("SELECT COUNT(*) FROM runs").fetchone()[0] >= 1
    database.close()


def test_a_finished_study_that_is_resumed_writes_its_files_again(study_copy: Path, regimen: Regimen) -> None:
    before = figures(study_copy)
    for name in ("report.html", "recipe.toml", "model.json", "model.safetensors"):
        (study_copy / name).unlink()
    result = regimen("study", "iris", "--resume")
    assert result.exit_code == 0
    assert figures(study_copy) == before
    assert (study_copy / "report.html").is_file()
    assert regimen("predict", study_copy, "iris").exit_code == 0


def test_options_that_agree_with_the_plan_in_other_words_are_taken(study_copy: Path, regimen: Regimen) -> None:
    agreeing = ("--techniques", "he, batch_norm", "--engine", "auto", "--pairs", "3", "--processes", "2", "--seed", "0")
    assert regimen("study", "iris", "--resume", *agreeing).exit_code == 0


def test_the_baseline_file_agrees_with_a_plan_in_which_an_option_changed_it(regimen: Regimen) -> None:
    Path("base.toml").write_text("dropout = 0.25\n")
    assert regimen("study", "iris", "--baseline", "base.toml", *TINY).exit_code == 0
    assert regimen("study", "iris", "--baseline", "base.toml", "--resume").exit_code == 0
    Path("base.toml").write_text("dropout = 0.5\n")
    refused = regimen("study", "iris", "--baseline", "base.toml", "--resume")
    assert refused.exit_code == 2
    assert "another --baseline (dropout 0.25, not 0.5)" in refused.stderr


def test_data_options_that_are_not_given_are_those_of_the_stored_study(regimen: Regimen) -> None:
    Path("my.csv").write_text("\n".join(["a,b,y", *(f"{i * 37 % 101},{i % 7},{i % 2}" for i in range(60))]) + "\n")
    assert regimen("study", "my.csv", "--target", "y", "--ignore", "b", *TINY).exit_code == 0
    assert regimen("study", "my.csv", "--resume").exit_code == 0
    refused = regimen("study", "my.csv", "--resume", "--target", "a")
    assert refused.exit_code == 2
    assert "--target y, not a" in refused.stderr


def test_resume_alone_takes_the_study_that_was_used_last(
    finished_study: Path, study_copy: Path, regimen: Regimen
) -> None:
    for n, age in ((2, 300), (3, 200), (10, 100)):
        folder = Path(shutil.copytree(finished_study, f"runs/iris-{n}"))
        os.utime(folder / "study.sqlite", (time.time() + 1000 - age,) * 2)
        (folder / "report.html").unlink()
    Path("runs/iris-99").mkdir()  # holds no study
    shutil.copytree(finished_study, "runs/iris-copy")  # is none of ours
    assert regimen("study", "iris", "--resume").exit_code == 0
    assert [n for n in (1, 2, 3, 10) if Path(f"runs/iris-{n}/report.html").is_file()] == [1, 10]


def test_resume_alone_passes_over_studies_of_other_data_with_that_name(
    finished_study: Path, study_copy: Path, regimen: Regimen
) -> None:
    rows = ["a,target", *(f"{i * 37 % 101},{i % 2}" for i in range(60))]
    Path("iris.csv").write_text("\n".join(rows) + "\n")
    assert regimen("study", "iris.csv", "--target", "target", *TINY).exit_code == 0
    (study_copy / "report.html").unlink()
    assert regimen("study", "iris", "--resume").exit_code == 0
    assert (study_copy / "report.html").is_file()


@pytest.mark.parametrize(
    "request_",
    [
        StudyRequest(data="iris"),
        StudyRequest(data="-odd.csv", target="-y", ignore=("a,b", 'say "x"', "-c"), seed=2**64 - 1),
        StudyRequest(data="my data.csv", lr=1e-7, smallest_effect=0.1, batch_size=8, out="o ut", resume=True),
    ],
)
def test_a_command_line_says_what_was_asked(request_: StudyRequest) -> None:
    assert read_command_line(request_.command_line("study")) == request_


@pytest.mark.parametrize("command", ["", "python study.py", "regimen train iris", "regimen study iris --pairs ten"])
def test_what_is_no_command_line_of_a_study_is_none(command: str) -> None:
    assert read_command_line(command) is None
