"""One run of a bundle: its rows, its order and its records, as the reference engine makes them."""

from collections.abc import Collection, Iterator

import numpy as np
from torch import Tensor

from regimen import streams
from regimen.engine.reference import Training
from regimen.models.structure import structure
from regimen.records import RunResult, Status
from regimen.run import Run
from regimen.techniques import StopWatch, mixup_weights

State = dict[str, Tensor]


class StackedTraining(Training):
    """A run of a bundle: its rows, its order and its records; its parameters lie in the bundle."""

    engine = "stacked"

    def __init__(self, run: Run, keep: Collection[str]) -> None:
        super().__init__(run, keep)
        rule = self.recipe.early_stopping
        self.watch = StopWatch(rule) if rule else None
        self.structure = structure(self.network)
        self.computed: list[tuple[Tensor, Tensor]] = []
        self.spent = self.clock() - self.started

    @property
    def lengths(self) -> tuple[int, ...]:
        """Rows of all parts, which the runs of a bundle have in common."""
        stop = 0 if self.stop is None else len(self.stop[0])
        return len(self.x), stop, *(len(x) for x in self.data.x.values())

    def part(self, name: str) -> tuple[Tensor, Tensor] | None:
        """Return rows and targets of a part, None where there is none."""
        if name == "train":
            return self.x, self.y
        if name == "stop":
            return self.stop
        return (self._inputs(name), self.targets.get(name, self.data.y[name])) if name in self.data.x else None

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None, float]]:
        """Yield inputs, targets, partners and share of their own targets of each batch, as the reference feeds them."""
        order = self.order = streams.permutation(self.run.key, len(self.x), epoch=number)
        y, first = self.y[order], number * len(self.slices)
        lam = np.ones(len(self.slices))
        if self.recipe.mixup:
            lam = mixup_weights(self.run.key, self.recipe.mixup, step=first, steps=len(self.slices))
        for i, (rows, x) in enumerate(zip(self.slices, self._batches(order, number), strict=True)):
            x, partners, share = self._mixed(first + i, x, float(lam[i]))
            yield x, y[rows], partners, share

    def _forward(self, x: Tensor) -> Tensor:
        """Return what the bundle has computed for a part, whose rows `x` are."""
        return next(outputs for rows, outputs in self.computed if rows is x)

    def judged(self, epoch: int, outputs: dict[str, Tensor]) -> tuple[Status | None, bool]:
        """Take the outputs after an epoch (from 1); return the run's status if it ends, and whether it returns here."""
        self.epochs_run = epoch
        self.computed = [(rows[0], outputs[name]) for name in outputs if (rows := self.part(name)) is not None]
        losses = self._evaluate()
        if not np.isfinite(losses).all():
            return "diverged", False
        last = epoch == self.recipe.epochs
        best = self.watch.improved(epoch, losses[-1]) if self.watch else last
        if last:
            return "finished", best
        return ("stopped" if self.watch and self.watch.done(epoch) else None), best

    def take_snapshot(self, epoch: int, outputs: State, state: State) -> None:
        """Remember what the run returns, as evaluated after `epoch`."""
        self.returned_epoch, self.outputs, self.state = epoch, outputs, state

    def stacked_result(self, status: Status) -> RunResult:
        """Return the result of a run that has ended."""
        self.started = self.clock() - self.spent
        if status == "diverged":
            return self._diverged(self.epochs_run)
        chosen = self.returned_epoch - 1
        return self._record(
            status,
            metric=self.curves["metric"][chosen],
            train_loss=self.curves["train_loss"][chosen],
            validation_loss=self.curves["validation_loss"][chosen],
        )
