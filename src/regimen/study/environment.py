"""Where a study ran: versions, processor and threads, for whoever repeats it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from regimen import __version__
from regimen.engine.trainer import available_cores

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "polars")


def environment() -> dict[str, Any]:
    """Return versions, processor and cores as plain values."""
    return {
        "regimen": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": available_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def processor() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
