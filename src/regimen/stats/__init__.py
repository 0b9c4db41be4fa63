"""Statistics of paired comparisons: arrays in, numbers out, with NumPy and SciPy alone.

Differences are technique minus baseline, one per pair, signed so that > 0 is better. Input that no statistic can be
computed from (NaN, fewer than two pairs, a wrong shape) raises `SampleError`, an `InputError`.
"""

from regimen.stats.gaps import GapFinding, overfits
from regimen.stats.intervals import new_rows_interval, probability_of_improvement, student_interval, t_interval
from regimen.stats.jackknife import crossed_interval, deleted_together, effective_groups, jackknife_se
from regimen.stats.permutation import MaxT, max_t, sign_flip_p
from regimen.stats.power import paired_power, pairs_needed
from regimen.stats.samples import SampleError
from regimen.stats.verdicts import Judgement, judge, verdict

__all__ = [
    "GapFinding",
    "Judgement",
    "MaxT",
    "SampleError",
    "crossed_interval",
    "deleted_together",
    "effective_groups",
    "jackknife_se",
    "judge",
    "max_t",
    "new_rows_interval",
    "overfits",
    "paired_power",
    "pairs_needed",
    "probability_of_improvement",
    "sign_flip_p",
    "student_interval",
    "t_interval",
    "verdict",
]
