"""Which choices a space may offer: those that a storage gives back as they were."""

from types import NoneType
from typing import TYPE_CHECKING

from regimen.errors import OptionError

if TYPE_CHECKING:
    from optuna.trial import Trial

PLAIN = (bool, int, float, str, NoneType)


def require_plain_choices(trial: "Trial") -> None:
    """Refuse choices that a storage does not give back as they were: a tuple comes back as a list, a layer not at all.

    Optuna only warns of them, and its default sampler fails on them once it has learned from ten trials.

    Raises:
        OptionError: A parameter has such a choice.
    """
    for name, distribution in trial.distributions.items():
        for choice in getattr(distribution, "choices", ()):
            if not isinstance(choice, PLAIN):
                raise OptionError(
                    f"space: expected None, bool, int, float or str as choices of {name!r}, got {choice!r}; choose "
                    "among names or indices, and look the value up in a dictionary or list"
                )
