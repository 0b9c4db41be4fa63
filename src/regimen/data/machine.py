"""What this machine has to offer: its cores and its free memory."""

import os
from pathlib import Path

# Where the system does not tell.
_ASSUMED = 4 << 30


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    # macOS has no affinity; there all cores are ours.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Return how many bytes of memory can be taken without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return _ASSUMED
