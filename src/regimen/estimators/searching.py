"""Searches of scikit-learn whose candidates train side by side, one on each core, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import joblib  # type: ignore[import-untyped]

from regimen.data.keeping import keeping
from regimen.engine import one_thread
from regimen.engine.trainer import available_cores


@contextmanager
def together(n_jobs: int | None = None) -> Iterator[None]:
    """Let the candidates of searches and the folds of cross-validation inside train side by side.

    `GridSearchCV`, `RandomizedSearchCV`, `cross_val_score` and all else of scikit-learn that leaves `n_jobs` open then
    fits one estimator on each core, in threads: the native engine holds no lock of Python while it trains, so nothing
    is copied, pickled or started anew. Results are those of one after the other. Let each estimator train one network
    at a time (`n_jobs=1`) if it has several.

    Args:
        n_jobs: Estimators fitted at a time, >= 1; None for one on each processor core.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import GridSearchCV
        >>> from regimen.estimators import RegimenClassifier, together
        >>> search = GridSearchCV(RegimenClassifier(hidden=(8,), epochs=5, random_state=0), {"dropout": [0.1, 0.5]})
        >>> with together():
        ...     search = search.fit(*load_iris(return_X_y=True))
        >>> len(search.cv_results_["params"])
        2
    """
    # One intra-op thread throughout: each fit sets it for itself and would put back what another thread has set.
    # Rows of a fold that one candidate has prepared, others take.
    with keeping(), one_thread(), joblib.parallel_config(backend="threading", n_jobs=n_jobs or available_cores()):
        yield
