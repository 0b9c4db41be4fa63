"""What is made of the results of an arm beside its verdict: its mean curves."""

from collections.abc import Sequence

import pytest

from regimen.records import Curves, RunResult, Status
from regimen.study.judging import mean_curves


def run(losses: Sequence[float], status: Status = "finished") -> RunResult:
    curves = Curves(train_loss=tuple(losses), validation_loss=tuple(losses), metric=tuple(losses))
    return RunResult(
        identity="", status=status, metric=0.5, train_loss=0.1, validation_loss=0.1, epoch=1, epochs_run=1, steps=1,
        seconds=1.0, curves=curves,
    )  # fmt: skip


def test_the_band_of_a_curve_is_one_standard_deviation_but_never_below_a_loss_of_zero() -> None:
    found = mean_curves([run([1.0, 0.0]), run([1.4, 0.5])])
    assert found.validation == pytest.approx((1.2, 0.25))
    assert found.hi == pytest.approx((1.2 + 0.08**0.5, 0.25 + 0.125**0.5))
    assert found.lo == pytest.approx((1.2 - 0.08**0.5, 0.0))


def test_curves_end_with_the_first_run_to_stop_and_leave_out_those_that_diverged() -> None:
    found = mean_curves([run([1.0, 2.0, 3.0]), run([3.0, 4.0], "stopped"), run([9.0], "diverged")])
    assert found.epoch == (1, 2) and found.train == (2.0, 3.0)
    assert mean_curves([run([], "diverged")]).epoch == ()
