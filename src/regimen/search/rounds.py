"""The rounds of a search: which trials were asked for together, read from the study alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial

# With a trial: the number of its round, and how many trials that has when it is whole.
ROUND = "regimen:round"
NONE_REPORTED = (-1, -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """The trials that are asked for before any of them is trained: a round that was begun, or the next one.

    Whatever a search does next follows from what is stored, never from what the process has done so far. So a search
    that is interrupted goes on as if it had not been.

    Attributes:
        index: Rounds before it.
        size: Trials in it when it is whole.
        missing: Trials that are still to be asked for now.
        under_way: Trials that were asked for and have not ended, by number.
        latest: Pair and number of the trial that reported last, (-1, -1) before the first report. For all reports
            before that one the pruner has been asked.
    """

    index: int
    size: int
    missing: int
    under_way: "tuple[FrozenTrial, ...]"
    latest: tuple[int, int] = NONE_REPORTED

    @classmethod
    def of(cls, trials: "Sequence[FrozenTrial]", *, size: int) -> Self:
        """Return the round that is not at its end, or else the next one.

        Args:
            trials: Those of the study, by number, without any that other computers have under way.
            size: Trials of a new round.
        """
        placed = [trial for trial in trials if ROUND in trial.user_attrs]
        index = max((trial.user_attrs[ROUND][0] for trial in placed), default=-1)
        members = [trial for trial in placed if trial.user_attrs[ROUND][0] == index]
        if members and (len(members) < members[0].user_attrs[ROUND][1] or any(map(_runs, members))):
            size = members[0].user_attrs[ROUND][1]
        else:
            index, members = index + 1, []
        # What a kill has left between asking for a trial and giving it a place, or another computer in its time.
        members += [trial for trial in trials if _runs(trial) and trial not in members]
        reports = [(max(trial.intermediate_values), trial.number) for trial in members if trial.intermediate_values]
        under_way = sorted(filter(_runs, members), key=lambda trial: trial.number)
        # One that failed was not to be trained: a sampler had nothing new to ask for, and has not until others end.
        ended = bool(under_way) and any(trial.state.name == "FAIL" for trial in members)
        return cls(
            index=index,
            size=size,
            missing=0 if ended else max(0, size - len(members)),
            under_way=tuple(under_way),
            latest=max(reports, default=NONE_REPORTED),
        )


def begin_with(study: "OptunaStudy", starts: Sequence[Mapping[str, Any]]) -> None:
    """Have these parameters asked for first, unless trials were asked for already; a kill may have kept some away."""
    waiting = study.get_trials(deepcopy=False)
    if all(trial.state.name == "WAITING" for trial in waiting):
        for parameters in starts[len(waiting) :]:
            study.enqueue_trial(dict(parameters))


def _runs(trial: "FrozenTrial") -> bool:
    return trial.state.name == "RUNNING"
