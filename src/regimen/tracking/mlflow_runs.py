"""Curves for MLflow: a run for each run, below one for each arm; recipes as parameters, curves as metrics by epoch."""

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimen.errors import TrackingError
from regimen.records import RunResult
from regimen.tracking.tracker import Subject, TrackedRun, flat

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

# What MLflow's interface takes at once.
PARAMETERS, METRICS, LETTERS, PAGE = 100, 1000, 500, 1000
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
    """

    name = "mlflow"

    def __init__(self, store: str | Path, experiment: str | None = None) -> None:
        self.uri = store if isinstance(store, str) and "://" in store else f"sqlite:///{Path(store).absolute()}"
        self.experiment = experiment
        self._client: MlflowClient | None = None
        self._place = self._study = self._metric = ""
        self._written: set[str] = set()
        self._arms: dict[str, str] = {}

    def started(self, subject: Subject) -> None:
        """Open the store and look up what it holds of this study.

        Raises:
            TrackingError: The store can not be opened.
        """
        self._study, self._metric = subject.identity[:16], subject.metric
        with self._failing():
            for name, value in PATIENCE.items():
                os.environ.setdefault(name, value)
            from mlflow.tracking import MlflowClient

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
            written = self._new(self._client, f"{run.arm} {run.phase} pair {run.pair}", run, tags)
            metrics = [
                Metric(name, value, now, epoch)
                for name, values in (
                    ("train_loss", curves.train_loss),
                    ("validation_loss", curves.validation_loss),
                    (self._metric, curves.metric),
                )
                for epoch, value in enumerate(values, 1)
            ]
            metrics.append(Metric("best", result.metric, now, result.epoch))
            for start in range(0, len(metrics), METRICS):
                self._client.log_batch(written, metrics=metrics[start : start + METRICS])
            self._client.set_terminated(written)
        self._written.add(run.place)

    def _arm(self, client: "MlflowClient", run: TrackedRun) -> str:
        """Return the identifier of the run that holds all runs of an arm in a phase."""
        name = f"{run.phase}/{run.arm}"
        if name not in self._arms:
            self._arms[name] = self._new(client, f"{run.arm} {run.phase}", run, {ARM: name})
            client.set_terminated(self._arms[name])
        return self._arms[name]

    def _new(self, client: "MlflowClient", name: str, run: TrackedRun, tags: dict[str, str]) -> str:
        from mlflow.entities import Param

        made = client.create_run(self._place, run_name=name, tags={STUDY: self._study, **tags})
        identity: str = made.info.run_id
        params = [Param(key, str(value)[:LETTERS]) for key, value in flat(run.recipe).items()]
        for start in range(0, len(params), PARAMETERS):
            client.log_batch(identity, params=params[start : start + PARAMETERS])
        return identity

    def closed(self) -> None:
        """Let the store go."""
        self._client = None

    @contextmanager
    def _failing(self) -> "Iterator[None]":
        """Turn what MLflow raises into `TrackingError`, and keep its remarks off the screen."""
        from mlflow.exceptions import MlflowException

        disabled = logging.root.manager.disable
        logging.disable(max(disabled, logging.INFO))
        try:
            with warnings.catch_warnings(action="ignore"):
                yield
        except (MlflowException, OSError) as error:
            raise TrackingError(f"MLflow at {self.uri}: {_first_line(error)}") from error
        finally:
            logging.disable(disabled)


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
