"""What the tests of the kernels share: each instruction set, and none."""

from collections.abc import Iterator

import pytest
import torch

from regimen.kernels.native import ISAS, load_kernels


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the layers use the library of each instruction set; skip what was not built or does not run here."""
    found = load_kernels(request.param)
    if found is None:
        pytest.skip(f"{request.param}: not built; scripts/build_native.sh builds the kernels")
    if not found.functions.regimen_supported():
        pytest.skip(f"{request.param}: this processor lacks it")
    monkeypatch.setenv("REGIMEN_ISA", found.isa)
    return found.isa


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let PyTorch, and with it the kernels, use two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
