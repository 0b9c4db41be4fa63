"""Where a study ran: versions, processor and threads, for whoever repeats it."""

import os
import platform
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from regimen import __version__
from regimen.engine.trainer import available_cores
from regimen.records import RunResult

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


def trained_by(results: Iterable[RunResult]) -> dict[str, str]:
    """Return for each engine how many runs it trained, and in words why not a faster one.

    Example:
        >>> from dataclasses import replace
        >>> one = RunResult(
        ...     identity="", status="finished", metric=1, train_loss=0, validation_loss=0, epoch=1, epochs_run=1,
        ...     steps=1, seconds=1, engine="native",
        ... )
        >>> trained_by([one, one, replace(one, engine="reference", why="has no cutmix")])
        {'native': '2 runs', 'reference': '1 run (has no cutmix)'}
    """
    of_engines: dict[str, list[str]] = {}
    for result in results:
        of_engines.setdefault(result.engine, []).append(result.why)
    return {
        engine: ("1 run" if len(whys) == 1 else f"{len(whys)} runs") + _reasons(whys)
        for engine, whys in sorted(of_engines.items())
    }


def _reasons(whys: list[str]) -> str:
    """Return each reason once, as often met first."""
    found = [why for why, _ in Counter(filter(None, whys)).most_common()]
    return f" ({' / '.join(found)})" if found else ""


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
