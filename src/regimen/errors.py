"""What can go wrong, as types: every error a caller may want to catch descends from `RegimenError`."""

import difflib
from collections.abc import Iterable


class RegimenError(Exception):
    """Root of all errors raised on purpose; the command line prints its message without a traceback."""

    exit_code = 1


class InputError(RegimenError):
    """The caller's input is wrong (exit code 2): the message names what was expected, what came, and the repair."""

    exit_code = 2


class DataError(InputError):
    """A table, file or target that cannot be studied as it is."""


class RecipeError(InputError):
    """A recipe with an unknown key or an impossible value."""


class OptionError(InputError):
    """An option of the command line or an argument of the public API that cannot be honoured."""


class BudgetError(OptionError):
    """A budget that is too small for the least that a study can be.

    Attributes:
        least: What that takes, in the budget's unit.
        room: What the budget leaves for it, in the same unit; below `least`.
    """

    # The defaults are for unpickling, which calls with the message alone and then sets what else there was.
    def __init__(self, message: str, *, least: float = 0.0, room: float = 0.0) -> None:
        super().__init__(message)
        self.least, self.room = least, room


class StoreError(InputError):
    """A study folder that is in use, damaged, or belongs to another study."""


class EngineError(RegimenError):
    """Training could not go on for a reason outside the runs themselves (a worker process died, say)."""


class TrackingError(RegimenError):
    """A tracker cannot write its curves; whoever trains tells it once and goes on without."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a hint `"; did you mean 'x'?"` for a mistyped name, or the list of valid names if none is near.

    Example:
        >>> nearest("droput", ["dropout", "mixup"])
        "; did you mean 'dropout'?"
        >>> nearest("nett", ["Net", "Encoder"])
        "; did you mean 'Net'?"
    """
    names = sorted(valid)
    spellings = {valid_name.lower(): valid_name for valid_name in names}
    close = difflib.get_close_matches(name.lower(), spellings, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {spellings[close[0]]!r}?"
    return f"; valid: {', '.join(names)}"
