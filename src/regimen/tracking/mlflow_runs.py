"""Curves for MLflow: a run for each run, below one for each arm; recipes as parameters, curves as metrics by epoch."""

import logging
import math
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimen.errors import TrackingError
from regimen.records import RunResult
from regimen.tracking.needs import NEEDS, require_packages
from regimen.tracking.tracker import Subject, TrackedRun, flat, points

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

# What MLflow's interface takes at once.
SIZE, LETTERS, PAGE = 100, 500, 1000
# Tags by which a resumed study finds what is written.
STUDY, PLACE, ARM = "regimen.study", "regimen.run", "regimen.arm"
# A server that does not answer may hold up the training for seconds, not for MLflow's usual minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


class MlflowTracker:
    """Writes to an MLflow store: train_loss, validation_loss and the metric by epoch, the recipe as parameters.

    Each run is nested below one for its arm and phase. `best` is the metric at the epoch that the run returned to.

    Args:
        store: A file for MLflow's SQLite store, or the URI of a tracking server; needs the package mlflow-skinny, and
            for a file sqlalchemy and alembic too.
        experiment: Name of the experiment; None is `regimen` and the name of the data.

    Raises:
        OptionError: A package is not installed.
    """

    name = "mlflow"

    def __init__(self, store: str | Path, experiment: str | None = None) -> None:
        self._file = None if isinstance(store, str) and "://" in store else Path(store).absolute()
        needed = NEEDS[self.name][: 1 if self._file is None else None]  # the server has the others
        require_packages(needed, asked=type(self).__name__)
        self.uri = str(store) if self._file is None else f"sqlite:///{self._file}"
        self.experiment = experiment
        self._client: MlflowClient | None = None
        self._place = self._study = self._metric = ""
        self._written: set[str] = set()
        self._arms: dict[str, str] = {}

    def started(self, subject: Subject) -> None:
        """Open the store and look up what it holds of this study.

        Raises:
            TrackingError: The store cannot be opened.
        """
        self._study, self._metric = subject.identity[:16], subject.metric
        with self._failing():
            from mlflow.tracking import MlflowClient

            if self._file is not None:
                # A run took 0.39 s on a busy disk without writing ahead, and 0.24 s with it.
                _pragma(self._file, "journal_mode = WAL")
            client = MlflowClient(tracking_uri=self.uri)
            name = self.experiment or f"regimen {subject.data}"
            found = client.get_experiment_by_name(name)
            self._place = client.create_experiment(name) if found is None else found.experiment_id
            for run in self._stored(client):
                tags = run.data.tags
                if ARM in tags:
                    self._arms[tags[ARM]] = run.info.run_id
                elif run.info.status == "FINISHED":
                    self._written.add(tags[PLACE])
                else:
                    client.delete_run(run.info.run_id)  # a kill left it half written
            self._client = client

    def _stored(self, client: "MlflowClient") -> "Iterator[MlflowRun]":
        token = None
        while True:
            found = client.search_runs(
                [self._place], f"tags.`{STUDY}` = '{self._study}'", max_results=PAGE, page_token=token
            )
            yield from found
            token = found.token
            if not token:
                return

    def finished(self, run: TrackedRun, result: RunResult) -> None:
        """Write a run that the store does not hold yet.

        Raises:
            TrackingError: The store refuses, or its server does not answer.
        """
        if run.place in self._written:
            return
        if self._client is None:
            raise TrackingError(f"{self.uri} is not open: tell it that the study started")
        with self._failing():
            from mlflow.entities import Metric

            now, curves = int(time.time() * 1000), result.curves
            tags = {
                PLACE: run.place,
                "mlflow.parentRunId": self._arm(self._client, run),
                "regimen.status": result.status,
                "regimen.engine": result.engine,
                "regimen.epoch": str(result.epoch),
            }
            written = self._new(self._client, f"{run.arm} {run.phase} pair {run.pair}", tags)
            metrics = [
                Metric(name, value, now, epoch)
                for name, values in (
                    ("train_loss", curves.train_loss),
                    ("validation_loss", curves.validation_loss),
                    (self._metric, curves.metric),
                )
                for epoch, value in points(values)
            ]
            if not math.isnan(result.metric):
                metrics.append(Metric("best", result.metric, now, result.epoch))
            self._log(self._client, written, run, metrics)
            self._client.set_terminated(written)
        self._written.add(run.place)

    def _arm(self, client: "MlflowClient", run: TrackedRun) -> str:
        """Return the identifier of the run that holds all runs of an arm in a phase."""
        name = f"{run.phase}/{run.arm}"
        if name not in self._arms:
            self._arms[name] = self._new(client, f"{run.arm} {run.phase}", {ARM: name})
            self._log(client, self._arms[name], run, [])
            client.set_terminated(self._arms[name])
        return self._arms[name]

    def _new(self, client: "MlflowClient", name: str, tags: dict[str, str]) -> str:
        made = client.create_run(self._place, run_name=name, tags={STUDY: self._study, **tags})
        identity: str = made.info.run_id
        return identity

    def _log(self, client: "MlflowClient", written: str, run: TrackedRun, metrics: "Sequence[Metric]") -> None:
        """Write the recipe and metrics of a run: at once if they fit, since each call waits for the disk."""
        from mlflow.entities import Param

        params = [Param(key, str(value)[:LETTERS]) for key, value in flat(run.recipe).items()]
        for start in range(0, max(len(params), len(metrics), 1), SIZE):
            part = slice(start, start + SIZE)
            client.log_batch(written, metrics=metrics[part], params=params[part])

    def closed(self) -> None:
        """Let the store go; what was written ahead comes into the file."""
        if self._client is not None and self._file is not None:
            with suppress(sqlite3.Error):
                _pragma(self._file, "wal_checkpoint(TRUNCATE)")
        self._client = None

    @contextmanager
    def _failing(self) -> "Iterator[None]":
        """Turn what MLflow raises into `TrackingError`, wait no longer than `PATIENCE`, and keep its remarks off."""
        from mlflow.exceptions import MlflowException

        disabled = logging.root.manager.disable
        logging.disable(max(disabled, logging.INFO))
        # Only meanwhile: whoever uses MLflow beside this, to store a large model say, has patience of his own.
        told = {name: value for name, value in PATIENCE.items() if name not in os.environ}
        os.environ.update(told)
        try:
            with warnings.catch_warnings(action="ignore"):
                yield
        except (MlflowException, sqlite3.Error, OSError) as error:
            raise TrackingError(f"MLflow at {self.uri}: {_first_line(error)}") from error
        finally:
            for name in told:
                os.environ.pop(name, None)
            logging.disable(disabled)


def _pragma(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA {text}")


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
