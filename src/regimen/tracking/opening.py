"""Trackers by name, with what they need: refused before anything is trained if it is not installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from regimen.errors import OptionError, nearest
from regimen.tracking.csv_file import CsvTracker
from regimen.tracking.mlflow_runs import MlflowTracker
from regimen.tracking.tensorboard_events import TensorBoardTracker
from regimen.tracking.tracker import Tracker

# The packages of each, which are those of the extra of that name.
NEEDS: dict[str, tuple[str, ...]] = {
    "csv": (),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
}


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
        missing = [package for package in NEEDS[name] if find_spec(package) is None]
        if missing:
            raise OptionError(
                f"--track {name} needs the package {' and '.join(missing)}, which is not installed; "
                f"pip install 'torch-regimen[{name}]'"
            )


def open_trackers(names: Sequence[str], directory: Path) -> tuple[Tracker, ...]:
    """Return trackers that write below a folder: `curves.csv`, `tensorboard/`, `mlflow.db`.

    Raises:
        OptionError: A name is unknown, or what it needs is not installed.

    Example:
        >>> [tracker.name for tracker in open_trackers(["csv", "tensorboard"], Path("runs"))]
        ['csv', 'tensorboard']
    """
    require_trackers(names)
    made: dict[str, Tracker] = {
        "csv": CsvTracker(directory / "curves.csv"),
        "tensorboard": TensorBoardTracker(directory / "tensorboard"),
        "mlflow": MlflowTracker(directory / "mlflow.db"),
    }
    return tuple(made[name] for name in dict.fromkeys(names))
