"""Studies of groups, of times, of folds and of samples: how rows are divided is planned, judged, said and resumed."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from regimen.data import Table, from_arrays, from_samples, load, sample_features
from regimen.engine import Trainer, train_one
from regimen.errors import DataError, OptionError
from regimen.models import MLP, own_module
from regimen.records import Results, RunResult
from regimen.run import Recipe, Run, SavedModel
from regimen.stats import jackknife_se, new_rows_interval
from regimen.study import Findings, Study, StudyOptions
from regimen.study.confirming import clusters_of, compare_on_rows
from regimen.study.family import candidate_arms, fit, full_shape
from regimen.study.layout import Layout
from regimen.study.plan import Arm, Plan
from regimen.study.planning import make_plan

SMALL = StudyOptions(
    model=MLP(hidden=(4,)), baseline=Recipe(epochs=2, lr=0.02), techniques="dropout,mixup", pairs=3, processes=1
)


def table(rows: int = 120, **divided: Any) -> Table:
    """Return a table of two classes."""
    source = np.random.default_rng(4)
    y = np.arange(rows) % 2
    return from_arrays(source.normal(size=(rows, 3)) + y[:, None], y, **divided)


def conduct(data: Any, **changes: Any) -> Findings:
    return Study(data=data, options=replace(SMALL, **changes)).run()


@pytest.mark.parametrize(
    ("divided", "changes", "division", "folds"),
    [
        ({"group": np.arange(120) // 10}, {}, "group", 0),
        ({"time": np.arange(120)}, {}, "time", 0),
        ({"group": np.arange(120) // 10}, {"folds": 3}, "group", 3),
        ({}, {"folds": 3}, "drawn", 3),
    ],
    ids=["groups", "times", "folds of groups", "folds"],
)
def test_a_study_says_how_its_rows_are_divided(
    divided: dict[str, Any], changes: dict[str, Any], division: str, folds: int, tmp_path: Path
) -> None:
    results = conduct(table(**divided), **changes).results
    design = results.design
    assert (design.division, design.folds) == (division, folds)
    assert design.division_column == ("" if division == "drawn" else division)
    (tmp_path / "results.json").write_text(results.to_json())
    assert Results.read(tmp_path / "results.json").design == design
    assert results.plan["folds"] == folds
    # Rows near in time are alike: pairs of one stretch of time do not tell what another would give.
    assert any(one.ci_new_rows != one.ci for one in results.techniques) is (division != "time")
    assert any(one.p_new_rows is not None for one in results.techniques) is (division != "time")
    if not divided:
        assert (results.data.rows.train, results.data.rows.validation, results.data.rows.test) == (64, 32, 24)


@pytest.mark.parametrize(("pairs", "folds", "expected"), [(None, 4, 12), (None, 5, 10), (3, 4, 4), (8, None, 8)])
def test_pairs_are_rounded_up_to_whole_repetitions(pairs: int | None, folds: int | None, expected: int) -> None:
    options = replace(SMALL, pairs=pairs, folds=folds)
    layout = Layout.of(table(), folds=folds or 0)
    plan = make_plan(layout, options, Trainer([layout.table], processes=1), processes=1, started=0.0)
    assert (plan.pairs, plan.confirmation_pairs, plan.folds) == (expected, expected, folds or 0)
    assert ("3 pairs were rounded up to 4, whole repetitions of 4 folds" in plan.notes) == (pairs == 3)
    assert Plan.from_dict(plan.to_dict()) == plan


def test_a_budget_leaves_whole_repetitions() -> None:
    arms = [Arm(name=name, technique=name, setting={}) for name in "abcdef"]
    assert fit(arms, None, lambda shape: shape.runs, 45, folds=4).pairs % 4 == 0
    assert full_shape(arms, None, 4).pairs == 12


def test_a_study_with_folds_goes_on_by_its_plan(tmp_path: Path) -> None:
    data = table(group=np.arange(120) // 8)
    expected = conduct(data, folds=3).results

    class Stopping:
        def __init__(self) -> None:
            self.inner, self.left = Trainer([data], processes=1), 7

        def train(self, runs: Any, *, keep: Any = (), on_result: Any = None) -> list[RunResult]:
            results = []
            for index, run in enumerate(runs):
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                results += self.inner.train([run], keep=keep)
                on_result(index, results[-1])
            return results

    with pytest.raises(KeyboardInterrupt):
        Study(data=data, options=replace(SMALL, folds=3), trainer=Stopping()).run(tmp_path)
    # The options of the resumed study say nothing of folds.
    again = Study(data=data, options=SMALL).run(tmp_path, resume=True).results
    assert [run.metric for run in again.runs] == [run.metric for run in expected.runs]
    assert again.confirmation == expected.confirmation
    assert again.design.folds == 3


def test_folds_of_rows_in_time_are_refused_before_anything_is_trained() -> None:
    with pytest.raises(OptionError, match=r"--folds: .* an order in time"):
        conduct(table(time=np.arange(120)), folds=3)


def test_sizes_of_parts_are_means_over_pairs_that_differ() -> None:
    results = conduct(table(time=np.arange(120)), pairs=4).results
    layout = Layout.of(table(time=np.arange(120)))
    trained = [len(layout.search_pair(0, pair)[1].train) for pair in range(4)]
    assert len(set(trained)) > 1
    assert results.data.rows.train == round(np.mean(trained))


@pytest.mark.parametrize(
    ("divided", "note"),
    [
        ({"time": np.arange(120) // 10}, r"the 9 pairs have [2-4] different origins in time of 'time': those of one"),
        ({"group": np.arange(120) // 20}, r"the 9 pairs have [2-6] different divisions of the groups of 'group'"),
        ({"time": np.arange(900), "rows": 900}, ""),
        ({}, ""),
    ],
    ids=["months", "few groups", "many times", "drawn"],
)
def test_pairs_of_one_origin_are_told_of(divided: dict[str, Any], note: str) -> None:
    layout = Layout.of(table(**divided))
    splits = {layout.search_pair(5, pair)[1] for pair in range(9)}
    found = layout.notes(5, 9)
    assert bool(found) == bool(note) == (len(splits) < 9)
    if note:
        assert re.match(note, found[0]) and f" {len(splits)} different " in found[0]


def test_the_report_tells_how_many_origins_there_are() -> None:
    results = conduct(table(time=np.arange(120) // 10), pairs=9, techniques="dropout").results
    assert any("different origins in time" in note for note in results.data.notes)


def test_the_interval_for_new_groups_goes_by_the_mean_sizes_of_uneven_pairs() -> None:
    data = table(group=np.floor(np.sqrt(np.arange(120) * 4)).astype(int))
    results = conduct(data, pairs=4, techniques="he").results
    layout = Layout.of(data)
    splits = [layout.search_pair(0, pair)[1] for pair in range(4)]
    train, validation = (round(np.mean([len(getattr(s, part)) for s in splits])) for part in ("train", "validation"))
    assert train != len(splits[0].train)
    metrics = {
        arm: np.array([run.metric for run in results.runs if run.phase == "search" and run.arm == arm])
        for arm in ("baseline", "he")
    }
    [one] = results.techniques
    expected = new_rows_interval(metrics["he"] - metrics["baseline"], n_validation=validation, n_train=train)
    assert one.ci_new_rows == pytest.approx(expected)


def test_intervals_on_shared_rows_leave_out_whole_groups() -> None:
    data = table(4000, group=np.arange(4000) // 100)
    layout = Layout.of(data)
    assert layout.aside is not None
    clusters = clusters_of(data.structure, layout.aside)
    assert clusters is not None and len(np.unique(clusters)) == len(np.unique(layout.aside // 100))
    values = np.repeat(np.random.default_rng(1).normal(size=len(layout.aside) // 100), 100)

    def mean(kept: np.ndarray) -> float:
        return float(values[kept].mean())

    # Rows of a group are alike: as if there were one of each.
    whole = jackknife_se(mean, len(values), clusters=clusters)
    assert whole == pytest.approx(values[::100].std(ddof=1) / np.sqrt(len(values) // 100))
    assert whole > 5 * jackknife_se(mean, len(values))


def pairwise(clusters: np.ndarray) -> np.ndarray:
    """Return which rows are together, whatever their clusters are called."""
    return clusters[:, None] == clusters


def test_the_test_part_of_groups_is_judged_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def watching(*arguments: Any, clusters: Any = None, **options: Any) -> float:
        asked.append(clusters)
        return jackknife_se(*arguments, clusters=clusters, **options)

    monkeypatch.setattr("regimen.study.confirming.jackknife_se", watching)
    data = table(group=np.arange(120) // 6)
    layout = Layout.of(data)
    pairs = [layout.confirmation_pair(0, pair) for pair in range(3)]
    runs = [
        tuple(
            Run(recipe=recipe, model=MLP(hidden=(4,)), data=data, split=split, key=key, metric="accuracy")
            for recipe in (Recipe(epochs=1), Recipe(epochs=9, lr=0.05))
        )
        for key, split in pairs
    ]
    results = [tuple(train_one(run, keep=("outputs",)) for run in two) for two in runs]
    _, _, delta, interval = compare_on_rows(runs, results, "test")  # type: ignore[arg-type]
    assert interval[0] < delta < interval[1]
    [clusters] = asked
    _, expected = np.unique(layout.test // 6, return_inverse=True)
    np.testing.assert_array_equal(pairwise(clusters), pairwise(expected))


def test_stretches_of_time_hold_equally_many_times_and_never_part_one() -> None:
    data = table(time=np.repeat(np.arange(30), 4))
    clusters = clusters_of(data.structure, np.arange(120))
    assert clusters is not None
    assert len(np.unique(clusters)) == 20
    assert all(len(np.unique(clusters[start : start + 4])) == 1 for start in range(0, 120, 4))
    assert clusters_of(None, np.arange(3)) is None


SAMPLES = from_samples(
    np.random.default_rng(1).normal(size=(90, 5, 2)) + (np.arange(90) % 3)[:, None, None], np.arange(90) % 3
)


def test_a_study_of_samples_leaves_out_what_can_not_be_done_to_them_and_its_model_predicts() -> None:
    found = conduct(SAMPLES, techniques="dropout,input_noise")
    assert found.results.data.sample == "5x2"
    assert "float32 [rows, 5, 2], fed as they are." in found.results.recipe.code
    rows = sample_features(SAMPLES.x[:7])
    assert found.model.probabilities(rows).shape == (7, 3)


def test_what_adds_to_numbers_is_left_out_of_a_study_of_whole_numbers_with_a_note() -> None:
    tokens = from_samples(np.ones((40, 3), dtype=int), [0, 1] * 20)
    named = {"task": "classification", "baseline": Recipe(), "model": own_module(torch.nn.Identity), "breadth": "all"}
    everything, _ = candidate_arms("all", **named, samples=SAMPLES)
    arms, notes = candidate_arms("all", **named, samples=tokens)
    refused = {"input_noise", "mixup", "input_dropout"}
    left_out = [arm for arm in everything if refused & set(arm.setting)]
    assert left_out and [arm for arm in everything if arm not in left_out] == arms
    assert {note.partition(" is left out: ")[0] for note in notes} == {arm.technique for arm in left_out}


def test_amounts_of_samples_are_confirmed_in_their_unit() -> None:
    samples = from_samples(SAMPLES.x, 500.0 + 20.0 * SAMPLES.x[:, 0, 0])
    confirmation = conduct(samples).results.confirmation
    assert 1.0 < confirmation.test.baseline < 100.0
    assert confirmation.test.baseline == pytest.approx(confirmation.baseline, rel=0.6)


@pytest.mark.parametrize("form", ["pair", "dataset", "name"])
def test_a_study_takes_data_in_any_form(form: str) -> None:
    x, y = torch.randn(60, 4, generator=torch.Generator().manual_seed(1)), torch.arange(60) % 2
    value: Any = {"pair": (x, y), "dataset": TensorDataset(x, y), "name": "iris"}[form]
    study = Study(data=value, options=SMALL)
    assert study.data.n == (150 if form == "name" else 60)


def test_a_model_of_samples_is_saved_and_read(tmp_path: Path) -> None:
    found = conduct(SAMPLES)
    found.model.save(tmp_path)
    rows = sample_features(SAMPLES.x[:7])
    np.testing.assert_array_equal(SavedModel.load(tmp_path).predict(rows), found.model.predict(rows))
    with pytest.raises(DataError, match="expected samples, which the model was trained on, got a table"):
        SavedModel.load(tmp_path).predict(load("iris"))
