"""Early stopping: which epoch is returned, and when the run ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import RecipeError
from regimen.techniques import EarlyStopping, StopWatch

losses_of_runs = st.lists(st.floats(0, 10), min_size=1, max_size=30)


def followed(rule: EarlyStopping, losses: list[float]) -> tuple[int, int]:
    """Return the best epoch and the last one trained."""
    watch = StopWatch(rule)
    for epoch, loss in enumerate(losses, start=1):
        watch.improved(epoch, loss)
        if watch.done(epoch):
            break
    return watch.epoch, epoch


@pytest.mark.parametrize(
    ("losses", "patience", "best", "last"),
    [
        ([3, 2, 1, 2, 2, 0.5], 2, 3, 5),
        ([3, 2, 1, 2, 2, 0.5], 3, 6, 6),
        ([1, 1, 1], 1, 1, 2),
        ([3, 2, 1], 1, 3, 3),
        ([5], 1, 1, 1),
    ],
)
def test_the_best_epoch_is_returned_and_patience_ends_the_run(
    losses: list[float], patience: int, best: int, last: int
) -> None:
    assert followed(EarlyStopping(patience=patience), losses) == (best, last)


@given(losses_of_runs, st.integers(1, 5))
def test_the_returned_epoch_has_the_lowest_loss_of_those_trained(losses: list[float], patience: int) -> None:
    best, last = followed(EarlyStopping(patience=patience), losses)
    assert losses[best - 1] == min(losses[:last])
    assert losses.index(losses[best - 1]) == best - 1
    assert last == min(best + patience, len(losses))


def test_an_improvement_must_exceed_min_delta() -> None:
    watch = StopWatch(EarlyStopping(min_delta=0.5))
    assert [watch.improved(epoch, loss) for epoch, loss in enumerate([3.0, 2.5, 2.4, 1.9], start=1)] == [
        True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [("patience", 0), ("patience", 1.5), ("patience", True), ("min_delta", -1e-9), ("min_delta", float("inf"))],
)
def test_an_impossible_rule_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"early_stopping\.{field}: expected"):
        EarlyStopping(**{field: value})  # type: ignore[arg-type]
