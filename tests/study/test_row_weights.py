"""Studies of rows that count differently: every score goes by the weights, those on rows kept aside and tested too."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regimen.data import METRICS, Table, from_arrays, from_samples
from regimen.engine import train_one
from regimen.models import MLP
from regimen.records import Results
from regimen.run import Recipe, Run
from regimen.stats import crossed_interval, jackknife_se
from regimen.study import Findings, Study, StudyOptions
from regimen.study.confirming import compare_on_rows, part_metric
from regimen.study.layout import Layout

SMALL = StudyOptions(
    model=MLP(hidden=(4,)), baseline=Recipe(epochs=2, lr=0.02), techniques="dropout", pairs=3, processes=1,
    engine="reference",
)  # fmt: skip
ROWS = 120
SOURCE = np.random.default_rng(4)
Y = np.arange(ROWS) % 2
X = SOURCE.normal(size=(ROWS, 3)) + Y[:, None]
W = SOURCE.exponential(size=ROWS) + 0.1


def table(**given: Any) -> Table:
    return from_arrays(X, Y, **given)


def conduct(data: Any, **changes: Any) -> Findings:
    return Study(data=data, options=replace(SMALL, **changes)).run()


BASELINE = Recipe(epochs=2, lr=0.02)


def run_of(data: Any, recipe: Recipe = BASELINE, key: int = 1, metric: str = "accuracy") -> Run:
    layout = Layout.of(data)
    return Run(recipe=recipe, model=MLP(hidden=(4,)), data=data, split=layout.confirmation_pair(0, key)[1], key=key,
               metric=metric)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "changes"),
    [({}, {}), ({"group": np.arange(ROWS) // 10}, {"folds": 3}), ({"time": np.arange(ROWS)}, {})],
    ids=["drawn", "folds of groups", "times"],
)
def test_a_study_scores_by_the_weights_and_says_so(given: dict[str, Any], changes: dict[str, Any]) -> None:
    data = table(sample_weight=W, **given)
    findings = conduct(data, **changes)
    results, plain = findings.results, conduct(table(**given), **changes).results
    assert (results.data.weights, plain.data.weights) == ("sample_weight", "")
    assert [run.metric for run in results.runs] != [run.metric for run in plain.runs]
    # The test part, scored by hand: that of the saved model.
    rows = Layout.of(data).test
    outputs = findings.model.predict_outputs(data)[rows]
    expected = METRICS["accuracy"].function(data.y[rows], outputs, W[rows])
    assert results.confirmation.test.model == pytest.approx(expected)
    assert expected != METRICS["accuracy"].function(data.y[rows], outputs)


def test_equal_weights_give_the_study_without_weights_bit_for_bit(tmp_path: Path) -> None:
    plain, equal = conduct(table()).results, conduct(table(sample_weight=np.full(ROWS, 2.5))).results
    timeless = [[replace(run, seconds=0.0) for run in results.runs] for results in (plain, equal)]
    assert timeless[0] == timeless[1]
    assert plain.confirmation == equal.confirmation
    assert plain.plan["digest"] == equal.plan["digest"]
    # Results that were stored before there were weights have none.
    stored = json.loads(plain.to_json())
    del stored["data"]["weights"]
    (tmp_path / "results.json").write_text(json.dumps(stored))
    assert Results.read(tmp_path / "results.json").data.weights == ""


def test_zeros_and_ones_give_the_study_of_the_rows_of_weight_one() -> None:
    ones = np.arange(ROWS) % 5 != 0
    found, expected = conduct(table(sample_weight=ones)).results, conduct(from_arrays(X[ones], Y[ones])).results
    assert [run.metric for run in found.runs] == [run.metric for run in expected.runs]
    assert found.confirmation == expected.confirmation


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss"])
@pytest.mark.parametrize("samples", [False, True])
def test_what_is_scored_without_some_rows_is_weighted(metric: str, samples: bool) -> None:
    data = from_samples(X, Y, sample_weight=W) if samples else table(sample_weight=W)
    run = run_of(data, metric=metric)
    result = train_one(run, keep=("outputs",))
    assert result.outputs is not None
    rows, outputs = run.split.test, result.outputs["test"].astype(np.float64)
    score = part_metric(run, result.outputs["test"], "test")
    for kept in (np.arange(len(rows)), np.arange(0, len(rows), 2)):
        expected = METRICS[metric].function(data.y[rows][kept], outputs[kept], W[rows][kept])
        assert score(kept) == pytest.approx(expected, rel=1e-6)


def test_the_interval_over_rows_carries_the_weights() -> None:
    data = table(sample_weight=W)
    pairs = [(run_of(data, key=key), run_of(data, Recipe(epochs=2, lr=0.2), key=key)) for key in (1, 2, 3)]
    results = [tuple(train_one(run, keep=("outputs",)) for run in pair) for pair in pairs]
    base, recipe, delta, interval = compare_on_rows(pairs, results, "test")  # type: ignore[arg-type]
    rows = pairs[0][0].split.test

    def difference_of(pair: Any, kept: Any) -> float:
        scores = [
            np.average(one.outputs["test"][kept].argmax(axis=1) == data.y[rows][kept], weights=W[rows][kept])
            for one in pair
        ]
        return float(scores[1] - scores[0])

    def difference(kept: Any) -> float:
        return float(np.mean([difference_of(pair, kept) for pair in results]))

    everything = np.arange(len(rows))
    assert delta == pytest.approx(difference(everything))
    assert delta == pytest.approx(recipe - base)
    order = np.argsort(data.y[rows], kind="stable")
    by_rows = jackknife_se(difference, len(rows), groups=100, order=order)
    assert by_rows > 0
    differences = [difference_of(pair, everything) for pair in results]
    counted = W[rows].sum() ** 2 / (W[rows] ** 2).sum()
    assert counted < 0.9 * len(rows) < 90  # rows of unequal weight count as fewer
    expected = crossed_interval(differences, by_rows, groups=round(counted))
    assert interval == pytest.approx(expected)
    unweighted = [(replace(a, data=table()), replace(b, data=table())) for a, b in pairs]
    assert compare_on_rows(unweighted, results, "test")[3] != interval  # type: ignore[arg-type]
