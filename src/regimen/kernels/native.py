"""The C++ kernels: which library this processor runs, and why if none."""

import ctypes
import functools
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from regimen.errors import EngineError, OptionError, nearest
from regimen.kernels import native_types

# Best first. One library holds the kernels of one instruction set; `baseline` runs on every processor of the platform.
ISAS = ("avx512", "avx2", "baseline")
VARIABLE = "REGIMEN_ISA"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernels:
    """A loaded library.

    Attributes:
        isa: Its instruction set.
        functions: Its C interface (`csrc/interface.h`).
    """

    isa: str
    functions: ctypes.CDLL


def find_kernels() -> Kernels | None:
    """Return the kernels for this processor, or None if the package was installed without them.

    `REGIMEN_ISA` forces one instruction set; `none` leaves the C++ kernels out.

    Raises:
        OptionError: `REGIMEN_ISA` names no instruction set, one that the processor lacks, or one that was not built.
        EngineError: A library is there and cannot be loaded, or was built from other sources.
    """
    return _find(os.environ.get(VARIABLE, ""))


def why_no_kernels() -> str:
    """Return in words why `find_kernels` returns None."""
    if os.environ.get(VARIABLE) == "none":
        return f"{VARIABLE}=none"
    return "the package was installed without a C++ compiler; install one and then the package again"


@functools.cache
def _find(forced: str) -> Kernels | None:
    if forced == "none":
        return None
    if forced:
        if forced not in ISAS:
            raise OptionError(f"{VARIABLE}: no such instruction set {forced!r}{nearest(forced, [*ISAS, 'none'])}")
        found = load_kernels(forced)
        if found is None:
            built = [isa for isa in ISAS if _file(isa)]
            raise OptionError(
                f"{VARIABLE}={forced}: its kernels are not built; there are: {', '.join(built) or 'none at all'}"
            )
        if not found.functions.regimen_supported():
            raise OptionError(f"{VARIABLE}={forced}: this processor cannot run it; unset {VARIABLE}")
        return found
    for isa in ISAS:
        found = load_kernels(isa)
        if found is not None and found.functions.regimen_supported():
            return found
    return None


@functools.cache
def load_kernels(isa: str) -> Kernels | None:
    """Return the library of an instruction set, None if it was not built; whether it runs here is asked of itself.

    Raises:
        EngineError: It cannot be loaded, or was built from other sources.
    """
    file = _file(isa)
    if file is None:
        return None
    repair = "install the package again (or remove the file to do without it)"
    try:
        library = ctypes.CDLL(str(file))
        layout = library.regimen_layout
    except (OSError, AttributeError) as error:
        raise EngineError(f"{file} is damaged: {error}; {repair}") from error
    layout.restype = ctypes.c_int64
    other = f"{file} was built from other sources than this package; {repair}"
    if layout() != ctypes.sizeof(native_types.Run) << 32 | native_types.DROPOUT_BYTES:
        raise EngineError(other)
    try:
        native_types.declare(library)
    except AttributeError as error:
        raise EngineError(f"{other} ({error})") from error
    return Kernels(isa=isa, functions=library)


def _file(isa: str) -> Path | None:
    # An editable install leaves the sources where they are and puts what was built into site-packages.
    folders = (Path(__file__).parent, Path(sysconfig.get_path("platlib"), "regimen", "kernels"))
    files = [folder / f"regimen_{isa}.so" for folder in folders]
    return next((file for file in files if file.exists()), None)
