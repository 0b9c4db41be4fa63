"""Optuna's study and where it is stored: opened or made, refused if it is about something else, left tidy."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from regimen.errors import OptionError, StoreError
from regimen.search.owners import living_process
from regimen.search.settings import differences

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial

FILE = "optuna.db"
# Where a study says what it is about.
SETTINGS = "regimen"
# What else is kept there: the baseline's metric on each pair; with a trial, its recipe or why there is none.
BASELINE_VALUES, RECIPE, REFUSED = "regimen:baseline", "regimen:recipe", "regimen:refused"
# A pruner sees pairs one by one; before the fourth, no difference of accuracies says anything.
FIRST_PRUNING = 4
BUSY_SECONDS = 60


def require_optuna() -> ModuleType:
    """Return the package optuna.

    Raises:
        OptionError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise OptionError("regimen.search needs optuna: pip install optuna") from error
    return optuna


def default_sampler(seed: int) -> "BaseSampler":
    """Return the tree-structured Parzen estimator with a constant liar: what is under way repels what is asked next."""
    from optuna.samplers import TPESampler

    with _experiments_allowed():
        return TPESampler(seed=seed, constant_liar=True)


def default_pruner() -> "BasePruner":
    """Return Wilcoxon's signed-rank test against the best trial, pair by pair, from the fourth pair on."""
    from optuna.pruners import WilcoxonPruner

    with _experiments_allowed():
        return WilcoxonPruner(p_threshold=0.1, n_startup_steps=FIRST_PRUNING)


@contextmanager
def file_storage(path: Path) -> "Iterator[BaseStorage]":
    """Open the storage in an SQLite file, which others may read at any time while one process writes.

    Written ahead and without waiting for the disk at each of the dozens of values of a trial: that was 20 s for 16
    trials on a busy disk, and is 5 s. A kill loses nothing; a power cut may lose the last trials, never the file.

    Raises:
        StoreError: The file cannot be opened, or is no storage of Optuna.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
        event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()  # connections made before would not know
    except (SQLAlchemyError, RuntimeError) as error:
        raise StoreError(f"{path} cannot be used as a storage of Optuna: {error}; choose another folder") from error
    try:
        yield storage
    finally:
        # What was written ahead comes into the file with the last connection; who asks again gets a new one.
        storage.remove_session()
        storage.engine.dispose()


def _write_ahead(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def open_study(
    name: str,
    *,
    storage: "str | BaseStorage | None",
    sampler: "BaseSampler",
    pruner: "BasePruner",
    higher_is_better: bool,
    settings: Mapping[str, Any],
    sole: bool = False,
) -> "OptunaStudy":
    """Return the Optuna study of a search, new or as far as it has come.

    Args:
        name: Name of the study in the storage.
        storage: An Optuna storage or its URL; None keeps it in memory.
        sampler: Chooses the parameters of the trials.
        pruner: Ends trials that lead nowhere.
        higher_is_better: Direction of the metric.
        settings: What all values of the study depend on, as plain values.
        sole: Whether it is sure that no other process is searching it.

    Raises:
        StoreError: The storage cannot be used, a study of that name is about something else, or a process of this
            computer is searching it.
    """
    optuna = require_optuna()
    direction = "maximize" if higher_is_better else "minimize"
    with _usable():
        study: OptunaStudy = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=name,
            direction=direction,
            load_if_exists=True,
        )
    stored = study.user_attrs.get(SETTINGS)
    if stored is None:
        if study.trials:
            raise StoreError(f"the Optuna study {name!r} was not made by regimen.search; choose another study_name")
        if (found := [one.name.lower() for one in study.directions]) != [direction]:
            raise StoreError(
                f"the Optuna study {name!r} is there already, expected one to {direction}, found one to "
                f"{', '.join(found)}; choose another study_name"
            )
        study.set_user_attr(SETTINGS, dict(settings))
    elif differing := differences(stored, settings):
        raise StoreError(
            f"the Optuna study {name!r} is about something else: "
            + "; ".join(differing)
            + "; ask for the same, or choose another study_name or folder"
        )
    running = () if sole else study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for process in filter(None, map(living_process, running)):
        raise StoreError(
            f"the Optuna study {name!r} is being searched by process {process} of this computer, and one may at a "
            "time; wait for it, end it, or choose another study_name or folder"
        )
    return study


@contextmanager
def _usable() -> "Iterator[None]":
    """Turn into one message what a storage that cannot be opened or read raises.

    Raises:
        StoreError: It did.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        # Without the URL, which may hold a password.
        raise StoreError(
            f"storage: it cannot be used ({str(error).splitlines()[0]}); expected a storage of Optuna, or a URL such "
            "as sqlite:///search.db whose driver is installed"
        ) from error


@contextmanager
def sole_writer(study: "OptunaStudy") -> "Iterator[None]":
    """Turn into one message what Optuna raises when another process finishes trials, or the storage fails.

    Raises:
        StoreError: Another process did, or the storage does not take anything any more.
    """
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

    try:
        yield
    except UpdateFinishedTrialError as error:
        raise _taken(study) from error
    except StorageInternalError as error:
        reason = str(error.__cause__ or error)[:200]
        raise StoreError(
            f"the storage of the Optuna study {study.study_name!r} failed ({reason}); what it took before is kept: ask "
            "again to go on"
        ) from error


def _taken(study: "OptunaStudy") -> StoreError:
    return StoreError(
        f"trials of the Optuna study {study.study_name!r} were finished by another process while this one trained "
        "them; let one process search at a time, and ask again to go on"
    )


def tell(study: "OptunaStudy", number: int, value: float | None) -> bool:
    """Tell a study the value of a trial, None if it was pruned; return whether its sampler has anything left to try.

    Raises:
        StoreError: Another process has finished the trial.
    """
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    try:
        study.tell(number, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)
    except UpdateFinishedTrialError as error:
        raise _taken(study) from error
    except ValueError as error:
        # A sampler, or a function of constraints that it was given, may raise one too.
        if "Cannot tell" not in str(error):
            raise
        raise _taken(study) from error
    except RuntimeError as error:
        # How a sampler that has gone through its grid says so; by then the trial has its value.
        if "Study.stop" not in str(error):
            raise
        return False
    return True


def fail(study: "OptunaStudy", number: int) -> None:
    """Mark a trial that is not trained as failed."""
    from optuna.trial import TrialState

    try:
        study.tell(number, state=TrialState.FAIL)
    except RuntimeError as error:
        if "Study.stop" not in str(error):
            raise


def finished(study: "OptunaStudy") -> "list[FrozenTrial]":
    """Return the trials that count: complete or pruned, not those that failed or wait."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _experiments_allowed() -> AbstractContextManager[object]:
    """Return a context without Optuna's warnings that an interface may change: these are used as they are."""
    from optuna.exceptions import ExperimentalWarning

    return warnings.catch_warnings(action="ignore", category=ExperimentalWarning)
