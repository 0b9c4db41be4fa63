"""Small tables, and runs on them, for the tests of the engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regimen.data import Split, Table, from_arrays
from regimen.models import MLP
from regimen.run import Recipe, Run

ROWS, TRAIN = 60, 41  # 41 rows in batches of 10: the last batch has 11


@pytest.fixture(scope="session")
def classification() -> Table:
    """Three classes of 30, 20 and 10 rows that four columns tell apart only in part."""
    source = np.random.default_rng(1)
    y = np.repeat([0, 1, 2], [30, 20, 10])
    x = source.normal(size=(ROWS, 4)) + y[:, None] * np.array([0.8, -0.4, 0.0, 0.3])
    mixed = source.permutation(ROWS)
    return from_arrays(x[mixed], y[mixed], task="classification", name="three classes")


@pytest.fixture(scope="session")
def regression() -> Table:
    """A curved target in its own unit, mean about 100."""
    source = np.random.default_rng(2)
    x = source.normal(size=(ROWS, 4))
    y = 100.0 + 10.0 * np.sin(x[:, 0]) + 5.0 * x[:, 1] * x[:, 2] + source.normal(size=ROWS)
    return from_arrays(x, y, task="regression", name="curve")


@pytest.fixture(scope="session")
def split() -> Split:
    """The first 41 rows train, 12 validate, 7 are the test part."""
    rows = np.arange(ROWS)
    return Split(train=rows[:TRAIN], validation=rows[TRAIN:53], test=rows[53:])


@pytest.fixture
def make_run(classification: Table, split: Split) -> Callable[..., Run]:
    """Return a function that makes a run of three epochs from changes to the default recipe."""

    model = MLP(hidden=(8,))

    def make(
        *,
        key: int = 5,
        data: Table = classification,
        model: MLP = model,
        split: Split = split,
        **changes: Any,
    ) -> Run:
        recipe = Recipe(**({"epochs": 3, "batch_size": 10, "lr": 0.01} | changes))
        metric = "accuracy" if data.task == "classification" else "rmse"
        return Run(recipe=recipe, model=model, data=data, split=split, key=key, metric=metric)

    return make
