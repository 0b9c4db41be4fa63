"""Curves as one CSV file in the long format: a line for each epoch of each run."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from regimen.errors import TrackingError
from regimen.records import RunResult
from regimen.tracking.tracker import Subject, TrackedRun

COLUMNS = ("run", "arm", "phase", "pair", "epoch", "train_loss", "validation_loss", "metric")
# So much of a run's identity tells it from others.
LETTERS = 16


class CsvTracker:
    """Writes curves to a CSV file: run, arm, phase, pair, epoch (from 1), train_loss, validation_loss, metric.

    All lines of a run are written at once, and are on disk when the next run finishes. Losses are those of eval mode,
    the metric is the study's on the validation part; where there is none, the cell is empty.

    Args:
        path: The file; one that is there is gone on with.

    Example:
        >>> from regimen.data import load
        >>> from regimen.study import Study, StudyOptions
        >>> options = StudyOptions(techniques="l2", pairs=2, epochs=1, processes=1)
        >>> _ = Study(data=load("iris"), options=options, trackers=[CsvTracker("curves.csv")]).run()
        >>> Path("curves.csv").read_text().splitlines()[0]
        'run,arm,phase,pair,epoch,train_loss,validation_loss,metric'
    """

    name = "csv"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: IO[str] | None = None
        self._written: Counter[tuple[str, ...]] = Counter()

    def started(self, subject: Subject) -> None:
        """Open the file; a last line that was cut off is taken away.

        Raises:
            TrackingError: It cannot be written, or holds something else.
        """
        try:
            self._open()
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            self.closed()
            raise TrackingError(f"cannot write {self.path}: {error}") from error
        except TrackingError:
            self.closed()
            raise

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+", encoding="utf-8", newline="")
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind("\n") + 1]
        lines = list(csv.reader(io.StringIO(whole, newline="")))
        if lines and tuple(lines[0]) != COLUMNS:
            raise TrackingError(f"{self.path} holds other columns than {', '.join(COLUMNS)}; move it away")
        self._written = Counter(tuple(line[:4]) for line in lines[1:])
        if whole != text:
            self._file.truncate(len(whole.encode()))
        if not lines:
            self._write([COLUMNS])

    def finished(self, run: TrackedRun, result: RunResult) -> None:
        """Write the epochs of a run that are not in the file.

        Raises:
            TrackingError: The disk refuses.
        """
        place = (run.identity[:LETTERS], run.arm, run.phase, str(run.pair))
        curves = result.curves
        values = zip(curves.train_loss, curves.validation_loss, curves.metric, strict=True)
        # An empty cell is a missing number everywhere; `nan` would make a column of texts of it in polars.
        known = [["" if value != value else value for value in of_epoch] for of_epoch in values]
        lines = [(*place, epoch, *of_epoch) for epoch, of_epoch in enumerate(known, 1)]
        try:
            self._write(lines[self._written[place] :])
        except OSError as error:
            raise TrackingError(f"cannot write {self.path}: {error.strerror}") from error
        self._written[place] = len(lines)

    def _write(self, lines: Sequence[Sequence[object]]) -> None:
        if self._file is None:
            raise TrackingError(f"{self.path} is not open: tell it that the study started")
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._file.write(text.getvalue())
        self._file.flush()

    def closed(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # of a full disk: told when it was written to
                self._file.close()
            self._file = None
