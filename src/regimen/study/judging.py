"""From the results of the search to what is said about the baseline and about every technique."""

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regimen.records import BaselineRecord, CurveRecord, RunResult, TechniqueRecord
from regimen.stats import judge, overfits
from regimen.study.family import PILOT_BELOW
from regimen.study.plan import Arm

Floats = npt.NDArray[np.float64]


def metrics(results: Sequence[RunResult]) -> Floats:
    """Return the metric of each result, float64 `[runs]`."""
    return np.array([result.metric for result in results], dtype=np.float64)


def judge_baseline(
    baseline: Sequence[RunResult], stopped: Sequence[RunResult] | None, *, guess: float
) -> BaselineRecord:
    """Return what the baseline does, and whether it overfits.

    Args:
        baseline: Its runs, one per pair.
        stopped: The runs of an arm with early stopping on the same pairs, or None.
        guess: Loss of a constant guess: a network that does not beat it on its training rows has fitted nothing, so
            it cannot overfit.
    """
    train = np.array([result.train_loss for result in baseline])
    validation = np.array([result.validation_loss for result in baseline])
    late = None
    if stopped is not None:
        chosen = np.array([result.validation_loss for result in stopped])
        late = np.maximum(validation, 1e-12) / np.maximum(chosen, 1e-12)
    found = overfits(validation - train, validation, late)
    values = metrics(baseline)
    return BaselineRecord(
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)),
        train_loss=float(train.mean()),
        validation_loss=float(validation.mean()),
        gap=found.gap,
        gap_ci=found.gap_ci,
        overfits=found.overfits and float(train.mean()) < guess,
        late_loss=found.late,
        late_loss_ci=found.late_ci,
    )


def judge_arms(
    arms: Sequence[Arm],
    baseline: Sequence[RunResult],
    results: Sequence[Sequence[RunResult]],
    *,
    higher_is_better: bool,
    smallest_effect: float,
    n_train: int,
    n_validation: int,
    new_rows_known: bool,
) -> tuple[TechniqueRecord, ...]:
    """Return the record of every arm, in the order of the arms; the arms are judged as one family.

    Args:
        arms: The family.
        baseline: Runs of the baseline, one per pair.
        results: Runs of each arm on the same pairs.
        higher_is_better: Direction of the metric.
        smallest_effect: Smallest effect of interest, in units of the metric.
        n_train: Rows of the training part.
        n_validation: Rows of the validation part.
        new_rows_known: Whether the spread over pairs tells what other rows would give. It does not where the validation
            rows are the same in every pair, nor where pairs are origins in time: then there is no wider interval for
            new rows and no p of it, `ci_new_rows` is `ci`, and reports leave it out.
    """
    sign = 1.0 if higher_is_better else -1.0
    base = metrics(baseline)
    differences = np.stack([sign * (metrics(runs) - base) for runs in results], axis=1)
    judged = judge(
        differences,
        smallest_effect=smallest_effect,
        n_train=n_train,
        n_validation=n_validation,
        pilot=len(baseline) < PILOT_BELOW,
    )
    # The lower of the two in the middle: of two pairs the first has the start of everything in it.
    seconds = statistics.median_low(run.seconds for run in baseline)
    return tuple(
        TechniqueRecord(
            arm=arm.name,
            name=arm.technique,
            setting=dict(arm.setting),
            mean=float(metrics(runs).mean()),
            delta=found.delta,
            ci=found.ci,
            ci_new_rows=found.ci_new_rows if new_rows_known else found.ci,
            p=found.p,
            p_adjusted=found.p_adjusted,
            p_new_rows=found.p_new_rows if new_rows_known else None,
            probability_of_improvement=found.probability_of_improvement,
            gap=statistics.fmean(run.validation_loss - run.train_loss for run in runs),
            verdict=found.verdict,
            pairs_needed=found.pairs_needed,
            strength=arm.strength,
            cost=statistics.median_low(run.seconds for run in runs) / max(seconds, 1e-9),
            diverged=sum(run.status in ("diverged", "failed") for run in runs),
        )
        for arm, runs, found in zip(arms, results, judged, strict=True)
    )


def mean_curves(results: Sequence[RunResult]) -> CurveRecord:
    """Return the mean curves over pairs, up to the last epoch that every run which did not diverge has reached."""
    kept = [run.curves for run in results if run.status not in ("diverged", "failed")]
    epochs = min((len(curves.train_loss) for curves in kept), default=0)
    if epochs == 0:
        return CurveRecord(epoch=(), train=(), validation=(), lo=(), hi=())
    train = np.array([curves.train_loss[:epochs] for curves in kept]).mean(axis=0)
    validation = np.array([curves.validation_loss[:epochs] for curves in kept])
    mean = validation.mean(axis=0)
    sd = validation.std(axis=0, ddof=1) if len(kept) > 1 else np.zeros(epochs)
    return CurveRecord(
        epoch=tuple(range(1, epochs + 1)),
        train=tuple(train.tolist()),
        validation=tuple(mean.tolist()),
        lo=tuple(np.maximum(mean - sd, 0.0).tolist()),  # no loss is below 0
        hi=tuple((mean + sd).tolist()),
    )
