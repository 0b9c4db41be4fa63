"""From the arguments of an estimator to a recipe: a default that suits tables, a given one, and single fields."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from regimen.errors import OptionError
from regimen.run import Recipe, read_recipe, recipe_from_dict, recipe_from_toml
from regimen.techniques import CosineLR, EarlyStopping

AUTO = "auto"
# Fields that may be None, which as an argument means the recipe's own: these are switched off by the word.
OFF = "none"
OPTIONAL = ("schedule", "max_norm", "clip_norm", "averaging", "early_stopping")
# Fields that are arguments of both estimators, and those of the classifier alone; those for images no argument sets.
FIELDS = (
    "optimizer",
    "lr",
    "schedule",
    "epochs",
    "batch_size",
    "dropout",
    "input_dropout",
    "normalization",
    "initialization",
    "initialization_std",
    "weight_decay",
    "decoupled_weight_decay",
    "decay_bias_and_norm",
    "l1",
    "l1_step",
    "max_norm",
    "input_scaling",
    "mixup",
    "input_noise",
    "clip_norm",
    "averaging",
    "early_stopping",
)
CLASS_FIELDS = ("label_smoothing", "class_weights")


# Which of 16 settings (width 128 or 256, lr 0.003 or 0.01, dropout 0.1 or 0.3, 20 or 40 epochs; batches of 32, falling
# rate) was the most accurate on average over 8 splits each of wine, penguins, titanic, breast_cancer, vehicle, soybean,
# car and kc1: 0.05 points above scikit-learn's MLPClassifier on the same inputs. Deeper networks and other techniques
# were within 0.5 points there, and dearer.
DEFAULT_HIDDEN = (128,)
DEFAULT_RECIPE = Recipe(lr=0.01, schedule=CosineLR(), dropout=0.1)


def resolve_recipe(given: object, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe that the arguments of an estimator mean.

    Args:
        given: `None` or `"auto"` for the default, a recipe, a mapping of its fields, TOML, or the path of a TOML file;
            text with an equals sign or more than one line is TOML, other text a path.
        changes: Fields by name; None leaves the recipe's, `"none"` switches an optional one off.

    Raises:
        RecipeError: The recipe or a field can not be.
        OptionError: `given` is none of these.

    Example:
        >>> resolve_recipe("lr = 0.01", {"dropout": 0.5, "mixup": None}).dropout
        (0.5,)
    """
    base = _given(given)
    described: dict[str, Any] = {}
    built: dict[str, Any] = {}
    for name, value in changes.items():
        if value is None:
            continue
        if name == "early_stopping" and isinstance(value, bool):
            value = EarlyStopping() if value else OFF
        if name in OPTIONAL and isinstance(value, str) and value == OFF:
            built[name] = None
        elif dataclasses.is_dataclass(value):
            built[name] = value
        else:
            described[name] = _plain(value)
    return recipe_from_dict(described, base=base.replace(**built))


def _given(given: object) -> Recipe:
    if given is None or (isinstance(given, str) and given == AUTO):
        return DEFAULT_RECIPE
    if isinstance(given, Recipe):
        return given
    if isinstance(given, Mapping):
        return recipe_from_dict(given)
    if isinstance(given, str) and ("=" in given or "\n" in given):
        return recipe_from_toml(given)
    if isinstance(given, str | os.PathLike):
        return read_recipe(os.fspath(given))
    raise OptionError(
        f"recipe: expected None, 'auto', a regimen.Recipe, TOML or the path of a TOML file, got {given!r}"
    )


def _plain(value: Any) -> Any:
    """Return numbers of NumPy, as parameter grids hold them, as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value
