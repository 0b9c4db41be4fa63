"""The A/A test: arms that are all the baseline under other keys must not be called helpful more often than promised."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest

from regimen.data import Table, load
from regimen.engine import train
from regimen.models import MLP
from regimen.records import Results, RunResult
from regimen.run import Recipe, Run
from regimen.study import Study, StudyOptions
from regimen.study.layout import Layout

SPLITS, KEYS, STUDIES = 20, 100, 1000
# A true rate of 5 % exceeds 66 of 1,000 with probability .011 (binomial).
ALLOWED = 66
MODEL = MLP(hidden=(4,))
RECIPE = Recipe(epochs=4, lr=0.02)

Bank = list[list[RunResult]]


class BankTrainer:
    """Answers every run with a run of the baseline on one fixed split, never the same one twice in a pair."""

    def __init__(self, bank: Bank, rng: np.random.Generator) -> None:
        self.bank, self.rng = bank, rng
        self.splits: dict[tuple[str, int], int] = {}
        self.used: dict[int, set[int]] = {}

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        results = []
        for index, run in enumerate(runs):
            result = replace(self._draw(run), identity=run.identity)
            if keep:
                network = run.network(run.data.numbers.shape[1], len(run.data.classes))
                result = replace(
                    result,
                    outputs={
                        part: np.zeros((len(getattr(run.split, part)), len(run.data.classes)), dtype=np.float32)
                        for part in ("validation", "test")
                    },
                    weights={name: value.numpy() for name, value in network.state_dict().items()},
                )
            results.append(result)
            if on_result is not None:
                on_result(index, result)
        return results

    def _draw(self, run: Run) -> RunResult:
        place = (run.split.digest, run.key)
        if place not in self.splits:
            self.splits[place] = int(self.rng.integers(SPLITS))
        split = self.splits[place]
        used = self.used.setdefault(hash(place), set())
        key = int(self.rng.choice(sorted(set(range(KEYS)) - used)))
        used.add(key)
        return self.bank[split][key]


@pytest.fixture(scope="module")
def table() -> Table:
    return load("iris")


@pytest.fixture(scope="module")
def bank(table: Table) -> Bank:
    layout = Layout.of(table)
    splits = [layout.search_pair(1, pair)[1] for pair in range(SPLITS)]
    runs = [
        Run(recipe=RECIPE, model=MODEL, data=table, split=split, key=1000 * i + key, metric="accuracy")
        for i, split in enumerate(splits)
        for key in range(KEYS)
    ]
    results = train(runs, processes=2)
    return [results[i * KEYS : (i + 1) * KEYS] for i in range(SPLITS)]


@pytest.fixture(scope="module")
def studies(table: Table, bank: Bank) -> list[Results]:
    options = StudyOptions(model=MODEL, baseline=RECIPE, processes=1)
    rng = np.random.default_rng(20261121)
    return [
        Study(data=table, options=replace(options, seed=seed), trainer=BankTrainer(bank, rng)).run().results
        for seed in range(STUDIES)
    ]


@pytest.mark.slow
def test_the_bank_varies_as_real_runs_do(bank: Bank) -> None:
    values = np.array([[run.metric for run in runs] for runs in bank])
    assert values.size >= 2000
    assert values.std(axis=1).min() > 0.01


@pytest.mark.slow
def test_few_studies_of_nothing_but_baselines_name_a_technique_helpful(studies: list[Results]) -> None:
    named = sum(any(t.verdict == "helps" for t in results.techniques) for results in studies)
    assert named <= ALLOWED


@pytest.mark.slow
def test_few_studies_of_nothing_but_baselines_recommend_anything_but_the_baseline(studies: list[Results]) -> None:
    assert sum(bool(results.recipe.arms) for results in studies) <= ALLOWED


@pytest.mark.slow
def test_the_same_count_catches_selecting_and_testing_on_the_same_pairs(studies: list[Results]) -> None:
    def naive(results: Results) -> bool:
        best = max(results.techniques, key=lambda t: t.delta)
        return best.delta > 0 and best.p < 0.05

    assert sum(map(naive, studies)) > ALLOWED
