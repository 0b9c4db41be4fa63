"""Ten architectures as users write them go through a whole study, from the plan to the model that is kept."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from regimen.data import from_arrays, from_images
from regimen.kernels.native import find_kernels
from regimen.study import Study, StudyOptions

ARCHITECTURES = runpy.run_path(str(Path(__file__).parents[1] / "models" / "architectures.py"))["ARCHITECTURES"]
ROWS = 150
NOT_STACKED = ("gru", "transformer", "control flow")


@pytest.mark.parametrize("engine", ["stacked", "auto"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_goes_through_a_study(name: str, engine: str) -> None:
    architecture = ARCHITECTURES[name]
    if architecture.outputs == 1:
        x, y = load_diabetes(return_X_y=True)
        data = from_arrays(x[:ROWS], y[:ROWS], task="regression", name="diabetes")
    else:
        x, y = load_digits(return_X_y=True)
        data = from_images((15 * x[:ROWS]).astype(np.uint8).reshape(ROWS, 1, 8, 8), y[:ROWS], name="digits")
    options = StudyOptions(techniques="dropout,l2", pairs=2, epochs=1, batch_size=30, processes=1, engine=engine)
    found = Study(data=data, model=architecture.make, options=options).run()
    assert {arm.name for arm in found.results.techniques} == {"dropout", "l2"}
    assert {run.status for run in found.results.runs} == {"finished"}
    # Without the C++ kernels all of them train in plain PyTorch.
    fast = "native" if name == "functional mlp" and find_kernels() is not None else "reference"
    stacked = "reference" if name in NOT_STACKED else "stacked"
    assert [*found.results.environment["trained_by"]] == [stacked if engine == "stacked" else fast]
    shown = found.model.predict_outputs(data)
    assert shown.shape == (ROWS, architecture.outputs)
    assert np.isfinite(shown).all()
