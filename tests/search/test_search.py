"""A whole search: bundles that shrink, the winner and its confirmation, what is refused, and what is left out."""

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from regimen.data import Table, load
from regimen.engine import Trainer
from regimen.errors import EngineError, OptionError, StoreError
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run, recipe_from_toml
from regimen.search import SearchResult, TrialRecord, search
from regimen.search.owners import OWNER, owner
from regimen.search.space import technique_space
from regimen.search.storage import default_pruner
from regimen.study.layout import confirmation_key, search_key
from regimen.techniques import SGD

BASELINE = Recipe(epochs=2, lr=0.02)
SMALL: dict[str, Any] = {"model": MLP(hidden=(4,)), "baseline": BASELINE, "confirm": 2, "metric": "log_loss"}


def loss(run: Run) -> float:
    """A loss whose best recipe is known: weight decay 0.1 and no dropout; pairs differ a little."""
    return 1.0 + abs(run.recipe.weight_decay - 0.1) + sum(run.recipe.rates) + run.key % 100 / 1e5


class Made:
    """A trainer that makes up the results of a search, and trains what confirms it."""

    def __init__(self, table: Table, *, bend: Callable[[Run], float] = loss, stop_after: int | None = None) -> None:
        self.inner, self.bend, self.stop_after = Trainer([table], processes=1), bend, stop_after
        self.calls: list[list[Run]] = []
        self.confirmed: list[Run] = []
        self.during: Callable[[], None] = lambda: None

    @property
    def searched(self) -> list[Run]:
        return [run for call in self.calls for run in call]

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        if keep:
            self.confirmed += runs
            return self.inner.train(runs, keep=keep, on_result=on_result)
        self.calls.append([])
        results = []
        for index, run in enumerate(runs):
            if len(self.searched) == self.stop_after:
                raise KeyboardInterrupt
            self.during()
            self.calls[-1].append(run)
            shared = {"status": "finished", "train_loss": 0.1, "validation_loss": 0.2, "epochs_run": 2, "epoch": 2}
            results.append(RunResult(identity=run.identity, metric=self.bend(run), steps=4, seconds=0.1, **shared))
            if on_result is not None:
                on_result(index, results[-1])
        return results


def decay(trial: optuna.Trial, baseline: Recipe) -> Recipe:
    return baseline.replace(weight_decay=trial.suggest_float("decay", 0.0, 0.3))


def figures(found: SearchResult) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.state, trial.values, trial.parameters) for trial in found.trials]


def test_the_same_seed_finds_the_same_whatever_the_processes_and_another_seed_another(iris: Table) -> None:
    asked = SMALL | {"space": "dropout,l2,lr", "trials": 8, "bundle": 3, "pairs": 2}
    first, again = search(iris, **asked, processes=1), search(iris, **asked, processes=2)
    assert figures(first) == figures(again)
    assert first.confirmation == again.confirmation
    assert first.toml == again.toml
    assert figures(search(iris, **asked, seed=1)) != figures(first)


def test_a_bundle_is_trained_in_one_call_for_each_pair_and_the_baseline_with_the_first(iris: Table) -> None:
    trainer = Made(iris)
    search(iris, **SMALL, space=decay, trials=5, bundle=2, pairs=3, trainer=trainer)
    assert [len(call) for call in trainer.calls] == [3] * 3 + [2] * 3 + [1] * 3
    keys = [{run.key for run in call} for call in trainer.calls]
    assert keys == [{search_key(0, pair)} for pair in range(3)] * 3
    assert trainer.calls[0][0].recipe == BASELINE


def test_the_parameters_of_one_bundle_differ_once_the_sampler_has_learned(iris: Table) -> None:
    found = search(iris, **SMALL, space=decay, trials=60, bundle=20, pairs=2, trainer=Made(iris))
    late = [trial.parameters["decay"] for trial in found.trials[-20:]]
    assert len(set(late)) == 20
    assert min(abs(value - 0.1) for value in late) < 0.02


