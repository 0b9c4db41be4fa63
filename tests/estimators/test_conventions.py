"""Every check that scikit-learn has for estimators."""

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from regimen.estimators import RegimenClassifier, RegimenRegressor

# scikit-learn's own perceptrons fail this check too, with their default solver.
_REPEATED = "a row of weight 2 stands in one mini-batch, a row given twice in two; equal in the mean only"


def _expected_failures(estimator: Any) -> dict[str, str]:
    return {"check_sample_weight_equivalence_on_dense_data": _REPEATED}


@parametrize_with_checks([RegimenClassifier(), RegimenRegressor()], expected_failed_checks=_expected_failures)
def test_what_scikit_learn_expects_of_every_estimator_holds(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
