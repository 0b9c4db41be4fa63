"""The study: baseline, every technique alone on shared pairs, a combination of what helps, and its confirmation."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from regimen.data import as_data
from regimen.data.keeping import keeping
from regimen.engine import Trainer, choose_engine
from regimen.errors import OptionError, StoreError
from regimen.models import ModelSource
from regimen.store import Store
from regimen.study.findings import Findings
from regimen.study.layout import Layout
from regimen.study.ledger import Ledger, Trains, Watch
from regimen.study.options import StudyOptions
from regimen.study.own_modules import planned_model
from regimen.study.phases import Phases
from regimen.study.plan import Plan
from regimen.study.planning import make_plan
from regimen.study.tracked import TrackedWatch, require_trackers, subject_of
from regimen.tracking import Tracker


@dataclass(kw_only=True)
class Study:
    """Which regularization does a network need on given data, how strong, and how sure is that?

    Attributes:
        data: A table, images or samples, or what `regimen.data.as_data` makes some of: a name, a path, `(x, y)`, a
            frame with its target, a `Dataset`, a `DataLoader`, a function that returns batches.
        options: What is asked.
        watch: Is told of the progress.
        trainer: Trains the runs; None starts one for the duration of the study.
        model: The network, here or in the options: a description, its name, or a function or class without arguments
            that makes a `torch.nn.Module`.
        trackers: Take the curves of runs as they finish, see `regimen.tracking`.

    Raises:
        DataError: The data cannot be studied as they are.
        OptionError: The model is none, or given in the options too; the options are no `StudyOptions`; or something
            among the trackers is no tracker.

    Example:
        >>> from regimen.data import load
        >>> options = StudyOptions(techniques="label_smoothing", pairs=2, epochs=1, processes=1)
        >>> Study(data=load("iris"), options=options).run().results.design.pilot
        True
    """

    data: Any
    options: StudyOptions = field(default_factory=StudyOptions)
    watch: Watch = field(default_factory=Watch)
    trainer: Trains | None = None
    model: ModelSource | None = None
    trackers: Sequence[Tracker] = ()

    def __post_init__(self) -> None:
        options: Any = self.options
        if not isinstance(options, StudyOptions):
            raise OptionError(f"options: expected StudyOptions(pairs=10, …), got {type(options).__name__}")
        if self.model is not None:
            if self.options.model is not None:
                raise OptionError("model: expected it once, got one in options too; leave out the one or the other")
            self.options = replace(self.options, model=self.model)
        require_trackers(self.trackers)
        self.data = as_data(self.data)

    @keeping()
    def run(self, directory: Path | None = None, *, resume: bool = False, command: str = "") -> Findings:
        """Do the study and return what it found.

        Args:
            directory: Existing folder for the store; None keeps everything in memory.
            resume: Go on with the study in `directory`, by its stored plan.
            command: Command line, for the record.

        Raises:
            StoreError: The folder holds a study (without `resume`), none (with it), one of other data, or one whose
                engine is not here; or it is of a module of the user's own that is not given, or has changed.
            OptionError: The options do not fit the data.
            EngineError: The baseline diverged, or a worker process died.
        """
        started = time.perf_counter()
        layout = Layout.of(self.data, folds=self.options.folds or 0)
        store = self._open(directory) if resume else None
        own = None
        try:
            plan = self._stored_plan(store)
            trainer = self.trainer
            if trainer is None:
                device = self.options.device if plan is None or self.options.device != "auto" else plan.device
                engine = self.options.engine if plan is None else _planned_engine(plan, device)
                trainer = own = Trainer([self.data], engine=engine, processes=self.options.processes, device=device)
            if plan is None:
                processes = own.processes if own else 1
                if self.options.limit is not None and self.options.limit.unit == "s":
                    self.watch.note("measuring how long a run takes, which can take as long as one epoch does")
                plan = make_plan(layout, self.options, trainer, processes=processes, started=started, command=command)
                # Only now is anything written: options that do not fit the data leave no trace.
                if store is None and directory is not None:
                    store = Store(directory, create=True)
                if store is not None:
                    store.save_plan(plan.to_dict())
            layout = replace(layout, folds=plan.folds)
            model = planned_model(plan, self.options.given_model)
            with TrackedWatch(self.watch, self.trackers, subject_of("study", plan, plan.to_dict())) as watch:
                watch.planned(plan.runs)
                ledger = Ledger(trainer=trainer, engine=plan.engine, store=store, watch=watch)
                phases = Phases(layout=layout, plan=plan, ledger=ledger, watch=watch, model=model)
                return phases.findings(started - (0.0 if store is None else store.seconds))
        finally:
            if own is not None:
                own.close()
            if store is not None:
                store.close()

    def _open(self, directory: Path | None) -> Store:
        if directory is None:
            raise OptionError("resume: expected the folder of a study, got none")
        return Store(directory, create=False)

    def _stored_plan(self, store: Store | None) -> Plan | None:
        stored = None if store is None else store.plan()
        if stored is None:
            return None
        plan = Plan.from_dict(stored)
        if plan.digest != self.data.digest:
            raise StoreError(
                f"the stored study is about {plan.data} with other content than now: it cannot go on; "
                "start a new one, without --resume"
            )
        return plan


def _planned_engine(plan: Plan, device: str) -> str:
    """Return what to ask a trainer for, so that a study goes on with the engine that it was begun with.

    Engines agree up to rounding only, and the trajectories of two runs part from there: what is trained now must be
    what the plan would have trained then.
    """
    if plan.engine in ("reference", "stacked"):
        return plan.engine
    found = choose_engine("auto", device)
    if found.name != plan.engine:
        why = found.reasons.get(plan.engine, f"it does not train on {device}")
        raise StoreError(
            f"the stored study was begun with the engine {plan.engine}, which is not here: {why}; go on with it where "
            "that engine is, or start a new study, without --resume"
        )
    return plan.asked_engine
