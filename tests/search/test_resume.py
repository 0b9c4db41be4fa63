"""An interrupted search goes on as if nothing had been: the same trials, values and winner, bit for bit."""

import importlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GridSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from regimen.data import Table
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.search import search
from regimen.search.owners import OWNER, owner
from regimen.search.repeating import ENTROPY
from regimen.search.storage import REFUSED

ASKED: dict[str, Any] = {
    "model": MLP(hidden=(4,)),
    "baseline": Recipe(epochs=2, lr=0.02),
    "metric": "log_loss",
    "study_name": "one",
    "trials": 18,
    "bundle": 4,
    "pairs": 5,
    "seed": 2,
}
WRITES = (
    "create_new_trial",
    "set_study_user_attr",
    "set_study_system_attr",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
)
STEPS = [0.0, 0.05, 0.1, 0.2, 0.3]
# A kill at each write takes minutes; a prime number meets all kinds of writes, which come in periods.
EVERY = 37
# A sampler, and a pruner or None for the default.
Made = tuple[Callable[[], BaseSampler | None], Callable[[], BasePruner | None]]
MADE: dict[str, Made] = {
    "default": (lambda: None, lambda: None),
    "default, no pruner": (lambda: None, NopPruner),
    "random": (lambda: RandomSampler(seed=3), lambda: None),
    "random, no pruner": (lambda: RandomSampler(seed=3), NopPruner),
    "TPE": (lambda: TPESampler(seed=3, n_startup_trials=4), lambda: None),
    "TPE, no pruner": (lambda: TPESampler(seed=3, n_startup_trials=4), NopPruner),
    "independent TPE": (lambda: TPESampler(seed=3, n_startup_trials=4, multivariate=False), lambda: None),
    "NSGA-II": (lambda: NSGAIISampler(seed=3, population_size=4), lambda: None),
    "grid": (lambda: GridSampler({"decay": STEPS, "rate": [0.0, 0.2]}, seed=3), lambda: None),
    "all": (lambda: BruteForceSampler(seed=3), NopPruner),
}


class Killed(BaseException):
    """What a process does no more once it is dead."""


class Mortal(optuna.storages.InMemoryStorage):
    """A storage whose process dies at a write: that one and all that follow are lost until somebody goes on."""

    def __init__(self, lives: int | None = None) -> None:
        super().__init__()
        self.lives = lives
        self.log: list[tuple[str, int]] = []

    def written(self, name: str, number: int, nth: int = 0) -> int:
        """Return how many writes came before the nth of a kind for one trial."""
        return [index for index, entry in enumerate(self.log) if entry == (name, number)][nth]


def _mortal(name: str) -> Callable[..., Any]:
    def write(self: Mortal, number: int, *args: Any, **kwargs: Any) -> Any:
        if self.lives is not None and len(self.log) >= self.lives:
            raise Killed
        # Numbers of trials are their identities in memory; a new trial is named only afterwards.
        result = getattr(super(Mortal, self), name)(number, *args, **kwargs)
        self.log.append((name, result if name == "create_new_trial" else number))
        return result

    return write


for _name in WRITES:
    setattr(Mortal, _name, _mortal(_name))


class Formula:
    """A trainer that makes up every result, and may be interrupted before a run."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.trained: list[str] = []

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        results = []
        for index, run in enumerate(runs):
            if len(self.trained) == self.stop_after:
                raise KeyboardInterrupt
            self.trained.append(run.identity)
            recipe = run.recipe
            metric = 1.0 + abs(recipe.weight_decay - 0.1) + sum(recipe.rates) + run.key % 100 / 1e5
            shared = {"status": "finished", "train_loss": 0.1, "validation_loss": 0.2, "epochs_run": 2, "epoch": 2}
            results.append(RunResult(identity=run.identity, metric=metric, steps=4, seconds=0.1, **shared))
            if on_result is not None:
                on_result(index, results[-1])
        return results


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the confirmation, and let trials belong to a process that is dead by now."""
    monkeypatch.setattr(importlib.import_module("regimen.search.search"), "_conclude", lambda study, *_: study)
    monkeypatch.setattr("regimen.search.bundles.owner", lambda: [*owner()[:2], -1])


