"""Real tables and images for the tests that need them."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data: REGIMEN_DATA, else ../shared/data beside the repository; without either, skip."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("REGIMEN_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real data: no folder {folder}; set REGIMEN_DATA")
    return folder