def test_off_and_each_technique_are_offered_alike_and_no_start_twice(iris: Table) -> None:
    found = search(
        iris, **SMALL, space="dropout,l2,decoupled_decay,lr", trials=12, bundle=12, pairs=2, trainer=Made(iris)
    )
    choices = {name: getattr(d, "choices", ()) for name, d in found.study.trials[0].distributions.items()}
    assert choices["dropout"] == ("off", "dropout")
    assert choices["decay"] == ("off", "l2", "decoupled_decay")
    starts = [tuple(sorted(trial.parameters.items())) for trial in found.trials[:3]]
    assert len(set(starts)) == 3


def test_hopeless_trials_leave_the_bundle_and_no_trial_goes_before_the_fourth_pair(iris: Table) -> None:
    trainer = Made(iris)
    found = search(iris, **SMALL, space=decay, trials=24, bundle=8, pairs=8, trainer=trainer)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert all(4 <= len(trial.values) < 8 for trial in pruned)
    assert len(trainer.searched) == 8 + sum(len(trial.values) for trial in found.trials)
    # What differs between pairs is the same for all recipes, so whoever is pruned is truly worse than the best.
    best = min(distance(trial) for trial in found.trials if trial.state == "complete")
    assert all(distance(trial) > best for trial in pruned)


def distance(trial: TrialRecord) -> float:
    return abs(trial.parameters["decay"] - 0.1)


def test_the_default_pruner_waits_for_four_pairs_even_where_every_difference_is_the_same() -> None:
    study = optuna.create_study(pruner=default_pruner())
    best = study.ask()
    for pair in range(8):
        best.report(0.0, pair)
    study.tell(best, 0.0)
    worse, pruned = study.ask(), []
    for pair in range(5):
        worse.report(1.0, pair)
        pruned.append(worse.should_prune())
    assert pruned == [False, False, False, True, True]


def test_the_best_complete_trial_wins_and_is_confirmed_where_the_search_never_looked(iris: Table) -> None:
    trainer = Made(iris)
    found = search(iris, **SMALL, space=decay, trials=12, bundle=4, pairs=3, trainer=trainer)
    complete = [trial for trial in found.trials if trial.state == "complete"]
    best = min(complete, key=lambda trial: trial.mean)
    assert found.trial == best.number
    assert recipe_from_toml(found.toml) == found.recipe == BASELINE.replace(weight_decay=best.parameters["decay"])
    assert found.promised == pytest.approx(0.1 - abs(best.parameters["decay"] - 0.1))
    assert found.confirmation.search_delta == found.promised
    assert found.values[0] - found.values[1] == pytest.approx(found.promised)
    fresh = {confirmation_key(0, pair) for pair in range(2)}
    assert {run.key for run in trainer.confirmed[:-1]} == fresh
    assert {run.recipe for run in trainer.confirmed[:-1]} == {BASELINE, found.recipe}
    assert trainer.confirmed[-1].recipe == found.recipe
    assert found.confirmation.test.rows == len(trainer.confirmed[-1].split.test)
    said = str(found)
    assert f"trial {best.number}" in said and "promised" in said and "confirmed (fresh seeds, 2 pairs)" in said


def test_where_no_trial_is_better_the_recipe_is_the_baseline(iris: Table) -> None:
    trainer = Made(iris, bend=lambda run: 1.0 + run.recipe.weight_decay)
    found = search(iris, **SMALL, space=decay, trials=4, bundle=4, pairs=2, trainer=trainer)
    assert found.trial is None
    assert found.recipe == BASELINE
    assert (found.promised, found.confirmation.delta) == (0.0, 0.0)
    assert "no trial was better than the baseline" in str(found)


