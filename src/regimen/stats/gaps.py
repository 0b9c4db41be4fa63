"""Whether the baseline overfits: the gap between validation and training loss, and what late epochs cost."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.records import Interval
from regimen.stats.intervals import t_interval
from regimen.stats.samples import Floats, SampleError, checked_sample

RELATIVE_GAP = 0.10
LATE_EXCESS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class GapFinding:
    """What `overfits` found.

    Attributes:
        gap: Mean of validation minus training loss.
        gap_ci: Its 95 % t interval over pairs.
        overfits: Whether the gap, or the late epochs, show overfitting beyond doubt.
        late: Relative excess of the last epoch's loss over that of the epoch chosen on the stop part (0.05 = 5 %), as a
            geometric mean over pairs; None where no run stopped early.
        late_ci: Its 95 % interval over pairs.
    """

    gap: float
    gap_ci: Interval
    overfits: bool
    late: float | None
    late_ci: Interval | None


def overfits(
    gaps: npt.ArrayLike, validation_losses: npt.ArrayLike, late_ratio: npt.ArrayLike | None = None
) -> GapFinding:
    """Decide whether a network overfits, from its runs over the pairs.

    It does where the lower 95 % bound of mean(gap) / mean(validation loss) is above 0.10, or that of the late loss
    ratio above 1.05. The first is Fieller's bound of a ratio of means: above 0.10 exactly where the t interval of
    gap - 0.10 * validation loss lies above 0. The second is the t interval of the log ratio.

    Args:
        gaps: Validation minus training loss, one per pair, shape `(n,)`, n >= 2.
        validation_losses: Validation loss of the same pairs, >= 0, shape `(n,)`.
        late_ratio: Loss at the last epoch over loss at the epoch chosen on the stop part, > 0, one per pair that has
            both, shape `(k,)`, k >= 2; None where there is none.

    Raises:
        SampleError: Fewer than two pairs, lengths that differ, a value that is not finite or outside its range.

    Example:
        >>> found = overfits([0.30, 0.25, 0.35], [0.9, 0.8, 1.0], [1.02, 1.01, 1.03])
        >>> found.overfits, round(found.gap, 2), round(found.late, 3)
        (True, 0.3, 0.02)

    Reference:
        Fieller (1954), Some problems in interval estimation, Journal of the Royal Statistical Society B 16(2), 175-185.
    """
    gap = checked_sample(gaps, name="gaps")
    loss = checked_sample(validation_losses, name="validation_losses")
    if loss.shape != gap.shape:
        raise SampleError(f"expected one validation loss per gap, received {len(loss)} losses for {len(gap)} gaps")
    if loss.min() < 0:
        raise SampleError(f"expected validation_losses >= 0, received {loss.min()}")
    wide = t_interval(gap - RELATIVE_GAP * loss)[0] > 0
    late, late_ci = _late(late_ratio)
    return GapFinding(
        gap=float(gap.mean()),
        gap_ci=t_interval(gap),
        overfits=wide or (late_ci is not None and late_ci[0] > LATE_EXCESS),
        late=late,
        late_ci=late_ci,
    )


def _late(late_ratio: npt.ArrayLike | None) -> tuple[float | None, Interval | None]:
    if late_ratio is None:
        return None, None
    ratio = checked_sample(late_ratio, name="late_ratio")
    if ratio.min() <= 0:
        raise SampleError(f"expected late_ratio > 0 (last loss over chosen loss), received {ratio.min()}")
    log: Floats = np.log(ratio)
    lo, hi = t_interval(log)
    # Two pairs may bound the log by hundreds, which exp cannot hold, nor JSON infinity.
    return math.expm1(log.mean()), (math.expm1(lo), math.expm1(min(hi, 700.0)))
