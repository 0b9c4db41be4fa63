"""What both estimators share: from arguments and rows to trained networks, more epochs, saving and loading."""

import numbers
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from regimen.data import Features, Table
from regimen.data.frames import describe_rows, read_rows, with_target
from regimen.errors import OptionError
from regimen.estimators.continuing import Progress, continue_epoch
from regimen.estimators.inputs import (
    Cells,
    Weights,
    column_names,
    mean_weight,
    preparation_of,
    read_cells,
    read_weights,
)
from regimen.estimators.recipes import AUTO, AUTO_NETWORKS, FIELDS, default_hidden, resolve_recipe
from regimen.estimators.saving import read_estimator, write_estimator
from regimen.estimators.studying import study_within
from regimen.estimators.training import Trained, divide, fresh_networks, train_networks, training_table, weighted
from regimen.models import MLP
from regimen.models.layers import Activation
from regimen.records import Task
from regimen.run import Recipe
from regimen.streams import check_key
from regimen.study import StudyOptions
from regimen.study.findings import Findings


class Perceptron(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A multilayer perceptron for rows of a table; see `RegimenClassifier` and `RegimenRegressor`."""

    _task: ClassVar[Task]
    _fields: ClassVar[tuple[str, ...]] = FIELDS

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] | None = None,
        activation: Activation = "relu",
        recipe: Any = None,
        optimizer: Any = None,
        lr: float | None = None,
        schedule: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        dropout: float | tuple[float, ...] | None = None,
        input_dropout: float | None = None,
        normalization: str | None = None,
        initialization: str | None = None,
        initialization_std: float | None = None,
        weight_decay: float | None = None,
        decoupled_weight_decay: float | None = None,
        decay_bias_and_norm: bool | None = None,
        l1: float | None = None,
        l1_step: str | None = None,
        max_norm: float | str | None = None,
        input_scaling: str | None = None,
        mixup: float | None = None,
        input_noise: float | None = None,
        clip_norm: float | str | None = None,
        averaging: Any = None,
        early_stopping: Any = None,
        networks: int | None = None,
        validation_fraction: float | None = None,
        metric: str | None = None,
        budget: str | None = "60s",
        engine: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.recipe = recipe
        self.optimizer = optimizer
        self.lr = lr
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.normalization = normalization
        self.initialization = initialization
        self.initialization_std = initialization_std
        self.weight_decay = weight_decay
        self.decoupled_weight_decay = decoupled_weight_decay
        self.decay_bias_and_norm = decay_bias_and_norm
        self.l1 = l1
        self.l1_step = l1_step
        self.max_norm = max_norm
        self.input_scaling = input_scaling
        self.mixup = mixup
        self.input_noise = input_noise
        self.clip_norm = clip_norm
        self.averaging = averaging
        self.early_stopping = early_stopping
        self.networks = networks
        self.validation_fraction = validation_fraction
        self.metric = metric
        self.budget = budget
        self.engine = engine
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may assume: missing cells are allowed, sparse input is not."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows, from the beginning.

        Args:
            X: Array-like of numbers `[rows, columns]`, or a frame of pandas, polars or Arrow whose columns are numbers,
                text, categories, booleans or dates. Missing cells (NaN, None) are filled and marked.
            y: Targets `[rows]`.
            sample_weight: Weight of each row in the loss, >= 0, `[rows]`: a row's loss is multiplied by its weight over
                the mean weight of all rows trained on, whatever the batch; rows of weight 0 are left out altogether.
                Losses and scores of rows held out, and those of a study (`recipe="auto"`), are weighted too. Scales,
                medians and levels of the columns count every row once.

        Raises:
            ValueError: Shapes, types or values are none that can be learnt from.
            DataError: No column can be learnt from.
            RecipeError: The recipe cannot be.
            OptionError: An argument cannot be honoured.
            EngineError: Training diverged.
        """
        cells, targets, weights = self._checked(X, y, sample_weight, reset=True)
        self._learn_targets(targets)
        table = weighted(self._new_table(cells, targets), weights)
        self._check_arguments()
        seed, recipe = self._seed(), self._recipe(table.n)
        self.__dict__.pop("study_", None)
        notes = table.notes
        # First of all: rows that judge the networks must not choose the recipe.
        split = divide(table, seed, self._held_out())
        if self._automatic:
            found, said = self._searched(training_table(table, split), self._network(table.n), recipe, seed)
            self.study_, recipe = found.results, found.model.recipe
            notes = (*notes, *said)
        trained = train_networks(
            table,
            split,
            recipe=recipe,
            model=self._network(table.n),
            metric=self._metric(),
            seed=seed,
            networks=self._count,
            engine=self.engine,
            processes=self._processes(),
        )
        self.model_, self.recipe_, self.notes_ = trained.model, trained.model.recipe, notes
        self.loss_curve_, self.validation_curve_ = trained.train_losses, trained.validation_losses
        self.n_iter_, self.engine_ = trained.epochs, trained.engine
        mean = mean_weight(None if weights is None else weights[split.train])
        self._progress = Progress(steps=trained.steps, mean_weight=mean)
        self._after_fit(trained, table, weights)
        if self.verbose:
            print(
                f"{type(self).__name__}: {self._count} x {self.model_.model.name}, {self.n_iter_} epochs on "
                f"{len(trained.split.train)} rows, training loss {self.loss_curve_[-1]:.4g} ({self.engine_} engine)"
            )
        return self

    def _continue(self, X: Any, y: Any, sample_weight: Any, *, first: bool) -> Self:
        """Train one epoch over the rows from where the networks are."""
        cells, targets, weights = self._checked(X, y, sample_weight, reset=first)
        if first:
            self._check_arguments()
            if self._automatic:
                raise OptionError("recipe: expected another than 'auto' for partial_fit; fit runs the study")
            table, seed = self._new_table(cells, targets), self._seed()
            self.recipe_ = self._recipe(table.n)
            self.model_ = fresh_networks(
                table,
                recipe=self.recipe_,
                model=self._network(table.n),
                metric=self._metric(),
                seed=seed,
                networks=self._count,
            )
            self.notes_, self.loss_curve_, self.validation_curve_ = table.notes, [], []
            self.n_iter_, self._progress = 0, Progress(mean_weight=mean_weight(weights))
        else:
            table = self._known_table(cells, targets)
        self.model_, self._progress, loss = continue_epoch(
            self.model_, table, self._progress, metric=self._metric(), weights=weights
        )
        self.loss_curve_ = [*self.loss_curve_, loss]
        self.n_iter_, self.engine_ = self.n_iter_ + 1, "reference"
        return self

    def save(self, directory: str | Path) -> None:
        """Write the fitted estimator into a folder: `model.safetensors`, `model.json` and `estimator.json`, no pickle.

        With `recipe="auto"` also `results.json`, what the study found. Files of these names are replaced.

        `regimen predict` and `regimen.SavedModel` read the same folder, but for the temperature of a calibration. What
        the optimizer remembers for `partial_fit` is not written; pickling keeps that too.

        Raises:
            StoreError: The folder cannot be written to.
            NotFittedError: The estimator is not fitted.
        """
        check_is_fitted(self)
        write_estimator(self, Path(directory))

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Return the estimator that `save` wrote.

        Raises:
            StoreError: A file is missing, damaged, or of another estimator.
        """
        return read_estimator(cls, Path(directory))

    @property
    @abstractmethod
    def _class_names(self) -> Sequence[str]:
        """Text of each class; empty for amounts."""

    @abstractmethod
    def _learn_targets(self, y: npt.NDArray[Any]) -> None:
        """Set what is learnt from the targets of a first fit."""

    @abstractmethod
    def _encoded(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return targets as a table holds them.

        Raises:
            ValueError: Targets are none that the estimator can learn, or a class is unknown.
        """

    @abstractmethod
    def _metric(self) -> str:
        """Return the name of the metric."""

    def _held_out(self) -> float | None:
        return self.validation_fraction

    def _after_fit(self, trained: Trained, table: Table, weights: Weights | None) -> None:
        """Do what follows a training."""

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Cells, npt.NDArray[Any], Weights | None]:
        """Return the rows that count, their targets, and their weights."""
        cells, targets = read_cells(self, X, y=y, reset=reset, numeric=self._task == "regression")
        weights = read_weights(sample_weight, len(cells))
        if weights is not None and not weights.all():
            kept = np.flatnonzero(weights)
            cells, targets, weights = cells[kept], targets[kept], weights[kept]
        return cells, targets, weights

    def _new_table(self, cells: Cells, targets: npt.NDArray[Any]) -> Table:
        names = column_names(self)
        columns, notes = describe_rows(cells, names)
        features = read_rows(cells, columns, names, notes=notes)
        return with_target(features, self._encoded(targets), task=self._task, classes=self._class_names)

    def _known_table(self, cells: Cells, targets: npt.NDArray[Any]) -> Table:
        features = read_rows(cells, preparation_of(self.model_).columns, column_names(self))
        return with_target(features, self._encoded(targets), task=self._task, classes=self._class_names)

    def _features(self, X: Any) -> Features:
        """Return rows to predict."""
        check_is_fitted(self)
        cells, _ = read_cells(self, X, reset=False)
        return read_rows(cells, preparation_of(self.model_).columns, column_names(self))

    def _check_samples(self, samples: int) -> None:
        recipe = self.model_.recipe
        if samples and not (any(recipe.rates) or recipe.input_dropout):
            raise OptionError(
                f"samples: expected 0 for networks without dropout, whose samples are all alike, got {samples!r}; "
                "train with dropout"
            )

    def _network(self, rows: int) -> MLP:
        hidden = default_hidden(rows, automatic=self._automatic) if self.hidden is None else self.hidden
        return MLP(hidden=hidden, activation=self.activation)

    @property
    def _automatic(self) -> bool:
        return isinstance(self.recipe, str) and self.recipe == AUTO

    @property
    def _count(self) -> int:
        """How many networks are trained."""
        if self.networks is None:
            return AUTO_NETWORKS if self._automatic else 1
        return self.networks

    def _recipe(self, rows: int) -> Recipe:
        return resolve_recipe(self.recipe, {name: getattr(self, name) for name in self._fields}, rows=rows)

    def _searched(self, table: Table, model: MLP, recipe: Recipe, seed: int) -> tuple[Findings, tuple[str, ...]]:
        """Return what a study of the table finds, with `recipe` as its baseline, and notes about it."""
        options = StudyOptions(
            model=model,
            baseline=recipe,
            budget=self.budget,
            metric=self._metric(),
            engine=self.engine,
            processes=self._processes(),
            seed=seed,
        )
        return study_within(table, options)

    def _check_arguments(self) -> None:
        given = self._count
        if isinstance(given, bool) or not isinstance(given, numbers.Integral) or given < 1:
            raise OptionError(f"networks: expected None or a whole number >= 1, got {given!r}")
        fraction = self.validation_fraction
        if fraction is not None and not (isinstance(fraction, numbers.Real) and 0 < fraction < 1):
            raise OptionError(f"validation_fraction: expected None or a number in (0, 1), got {fraction!r}")
        if self.n_jobs is not None and (not isinstance(self.n_jobs, numbers.Integral) or self.n_jobs in (0, False)):
            raise OptionError(f"n_jobs: expected None, -1 or a number of processors, got {self.n_jobs!r}")

    def _processes(self) -> int | None:
        """Return how many networks train at a time; None for one on each processor core."""
        return None if self.n_jobs is None or self.n_jobs < 0 else int(self.n_jobs)

    def _seed(self) -> int:
        if isinstance(self.random_state, numbers.Integral):
            return check_key(int(self.random_state), "random_state")
        largest = np.iinfo(np.int32).max
        if isinstance(self.random_state, np.random.Generator):
            return int(self.random_state.integers(largest))
        return int(check_random_state(self.random_state).randint(largest))