def test_a_metric_that_rises_is_maximized(iris: Table) -> None:
    trainer = Made(iris, bend=lambda run: -loss(run))
    found = search(iris, **SMALL | {"metric": "accuracy"}, space=decay, trials=6, bundle=3, pairs=2, trainer=trainer)
    assert found.study.direction.name == "MAXIMIZE"
    assert found.values[1] == max(trial.mean for trial in found.trials) > found.values[0]
    assert found.promised > 0


def contradictory(trial: optuna.Trial, baseline: Recipe) -> Recipe:
    mixed = trial.suggest_float("mixed", 0.1, 1.0)
    return baseline.replace(mixup=mixed, cutmix=0.5 if trial.suggest_categorical("both", [True, False]) else 0.0)


def test_contradictory_and_misfitting_recipes_count_as_refused_and_end_nothing(iris: Table) -> None:
    found = search(iris, **SMALL, space=contradictory, trials=10, bundle=4, pairs=2, trainer=Made(iris))
    refused = [trial for trial in found.trials if trial.state == "refused"]
    assert 0 < len(refused) < 10 == len(found.trials)
    assert all("cutmix" in trial.refusal and not trial.values for trial in refused)
    # No recipe is wrong in itself here, but two hidden layers' rates do not fit one.
    misfit = search(
        iris,
        **SMALL,
        space=lambda trial, base: base.replace(dropout=(0.1,) * trial.suggest_int("rates", 1, 2)),
        trials=8,
        pairs=2,
        trainer=Made(iris),
    )
    assert {trial.state for trial in misfit.trials} == {"complete", "refused"}


def test_a_search_whose_every_recipe_is_impossible_says_why(iris: Table) -> None:
    with pytest.raises(OptionError, match="no trial could be trained; the first was refused: cutmix"):
        search(
            iris,
            **SMALL,
            space=lambda trial, base: base.replace(mixup=trial.suggest_float("m", 0.1, 1.0), cutmix=1.0),
            trials=3,
            pairs=2,
            trainer=Made(iris),
        )


def test_a_space_that_gives_no_recipe_is_refused(iris: Table) -> None:
    with pytest.raises(OptionError, match=r"returns a Recipe, got 0\.3"):
        search(iris, **SMALL, space=lambda trial, base: 0.3, trials=3, pairs=2, trainer=Made(iris))


def test_trials_that_diverge_end_nothing_and_score_as_constant_guesses(iris: Table) -> None:
    def wild(trial: optuna.Trial, baseline: Recipe) -> Recipe:
        decay = trial.suggest_categorical("decay", [0.0, 1e38])
        return baseline.replace(optimizer=SGD(), weight_decay=decay) if decay else baseline

    sampler = optuna.samplers.GridSampler({"decay": [0.0, 1e38]}, seed=0)
    found = search(iris, **SMALL, space=wild, trials=2, bundle=2, pairs=2, sampler=sampler, processes=1)
    calm, diverged = sorted(found.trials, key=lambda trial: trial.parameters["decay"])
    assert diverged.state == "complete"
    assert calm.mean == found.values[0]
    assert diverged.mean == pytest.approx(1.0986, abs=0.02)  # log 3


def test_a_baseline_that_always_diverges_ends_the_search(iris: Table) -> None:
    wild = SMALL | {"baseline": BASELINE.replace(optimizer=SGD(), weight_decay=1e38)}
    with pytest.raises(EngineError, match="the baseline diverged in all 2 pairs"):
        search(iris, **wild, space="dropout", trials=1, pairs=2)


