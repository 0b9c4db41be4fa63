"""Temperature scaling: one number that makes probabilities as sure as they are right."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

# Beyond these, all classes are equally likely or one has all: held-out rows that want more are all right or all wrong.
COLDEST, HOTTEST = 1e-2, 1e2


def fit_temperature(
    log_probabilities: npt.NDArray[np.float64], y: npt.NDArray[np.int64], weights: npt.NDArray[np.float64] | None = None
) -> float:
    """Return the T > 0 that minimizes the log loss of softmax(z / T) on rows that were not trained on.

    T > 1 softens, T < 1 sharpens; which class is the most likely never changes, so accuracy stays.

    Args:
        log_probabilities: z `[rows, classes]`: logits, or logarithms of averaged probabilities.
        y: Codes of the true classes, `[rows]`.
        weights: Weight of each row in the log loss, > 0, `[rows]`; None counts all rows alike. Networks trained with
            weights predict the weighted shares of the classes, which a log loss without them would undo.

    Example:
        >>> sure = np.array([[8.0, 0.0], [8.0, 0.0], [8.0, 0.0], [8.0, 0.0]])
        >>> round(float(np.exp(8.0 / fit_temperature(sure, np.array([0, 0, 0, 1])))), 2)  # odds of 3 to 1
        3.0

    Reference:
        Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", arXiv:1706.04599,
        equation 9.
    """
    rows = np.arange(len(y))

    def log_loss(log_t: float) -> float:
        scaled = log_probabilities * np.exp(-log_t)
        return float(-np.average(log_softmax(scaled, axis=1)[rows, y], weights=weights))

    # In the logarithm of 1/T the loss has one minimum (it is convex in 1/T), and both directions are alike.
    found = minimize_scalar(
        log_loss,
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def soften(log_probabilities: npt.NDArray[np.float64], temperature: float) -> npt.NDArray[np.float64]:
    """Return softmax(z / T), `[rows, classes]`."""
    scaled = log_probabilities / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
