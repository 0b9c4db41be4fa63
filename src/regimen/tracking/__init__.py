"""Writers of curves for runs as they finish: CSV, TensorBoard and MLflow."""

from regimen.tracking.csv_file import CsvTracker
from regimen.tracking.mlflow_runs import MlflowTracker
from regimen.tracking.opening import open_trackers, require_trackers
from regimen.tracking.tensorboard_events import TensorBoardTracker
from regimen.tracking.tracker import Subject, TrackedRun, Tracker

__all__ = [
    "CsvTracker",
    "MlflowTracker",
    "Subject",
    "TensorBoardTracker",
    "TrackedRun",
    "Tracker",
    "open_trackers",
    "require_trackers",
]