def space(trial: optuna.Trial, baseline: Recipe) -> Recipe:
    """Two parameters, a third at times, and at times a recipe that contradicts itself."""
    recipe = baseline.replace(weight_decay=trial.suggest_float("decay", 0.0, 0.3))
    if trial.suggest_categorical("kind", ["none", "dropout"]) == "dropout":
        return recipe.replace(dropout=trial.suggest_float("rate", 0.0, 0.5))
    return recipe.replace(mixup=0.1, cutmix=0.1) if recipe.weight_decay > 0.2 else recipe


def finite(trial: optuna.Trial, baseline: Recipe) -> Recipe:
    """A space that can be tried whole."""
    decay = trial.suggest_categorical("decay", STEPS)
    return baseline.replace(weight_decay=decay, dropout=trial.suggest_categorical("rate", [0.0, 0.2]))


def searched(iris: Table, storage: Mortal, made: str, trainer: Formula | None = None, **changed: Any) -> list[Any]:
    """Search, and return all that is known of each trial but whose it was."""
    sampler, pruner = MADE[made]
    asked = (
        ASKED
        | {"sampler": sampler(), "pruner": pruner(), "space": finite if made in ("grid", "all") else space}
        | changed
    )
    study: Any = search(iris, **asked, storage=storage, trainer=trainer or Formula())
    return [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            trial.intermediate_values,
            trial.system_attrs,
            {key: value for key, value in trial.user_attrs.items() if key != OWNER},
        )
        for trial in study.trials
    ]


Whole = Callable[[str], tuple[Mortal, list[Any]]]


@pytest.fixture(scope="module")
def whole(iris: Table) -> Whole:
    """Return undisturbed searches, each made once."""
    known: dict[str, tuple[Mortal, list[Any]]] = {}

    def get(made: str) -> tuple[Mortal, list[Any]]:
        if made not in known:
            storage = Mortal()
            known[made] = storage, searched(iris, storage, made)
        return known[made]

    return get


def resumed(iris: Table, made: str, *lives: int) -> list[Any]:
    """Return a search whose process was killed after so many writes, gone on with as often."""
    storage = Mortal()
    for life in lives:
        storage.lives = life
        with pytest.raises(Killed):
            searched(iris, storage, made)
    storage.lives = None
    return searched(iris, storage, made)


def test_the_search_that_is_interrupted_here_has_trials_of_every_kind(whole: Whole) -> None:
    _, trials = whole("default")
    states = [state for _, state, *_ in trials]
    assert {"COMPLETE", "PRUNED"} == set(states)
    assert any(REFUSED in attributes for *_, attributes in trials)
    assert any(state == "PRUNED" and 4 <= len(values) < 5 for _, state, _, _, values, *_ in trials)
    assert states[4:8] == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]
    assert {"rate" in parameters for _, _, _, parameters, *_ in trials} == {True, False}


