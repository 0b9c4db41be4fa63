"""Which library is loaded, and what is said where none can be."""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regimen.engine import choose_engine, train
from regimen.errors import EngineError, OptionError
from regimen.kernels import native, native_types
from regimen.kernels.native import ISAS, Kernels, find_kernels, load_kernels
from regimen.run import Run


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look for libraries anew in every test, and after the last."""
    monkeypatch.delenv("REGIMEN_ISA", raising=False)
    native._find.cache_clear()
    load_kernels.cache_clear()
    yield
    native._find.cache_clear()
    load_kernels.cache_clear()


def test_the_best_instruction_set_that_runs_is_taken(best_kernels: Kernels) -> None:
    runnable = [isa for isa in ISAS if (found := load_kernels(isa)) and found.functions.regimen_supported()]
    assert best_kernels.isa == runnable[0]


def test_a_forced_instruction_set_is_taken(best_kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIMEN_ISA", "baseline")
    found = find_kernels()
    assert found is not None
    assert found.isa == "baseline"


def test_a_mistyped_instruction_set_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIMEN_ISA", "avx-2")
    with pytest.raises(OptionError, match="no such instruction set 'avx-2'; did you mean 'avx2'"):
        find_kernels()


def test_an_instruction_set_that_the_processor_lacks_is_refused(
    best_kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGIMEN_ISA", best_kernels.isa)
    native._find.cache_clear()
    monkeypatch.setattr(best_kernels.functions, "regimen_supported", lambda: 0)
    with pytest.raises(OptionError, match="this processor cannot run it"):
        find_kernels()


def test_without_libraries_auto_is_the_reference_and_says_so(
    monkeypatch: pytest.MonkeyPatch, make_run: Callable[..., Run]
) -> None:
    monkeypatch.setattr(native, "_file", lambda isa: None)
    choice = choose_engine("auto")
    assert choice.name == "reference"
    assert "without a C++ compiler" in choice.reasons["native"]
    assert train([make_run()], processes=1)[0].engine == "reference"
    with pytest.raises(OptionError, match="--engine native: the package was installed without a C"):
        choose_engine("native")


def test_a_forced_instruction_set_that_was_not_built_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_file", lambda isa: None)
    monkeypatch.setenv("REGIMEN_ISA", "avx512")
    with pytest.raises(OptionError, match="its kernels are not built; there are: none at all"):
        find_kernels()


def test_none_leaves_the_kernels_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIMEN_ISA", "none")
    assert find_kernels() is None
    assert choose_engine("auto").reasons["native"] == "REGIMEN_ISA=none"


def test_a_damaged_library_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "regimen_avx512.so"
    damaged.write_bytes(b"no library")
    monkeypatch.setattr(native, "_file", lambda isa: damaged)
    with pytest.raises(EngineError, match="is damaged"):
        find_kernels()


def test_a_library_from_other_sources_raises(best_kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(ctypes.Structure):
        _fields_ = (*native_types.Run._fields_, ("more", ctypes.c_int64))

    load_kernels.cache_clear()
    monkeypatch.setattr(native_types, "Run", Longer)
    with pytest.raises(EngineError, match="was built from other sources than this package"):
        load_kernels(best_kernels.isa)


def test_a_library_without_one_of_the_functions_raises(best_kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    load_kernels.cache_clear()
    monkeypatch.setitem(native_types._FUNCTIONS, "newer", (None, ()))
    with pytest.raises(EngineError, match=r"was built from other sources than this package.*regimen_newer"):
        load_kernels(best_kernels.isa)


def test_a_damaged_library_is_not_passed_over_for_a_lesser_one(
    best_kernels: Kernels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / f"regimen_{best_kernels.isa}.so"
    damaged.write_bytes(b"no library")
    whole = native._file
    monkeypatch.setattr(native, "_file", lambda isa: damaged if isa == best_kernels.isa else whole(isa))
    load_kernels.cache_clear()
    native._find.cache_clear()
    with pytest.raises(EngineError, match="is damaged"):
        choose_engine("auto")
