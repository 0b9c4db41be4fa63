"""Tells trackers what a study or a search trains; one that fails is told of once and left out from then on."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from regimen.errors import OptionError, TrackingError
from regimen.records import RunResult
from regimen.run import recipe_to_dict
from regimen.study.ledger import Entry, Watch
from regimen.study.plan import Plan
from regimen.tracking import Subject, TrackedRun, Tracker


class TrackedWatch(Watch):
    """Passes everything on to another watch, and every finished run to trackers.

    Args:
        watch: What is told of all, the failures of trackers included.
        trackers: Take the runs.
        subject: What is tracked.

    Raises:
        OptionError: Something among the trackers is none.
    """

    def __init__(self, watch: Watch, trackers: Sequence[Tracker], subject: Subject) -> None:
        require_trackers(trackers)
        self.watch, self.trackers, self.subject = watch, list(trackers), subject

    def planned(self, runs: int) -> None:
        """Pass it on."""
        self.watch.planned(runs)

    def phase(self, name: str, runs: int) -> None:
        """Pass it on."""
        self.watch.phase(name, runs)

    def finished(self, result: RunResult, *, stored: bool, arm: str) -> None:
        """Pass it on."""
        self.watch.finished(result, stored=stored, arm=arm)

    def entered(self, entry: Entry) -> None:
        """Pass it on, and hand the run to the trackers."""
        self.watch.entered(entry)
        if self.trackers:
            run = TrackedRun(
                identity=entry.run.identity,
                arm=entry.arm,
                phase=entry.phase,
                pair=entry.pair,
                key=entry.run.key,
                recipe=recipe_to_dict(entry.run.recipe),
            )
            self._tell(lambda tracker: tracker.finished(run, entry.result))

    def note(self, text: str) -> None:
        """Pass it on."""
        self.watch.note(text)

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        for tracker in list(self.trackers):
            try:
                what(tracker)
            except TrackingError as error:
                self.trackers.remove(tracker)
                self.watch.note(f"{tracker.name}: {error}; nothing more is written there")
                with suppress(TrackingError):
                    tracker.closed()

    def __enter__(self) -> Self:
        self._tell(lambda tracker: tracker.started(self.subject))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tell(lambda tracker: tracker.closed())


def require_trackers(trackers: Sequence[Tracker]) -> None:
    """Refuse what is no tracker.

    Raises:
        OptionError: Something among the trackers is none.
    """
    none = [tracker for tracker in trackers if not hasattr(tracker, "finished")]
    if none:
        raise OptionError(f"trackers: expected trackers such as CsvTracker('curves.csv'), got {none[0]!r}")


def subject_of(kind: str, plan: Plan, settings: Mapping[str, Any]) -> Subject:
    """Return what trackers are told of a plan; `settings` are what tells it from other plans."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return Subject(
        kind=kind,
        identity=hashlib.sha256(text.encode()).hexdigest(),
        data=plan.data,
        model=plan.model,
        metric=plan.metric,
        settings=dict(settings),
    )
