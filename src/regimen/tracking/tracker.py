"""What a tracker is: something that takes the curves of runs as they finish."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from regimen.records import RunResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is being tracked: a study or a search.

    Attributes:
        kind: `study` or `search`.
        identity: SHA-256 of its plan, as hex; the same when it is resumed.
        data: Name of the data.
        model: Name of the network.
        metric: Name of the metric.
        settings: What else was planned, as plain values.
    """

    kind: str
    identity: str
    data: str
    model: str
    metric: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedRun:
    """A run and its place.

    Attributes:
        identity: SHA-256 of all that defines the run, as hex.
        arm: What was trained: the baseline, a technique, a trial of a search.
        phase: Where in the study: search, combine, confirm, final.
        pair: Number of the split and key that all arms share.
        key: 64-bit run key of its random streams.
        recipe: What the training was, as plain values.
    """

    identity: str
    arm: str
    phase: str
    pair: int
    key: int
    recipe: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Return what no other run of the study has in common with this one.

        Example:
            >>> run = TrackedRun(identity="0123456789abcdef", arm="l2", phase="search", pair=3, key=1, recipe={})
            >>> run.place
            'search/l2/3/0123456789ab'
        """
        return f"{self.phase}/{self.arm}/{self.pair}/{self.identity[:12]}"


class Tracker(Protocol):
    """Takes the curves of runs as they finish.

    A resumed study tells its stored runs again, since it cannot know what came through before: a tracker writes what
    it does not have yet. One that cannot write raises `TrackingError`: that is told once, and the study goes on
    without it.
    """

    @property
    def name(self) -> str:
        """Return what the tracker is called in messages."""
        ...

    def started(self, subject: Subject) -> None:
        """Take what will be tracked, before the first run."""
        ...

    def finished(self, run: TrackedRun, result: RunResult) -> None:
        """Take a run that was trained, or found in the store of a resumed study."""
        ...

    def closed(self) -> None:
        """Take that no more runs will come."""
        ...


def points(values: Iterable[float]) -> Iterator[tuple[int, float]]:
    """Yield epoch (from 1) and value of a curve where there is one: NaN is a number that is missing.

    Example:
        >>> list(points([0.5, float("nan"), 0.25]))
        [(1, 0.5), (3, 0.25)]
    """
    return ((epoch, value) for epoch, value in enumerate(values, 1) if not math.isnan(value))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested plain values as one level, the names joined by dots and numbers of list items.

    Example:
        >>> flat({"lr": 0.1, "optimizer": {"name": "sgd"}, "augmentation": [{"name": "flip"}], "dropout": [0.1, 0.2]})
        {'lr': 0.1, 'optimizer.name': 'sgd', 'augmentation.0.name': 'flip', 'dropout.0': 0.1, 'dropout.1': 0.2}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, list | tuple):
            value = {str(index): part for index, part in enumerate(value)}
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found
