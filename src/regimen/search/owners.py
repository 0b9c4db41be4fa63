"""Which process a trial under way belongs to: only those of dead processes may be taken from them."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# With a trial: host, number of the process and when that began.
OWNER = "regimen:owner"


def owner(process: int | None = None) -> list[str | int | None]:
    """Return host, number and begin of a process of this computer, of this one by default, as plain values.

    Example:
        >>> owner()[1] == os.getpid()
        True
    """
    number = os.getpid() if process is None else process
    return [socket.gethostname(), number, _state(number)[1]]


def elsewhere(trial: "FrozenTrial") -> bool:
    """Return whether a trial belongs to a process of another computer, of which nothing can be known from here."""
    held = trial.user_attrs.get(OWNER)
    return held is not None and held[0] != socket.gethostname()


def living_process(trial: "FrozenTrial") -> int | None:
    """Return the number of the process of this computer that a trial belongs to, None if that is dead or nobody's."""
    held = trial.user_attrs.get(OWNER)
    # Windows has no signal that only asks; a search there is taken over as if nobody had it.
    if held is None or elsewhere(trial) or os.name == "nt":
        return None
    number: int = held[1]
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # somebody else's, but alive
    state, began = _state(number)
    # Numbers are given out again: the one who has it now may have begun later.
    return None if state == "Z" or began != held[2] else number


def _state(process: int) -> tuple[str, int | None]:
    """Return in which state a process is and when it began, in ticks since the start of the computer, as Linux tells.

    Elsewhere nothing is known.
    """
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", None
    # The name in parentheses may hold anything; counted behind it.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
