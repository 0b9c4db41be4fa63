"""The search: an Optuna study over recipes, trained in bundles, its winner confirmed where it never looked."""

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimen import streams
from regimen.data import METRICS, as_data
from regimen.engine import Trainer
from regimen.errors import OptionError
from regimen.models import ModelSource
from regimen.run import Recipe, recipe_from_toml
from regimen.search.bundles import Bundles
from regimen.search.exhaustion import exhaustive
from regimen.search.result import SearchResult, trial_record
from regimen.search.rounds import begin_with
from regimen.search.settings import settings_of
from regimen.search.space import LR, Space, TechniqueSpace, technique_space, wanted_names
from regimen.search.storage import (
    FILE,
    default_pruner,
    default_sampler,
    file_storage,
    finished,
    open_study,
    require_optuna,
)
from regimen.store import FILE as STORE
from regimen.store import Store
from regimen.study import StudyOptions, Watch
from regimen.study.layout import Layout
from regimen.study.ledger import Ledger, Trains
from regimen.study.own_modules import planned_model
from regimen.study.phases import Phases
from regimen.study.planning import make_plan
from regimen.study.scored import check_scored_parts
from regimen.study.tracked import TrackedWatch, subject_of
from regimen.tracking import Tracker

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study as OptunaStudy

TRIALS, BUNDLE, PAIRS, CONFIRM = 200, 16, 8, 10
# The phase of the key that seeds the sampler; those of runs are below.
SAMPLER_PHASE = 251
# Folder of the finished runs, inside that of the search.
RUNS = "runs"


