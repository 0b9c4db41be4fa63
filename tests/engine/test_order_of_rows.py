"""In which order a table lists its rows, all of one class first for example, decides nothing about a network."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from regimen.data import Table, from_arrays
from regimen.engine import train
from regimen.kernels.native import find_kernels
from regimen.run import Run
from regimen.techniques import EMA, SWA, Averaging, EarlyStopping

MakeRun = Callable[..., Run]
ENGINES = ["reference", "stacked", "native"]


@pytest.fixture(scope="module")
def one_class_after_the_other() -> Table:
    """Two classes far apart, of which the first 30 rows are one."""
    y = np.repeat([0, 1], 30)
    x = np.random.default_rng(3).normal(size=(60, 4)) + 10.0 * y[:, None]
    return from_arrays(x, y, task="classification", name="sorted")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("averaging", [EMA(decay=0.5), SWA(start=0.3)], ids=["ema", "swa"])
@pytest.mark.parametrize("stopping", [None, EarlyStopping(patience=9)], ids=["", "early stopping"])
def test_averaged_networks_normalize_by_the_variance_of_all_rows_not_by_that_inside_of_the_classes(
    make_run: MakeRun,
    one_class_after_the_other: Table,
    engine: str,
    averaging: Averaging,
    stopping: EarlyStopping | None,
) -> None:
    if engine == "native" and find_kernels() is None:
        pytest.skip("no C++ kernels")
    data = one_class_after_the_other
    changes = {"averaging": averaging, "normalization": "batch", "early_stopping": stopping}
    runs = [make_run(data=data, key=key, **changes) for key in (5, 6)]
    for run, result in zip(runs, train(runs, engine=engine, processes=1, keep=("weights",)), strict=True):
        assert result.weights is not None
        weight, bias, *_ = result.weights.values()
        x = torch.from_numpy(data.numbers[run.split.train])
        x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
        of_all = (x.float() @ torch.from_numpy(weight).T + torch.from_numpy(bias)).var(dim=0)
        found = torch.from_numpy(result.weights["1.running_var"])
        # Batches of ten: each variance is unbiased, and four of them scatter by less than a quarter around their mean.
        assert bool(((found / of_all).log().abs() < 0.35).all()), found / of_all
