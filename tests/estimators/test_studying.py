"""A study inside `fit` takes fewer rows where its budget has no time for all of them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regimen import RegimenClassifier
from regimen.data import Table
from regimen.errors import BudgetError
from regimen.estimators import studying
from regimen.run import Recipe

ROWS = 4_000
Studied = list[tuple[Table, Any]]


@pytest.fixture
def too_small_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Studied]:
    """Return a function after which studies of all rows take that many times what their budget has room for."""

    def install(times: float) -> Studied:
        studied: Studied = []

        class Study:
            def __init__(self, *, data: Table, options: Any) -> None:
                self.data, self.options = data, options

            def run(self) -> Any:
                studied.append((self.data, self.options))
                if self.data.n == ROWS:
                    raise BudgetError("too small", least=10 * times, room=10.0)
                results = SimpleNamespace(techniques="ab", design=SimpleNamespace(pairs=4), rows=self.data.n)
                return SimpleNamespace(results=results, model=SimpleNamespace(recipe=Recipe(epochs=1)))

        monkeypatch.setattr(studying, "Study", Study)
        monkeypatch.setattr(studying, "verdict_sentence", lambda results: f"{results.rows} rows seen.")
        return studied

    return install


@pytest.fixture
def rows() -> tuple[Any, Any, Any]:
    """Return features, labels of which a fifth are ones, and weights."""
    x = np.arange(ROWS, dtype=float).reshape(-1, 1)
    return x, (np.arange(ROWS) % 5 == 0).astype(int), 1.0 + x[:, 0]


def fitted(rows: tuple[Any, Any, Any], **given: Any) -> RegimenClassifier:
    x, y, weights = rows
    made = RegimenClassifier(recipe="auto", hidden=(2,), networks=1, random_state=0, **given)
    return made.fit(x, y, sample_weight=weights)


def test_a_part_of_the_rows_is_studied_and_all_are_trained_on(
    too_small_by: Callable[[float], Studied], rows: tuple[Any, Any, Any]
) -> None:
    studied = too_small_by(1.2)
    model = fitted(rows, budget="60s")
    _, (part, options) = studied
    assert part.n == round(0.25 * 0.7 * ROWS / 1.2)
    assert abs(part.y.mean() - 0.2) < 0.01
    assert part.weights is not None
    np.testing.assert_array_equal(part.weights.values, 1.0 + part.numbers[:, 0])
    assert 30 <= options.limit.amount <= 60
    assert model.study_.rows == part.n
    assert f"{part.n:,} of {ROWS:,} rows" in model.notes_[-2]
    assert model.notes_[-1] == f"the study of 2 settings on 4 pairs says: {part.n} rows seen."
    assert len(model.loss_curve_) == 1


def test_no_fewer_than_500_rows_are_studied(
    too_small_by: Callable[[float], Studied], rows: tuple[Any, Any, Any]
) -> None:
    studied = too_small_by(5.0)
    fitted(rows, budget="60s")
    assert studied[1][0].n == 500


@pytest.mark.parametrize(("times", "budget"), [(6.0, "60s"), (2.0, "60runs")], ids=["too many", "runs"])
def test_a_budget_too_small_for_500_rows_or_of_runs_is_refused(
    too_small_by: Callable[[float], Studied], rows: tuple[Any, Any, Any], times: float, budget: str
) -> None:
    too_small_by(times)
    with pytest.raises(BudgetError, match="too small"):
        fitted(rows, budget=budget)
