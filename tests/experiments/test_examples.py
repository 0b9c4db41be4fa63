"""The scripts in `examples/` run as a student would run them, in their quick form."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "digits_dropout.py": "batch norm",
    "dropout_layer.py": "samples averaged",
    "overfit_curve.py": "width 512, dropout 0.5",
}


@pytest.mark.parametrize("script", PRINTED)
def test_the_example_runs(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, "--quick"])
    with torch.random.fork_rng(devices=[]):
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    assert PRINTED[script] in capsys.readouterr().out
