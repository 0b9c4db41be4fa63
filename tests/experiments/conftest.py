"""Images for the experiments that need real ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_images(real_data: Path) -> Iterator[Path]:
    """Let `load("mnist")` and `load("cifar10")` find the real images; without them, skip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGIMEN_DATA", str(real_data))
        yield real_data
