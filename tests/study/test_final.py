"""For how long the saved model is trained."""

import pytest

from regimen.records import RunResult, Status
from regimen.study.phases import median_epoch


def ended(epoch: int, status: Status = "finished") -> RunResult:
    return RunResult(
        identity="", status=status, metric=0.0, train_loss=0.0, validation_loss=0.0, epoch=epoch, epochs_run=9,
        steps=1, seconds=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([ended(4), ended(6), ended(8)], 6),
        ([ended(0, "diverged"), ended(1, "diverged"), ended(0, "failed"), ended(6), ended(8, "stopped")], 7),
        ([ended(3, "diverged"), ended(5, "diverged")], 4),
        ([ended(0, "diverged")], 1),
    ],
)
def test_the_median_epoch_is_that_of_the_runs_that_finished(results: list[RunResult], expected: int) -> None:
    assert median_epoch(results) == expected
