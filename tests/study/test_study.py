"""A whole study on small tables: what it trains, what it repeats after an interruption, what it makes of results."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regimen.data import Table, from_arrays, load
from regimen.engine import Trainer
from regimen.errors import EngineError, OptionError, StoreError
from regimen.kernels.native import find_kernels, why_no_kernels
from regimen.models import MLP
from regimen.records import Results, RunResult
from regimen.run import Recipe, Run, recipe_from_toml
from regimen.store import FILE
from regimen.study import Study, StudyOptions, planning
from regimen.study.layout import Layout
from regimen.study.ledger import Watch

SMALL = StudyOptions(
    model=MLP(hidden=(4,)), baseline=Recipe(epochs=2, lr=0.02), techniques="dropout,mixup", pairs=2, processes=1
)


class Counting:
    """A trainer that counts what it trains and can be interrupted or bent."""

    def __init__(
        self, table: Table, *, stop_after: int | None = None, bend: Callable[[Run], float] | None = None
    ) -> None:
        self.inner = Trainer([table], processes=1)
        self.trained: list[Run] = []
        self.stop_after, self.bend = stop_after, bend

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
            self.trained.append(run)
            [result] = self.inner.train([run], keep=keep)
            if self.bend is not None:
                result = replace(result, metric=self.bend(run))
            results.append(result)
            if on_result is not None:
                on_result(index, result)
        return results


@pytest.fixture(scope="module")
def iris() -> Table:
    return load("iris")


@pytest.fixture(scope="module")
def undisturbed(iris: Table) -> Results:
    return Study(data=iris, options=SMALL).run().results


def figures(results: Results) -> Results:
    """Everything but the seconds."""
    return replace(
        results,
        design=replace(results.design, seconds=0.0),
        techniques=tuple(replace(t, cost=0.0) for t in results.techniques),
        runs=tuple(replace(run, seconds=0.0) for run in results.runs),
    )


def test_every_arm_runs_on_every_pair_and_all_runs_are_recorded(undisturbed: Results) -> None:
    search = [(run.arm, run.pair) for run in undisturbed.runs if run.phase == "search"]
    arms = ["baseline", *(t.arm for t in undisturbed.techniques)]
    assert sorted(search) == sorted((arm, pair) for arm in arms for pair in range(2))
    assert undisturbed.design.runs == len(undisturbed.runs)
    assert set(undisturbed.curves) == set(arms)  # no recipe of its own: nothing helped


def test_all_arms_of_a_pair_share_their_key_and_pairs_do_not(undisturbed: Results) -> None:
    keys = {
        pair: {run.seed for run in undisturbed.runs if run.phase == "search" and run.pair == pair} for pair in (0, 1)
    }
    assert [len(found) for found in keys.values()] == [1, 1]
    assert keys[0] != keys[1]
    assert not {run.seed for run in undisturbed.runs if run.phase == "confirm"} & (keys[0] | keys[1])


def test_two_pairs_are_a_pilot_without_verdicts(undisturbed: Results) -> None:
    assert undisturbed.design.pilot
    assert {t.verdict for t in undisturbed.techniques} == {"unclear"}


def test_a_study_is_the_same_again_and_another_under_another_seed(iris: Table, undisturbed: Results) -> None:
    again = Study(data=iris, options=SMALL).run().results
    assert figures(again) == figures(undisturbed)
    other = Study(data=iris, options=replace(SMALL, seed=1)).run().results
    assert other.baseline != undisturbed.baseline


def test_worker_processes_change_no_figure(iris: Table, undisturbed: Results) -> None:
    spread = Study(data=iris, options=replace(SMALL, processes=2)).run().results
    assert figures(spread) == figures(undisturbed)


@pytest.mark.parametrize("stop_after", [0, 3, 11, 18])
def test_an_interrupted_study_goes_on_where_it_stopped(
    iris: Table, undisturbed: Results, tmp_path: Path, stop_after: int
) -> None:
    first = Counting(iris, stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        Study(data=iris, options=SMALL, trainer=first).run(tmp_path)
    second = Counting(iris)
    results = Study(data=iris, options=SMALL, trainer=second).run(tmp_path, resume=True).results
    assert figures(results) == figures(undisturbed)
    assert len(first.trained) == stop_after
    assert len(second.trained) == len(undisturbed.runs) - stop_after


def test_what_is_no_tracker_is_refused_before_anything_is_written(iris: Table, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"expected trackers such as CsvTracker\('curves.csv'\), got 'curves.csv'"):
        Study(data=iris, options=SMALL, trackers=["curves.csv"]).run(tmp_path)  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_the_seconds_of_a_resumed_study_are_those_of_all_its_parts(iris: Table, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Study(data=iris, options=SMALL, trainer=Counting(iris, stop_after=3)).run(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE meta SET value = '5000' WHERE key = 'seconds'")
    database.close()
    results = Study(data=iris, options=SMALL, trainer=Counting(iris)).run(tmp_path, resume=True).results
    assert 5000 < results.design.seconds < 6000


def test_a_finished_study_trains_nothing_when_resumed(iris: Table, undisturbed: Results, tmp_path: Path) -> None:
    Study(data=iris, options=SMALL).run(tmp_path)
    idle = Counting(iris)
    again = Study(data=iris, options=SMALL, trainer=idle).run(tmp_path, resume=True)
    assert not idle.trained
    assert figures(again.results) == figures(undisturbed)


def test_a_resumed_study_follows_its_stored_plan_whatever_the_options(iris: Table, tmp_path: Path) -> None:
    Study(data=iris, options=SMALL).run(tmp_path)
    again = Study(data=iris, options=replace(SMALL, pairs=5, seed=9)).run(tmp_path, resume=True).results
    assert again.design.pairs == 2


def test_other_data_are_refused_on_resume(iris: Table, tmp_path: Path) -> None:
    Study(data=iris, options=SMALL).run(tmp_path)
    with pytest.raises(StoreError, match="other content"):
        Study(data=load("wine"), options=SMALL).run(tmp_path, resume=True)


class Engines(Watch):
    """Notes which engine trained each run."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def finished(self, result: RunResult, *, stored: bool, arm: str) -> None:
        if not stored:
            self.seen.add(result.engine)


