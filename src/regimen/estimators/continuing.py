"""One more epoch from where networks are: what `partial_fit` does, in the reference engine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regimen.data import Split
from regimen.data.frames import describe_rows, read_rows, with_target
from regimen.data.keeping import keeping
from regimen.data.row_weights import RowWeights
from regimen.data.tables import Table
from regimen.engine import undisturbed
from regimen.engine.objective import with_weights
from regimen.engine.reference import Training
from regimen.errors import EngineError
from regimen.estimators.inputs import Weights, preparation_of
from regimen.run import Run, SavedModel


@dataclass(kw_only=True, slots=True)
class Progress:
    """How far networks have been trained, and what their optimizers remember, as plain values and arrays.

    Attributes:
        steps: Optimizer steps so far.
        mean_weight: Of the rows of the first call, or of `fit`: later weights count against it, like later numbers
            against the first scales.
        moments: State of each network's optimizer; empty before its first step here.
    """

    steps: int = 0
    mean_weight: float = 1.0
    moments: list[Any] = field(default_factory=list)


@keeping()
def continue_epoch(
    model: SavedModel, table: Table, progress: Progress, *, metric: str, weights: Weights | None
) -> tuple[SavedModel, Progress, float]:
    """Train every network for one epoch over the table, with the preparation that it has.

    Order, masks and noise go on where the step count stands: n calls with the same rows are n epochs of one training
    with a constant rate. Schedule, averaging and early stopping need to know the end, and are left out.

    Args:
        model: The networks as they are.
        table: Rows to learn from, all of them; read with the columns and classes of `model.preparation`.
        progress: What earlier calls returned.
        metric: Of the task.
        weights: Weight of each row, > 0; None is 1 for each.

    Returns:
        The networks, the progress and the mean training loss after the epoch.

    Raises:
        EngineError: The loss is not finite.
    """
    recipe = model.recipe.replace(schedule=None, averaging=None, early_stopping=None, input_scaling="none")
    relative = (np.ones(table.n) if weights is None else weights) / progress.mean_weight
    prepared = _prepared(model, table)
    if not (relative == 1.0).all():
        prepared = replace(prepared, weights=RowWeights(column="sample_weight", values=relative))
    run = Run(
        recipe=recipe,
        model=model.model,
        data=prepared,
        split=Split(train=np.arange(table.n), validation=_NO_ROWS, test=_NO_ROWS),
        key=model.keys[0],
        metric=metric,
    )
    moments = progress.moments or [None] * len(model.states)
    done = Progress(steps=progress.steps, mean_weight=progress.mean_weight)
    states, losses = [], []
    for key, state, memory in zip(model.keys, model.states, moments, strict=True):
        with undisturbed():
            training = _Continued(replace(run, key=key), model, table)
            training.load(state, memory)
            losses.append(training.one_epoch(progress.steps))
        states.append({name: value.detach().numpy() for name, value in training.network.state_dict().items()})
        done.moments.append(_numpy(training.optimizer.state_dict()))
        done.steps = training.steps_done
    return replace(model, states=tuple(states)), done, float(np.mean(losses))


_NO_ROWS = np.empty(0, dtype=np.int64)


def _prepared(model: SavedModel, table: Table) -> Table:
    """Return the table whose numbers are the network's inputs: its own preparation then changes nothing."""
    inputs = preparation_of(model).apply(table).astype(np.float64)
    names = [f"input {i}" for i in range(inputs.shape[1])]
    columns, _ = describe_rows(inputs, names)
    return with_target(read_rows(inputs, columns, names), table.y.copy(), task=table.task, classes=table.classes)


class _Continued(Training):
    def __init__(self, run: Run, model: SavedModel, table: Table) -> None:
        super().__init__(run, ("weights",))
        if table.task == "regression":
            # In the scale of the first rows, not of these.
            scale = model.preparation
            y = torch.from_numpy(((table.y - scale.target_mean) / scale.target_scale).astype(np.float32))
            self.y = with_weights(y, self._weights("train"))
        self.steps_done = 0

    def _weights(self, part: str) -> Weights | None:
        """Return the weights of all rows as they are: they are divided by the mean of the first rows already."""
        return None if self.run.data.weights is None else self.run.data.weights.values

    def load(self, state: Mapping[str, Any], memory: Any) -> None:
        self.network.load_state_dict({name: torch.tensor(value, device="cpu") for name, value in state.items()})
        if memory is not None:
            self.optimizer.load_state_dict(_tensors(memory))

    def one_epoch(self, steps: int) -> float:
        """Train as that epoch whose first step is the next one that no epoch has used."""
        epoch = -(-steps // len(self.slices))
        self.rates = np.full((epoch + 1) * len(self.slices), self.recipe.lr)
        self._train_epoch(epoch)
        self.steps_done = (epoch + 1) * len(self.slices)
        self.network.eval()
        with torch.no_grad():
            loss = self.objective.plain_loss(self._forward(self.x), self.y)
        if not math.isfinite(loss):
            raise EngineError("the loss was not finite after this epoch; lower lr or set clip_norm")
        return loss


def _numpy(value: Any) -> Any:
    """Return nested values with every tensor as an array, which later steps cannot change."""
    if isinstance(value, Tensor):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {key: _numpy(part) for key, part in value.items()}
    return [_numpy(part) for part in value] if isinstance(value, list) else value


def _tensors(value: Any) -> Any:
    """Undo `_numpy`."""
    if isinstance(value, np.ndarray):
        return torch.tensor(value, device="cpu")
    if isinstance(value, dict):
        return {key: _tensors(part) for key, part in value.items()}
    return [_tensors(part) for part in value] if isinstance(value, list) else value
