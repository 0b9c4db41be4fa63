"""Estimators of scikit-learn: a multilayer perceptron with every technique, for classes and for amounts."""

from regimen.estimators.classifier import RegimenClassifier
from regimen.estimators.regressor import RegimenRegressor
from regimen.estimators.searching import together

__all__ = ["RegimenClassifier", "RegimenRegressor", "together"]
