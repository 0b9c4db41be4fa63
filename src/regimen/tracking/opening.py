"""Trackers by name, with what they need: refused before anything is trained if it is not installed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from regimen.errors import OptionError, nearest
from regimen.tracking.csv_file import CsvTracker
from regimen.tracking.mlflow_runs import MlflowTracker
from regimen.tracking.needs import NEEDS, require_packages
from regimen.tracking.tensorboard_events import TensorBoardTracker
from regimen.tracking.tracker import Tracker


def require_trackers(names: Sequence[str]) -> None:
    """Refuse names that are no trackers, and trackers whose packages are missing.

    Raises:
        OptionError: The message says how to install what is missing.

    Example:
        >>> require_trackers(["csv"])
    """
    for name in names:
        if name not in NEEDS:
            raise OptionError(f"--track: no such tracker {name!r}{nearest(name, NEEDS)}")
        require_packages(NEEDS[name], asked=f"--track {name}")


def open_trackers(names: Sequence[str], directory: Path) -> tuple[Tracker, ...]:
    """Return trackers that write below a folder: `curves.csv`, `tensorboard/`, `mlflow.db`.

    Raises:
        OptionError: A name is unknown, or what it needs is not installed.

    Example:
        >>> [tracker.name for tracker in open_trackers(["csv", "tensorboard"], Path("runs"))]
        ['csv', 'tensorboard']
    """
    require_trackers(names)
    make: dict[str, Callable[[], Tracker]] = {
        "csv": lambda: CsvTracker(directory / "curves.csv"),
        "tensorboard": lambda: TensorBoardTracker(directory / "tensorboard"),
        "mlflow": lambda: MlflowTracker(directory / "mlflow.db"),
    }
    return tuple(make[name]() for name in dict.fromkeys(names))
