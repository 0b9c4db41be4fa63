"""A pytest plugin: the tests use the C++ libraries in the folder KERNELS_FROM, and no others."""

import os
from pathlib import Path

import pytest

from regimen.kernels import native


def pytest_configure(config: pytest.Config) -> None:
    """Look there only, from before the first test to after the last."""
    folder = Path(os.environ["KERNELS_FROM"]).resolve()

    def file(isa: str) -> Path | None:
        path = folder / f"regimen_{isa}.so"
        return path if path.exists() else None

    native._file = file
    native._find.cache_clear()
    native.load_kernels.cache_clear()
