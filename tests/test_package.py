"""The top level of the package: the names most used, and no torch until one is."""

import subprocess
import sys

import pytest

import regimen

NAMES = [name for name in regimen.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_every_promised_name_is_there_and_is_that_of_its_module(name: str) -> None:
    found = getattr(regimen, name)
    assert found.__module__.startswith("regimen.")
    assert name in dir(regimen)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Studi'"):
        _ = regimen.Studi


def test_importing_the_package_imports_no_torch() -> None:
    heavy = "{'torch', 'numpy', 'polars', 'sklearn', 'scipy'}"
    code = f"import sys, regimen; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_packages_are_at_hand_without_an_import_of_their_own() -> None:
    asked = "import regimen; print(regimen.data.as_data.__name__, regimen.nn.Dropout.__name__)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "as_data Dropout\n"
