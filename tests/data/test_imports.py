"""The package costs nothing to import, and each name brings only what it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

import regimen
import regimen.data

HEAVY = ("polars", "sklearn", "torch", "scipy")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import regimen.data", HEAVY),
        ("from regimen.data import METRICS, Table", HEAVY),
        ("from regimen.data import Preparation", HEAVY),
        ("from regimen.data import ImagePreparation, Images", (*HEAVY, "PIL", "pooch", "requests")),
    ],
)
def test_an_import_does_not_load_what_it_does_not_need(statement: str, absent: tuple[str, ...]) -> None:
    code = f"{statement}; import sys; print(*(name for name in {absent} if name in sys.modules))"
    source = str(Path(regimen.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", regimen.data.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(regimen.data, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        regimen.data.lode  # noqa: B018
