"""Trains the networks of an estimator, by weights of rows where there are some."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimen import streams
from regimen.data import Split, Table, pair_split
from regimen.data.frames import rows_of, with_target
from regimen.data.keeping import keeping
from regimen.data.row_weights import RowWeights
from regimen.data.tables import Rows
from regimen.engine import train, undisturbed
from regimen.engine.reference import Training
from regimen.errors import EngineError
from regimen.estimators.inputs import Weights, equal_weights
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run, SavedModel

# Phases of the keys: 2 is a study's final training, and equal seeds give equal networks there and here.
FINAL = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """Networks and how their training went.

    Attributes:
        model: The networks.
        results: What each run recorded.
        split: Rows trained on, and rows held out.
    """

    model: SavedModel
    results: tuple[RunResult, ...]
    split: Split

    @property
    def epochs(self) -> int:
        """Epochs that the longest training took."""
        return max(result.epochs_run for result in self.results)

    @property
    def steps(self) -> int:
        """Optimizer steps that the longest training took."""
        return max(result.steps for result in self.results)

    @property
    def engine(self) -> str:
        """Which engine trained."""
        return self.results[0].engine

    @property
    def train_losses(self) -> list[float]:
        """Training loss after each epoch, the mean over the networks that still trained."""
        return _mean_curve([result.curves.train_loss for result in self.results])

    @property
    def validation_losses(self) -> list[float]:
        """Loss on the rows held out after each epoch; empty where there are none."""
        if not len(self.split.validation):
            return []
        return _mean_curve([result.curves.validation_loss for result in self.results])


def _mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    longest = max(map(len, curves))
    return [float(np.mean([curve[i] for curve in curves if i < len(curve)])) for i in range(longest)]


def divide(table: Table, seed: int, fraction: float | None) -> Split:
    """Return the rows trained on, all of them unless a fraction is held out."""
    rows, none = np.arange(table.n), np.empty(0, dtype=np.int64)
    if not fraction:
        return Split(train=rows, validation=none, test=none)
    return pair_split(table, rows, streams.run_key(seed, pair=0, phase=FINAL), validation_fraction=fraction)


def weighted(table: Table, weights: Weights | None) -> Table:
    """Return the table with weights of its rows; as it is where all rows count alike."""
    if weights is None or equal_weights(weights):
        return table
    return replace(table, weights=RowWeights(column="sample_weight", values=weights))


def training_table(table: Table, split: Split) -> Table:
    """Return the rows trained on as a table of their own: the table itself where none are held out."""
    return part_of(table, split.train) if len(split.validation) else table


def part_of(table: Table, rows: Rows) -> Table:
    """Return some rows as a table of their own, with their weights."""
    part = with_target(rows_of(table, rows), table.y[rows], task=table.task, classes=table.classes, target=table.target)
    return weighted(part, None if table.weights is None else table.weights.values[rows])


@keeping()
def train_networks(
    table: Table,
    split: Split,
    *,
    recipe: Recipe,
    model: MLP,
    metric: str,
    seed: int,
    networks: int,
    engine: str,
    processes: int | None,
) -> Trained:
    """Train networks that differ in nothing but their key.

    Args:
        table: Rows with their target, and their weights if they have some.
        split: Rows trained on, and held out.
        recipe: What is done to each network.
        model: The network.
        metric: Followed on the rows held out.
        seed: Of the keys.
        networks: How many.
        engine: `auto`, `native`, `stacked` or `reference`.
        processes: Networks trained at a time.

    Raises:
        EngineError: A network diverged.
    """
    first = Run(recipe=recipe, model=model, data=table, split=split, key=0, metric=metric)
    keys = _keys(seed, networks)
    runs = [replace(first, key=key) for key in keys]
    results = train(runs, engine=engine, processes=processes, keep=("weights",))
    states = []
    for number, result in enumerate(results, start=1):
        if result.weights is None:
            raise EngineError(f"network {number} of {networks} could not be trained: {result.message}")
        states.append(result.weights)
    return Trained(model=SavedModel.of(first, states, keys=keys), results=tuple(results), split=split)


@keeping()
def fresh_networks(table: Table, *, recipe: Recipe, model: MLP, metric: str, seed: int, networks: int) -> SavedModel:
    """Return networks with their initial weights, those that `train_networks` starts from."""
    first = Run(recipe=recipe, model=model, data=table, split=divide(table, seed, None), key=0, metric=metric)
    keys = _keys(seed, networks)
    with undisturbed():
        started = [Training(replace(first, key=key), ()).network for key in keys]
    states = [{name: value.numpy() for name, value in network.state_dict().items()} for network in started]
    return SavedModel.of(first, states, keys=keys)


def _keys(seed: int, networks: int) -> list[int]:
    return [streams.run_key(seed, pair=network, phase=FINAL) for network in range(networks)]
