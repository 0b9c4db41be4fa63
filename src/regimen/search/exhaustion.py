"""Samplers that try everything there is: whether one has, and when it begins again."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study as OptunaStudy

# With a study: the sampler that has tried everything.
EXHAUSTED = "regimen:exhausted"


def exhaustive(study: "OptunaStudy") -> bool:
    """Return whether the sampler of a study tries every combination once.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> exhaustive(optuna.create_study(sampler=optuna.samplers.GridSampler({"rate": [0.1, 0.2]})))
        True
    """
    from optuna.samplers import BruteForceSampler, GridSampler

    return isinstance(_sampler(study), BruteForceSampler | GridSampler)


def exhausted(study: "OptunaStudy") -> bool:
    """Return whether the sampler of a study has tried everything, as far as is stored."""
    known = getattr(_sampler(study), "is_exhausted", None)
    return bool(study.user_attrs.get(EXHAUSTED) == sampler_name(study) if known is None else known(study))


def sampler_name(study: "OptunaStudy") -> str:
    """Return the kind of a study's sampler."""
    return type(_sampler(study)).__name__


def _sampler(study: "OptunaStudy") -> "BaseSampler":
    from regimen.search.repeating import Repeating

    return study.sampler.inner if isinstance(study.sampler, Repeating) else study.sampler


def tried(study: "OptunaStudy", number: int) -> bool:
    """Return whether an earlier trial, under way or finished, has the parameters of this one."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name not in ("WAITING", "FAIL")]
    [params] = [trial.params for trial in trials if trial.number == number]
    return any(trial.params == params for trial in trials if trial.number < number)
