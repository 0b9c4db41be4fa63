"""A search beside Optuna's own ways: grids that end, constraints, storages of others, choices that are not stored."""

import importlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BruteForceSampler, GridSampler, RandomSampler, TPESampler

from regimen.data import Table
from regimen.engine import Trainer
from regimen.errors import OptionError, StoreError
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.search import search
from regimen.search.owners import OWNER
from regimen.study import Watch
from regimen.study.layout import search_key

DECAYS = [0.0, 0.1, 0.2, 0.3]
ASKED: dict[str, Any] = {
    "model": MLP(hidden=(4,)),
    "baseline": Recipe(epochs=1),
    "metric": "log_loss",
    "pairs": 2,
    "confirm": 2,
    "trials": 6,
}
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class Made:
    """A trainer that makes up the results of a search, the better the more decay, and trains what confirms it."""

    def __init__(self, table: Table) -> None:
        self.inner = Trainer([table], processes=1)

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        if keep:
            return self.inner.train(runs, keep=keep, on_result=on_result)
        shared = {"status": "finished", "train_loss": 0.1, "validation_loss": 0.2, "epochs_run": 1, "epoch": 1}
        results = []
        for index, run in enumerate(runs):
            metric = 1.0 - run.recipe.weight_decay
            results.append(RunResult(identity=run.identity, metric=metric, steps=4, seconds=0.1, **shared))
            if on_result is not None:
                on_result(index, results[-1])
        return results


def grid(trial: optuna.Trial, baseline: Recipe) -> Recipe:
    return baseline.replace(weight_decay=trial.suggest_categorical("decay", DECAYS))


def decay(trial: optuna.Trial, baseline: Recipe) -> Recipe:
    return baseline.replace(weight_decay=trial.suggest_float("decay", 0.0, 0.3))


@pytest.mark.parametrize("bundle", [1, 3, 16])
@pytest.mark.parametrize(
    "sampler", [lambda: GridSampler({"decay": DECAYS}, seed=0), lambda: BruteForceSampler(seed=0)], ids=["grid", "all"]
)
def test_a_sampler_that_has_tried_everything_ends_the_search_for_good(
    iris: Table, sampler: Callable[[], Any], bundle: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("regimen.search.search"), "_conclude", lambda study, *_: study)
    asked = ASKED | {"space": grid, "trials": 40, "bundle": bundle, "storage": optuna.storages.InMemoryStorage()}
    study: Any = search(iris, **asked, sampler=sampler(), trainer=Made(iris))
    complete = [trial.params["decay"] for trial in study.trials if trial.state.name == "COMPLETE"]
    assert sorted(complete) == DECAYS
    number = len(study.trials)
    assert [trial.state.name for trial in study.trials].count("FAIL") == number - 4 <= 1
    again: Any = search(iris, **asked, sampler=sampler(), trainer=Made(iris))
    assert len(again.trials) == number
    # Another sampler has more to ask.
    asked["trials"] = 6
    more: Any = search(iris, **asked, sampler=RandomSampler(seed=0), trainer=Made(iris))
    assert [trial.state.name for trial in more.trials].count("COMPLETE") == 6


def test_a_recipe_that_violates_a_constraint_of_optuna_does_not_win(iris: Table) -> None:
    def constrained(trial: optuna.Trial, baseline: Recipe) -> Recipe:
        recipe = decay(trial, baseline)
        trial.set_user_attr("excess", recipe.weight_decay - 0.15)
        return recipe

    with pytest.warns(FutureWarning, match="constraints_func"):
        sampler = TPESampler(seed=0, constraints_func=lambda trial: (trial.user_attrs["excess"],))
    found = search(iris, **ASKED | {"trials": 12}, space=constrained, sampler=sampler, trainer=Made(iris))
    feasible = [trial.parameters["decay"] for trial in found.trials if trial.feasible]
    assert 0 < len(feasible) < 12
    assert max(feasible) <= 0.15 < max(trial.parameters["decay"] for trial in found.trials)
    assert found.recipe.weight_decay == max(feasible)
    assert f"{12 - len(feasible)} against a constraint" in str(found)


