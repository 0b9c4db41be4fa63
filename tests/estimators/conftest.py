"""Small tables for the tests of the estimators."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

ROWS = 90


@pytest.fixture(scope="session")
def flowers() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Three kinds, named, that four columns tell apart only in part."""
    source = np.random.default_rng(1)
    kinds = np.repeat([0, 1, 2], ROWS // 3)
    x = source.normal(size=(ROWS, 4)) + kinds[:, None] * np.array([1.2, -0.8, 0.0, 0.4])
    mixed = source.permutation(ROWS)
    return x[mixed], np.array(["rose", "tulip", "aster"])[kinds[mixed]]


@pytest.fixture(scope="session")
def yields() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Amounts about 1,000 that depend on two of four columns."""
    source = np.random.default_rng(2)
    x = source.normal(size=(ROWS, 4))
    return x, 1000.0 + 50.0 * x[:, 0] - 30.0 * x[:, 1] + 5.0 * source.normal(size=ROWS)


@pytest.fixture(scope="session")
def mixed() -> pl.DataFrame:
    """Numbers, text, categories, booleans and dates, each with a missing cell."""
    source = np.random.default_rng(3)
    days = np.datetime64("2024-01-01") + np.arange(ROWS)
    return pl.DataFrame(
        {
            "size": [None, *source.normal(size=ROWS - 1).tolist()],
            "color": [None, *source.choice(["red", "green", "blue"], ROWS - 1).tolist()],
            "grade": pl.Series([None, *source.choice(["1", "2"], ROWS - 1).tolist()], dtype=pl.Categorical),
            "fresh": [None, *(source.random(ROWS - 1) < 0.5).tolist()],
            "picked": [None, *days[1:].tolist()],
        }
    )


@pytest.fixture(scope="session")
def ripe(mixed: pl.DataFrame) -> npt.NDArray[Any]:
    """Whether a row of `mixed` is red."""
    return (mixed["color"] == "red").fill_null(False).to_numpy()
