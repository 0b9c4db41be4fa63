"""Parts that cannot be scored are refused before anything is trained."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from regimen.data import Split, Table, from_arrays
from regimen.errors import OptionError
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.stats import deleted_together
from regimen.study import Study, StudyOptions
from regimen.study.confirming import compare_on_rows, order_left_out

OPTIONS = StudyOptions(
    model=MLP(hidden=(4,)), baseline=Recipe(epochs=1), techniques="adamw", pairs=3, metric="roc_auc", processes=1
)


class Idle:
    """A trainer that must not be asked."""

    def train(self, runs: Sequence[Run], **more: object) -> list[RunResult]:
        raise AssertionError(f"{len(runs)} runs were trained")


def table_of(positives: int, rows: int = 120) -> Table:
    x = np.random.default_rng(0).normal(size=(rows, 3))
    return from_arrays(x, (np.arange(rows) < positives).astype(int), task="classification", name="rare")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            table_of(6),
            r"--metric roc_auc: expected at least 2 rows of every class in the test part, received 1 of class",
        ),
        (
            replace(table_of(60), test_rows=np.arange(60, 80)),
            "at least two classes in the test part, received 20 of class '0' alone; take another --metric",
        ),
        (
            replace(table_of(7), test_rows=np.r_[5, 6, 100:120]),
            r"every class in the validation part, received 1 of class '1'; take another --metric",
        ),
        (
            replace(table_of(60), validation_rows=np.arange(20)),
            "at least two classes in the validation part, received 20 of class '1' alone",
        ),
    ],
)
def test_a_metric_that_needs_every_class_is_refused_where_a_part_lacks_one(table: Table, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Study(data=table, options=OPTIONS, trainer=Idle()).run()


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_part_of_one_row_is_refused_whatever_the_metric(part: str) -> None:
    table = replace(table_of(60), **{f"{part}_rows": np.array([119])})
    with pytest.raises(OptionError, match=f"expected at least 2 rows in the {part} part, received 1"):
        Study(data=table, options=replace(OPTIONS, metric="accuracy"), trainer=Idle()).run()


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "balanced_accuracy"])
def test_other_metrics_take_a_class_of_one_row(metric: str) -> None:
    with pytest.raises(AssertionError, match="runs were trained"):
        Study(data=table_of(6), options=replace(OPTIONS, metric=metric), trainer=Idle()).run()


def test_the_only_row_of_a_class_is_never_left_out() -> None:
    table = table_of(9)
    split = Split(train=np.r_[:8, 48:120], validation=np.arange(8, 48), test=np.empty(0, dtype=np.int64))
    rng = np.random.default_rng(1)
    run = Run(recipe=OPTIONS.recipe(80), model=MLP(hidden=(4,)), data=table, split=split, key=0, metric="roc_auc")

    def result() -> RunResult:
        return RunResult(
            identity=run.identity, status="finished", metric=0.5, train_loss=0.0, validation_loss=0.0, epoch=1,
            epochs_run=1, steps=1, seconds=0.0,
            outputs={"validation": rng.normal(size=(40, 2)).astype(np.float32)},
        )  # fmt: skip

    low, high = compare_on_rows([(run, run)] * 3, [(result(), result()) for _ in range(3)], "validation")[3]
    assert np.isfinite([low, high]).all() and low < high


@pytest.mark.parametrize("shared", [True, False])
def test_as_many_rows_won_as_lost_is_no_proof_of_equality(shared: bool) -> None:
    split = Split(train=np.arange(40, 120), validation=np.arange(40), test=np.empty(0, dtype=np.int64))
    run = Run(
        recipe=OPTIONS.recipe(80), model=MLP(hidden=(4,)), data=table_of(60), split=split, key=0, metric="accuracy"
    )
    right = np.eye(2, dtype=np.float32)[run.data.y[:40]]

    def result(wrong: int) -> RunResult:
        outputs = right.copy()
        outputs[wrong : wrong + 4] = 1 - outputs[wrong : wrong + 4]
        return RunResult(
            identity=run.identity, status="finished", metric=0.9, train_loss=0.0, validation_loss=0.0, epoch=1,
            epochs_run=1, steps=1, seconds=0.0, outputs={"validation": outputs},
        )  # fmt: skip

    results = [(result(0), result(0 if shared else 4)) for _ in range(3)]
    _, _, delta, (low, high) = compare_on_rows([(run, run)] * 3, results, "validation")
    assert delta == 0
    # Eight of 40 rows differ by one: a standard error of sqrt(8 / 40 / 39), and 2.0227 is t(0.975; 39).
    assert (low, high) == ((0, 0) if shared else pytest.approx((-0.14485, 0.14485), abs=1e-5))


@pytest.mark.parametrize(("metric", "ordered"), [("mae", True), ("mae", False), ("log_loss", True)])
def test_an_effect_that_depends_on_the_target_is_as_uncertain_as_the_targets_of_other_rows(
    metric: str, ordered: bool
) -> None:
    """A network that answers higher than the other gains on the half of the rows above it what it loses below."""
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], 1000) if metric == "log_loss" else rng.normal(size=2000)
    y = np.sort(y) if ordered else y
    task = "classification" if metric == "log_loss" else "regression"
    table = from_arrays(rng.normal(size=(2000, 3)), y, task=task, name="table")
    split = Split(train=np.arange(0, 2000, 2), validation=np.arange(1, 2000, 2), test=np.empty(0, dtype=np.int64))
    run = Run(recipe=OPTIONS.recipe(80), model=MLP(hidden=(4,)), data=table, split=split, key=0, metric=metric)

    def result(shift: float) -> RunResult:
        outputs = np.tile(np.array([0.0, shift] if metric == "log_loss" else [shift], dtype=np.float32), (1000, 1))
        return RunResult(
            identity=run.identity, status="finished", metric=0.5, train_loss=0.0, validation_loss=0.0, epoch=1,
            epochs_run=1, steps=1, seconds=0.0, outputs={"validation": outputs},
        )  # fmt: skip

    results = [(result(-0.01), result(0.01)) for _ in range(3)]
    low, high = compare_on_rows([(run, run)] * 3, results, "validation")[3]
    half = 0.01 if metric == "log_loss" else 0.02 * y[::2].std()  # gained or lost by each row
    # t(0.975; 99) = 1.984; the jackknife knows its standard error to about 7 %.
    assert (high - low) / 2 == pytest.approx(1.984 * half / 1000**0.5, rel=0.25)


def grouped_test_part(holders: Sequence[int]) -> Table:
    """Return 150 groups of two rows in the test part, class 1 in the second row of some of them; 40 more to train."""
    group = np.r_[np.repeat(np.arange(150), 2), np.repeat(np.arange(200, 240), 3)]
    y = np.r_[np.isin(np.arange(300), 2 * np.array(holders) + 1), np.arange(120) % 2].astype(int)
    x = np.random.default_rng(0).normal(size=(420, 3))
    table = from_arrays(x, y, task="classification", name="rare", group=group)
    return replace(table, test_rows=np.arange(300))


def test_a_class_whose_groups_the_interval_leaves_out_together_is_refused_before_anything_is_trained() -> None:
    def at_once(holders: tuple[int, int]) -> bool:
        y = np.isin(np.arange(300), 2 * np.array(holders) + 1).astype(int)
        together = deleted_together(300, order=order_left_out(y, "roc_auc"), clusters=np.repeat(np.arange(150), 2))
        return together[2 * holders[0] + 1] == together[2 * holders[1] + 1]

    pairs = list(combinations(range(60), 2))
    with pytest.raises(
        OptionError, match=r"received class '1' in such as it leaves out at once; take another --metric"
    ):
        Study(data=grouped_test_part(next(filter(at_once, pairs))), options=OPTIONS, trainer=Idle()).run()
    with pytest.raises(AssertionError, match="runs were trained"):
        apart = next(two for two in pairs if not at_once(two))
        Study(data=grouped_test_part(apart), options=OPTIONS, trainer=Idle()).run()
