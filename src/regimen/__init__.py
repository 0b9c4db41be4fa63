"""Regularization lab for PyTorch: which regularization does this network need, how strong, and how sure is that?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regimen.data import load
    from regimen.estimators import RegimenClassifier, RegimenRegressor
    from regimen.run import Recipe, SavedModel, read_recipe
    from regimen.study import Study, StudyOptions

__version__ = "0.1.0"
__all__ = [
    "Recipe",
    "RegimenClassifier",
    "RegimenRegressor",
    "SavedModel",
    "Study",
    "StudyOptions",
    "__version__",
    "load",
    "read_recipe",
]

# Where each name lives: importing regimen alone takes no torch, which needs a second or two.
_HOMES = {
    "load": "regimen.data",
    "RegimenClassifier": "regimen.estimators",
    "RegimenRegressor": "regimen.estimators",
    "Recipe": "regimen.run",
    "SavedModel": "regimen.run",
    "read_recipe": "regimen.run",
    "Study": "regimen.study",
    "StudyOptions": "regimen.study",
}

# Packages at hand without an import of their own: regimen.search.search(...), regimen.data.as_data(...).
_PACKAGES = ("data", "engine", "models", "nn", "run", "search", "stats", "study", "techniques", "tracking")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"regimen.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'regimen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*__all__, *_PACKAGES))