def test_an_error_of_a_function_of_constraints_is_told_as_it_is(iris: Table) -> None:
    def impossible(trial: optuna.trial.FrozenTrial) -> tuple[float]:
        return (float("nan"),)

    with pytest.warns(FutureWarning, match="constraints_func"):
        sampler = TPESampler(seed=0, constraints_func=impossible)
    with pytest.raises(ValueError, match="Constraint values cannot be NaN"):
        search(iris, **ASKED, space=decay, sampler=sampler, trainer=Made(iris))


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
@pytest.mark.parametrize("choices", [[(0.1,), (0.3,)], [[0.1], [0.3]], [Recipe(), Recipe(lr=0.1)]])
def test_choices_that_a_storage_does_not_give_back_are_refused_at_once(iris: Table, choices: list[Any]) -> None:
    def space(trial: optuna.Trial, baseline: Recipe) -> Recipe:
        trial.suggest_categorical("rates", choices)
        return baseline

    with pytest.raises(OptionError, match="expected None, bool, int, float or str as choices of 'rates', got"):
        search(iris, **ASKED, space=space, trainer=Made(iris))


def test_attributes_of_a_users_own_do_not_meet_those_of_the_search(iris: Table) -> None:
    def space(trial: optuna.Trial, baseline: Recipe) -> Recipe:
        for name in ("owner", "round", "recipe", "refused"):
            trial.set_user_attr(name, "mine")
        return decay(trial, baseline)

    found = search(iris, **ASKED, space=space, trainer=Made(iris))
    assert {trial.state for trial in found.trials} == {"complete"}
    assert {trial.user_attrs["round"] for trial in found.study.trials} == {"mine"}


@pytest.mark.parametrize(
    ("directions", "found"), [(["maximize"], "one to maximize"), (["minimize"] * 2, "one to minimize, minimize")]
)
def test_a_study_in_another_direction_is_refused(iris: Table, directions: list[str], found: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="one", storage=storage, directions=directions)
    with pytest.raises(StoreError, match=f"expected one to minimize, found {found}; choose another study_name"):
        search(iris, **ASKED, space=decay, storage=storage, study_name="one", trainer=Made(iris))


@pytest.mark.parametrize("url", ["search.db", "sqlite:////nowhere/at/all.db", "nosuch://secret@host/db"])
def test_a_storage_that_can_not_be_opened_is_told_in_one_message(iris: Table, url: str) -> None:
    with pytest.raises(StoreError, match=r"storage: it cannot be used \(.*sqlite:///search\.db") as told:
        search(iris, **ASKED, space=decay, storage=url, trainer=Made(iris))
    assert "secret" not in str(told.value)


class Failing(optuna.storages.InMemoryStorage):
    """A storage that takes nothing any more after some values."""

    left = 7

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise optuna.exceptions.StorageInternalError("commit failed") from OSError("disk full")
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)


def test_a_storage_that_fails_ends_the_search_with_one_message_and_can_be_gone_on_with(iris: Table) -> None:
    asked = ASKED | {"space": decay, "storage": Failing(), "study_name": "one"}
    with pytest.raises(StoreError, match=r"study 'one' failed \(disk full\); .* ask again"):
        search(iris, **asked, trainer=Made(iris))
    assert len(search(iris, **asked, trainer=Made(iris)).trials) == 6


class Interrupted(Made):
    """Stops in the second pair."""

    def train(self, runs: Sequence[Run], **given: Any) -> list[RunResult]:
        if runs[0].key != self.key:
            raise KeyboardInterrupt
        return super().train(runs, **given)


def test_in_a_folder_trials_of_whatever_computer_are_gone_on_with(iris: Table, tmp_path: Path) -> None:
    trainer = Interrupted(iris)
    trainer.key = search_key(0, 0)
    asked = ASKED | {"space": decay, "directory": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        search(iris, **asked, trainer=trainer)
    left = optuna.load_study(study_name="regimen-iris", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    numbers = [trial.number for trial in left.trials if trial.state.name == "RUNNING"]
    assert numbers == list(range(6))
    for trial in left.trials:
        left._storage.set_trial_user_attr(trial._trial_id, OWNER, ["another computer", 1, 1])
    found = search(iris, **asked, trainer=Made(iris))
    assert [trial.number for trial in found.trials] == numbers


class Counting(Watch):
    """Counts the runs that are told of."""

    def __init__(self) -> None:
        self.expected, self.told = 0, 0

    def planned(self, runs: int) -> None:
        self.expected = runs

    def finished(self, result: RunResult, *, stored: bool, arm: str) -> None:
        self.told += 1


def test_as_many_runs_are_planned_as_are_left(iris: Table, tmp_path: Path) -> None:
    asked = ASKED | {"space": decay, "pruner": optuna.pruners.NopPruner(), "directory": tmp_path}
    first, second = Counting(), Counting()
    search(iris, **asked, watch=first, trainer=Made(iris))
    assert first.expected == first.told == 2 * (1 + 6) + 2 * 2 + 1
    search(iris, **asked | {"trials": 8}, watch=second, trainer=Made(iris))
    assert second.expected == second.told == 2 * 2 + 2 * 2 + 1