def test_a_study_goes_on_with_the_engine_that_it_was_begun_with(iris: Table, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Study(data=iris, options=replace(SMALL, engine="reference"), trainer=Counting(iris, stop_after=3)).run(tmp_path)
    engines = Engines()
    # Whatever this machine would take by itself.
    Study(data=iris, options=SMALL, watch=engines).run(tmp_path, resume=True)
    assert engines.seen == {"reference"}


def test_a_native_study_is_not_resumed_without_the_native_engine(
    iris: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_kernels() is None:
        pytest.skip(why_no_kernels())
    stopped = Counting(iris, stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        Study(data=iris, options=SMALL, trainer=stopped).run(tmp_path)
    with monkeypatch.context() as without:
        without.setenv("REGIMEN_ISA", "none")
        with pytest.raises(StoreError, match="engine native, which is not here: REGIMEN_ISA=none; go on with it where"):
            Study(data=iris, options=SMALL).run(tmp_path, resume=True)
    assert Study(data=iris, options=SMALL).run(tmp_path, resume=True).results.design.pairs == 2


def test_a_used_folder_is_refused_without_resume_and_an_empty_one_with_it(iris: Table, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="start it without --resume"):
        Study(data=iris, options=SMALL).run(tmp_path, resume=True)
    Study(data=iris, options=SMALL).run(tmp_path)
    with pytest.raises(StoreError, match="--resume"):
        Study(data=iris, options=SMALL).run(tmp_path)


def test_the_test_part_is_trained_on_by_no_run_and_read_only_at_the_end(iris: Table) -> None:
    trainer = Counting(iris)
    Study(data=iris, options=SMALL, trainer=trainer).run()
    test = set(Layout.of(iris).test.tolist())
    assert len(test) == 30
    assert all(test.isdisjoint(run.split.train.tolist()) for run in trainer.trained)
    assert all(test.isdisjoint(run.split.validation.tolist()) for run in trainer.trained)
    scored = [len(run.split.test) > 0 for run in trainer.trained]
    assert scored == sorted(scored)


def bent(run: Run) -> float:
    """A world in which dropout helps by 9 points, mixup by 5, and both by 12, beside a little noise."""
    noise = (run.key % 1000) / 1e6
    both = 0.12 if run.recipe.rates and run.recipe.mixup else 0.0
    return (
        0.8
        + (both or 0.09 * bool(run.recipe.rates) + 0.05 * bool(run.recipe.mixup))
        + noise * (1 + bool(run.recipe.mixup))
    )


@pytest.fixture(scope="module")
def helped(iris: Table) -> Results:
    options = replace(SMALL, pairs=10, techniques=None, budget="90runs")
    return Study(data=iris, options=options, trainer=Counting(iris, bend=bent)).run().results


def test_what_helps_is_combined_as_long_as_the_mean_rises(helped: Results) -> None:
    assert {t.name for t in helped.techniques if t.verdict == "helps"} == {"dropout", "mixup"}
    recipe = recipe_from_toml(helped.recipe.toml)
    assert recipe.rates and recipe.mixup
    assert helped.confirmation.search_delta == pytest.approx(0.12, abs=0.002)
    assert {run.arm for run in helped.runs if run.phase == "combine"} == {"dropout=0.3 + mixup=0.2"}


def test_settings_of_one_technique_are_never_combined(iris: Table) -> None:
    options = replace(SMALL, pairs=10, techniques="dropout")
    results = Study(data=iris, options=options, trainer=Counting(iris, bend=bent)).run().results
    assert all(t.verdict == "helps" for t in results.techniques)
    assert len(results.recipe.arms) == 1
    assert not [run for run in results.runs if run.phase == "combine"]


def test_a_budget_in_runs_is_kept(helped: Results) -> None:
    assert helped.design.runs <= 90


def test_a_baseline_that_always_diverges_ends_the_study_with_advice(iris: Table) -> None:
    options = replace(SMALL, baseline=Recipe(epochs=2, lr=1e30))
    with pytest.raises(EngineError, match=r"diverged in all 2 pairs.*lower --lr"):
        Study(data=iris, options=options).run()


def test_a_metric_of_the_other_task_is_refused_before_anything_is_written(iris: Table, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="rmse"):
        Study(data=iris, options=replace(SMALL, metric="rmse")).run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_large_tables_confirm_on_rows_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2600, 3))
    table = from_arrays(x, x @ [1.0, 2.0, -1.0] + rng.normal(size=2600), task="regression", name="plane")
    options = replace(SMALL, baseline=Recipe(epochs=1, batch_size=256), techniques="l2")
    results = Study(data=table, options=options).run().results
    assert results.design.fresh == "rows"
    assert results.design.set_aside == 416
    assert results.design.metric == "rmse"
    trainer = Counting(table)
    Study(data=table, options=options, trainer=trainer).run()
    aside = Layout.of(table).aside
    assert aside is not None
    searched = [run for run in trainer.trained if not len(run.split.test)]
    assert all(set(aside.tolist()).isdisjoint([*run.split.train, *run.split.validation]) for run in searched)


def test_a_network_that_fitted_nothing_is_not_called_overfitting(iris: Table) -> None:
    results = Study(data=iris, options=replace(SMALL, baseline=Recipe(epochs=2, lr=1e6))).run().results
    assert results.baseline.train_loss > np.log(3)
    assert not results.baseline.overfits


@pytest.mark.parametrize(("bound", "effect", "verdict"), [(0.02, 0.02, "unclear"), (None, 1 / 6, "equivalent")])
def test_noise_of_one_validation_row_is_not_equivalent_unless_the_plan_is_older_than_the_bound(
    bound: float | None, effect: float, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = from_arrays(np.random.default_rng(3).normal(size=(30, 2)), np.arange(30) % 2)
    first = {Layout.of(table).search_pair(0, pair)[0]: sign / 6 for pair, sign in ((0, 1), (1, -1))}

    def one_row_apart(run: Run) -> float:
        return 4 / 6 + (first.get(run.key, 0.0) if run.recipe.initialization != "default" else 0.0)

    monkeypatch.setattr(planning, "MOST_EFFECT", bound)
    options = replace(SMALL, techniques="he", pairs=8)
    Study(data=table, options=options, trainer=Counting(table, bend=one_row_apart)).run(tmp_path)
    monkeypatch.undo()
    resumed = Study(data=table, options=options, trainer=Counting(table, stop_after=0)).run(tmp_path, resume=True)
    assert resumed.results.data.rows.validation == 6
    assert resumed.results.design.smallest_effect == pytest.approx(effect)
    assert [arm.verdict for arm in resumed.results.techniques] == [verdict]
