"""The scripts in `examples/` run as a student would run them, in their quick form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE = str(Path(__file__).parents[2] / "src")
PRINTED = {
    "digits_dropout.py": "batch norm",
    "dropout_layer.py": "samples averaged",
    "overfit_curve.py": "width 512, dropout 0.5",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", PRINTED)
def test_the_example_runs(script: str, tmp_path: Path) -> None:
    paths = os.pathsep.join([SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / script, "--quick"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[script] in done.stdout