# Bundles of four: trials 4 to 7 are the second round, and from trial 12 on the default sampler has learned something.
MOMENTS: dict[str, tuple[str, int, int]] = {
    "as the study begins": ("set_study_user_attr", 0, 1),
    "after the first round": ("create_new_trial", 4, 0),
    "before a trial has an owner": ("set_trial_user_attr", 5, 0),
    "between two parameters": ("set_trial_param", 13, 1),
    "before a recipe is stored": ("set_trial_user_attr", 6, 2),
    "between two reports": ("set_trial_intermediate_value", 6, 2),
    "between two tells": ("set_trial_state_values", 7, 0),
    "before the last write": ("set_trial_state_values", 17, 0),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("made", ["default", pytest.param("default, no pruner", marks=pytest.mark.slow)])
def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(
    iris: Table, whole: Whole, made: str, moment: str
) -> None:
    storage, trials = whole(made)
    assert resumed(iris, made, storage.written(*MOMENTS[moment])) == trials


@pytest.mark.parametrize("made", ["random", "TPE, no pruner"])
def test_so_does_one_with_a_sampler_of_its_own_even_killed_twice(iris: Table, whole: Whole, made: str) -> None:
    storage, trials = whole(made)
    lives = [storage.written(*MOMENTS[moment]) for moment in ("between two reports", "between two parameters")]
    assert resumed(iris, made, *lives) == trials


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("made", MADE)
def test_a_kill_at_any_of_many_writes_changes_nothing(iris: Table, whole: Whole, made: str) -> None:
    storage, trials = whole(made)
    differing = [life for life in range(1, len(storage.log), EVERY) if resumed(iris, made, life) != trials]
    assert differing == []


@pytest.mark.parametrize("stop_after", [3, 26, 39], ids=["first round", "second round", "third round"])
def test_an_interrupt_during_training_changes_nothing_and_loses_no_reported_run(
    iris: Table, whole: Whole, stop_after: int
) -> None:
    storage, first, second = Mortal(), Formula(stop_after=stop_after), Formula()
    with pytest.raises(KeyboardInterrupt):
        searched(iris, storage, "default", first)
    reported = sum(name == "set_trial_intermediate_value" for name, _ in storage.log)
    assert searched(iris, storage, "default", second) == whole("default")[1]
    runs = sum(len(values) for *_, values, _, _ in whole("default")[1])
    assert 0 <= len(first.trained) - reported < 10
    # The baseline is trained with the first round, and stored after it.
    assert len(second.trained) == runs - reported + 5 * (stop_after == 3)


def test_the_same_sampler_object_goes_on_too_whatever_it_has_drawn_since(iris: Table, whole: Whole) -> None:
    sampler, storage = RandomSampler(seed=3), Mortal()
    with pytest.raises(KeyboardInterrupt):
        searched(iris, storage, "random", Formula(stop_after=26), sampler=sampler)
    optuna.create_study(sampler=sampler).ask().suggest_float("anything", 0.0, 1.0)
    assert searched(iris, storage, "random", sampler=sampler) == whole("random")[1]


def test_a_sampler_without_a_seed_goes_on_as_it_began(iris: Table) -> None:
    storage = Mortal()
    first = searched(iris, storage, "random", sampler=RandomSampler(), trials=4)
    assert searched(iris, Mortal(), "random", sampler=RandomSampler(), trials=4) != first
    # All that follows is drawn from what the first process has left.
    entropy = optuna.load_study(study_name="one", storage=storage).user_attrs[ENTROPY]
    again = Mortal()
    optuna.create_study(study_name="one", storage=again).set_user_attr(ENTROPY, entropy)
    assert searched(iris, again, "random", sampler=RandomSampler(), trials=4) == first


def test_fewer_trials_than_are_under_way_are_brought_to_their_end_first(iris: Table, whole: Whole) -> None:
    storage = Mortal()
    with pytest.raises(KeyboardInterrupt):
        searched(iris, storage, "default, no pruner", Formula(stop_after=26))
    done = sum(trial.state.is_finished() for trial in optuna.load_study(study_name="one", storage=storage).trials)
    some = searched(iris, storage, "default, no pruner", trials=done + 1)
    assert [state for _, state, *_ in some].count("RUNNING") == 2
    assert searched(iris, storage, "default, no pruner") == whole("default, no pruner")[1]


def test_starts_that_a_kill_kept_away_are_asked_for(iris: Table) -> None:
    named, undisturbed = {"space": "dropout,l2,lr", "trials": 12}, Mortal()
    trials = searched(iris, undisturbed, "default", **named)
    storage = Mortal(undisturbed.written("create_new_trial", 1))
    with pytest.raises(Killed):
        searched(iris, storage, "default", **named)
    storage.lives = None
    assert searched(iris, storage, "default", **named) == trials