def test_any_sampler_pruner_and_storage_of_optuna_serves(iris: Table, tmp_path: Path) -> None:
    class Counting(optuna.pruners.BasePruner):
        asked = 0

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            self.asked += 1
            return trial.number == 1

    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
    storage, pruner = optuna.storages.JournalStorage(journal), Counting()
    grid = optuna.samplers.GridSampler({"decay": [0.0, 0.1, 0.2, 0.3]}, seed=0)
    found = search(
        iris,
        **SMALL,
        space=decay,
        trials=100,  # the grid has four
        bundle=2,
        pairs=3,
        sampler=grid,
        pruner=pruner,
        storage=storage,
        study_name="grid",
        trainer=Made(iris),
    )
    assert sorted(trial.parameters["decay"] for trial in found.trials) == [0.0, 0.1, 0.2, 0.3]
    assert {trial.number: trial.state for trial in found.trials}[1] == "pruned"
    assert pruner.asked == 3 * 2 + 1  # never after the last pair, which leaves nothing to save
    assert len(optuna.load_study(study_name="grid", storage=storage).trials) == 4


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"trials": 0}, "trials: expected at least 1"),
        ({"bundle": 0}, "bundle: expected at least 1"),
        ({"confirm": 1}, "confirm: expected at least 2"),
        ({"pairs": 1}, "pairs: expected at least 2"),
        ({"space": "droput"}, "did you mean 'dropout'"),
        ({"space": "cutmix"}, "none of cutmix"),
        (
            {"sampler": optuna.samplers.RandomSampler},
            r"sampler: expected an object such as RandomSampler\(\), got <class",
        ),
        ({"pruner": "median"}, "pruner: expected an object such as one of optuna.pruners, got 'median'"),
    ],
    ids=["trials", "bundle", "confirm", "pairs", "unknown", "images", "class", "name"],
)
def test_options_that_can_not_be_are_refused(iris: Table, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        search(iris, **SMALL | wrong)


ASKED: dict[str, Any] = SMALL | {"space": decay, "trials": 6, "bundle": 3, "pairs": 3}


@pytest.mark.parametrize("stop_after", [2, 15])
def test_an_interrupted_search_ends_as_an_undisturbed_one_and_trains_no_run_twice(
    iris: Table, tmp_path: Path, stop_after: int
) -> None:
    whole = search(iris, **ASKED, trainer=Made(iris))
    first, second = Made(iris, stop_after=stop_after), Made(iris)
    with pytest.raises(KeyboardInterrupt):
        search(iris, **ASKED, directory=tmp_path, trainer=first)
    stopped = optuna.load_study(study_name="regimen-iris", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    # Nobody's, so that the same process may go on with them.
    assert {trial.user_attrs[OWNER] for trial in stopped.trials if trial.state.name == "RUNNING"} == {None}
    found = search(iris, **ASKED, directory=tmp_path, trainer=second)
    assert figures(found) == figures(whole)
    assert (found.trial, found.toml, found.values, found.promised) == (
        whole.trial,
        whole.toml,
        whole.values,
        whole.promised,
    )
    assert found.confirmation == whole.confirmation
    assert found.runs == whole.runs == 3 * (6 + 1) + 2 * 2 + 1
    trained = [run.identity for run in first.searched + second.searched]
    assert len(trained) == len(set(trained)) == 3 * (6 + 1)
    again = Made(iris)
    repeated = search(iris, **ASKED, directory=tmp_path, trainer=again)
    assert not again.calls and not again.confirmed
    assert figures(repeated) == figures(found)
    assert repeated.confirmation == found.confirmation
    assert repeated.runs == found.runs


def test_more_trials_go_on_from_those_that_are_there_and_ask_for_others(iris: Table) -> None:
    storage = optuna.storages.InMemoryStorage()
    first = search(iris, **ASKED, storage=storage, study_name="one", trainer=Made(iris))
    more = search(iris, **ASKED | {"trials": 12}, storage=storage, study_name="one", trainer=Made(iris))
    assert figures(more)[:6] == figures(first)
    assert len({trial.parameters["decay"] for trial in more.trials}) == len(more.trials) == 12


def test_a_trial_that_somebody_left_under_way_is_gone_on_with(iris: Table) -> None:
    storage = optuna.storages.InMemoryStorage()
    search(iris, **ASKED, storage=storage, study_name="one", trainer=Made(iris))
    killed = optuna.load_study(study_name="one", storage=storage).ask()
    left = killed.suggest_float("decay", 0.0, 0.3)
    found = search(iris, **ASKED | {"trials": 8}, storage=storage, study_name="one", trainer=Made(iris))
    assert [trial.state.name for trial in found.study.trials] == ["COMPLETE"] * 8
    assert found.trials[killed.number].parameters == {"decay": left}


@pytest.mark.parametrize(
    "other, named",
    [
        ({"model": "mlp:5"}, "its model is mlp:4, not mlp:5"),
        ({"pairs": 4}, "its pairs is 3, not 4"),
        ({"seed": 7}, "its seed is 0, not 7"),
        ({"space": "dropout"}, r"its space is the function decay \(\w{12}\), not dropout \(\w{12}\)"),
        (
            {"baseline": BASELINE.replace(lr=0.5)},
            "something else: its baseline has lr = 0.02, not 0.5; ask for the same",
        ),
        ({"epochs": 5}, "something else: its baseline has epochs = 2, not 5; ask for the same"),
    ],
    ids=["model", "pairs", "seed", "space", "baseline", "epochs"],
)
def test_a_storage_of_another_search_is_refused(iris: Table, other: dict[str, Any], named: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    search(iris, **ASKED, storage=storage, study_name="one", trainer=Made(iris))
    with pytest.raises(StoreError, match=named):
        search(iris, **ASKED | other, storage=storage, study_name="one", trainer=Made(iris))


def test_a_storage_about_other_data_or_of_someone_else_is_refused(iris: Table) -> None:
    storage = optuna.storages.InMemoryStorage()
    search(iris, **ASKED, storage=storage, study_name="one", trainer=Made(iris))
    with pytest.raises(StoreError, match=r"its data is iris .*, not wine"):
        search(load("wine"), **ASKED, storage=storage, study_name="one")
    optuna.create_study(study_name="two", storage=storage).optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(StoreError, match="was not made by regimen"):
        search(iris, **ASKED, storage=storage, study_name="two")


def test_others_read_the_file_while_one_searches_and_nobody_else_may_write_there(iris: Table, tmp_path: Path) -> None:
    states: list[list[str]] = []

    def look() -> None:
        study = optuna.load_study(study_name="regimen-iris", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
        states.append([trial.state.name for trial in study.trials])
        if len(states) == 1:
            with pytest.raises(StoreError, match="in use by another process"):
                search(iris, **ASKED, directory=tmp_path, trainer=Made(iris))

    trainer = Made(iris)
    trainer.during = look
    search(iris, **ASKED | {"trials": 2, "bundle": 1, "pairs": 2}, directory=tmp_path, trainer=trainer)
    assert states[0] == ["RUNNING"]
    assert states[-1] == ["COMPLETE", "RUNNING"]


def test_afterwards_one_file_holds_all_trials_and_the_result_can_still_be_asked(iris: Table, tmp_path: Path) -> None:
    found = search(iris, **ASKED | {"trials": 2}, directory=tmp_path, trainer=Made(iris))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["optuna.db", "runs"]
    assert [trial.state.name for trial in found.study.trials] == ["COMPLETE"] * 2


def test_a_file_that_is_no_storage_is_refused(iris: Table, tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("nothing of Optuna's" * 100)
    with pytest.raises(StoreError, match="cannot be used as a storage of Optuna"):
        search(iris, **ASKED, directory=tmp_path, trainer=Made(iris))


def under_way(storage: optuna.storages.BaseStorage, held: list[Any]) -> int:
    """Leave a trial of some owner under way in the study `one`, and return its number."""
    trial = optuna.load_study(study_name="one", storage=storage).ask()
    trial.suggest_float("decay", 0.0, 0.3)
    trial.set_user_attr(OWNER, held)
    return trial.number


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize(
    ("held", "state"),
    [
        (lambda: owner(ended_process()), "COMPLETE"),
        (lambda: [*owner()[:2], -1], "COMPLETE"),
        (lambda: ["another computer", 1, 1], "RUNNING"),
    ],
    ids=["ended", "number given out again", "another computer"],
)
def test_only_trials_of_dead_processes_of_this_computer_are_gone_on_with(
    iris: Table, held: Callable[[], list[Any]], state: str
) -> None:
    storage = optuna.storages.InMemoryStorage()
    search(iris, **ASKED, storage=storage, study_name="one", trainer=Made(iris))
    left = under_way(storage, held())
    found = search(iris, **ASKED | {"trials": 7}, storage=storage, study_name="one", trainer=Made(iris))
    assert found.study.trials[left].state.name == state
    assert len(found.trials) == 7


@pytest.mark.skipif(os.name == "nt", reason="nothing asks there whether a process lives")
def test_a_study_that_a_living_process_searches_is_refused_and_left_alone(iris: Table) -> None:
    storage = optuna.storages.InMemoryStorage()
    search(iris, **ASKED, storage=storage, study_name="one", trainer=Made(iris))
    left = under_way(storage, owner(os.getppid()))
    with pytest.raises(StoreError, match=f"searched by process {os.getppid()} of this computer"):
        search(iris, **ASKED | {"trials": 7}, storage=storage, study_name="one", trainer=Made(iris))
    assert optuna.load_study(study_name="one", storage=storage).trials[left].state.name == "RUNNING"


def test_every_trial_that_is_asked_for_has_its_owner(iris: Table) -> None:
    found = search(iris, **ASKED, trainer=Made(iris))
    assert [trial.user_attrs[OWNER] for trial in found.study.trials] == [owner()] * 6


@pytest.mark.parametrize("after", [1, 9], ids=["before it is reported", "before it is told"])
def test_trials_that_another_process_finishes_meanwhile_end_the_search_with_one_message(
    iris: Table, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = optuna.storages.InMemoryStorage()
    trainer = Made(iris)

    def finish() -> None:
        study = optuna.load_study(study_name="one", storage=storage)
        for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            if len(trainer.searched) >= after:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    trainer.during = finish
    if after == 9:
        # What reports then is not looked at, so that telling is what fails.
        monkeypatch.setattr(optuna.trial.Trial, "report", lambda *_, **__: None)
    with pytest.raises(StoreError, match="'one' were finished by another process"):
        search(iris, **ASKED, storage=storage, study_name="one", trainer=trainer)


def test_a_space_that_was_changed_is_refused_on_resume(iris: Table) -> None:
    def spaces() -> Iterator[Any]:
        for high in (0.3, 0.5):
            yield lambda trial, base, high=high: base.replace(weight_decay=trial.suggest_float("decay", 0.0, high))
        for rate in (True, False):
            space = technique_space("dropout,l2" + ",lr" * rate, ["dropout", "l2"])
            yield space

    first, second, with_rate, without = spaces()
    for one, other in ((first, second), (with_rate, without)):
        storage = optuna.storages.InMemoryStorage()
        asked = ASKED | {"trials": 2, "pairs": 2, "storage": storage, "study_name": "one"}
        search(iris, **asked | {"space": one}, trainer=Made(iris))
        with pytest.raises(StoreError, match="its space is the function"):
            search(iris, **asked | {"space": other}, trainer=Made(iris))
        search(iris, **asked | {"space": one}, trainer=Made(iris))


def test_a_parameter_whose_choices_change_from_trial_to_trial_is_refused(iris: Table) -> None:
    def changing(trial: optuna.Trial, baseline: Recipe) -> Recipe:
        return baseline.replace(weight_decay=trial.suggest_categorical("decay", [0.1, float(trial.number)]))

    with pytest.raises(
        OptionError, match=r"space: trial 1 raised ValueError: .*dynamic value space.*same kind and choices"
    ):
        search(iris, **ASKED | {"space": changing}, trainer=Made(iris))
