"""What the tests of the C++ kernels share: every library that this machine can run, and runs on small tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regimen.data import Split, Table, from_arrays
from regimen.kernels.native import ISAS, Kernels, find_kernels, load_kernels, why_no_kernels
from regimen.models import MLP
from regimen.run import Recipe, Run

ROWS, TRAIN, FEATURES = 240, 163, 21  # 163 rows in batches of 18: the last batch has 19


@pytest.fixture(params=ISAS)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """Return the library of each instruction set; skip what was not built or does not run here."""
    found = load_kernels(request.param)
    if found is None:
        pytest.skip(f"{request.param}: not built; scripts/build_native.sh builds the kernels")
    if not found.functions.regimen_supported():
        pytest.skip(f"{request.param}: this processor lacks it")
    return found


@pytest.fixture
def engine(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the native engine use that instruction set, and return its name."""
    monkeypatch.setenv("REGIMEN_ISA", kernels.isa)
    return "native"


@pytest.fixture
def best_kernels() -> Kernels:
    """Return the library that this machine uses by itself."""
    found = find_kernels()
    if found is None:
        pytest.skip(why_no_kernels())
    return found


@pytest.fixture(scope="session")
def classification() -> Table:
    """Five classes of unequal size."""
    source = np.random.default_rng(1)
    y = np.repeat([0, 1, 2, 3, 4], [80, 60, 50, 30, 20])
    x = source.normal(size=(ROWS, FEATURES)) + 0.6 * source.normal(size=(5, FEATURES))[y]
    mixed = source.permutation(ROWS)
    return from_arrays(x[mixed], y[mixed], task="classification", name="five classes")


@pytest.fixture(scope="session")
def regression() -> Table:
    """A curved target in its own unit."""
    source = np.random.default_rng(2)
    x = source.normal(size=(ROWS, FEATURES))
    y = 100.0 + 10.0 * np.sin(x[:, 0]) + 5.0 * x[:, 1] * x[:, 2] + source.normal(size=ROWS)
    return from_arrays(x, y, task="regression", name="curve")


@pytest.fixture
def make_run(classification: Table) -> Callable[..., Run]:
    """Return a function that makes a run of one epoch, nine steps, from changes to the default recipe."""
    rows = np.arange(ROWS)
    split = Split(train=rows[:TRAIN], validation=rows[TRAIN:200], test=rows[200:])
    default = MLP(hidden=(37, 16))

    def make(
        *, key: int = 5, data: Table = classification, model: MLP = default, metric: str | None = None, **changes: Any
    ) -> Run:
        recipe = Recipe(**({"epochs": 1, "batch_size": 18, "lr": 0.01} | changes))
        metric = metric or ("accuracy" if data.task == "classification" else "rmse")
        return Run(recipe=recipe, model=model, data=data, split=split, key=key, metric=metric)

    return make
