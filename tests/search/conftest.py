"""What all tests of searches share: a table, and an Optuna that does not talk."""

from collections.abc import Iterator

import optuna
import pytest

from regimen.data import Table, load


@pytest.fixture(scope="package", autouse=True)
def quiet() -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(level)


@pytest.fixture(scope="package")
def iris() -> Table:
    return load("iris")