def search(
    data: Any,
    *,
    model: ModelSource | None = None,
    space: "Space | str | Iterable[str] | None" = None,
    trials: int = TRIALS,
    bundle: int = BUNDLE,
    pairs: int = PAIRS,
    confirm: int = CONFIRM,
    baseline: Recipe | None = None,
    epochs: int | None = None,
    metric: str | None = None,
    sampler: "BaseSampler | None" = None,
    pruner: "BasePruner | None" = None,
    storage: "str | BaseStorage | None" = None,
    study_name: str | None = None,
    directory: str | Path | None = None,
    engine: str = "auto",
    device: str = "auto",
    processes: int | None = None,
    seed: int = 0,
    watch: Watch | None = None,
    trackers: Sequence[Tracker] = (),
    trainer: Trains | None = None,
) -> SearchResult:
    """Search the space of recipes with Optuna, and confirm the best one against the baseline.

    A trial is one recipe; its value is the mean metric over the same pairs of split and key for all trials. Trials are
    asked for in bundles and trained together, pair by pair; after each pair the pruner may end some of them. The best
    of the trials that ran to their end is then confirmed as a study confirms: on rows that were set aside, or on fresh
    seeds where the table is small, and once on the test part.

    Interrupted, the same call goes on: with `directory`, or with the same `storage` and `study_name`.

    Args:
        data: A table, images or samples, or what `regimen.data.as_data` makes some of.
        model: The network: a description, its name, or a function or class without arguments that makes a
            `torch.nn.Module`; None is `mlp` for a table and `cnn` for images.
        space: What is searched: a function from an Optuna trial and the baseline to a recipe; names of techniques,
            which may be joined by `lr` for the learning rate; None for the rate and all techniques that fit.
        trials: Trials in all, those found in the storage included, >= 1.
        bundle: Trials that are asked for and trained together, >= 1. More use many cores better, and know less of each
            other. Results depend on it.
        pairs: Pairs of each trial, >= 2.
        confirm: Fresh pairs of the confirmation, >= 2.
        baseline: Recipe that all trials change and are compared with; None is Adam without regularization.
        epochs: Epochs of every run, >= 1; None leaves those of the baseline.
        metric: Name of a metric; None takes the one that fits the data.
        sampler: Chooses parameters; None is a tree-structured Parzen estimator with a constant liar, seeded.
        pruner: Ends trials; None is Wilcoxon's test against the best trial, pair by pair, from the fourth on.
        storage: Optuna's, an object or URL; None is `optuna.db` in the directory, or memory without one.
        study_name: Of the Optuna study; None is `regimen-` and the name of the data.
        directory: Folder for storage and finished runs, made if it is missing. One process may write there at a time.
        engine: Which engine trains.
        device: `auto` and `cpu` are the processor; `cuda` trains on the graphics card what can be stacked.
        processes: Runs trained at a time, >= 1; results do not depend on it.
        seed: Of all keys, splits and of the default sampler, 0 <= seed < 2^64.
        watch: Is told of the progress.
        trackers: Take the curves of runs as they finish, see `regimen.tracking`.
        trainer: Trains the runs; None starts one for the duration of the search.

    Raises:
        OptionError: An option does not fit the data or is out of range, the package optuna is missing, or no trial
            could be trained.
        StoreError: The storage or folder is about something else, or in use.
        EngineError: The baseline diverged, or a worker process died.

    Example:
        >>> import optuna
        >>> from regimen.data import load
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> found = search(load("iris"), model="mlp:4", space="l2,lr", trials=4, bundle=2, pairs=2, confirm=2, epochs=2)
        >>> len(found.trials), found.confirmation.pairs
        (4, 2)
    """
    started = time.perf_counter()
    require_optuna()
    for name, value, low in (("trials", trials, 1), ("bundle", bundle, 1), ("confirm", confirm, 2)):
        if value < low:
            raise OptionError(f"{name}: expected at least {low}, got {value}")
    _refuse_classes(sampler, pruner)
    # Names are checked before anything is read or trained.
    names = None if callable(space) else wanted_names(space)
    options = StudyOptions(
        model=model,
        baseline=baseline,
        epochs=epochs,
        techniques=_techniques(names),
        pairs=pairs,
        metric=metric,
        engine=engine,
        device=device,
        processes=processes,
        seed=seed,
    )
    data = as_data(data)
    layout = Layout.of(data)
    with ExitStack() as opened:
        if trainer is None:
            trainer = opened.enter_context(Trainer([data], engine=engine, processes=processes, device=device))
        made = make_plan(layout, options, trainer, processes=1, started=started)
        check_scored_parts(layout, made.metric, seed=seed, pairs=max(pairs, confirm))
        plan = replace(made, arms=(), combinations=0, confirmation_pairs=confirm)
        chosen = space if callable(space) else technique_space(names, [arm.technique for arm in made.arms])
        settings = settings_of(plan, chosen, names)
        store, sole = None, False
        if directory is not None:
            folder = Path(directory)
            store = opened.enter_context(_open_store(folder / RUNS))
            if storage is None:
                # Whoever has the store has this file too.
                storage, sole = opened.enter_context(file_storage(folder / FILE)), True
        study = open_study(
            study_name or f"regimen-{data.name}",
            storage=storage,
            sampler=default_sampler(streams.run_key(seed, pair=0, phase=SAMPLER_PHASE) % 2**32)
            if sampler is None
            else sampler,
            pruner=default_pruner() if pruner is None else pruner,
            higher_is_better=METRICS[plan.metric].higher_is_better,
            settings=settings,
            sole=sole,
        )
        if isinstance(chosen, TechniqueSpace) and not exhaustive(study):
            begin_with(study, chosen.starts(plan.recipe)[: max(1, trials // 4)])
        subject = subject_of("search", plan, settings)
        watch = opened.enter_context(TrackedWatch(watch or Watch(), trackers, subject))
        ledger = Ledger(trainer=trainer, engine=plan.engine, store=store, watch=watch)
        network = planned_model(plan, options.given_model)
        phases = Phases(layout=layout, plan=plan, ledger=ledger, watch=watch, model=network)
        bundles = Bundles(study=study, space=chosen, phases=phases, ledger=ledger, size=bundle, sole=sole)
        watch.planned(bundles.runs_left(trials) + 2 * confirm + 1)
        return _conclude(study, phases, bundles.train(trials), started)


def _refuse_classes(sampler: object, pruner: object) -> None:
    """Refuse what is no sampler or pruner before it is asked: the class instead of an object is an easy slip."""
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    for name, value, kind in (("sampler", sampler, BaseSampler), ("pruner", pruner, BasePruner)):
        if value is not None and not isinstance(value, kind):
            example = f"{value.__name__}()" if isinstance(value, type) else f"one of optuna.{name}s"
            raise OptionError(f"{name}: expected an object such as {example}, got {value!r}")


def _techniques(names: tuple[str, ...] | None) -> str:
    """Return which techniques a study would try, to learn which of them fit."""
    if names is None or "all" in names:
        return "all"
    return ",".join(name for name in names if name != LR) or "all"


def _open_store(folder: Path) -> Store:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"directory: cannot make {folder}: {error.strerror}; choose another") from error
    return Store(folder, create=not (folder / STORE).exists())


def _conclude(study: "OptunaStudy", phases: Phases, baseline: list[float], started: float) -> SearchResult:
    """Confirm the best complete trial, or the baseline where none is better."""
    plan = phases.plan
    trials = tuple(map(trial_record, finished(study)))
    if all(trial.state == "refused" for trial in trials):
        raise OptionError(f"space: no trial could be trained; the first was refused: {trials[0].refusal}")
    sign = 1.0 if METRICS[plan.metric].higher_is_better else -1.0
    mean = math.fsum(baseline) / len(baseline)
    # The first of equals; the baseline too, where no trial is above it.
    gains = [(sign * (trial.mean - mean), trial) for trial in trials if trial.state == "complete" and trial.feasible]
    promised, best = max(gains, key=lambda one: one[0], default=(0.0, None))
    if best is None or promised <= 0:
        promised, best = 0.0, None
    recipe = plan.recipe if best is None else recipe_from_toml(best.recipe)
    concluded = phases.conclude(recipe, search_delta=promised)
    return SearchResult(
        recipe=recipe,
        trial=None if best is None else best.number,
        baseline=plan.recipe,
        metric=plan.metric,
        values=(mean, mean if best is None else best.mean),
        promised=promised,
        confirmation=concluded.confirmation,
        fresh=plan.fresh,
        model=concluded.model,
        trials=trials,
        pairs=plan.pairs,
        # Those of trials that had ended before this process began are not in its ledger.
        runs=len(baseline)
        + sum(len(trial.values) for trial in trials)
        + sum(entry.phase != "search" for entry in phases.ledger.entries),
        seconds=time.perf_counter() - started,
        study=study,
    )
