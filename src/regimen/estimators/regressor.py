"""The regressor: a multilayer perceptron with every technique, in the form of scikit-learn."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from regimen.errors import OptionError
from regimen.estimators.perceptron import Perceptron
from regimen.estimators.predicting import Floats, forward
from regimen.records import Task

# Samples of an uncertainty, where the user names none: their standard deviation is then known within 7 %.
SAMPLES = 100


class RegimenRegressor(RegressorMixin, Perceptron):  # type: ignore[misc] # scikit-learn has no types
    """A multilayer perceptron that predicts amounts from rows of a table, with every technique as an argument.

    ŷ = μ + σ f(z), z the scaled numbers and one-hot categories of a row, μ and σ mean and standard deviation of the
    targets trained on; the loss is the mean squared error in that scale.

    The arguments and attributes are those of `RegimenClassifier`, without what needs classes (`label_smoothing`,
    `class_weights`, `calibration`, `classes_`); several networks are averaged; `metric=None` is the root of the mean
    squared error.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = RegimenRegressor(hidden=(16,), dropout=0.2, random_state=0).fit(X, y)
        >>> mean, std = model.predict(X[:3], return_std=True)
        >>> std.shape
        (3,)

    Reference:
        Gal and Ghahramani (2016), "Dropout as a Bayesian approximation", arXiv:1506.02142, section 4 (`return_std`).
    """

    _task: ClassVar[Task] = "regression"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch over the rows, from where the networks are; the first call starts them.

        The first call fits scales, medians and levels, also of the target, which later calls keep. n calls with the
        same rows are n epochs of `fit` without schedule, averaging and early stopping, which need to know the end and
        are left out.

        Args:
            X: As for `fit`.
            y: Amounts `[rows]`.
            sample_weight: Weight of each row, >= 0, against the mean weight of the first call's rows.

        Raises:
            OptionError: The recipe is "auto".
        """
        return self._continue(X, y, sample_weight, first=not hasattr(self, "model_"))

    def predict(
        self, X: Any, return_std: bool = False, samples: int | None = None
    ) -> npt.NDArray[np.float64] | tuple[Floats, Floats]:
        """Return the amount of each row, float64 `[rows]`, in the target's unit.

        Args:
            X: As for `fit`.
            return_std: Whether the standard deviation comes too, of the same shape and unit: over forward passes with
                dropout on (Monte Carlo dropout), or over the networks, or both, whichever there is. It is the
                uncertainty of the prediction, without the noise of the target itself.
            samples: Forward passes with dropout on, which the amounts then are the mean of; None takes 100 for
                `return_std` where there is dropout, else one pass without dropout. The masks of a row depend on its
                number in `X`.

        Raises:
            NotFittedError: The estimator is not fitted.
            ValueError: The columns are not those fitted on.
            OptionError: An uncertainty is asked of a single network without dropout.
        """
        features = self._features(X)
        passes = self._passes(return_std, samples)
        mean, std = np.empty(features.n), np.empty(features.n)
        for rows, outputs in forward(self.model_, features, samples=passes):
            mean[rows], std[rows] = outputs[..., 0].mean(axis=0), outputs[..., 0].std(axis=0)
        return (mean, std) if return_std else mean

    def _passes(self, return_std: bool, samples: int | None) -> int:
        if samples is not None:
            self._check_samples(samples)
        recipe = self.model_.recipe
        drops = bool(any(recipe.rates) or recipe.input_dropout)
        if return_std and not drops and len(self.model_.states) == 1:
            raise OptionError(
                "return_std: expected networks with dropout, or more than one network, got one without; "
                "set dropout or networks"
            )
        return (SAMPLES if return_std and drops else 0) if samples is None else samples

    def _learn_targets(self, y: npt.NDArray[Any]) -> None:
        """Learn nothing: the scale of the targets is part of the model."""

    def _encoded(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array(y, dtype=np.float64)

    @property
    def _class_names(self) -> Sequence[str]:
        return ()

    def _metric(self) -> str:
        return self.metric or "rmse"
