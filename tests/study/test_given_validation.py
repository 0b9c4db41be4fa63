"""A validation part that was given: the same rows in every pair, which only an interval over rows may speak for."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest

from regimen.data import Table, from_arrays
from regimen.engine import Trainer
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.study import Study, StudyOptions

OPTIONS = StudyOptions(
    model=MLP(hidden=(4,)), baseline=Recipe(epochs=3, lr=0.02), techniques="dropout", pairs=8, processes=1
)


class Bent:
    """A trainer in whose world dropout helps by 9 points, give or take a tenth of one; outputs stay as they are."""

    def __init__(self, table: Table) -> None:
        self.inner = Trainer([table], processes=1)

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        found = self.inner.train(runs, keep=keep)
        bent = [
            replace(result, metric=0.8 + (0.09 + run.key % 1000 / 1e6) * bool(run.recipe.rates))
            for run, result in zip(runs, found, strict=True)
        ]
        for index, result in enumerate(bent):
            if on_result is not None:
                on_result(index, result)
        return bent


@pytest.mark.parametrize("given", [True, False])
def test_given_validation_rows_widen_the_confirmation_and_claim_nothing_about_others(given: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    table = from_arrays(x, (x[:, 0] + rng.normal(size=120) > 0).astype(int), task="classification", name="given")
    if given:
        table = replace(table, validation_rows=np.arange(90, 120))
    results = Study(data=table, options=OPTIONS, trainer=Bent(table)).run().results
    assert results.design.fresh == "seeds"
    assert results.plan["given_validation"] is given
    assert results.recipe.arms
    low, high = results.confirmation.ci
    # The pairs agree within a tenth of a point; thirty rows do not pin accuracy down to one point.
    assert (high - low > 0.01) is given
    assert all((one.ci_new_rows == one.ci) is given for one in results.techniques)
    assert all((one.p_new_rows is None) is given for one in results.techniques)
