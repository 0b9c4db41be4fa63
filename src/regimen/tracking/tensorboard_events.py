"""Curves for TensorBoard: one folder of events for each run, so that every run is a curve of its own."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from regimen.errors import TrackingError
from regimen.records import RunResult
from regimen.tracking.needs import NEEDS, require_packages
from regimen.tracking.tracker import Subject, TrackedRun, points


class TensorBoardTracker:
    """Writes curves that `tensorboard --logdir FOLDER` shows: `loss/train`, `loss/validation` and the metric by epoch.

    The folder of a run is `phase/arm/pair-N`, with the recipe as a text. It appears when the run is written whole.

    Args:
        folder: Where to; needs the package tensorboard.

    Raises:
        OptionError: The package is not installed.
    """

    name = "tensorboard"

    def __init__(self, folder: str | Path) -> None:
        require_packages(NEEDS[self.name], asked=type(self).__name__)
        self.folder = Path(folder)
        self._metric = "metric"

    def started(self, subject: Subject) -> None:
        """Make the folder.

        Raises:
            TrackingError: It cannot be made.
        """
        self._metric = subject.metric
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrackingError(f"cannot write {self.folder}: {error.strerror}") from error

    def finished(self, run: TrackedRun, result: RunResult) -> None:
        """Write a run that has no folder yet.

        Raises:
            TrackingError: The disk refuses.
        """
        target = self.folder / run.phase / _file_name(run.arm) / f"pair-{run.pair}-{run.identity[:8]}"
        if target.exists():
            return
        draft = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Beside the folder that TensorBoard watches, and renamed when it is whole.
            draft = tempfile.mkdtemp(prefix=".tensorboard-", dir=self.folder.parent)
            self._write(Path(draft), run, result)
            os.chmod(draft, 0o755)
            os.replace(draft, target)
        except OSError as error:
            raise TrackingError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)

    def _write(self, folder: Path, run: TrackedRun, result: RunResult) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        writer = SummaryWriter(str(folder))
        try:
            curves = result.curves
            for name, values in (
                ("loss/train", curves.train_loss),
                ("loss/validation", curves.validation_loss),
                (f"metric/{self._metric}", curves.metric),
            ):
                for epoch, value in points(values):
                    writer.add_scalar(name, value, epoch)
            writer.add_text("recipe", f"```\n{json.dumps(run.recipe, indent=1)}\n```")
        finally:
            writer.close()

    def closed(self) -> None:
        """Nothing is open between two runs."""


def _file_name(arm: str) -> str:
    """Return the name of an arm as that of a folder.

    Example:
        >>> _file_name("dropout=0.3 + a/b")
        'dropout=0.3 + a_b'
    """
    return re.sub(r"[^\w.=+ -]+", "_", arm).strip(". ") or "arm"
