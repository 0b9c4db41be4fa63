"""The classifier: a multilayer perceptron with every technique, in the form of scikit-learn."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from regimen.data import Table
from regimen.data.frames import rows_of
from regimen.errors import OptionError, nearest
from regimen.estimators.calibration import fit_temperature, soften
from regimen.estimators.inputs import Weights
from regimen.estimators.perceptron import Perceptron
from regimen.estimators.predicting import Floats, forward, log_mean_probabilities
from regimen.estimators.recipes import CLASS_FIELDS, FIELDS
from regimen.estimators.training import Trained
from regimen.models.layers import Activation
from regimen.records import Task

CALIBRATIONS = ("none", "temperature")
# Share of the rows that a calibration holds out, where the user names none.
CALIBRATION_FRACTION = 0.15


class RegimenClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc] # scikit-learn has no types
    """A multilayer perceptron that classifies rows of a table, with every technique of regularization as an argument.

    ŷ = argmax softmax(f(z)), z the scaled numbers and one-hot categories of a row. Dropout, noise and mixup act in
    training only, unless `predict_proba` is asked for samples.

    Args:
        hidden: Widths of the hidden layers, () for a linear model; None is (128,) below 2,000 rows and (128, 64) from
            there on, and with `recipe="auto"` (256, 128).
        activation: After each hidden layer: relu, leaky_relu, tanh, gelu, silu or sigmoid.
        recipe: What is done to the network and its training: None for the default (Adam on a falling cosine
            from 0.01, 40 epochs; from 2,000 rows on from 0.005, 20 epochs; batches of 32, dropout 0.1); a
            `regimen.Recipe`; TOML or the path of a TOML file; or `"auto"`, which lets a study of the rows trained on
            find one inside `fit`, from the default with 40 epochs (20 from 20,000 rows on).
        optimizer: A name (sgd, adam, adamw, rmsprop, adagrad), a table such as `{"name": "sgd", "momentum": 0.9}`, or
            an optimizer of `regimen.techniques`. This and the following arguments are the fields of `regimen.Recipe`,
            described there; None leaves what `recipe` says.
        lr: Learning rate, > 0.
        schedule: A name or table (`"cosine"`), or `"none"`.
        epochs: Passes over the rows, >= 1.
        batch_size: Rows of an optimizer step, >= 1.
        dropout: Drop probability after each hidden activation, in [0, 1); one or one for each layer.
        input_dropout: Drop probability on the inputs, in [0, 1).
        normalization: batch, layer or none.
        initialization: Of weights and biases.
        initialization_std: Of `initialization="normal"`, > 0.
        weight_decay: L2, >= 0.
        decoupled_weight_decay: Beside the optimizer, >= 0.
        decay_bias_and_norm: Whether biases and norms decay too.
        l1: L1, >= 0.
        l1_step: subgradient or proximal.
        max_norm: Largest norm of a unit's incoming weights, > 0, or `"none"`.
        input_scaling: standard, minmax, robust or none.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        class_weights: balanced or none.
        mixup: alpha of mixup, >= 0.
        input_noise: Standard deviation of noise on the inputs, >= 0.
        clip_norm: Largest norm of the gradient, > 0, or `"none"`.
        averaging: A name or table (`"ema"`), or `"none"`.
        early_stopping: True, False, a table such as `{"patience": 10}`, or an `EarlyStopping`; 15 % of the rows then
            choose the epoch and are not trained on.
        networks: How many networks are trained from different keys; their probabilities are averaged. None is 1, and 5
            with `recipe="auto"`.
        validation_fraction: Share of the rows held out of training, in (0, 1), for `validation_curve_` and for the
            calibration; None holds out none, or 15 % for the calibration.
        calibration: `temperature` divides the logits by the one number that fits the rows held out best; none.
        metric: What the study of `recipe="auto"` is about; None is accuracy, as `score` measures it.
        budget: Limit on that study, such as 60s or 300runs; None for its usual extent. The networks follow it.
        engine: auto, native, stacked or reference.
        n_jobs: Networks trained at a time; None or -1 for one on each processor core.
        random_state: A seed from 0 to 2^64 - 1, a `RandomState` or `Generator` of NumPy that seeds are drawn from, or
            None for another result each time.
        verbose: Whether `fit` prints a line.

    Attributes:
        classes_: The labels, in the order of the columns of `predict_proba`.
        recipe_: The recipe trained.
        study_: With `recipe="auto"`: what the study found, as in results.json.
        model_: The networks, a `regimen.SavedModel`.
        loss_curve_: Training loss after each epoch.
        validation_curve_: Loss on the rows held out, empty without any.
        temperature_: With `calibration`: the temperature.
        n_iter_: Epochs trained.
        engine_: Which engine trained.
        notes_: Decisions about the columns, in words.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> RegimenClassifier(hidden=(16,), dropout=0.1, random_state=0).fit(X, y).predict(X).shape
        (150,)

    Reference:
        Guo et al. (2017), arXiv:1706.04599 (calibration); Gal and Ghahramani (2016), arXiv:1506.02142 (samples).
    """

    _task: ClassVar[Task] = "classification"
    _fields: ClassVar[tuple[str, ...]] = FIELDS + CLASS_FIELDS

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
        label_smoothing: float | None = None,
        class_weights: str | None = None,
        networks: int | None = None,
        validation_fraction: float | None = None,
        calibration: str = "none",
        metric: str | None = None,
        budget: str | None = "60s",
        engine: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden=hidden,
            activation=activation,
            recipe=recipe,
            optimizer=optimizer,
            lr=lr,
            schedule=schedule,
            epochs=epochs,
            batch_size=batch_size,
            dropout=dropout,
            input_dropout=input_dropout,
            normalization=normalization,
            initialization=initialization,
            initialization_std=initialization_std,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            decay_bias_and_norm=decay_bias_and_norm,
            l1=l1,
            l1_step=l1_step,
            max_norm=max_norm,
            input_scaling=input_scaling,
            mixup=mixup,
            input_noise=input_noise,
            clip_norm=clip_norm,
            averaging=averaging,
            early_stopping=early_stopping,
            networks=networks,
            validation_fraction=validation_fraction,
            metric=metric,
            budget=budget,
            engine=engine,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.calibration = calibration

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch over the rows, from where the networks are; the first call starts them.

        The first call fits scales, medians and levels, which later calls keep. n calls with the same rows are n epochs
        of `fit` without schedule, averaging and early stopping, which need to know the end and are left out.

        Args:
            X: As for `fit`.
            y: Labels `[rows]`.
            classes: All labels that any call will bring; needed in the first call.
            sample_weight: Weight of each row, >= 0, against the mean weight of the first call's rows.

        Raises:
            ValueError: `classes` is missing in the first call, others than before later, or `y` has unknown labels.
            OptionError: The recipe is "auto", or a calibration is asked for.
        """
        first = not hasattr(self, "model_")
        self._check_calibration()
        if self.calibration != "none":
            raise OptionError("calibration: expected 'none' for partial_fit, which holds no rows out; use fit")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if first:
            self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(f"expected the classes of the first call, {self.classes_}, got {np.unique(classes)}")
        self._continue(X, y, sample_weight, first=first)
        # It was fitted for the networks before this epoch.
        self.__dict__.pop("temperature_", None)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most likely label of each row, `[rows]`.

        Raises:
            NotFittedError: The estimator is not fitted.
            ValueError: The columns are not those fitted on.
        """
        codes = self._log_probabilities(X, 0).argmax(axis=1)
        return np.asarray(self.classes_[codes])

    def predict_proba(self, X: Any, samples: int = 0) -> Floats:
        """Return the probability of each class, `[rows, classes]`, in the order of `classes_`.

        Args:
            X: As for `fit`.
            samples: Number of forward passes with dropout on that are averaged (Monte Carlo dropout); 0 is one pass
                without dropout. The masks of a row depend on its number in `X`.

        Raises:
            NotFittedError: The estimator is not fitted.
            OptionError: `samples` is asked for and the networks have no dropout.
        """
        found = self._log_probabilities(X, samples)
        return soften(found, getattr(self, "temperature_", 1.0))

    def predict_log_proba(self, X: Any, samples: int = 0) -> Floats:
        """Return the logarithm of `predict_proba`, -inf where a probability is 0 in float64."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, samples))

    def _log_probabilities(self, X: Any, samples: int) -> Floats:
        features = self._features(X)
        self._check_samples(samples)
        found = np.empty((features.n, len(self.classes_)))
        for rows, logits in forward(self.model_, features, samples=samples):
            found[rows] = logits[0] if len(logits) == 1 else log_mean_probabilities(logits)
        return found

    def _learn_targets(self, y: npt.NDArray[Any]) -> None:
        check_classification_targets(y)
        self._check_calibration()
        self.classes_ = np.unique(y)

    def _encoded(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            raise ValueError(f"expected labels among the classes {self.classes_}, got {y[unknown][0]!r}")
        return codes.astype(np.int64)

    @property
    def _class_names(self) -> Sequence[str]:
        return [str(label) for label in self.classes_]

    def _metric(self) -> str:
        return self.metric or "accuracy"

    def _check_calibration(self) -> None:
        if self.calibration not in CALIBRATIONS:
            raise OptionError(
                f"calibration: no such value {self.calibration!r}{nearest(str(self.calibration), CALIBRATIONS)}"
            )

    def _held_out(self) -> float | None:
        if self.validation_fraction is None and self.calibration == "temperature":
            return CALIBRATION_FRACTION
        return self.validation_fraction

    def _after_fit(self, trained: Trained, table: Table, weights: Weights | None) -> None:
        self.__dict__.pop("temperature_", None)
        if self.calibration == "temperature":
            rows = trained.split.validation
            held_out = rows_of(table, rows)
            found = np.concatenate([log_mean_probabilities(logits) for _, logits in forward(self.model_, held_out)])
            self.temperature_ = fit_temperature(found, table.y[rows], None if weights is None else weights[rows])
