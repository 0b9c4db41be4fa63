"""The command line in this process, in a folder of its own, and one finished study that tests may copy."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regimen.cli import app

Regimen = Callable[..., Result]
# Small enough for a second, large enough to have every phase; a pilot, so nothing is ever recommended.
TINY = ("--techniques", "batch_norm,he", "--pairs", "3", "--epochs", "2", "--model", "mlp:4", "--processes", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def regimen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Regimen:
    """Run `regimen` with the given arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return run


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished study of iris; do not write into it."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    result = run("study", "iris", *TINY, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def study_copy(finished_study: Path, regimen: Regimen) -> Path:
    """A copy of the finished study in the test's folder, where `--resume` alone finds it."""
    return Path(shutil.copytree(finished_study, "runs/iris-1"))


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment for child processes, which are in another folder than the repository."""
    source = str(Path(__file__).parents[2] / "src")
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
