"""Trains the networks of an estimator: all rows in the engine of choice, or with weights of rows in the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimen import streams
from regimen.data import Split, Table, pair_split
from regimen.data.frames import rows_of, with_target
from regimen.engine import one_thread, train
from regimen.errors import EngineError
from regimen.estimators.inputs import Weights, mean_weight
from regimen.estimators.weighting import WeightedTraining
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


def training_table(table: Table, split: Split) -> Table:
    """Return the rows trained on as a table of their own: the table itself where none are held out."""
    if not len(split.validation):
        return table
    return with_target(
        rows_of(table, split.train),
        table.y[split.train],
        task=table.task,
        classes=table.classes,
        target=table.target,
    )


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
    weights: Weights | None,
) -> Trained:
    """Train networks that differ in nothing but their key.

    Args:
        table: Rows with their target.
        split: Rows trained on, and held out.
        recipe: What is done to each network.
        model: The network.
        metric: Followed on the rows held out.
        seed: Of the keys.
        networks: How many.
        engine: `auto`, `native`, `stacked` or `reference`; weights need the reference, whatever is asked for.
        processes: Networks trained at a time.
        weights: Weight of each row of the table, > 0.

    Raises:
        EngineError: A network diverged.
    """
    first = Run(recipe=recipe, model=model, data=table, split=split, key=0, metric=metric)
    keys = _keys(seed, networks)
    runs = [replace(first, key=key) for key in keys]
    if weights is None:
        results = train(runs, engine=engine, processes=processes, keep=("weights",))
    else:
        with one_thread():
            relative = weights[split.train] / mean_weight(weights[split.train])
            results = [WeightedTraining(run, relative).result(None) for run in runs]
    states = []
    for number, result in enumerate(results, start=1):
        if result.weights is None:
            raise EngineError(f"network {number} of {networks} could not be trained: {result.message}")
        states.append(result.weights)
    return Trained(model=SavedModel.of(first, states, keys=keys), results=tuple(results), split=split)


def fresh_networks(table: Table, *, recipe: Recipe, model: MLP, metric: str, seed: int, networks: int) -> SavedModel:
    """Return networks with their initial weights, those that `train_networks` starts from."""
    first = Run(recipe=recipe, model=model, data=table, split=divide(table, seed, None), key=0, metric=metric)
    keys = _keys(seed, networks)
    started = [WeightedTraining(replace(first, key=key), None).network for key in keys]
    states = [{name: value.numpy() for name, value in network.state_dict().items()} for network in started]
    return SavedModel.of(first, states, keys=keys)


def _keys(seed: int, networks: int) -> list[int]:
    return [streams.run_key(seed, pair=network, phase=FINAL) for network in range(networks)]
