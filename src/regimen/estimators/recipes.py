"""From the arguments of an estimator to a recipe: a default that suits tables, a given one, and single fields."""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from regimen.errors import OptionError, nearest
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


# What an estimator does that is told nothing. Small tables: the most accurate on average, over 8 splits each of wine,
# penguins, titanic, breast_cancer, vehicle, soybean, car and kc1, of 16 settings (width 128 or 256, lr 0.003 or 0.01,
# dropout 0.1 or 0.3, 20 or 40 epochs), 0.05 points above scikit-learn's MLPClassifier. Larger ones: a second layer
# raises R² on california_housing from 0.774 to 0.798 and on power_plant from 0.946 to 0.947, lowers it on abalone from
# 0.594 to 0.591, and leaves the accuracy on hypothyroid within 0.1 points (5 splits each). There it takes fewer epochs.
MANY_ROWS = 2_000
SMALL_HIDDEN, LARGE_HIDDEN = (128,), (128, 64)
SMALL_RECIPE = Recipe(lr=0.01, schedule=CosineLR(), dropout=0.1, epochs=40)
LARGE_RECIPE = Recipe(lr=0.005, schedule=CosineLR(), dropout=0.1, epochs=20)


# With recipe="auto". Regularization can only help a network that is able to overfit, so the study starts from a larger
# and, below 20,000 rows, from a longer trained one; and five networks are averaged, as Lakshminarayanan et al. (2017),
# arXiv:1612.01474, advise. Five instead of one: +0.1 to +0.3 points on each of car, kc1, soybean and hypothyroid (5
# splits each); larger and longer besides: -0.2 to +0.2 there, +1.7 on phoneme (4 splits, 2 cores busy with other work).
FEW_ROWS = 20_000
AUTO_HIDDEN, AUTO_EPOCHS, AUTO_NETWORKS = (256, 128), 40, 5


def default_hidden(rows: int, *, automatic: bool = False) -> tuple[int, ...]:
    """Return the widths of the hidden layers of an estimator to which none are given.

    Args:
        rows: Rows trained on.
        automatic: Whether a study finds the recipe.
    """
    if automatic:
        return AUTO_HIDDEN
    return SMALL_HIDDEN if rows < MANY_ROWS else LARGE_HIDDEN


def default_recipe(rows: int, *, automatic: bool = False) -> Recipe:
    """Return the recipe of an estimator to which none is given, or from which a study starts.

    Args:
        rows: Rows trained on.
        automatic: Whether a study finds the recipe.
    """
    recipe = SMALL_RECIPE if rows < MANY_ROWS else LARGE_RECIPE
    return recipe.replace(epochs=AUTO_EPOCHS) if automatic and rows < FEW_ROWS else recipe


def resolve_recipe(given: object, changes: Mapping[str, Any], *, rows: int) -> Recipe:
    """Return the recipe that the arguments of an estimator mean.

    Args:
        given: `None` or `"auto"` for the defaults, a recipe, a mapping of its fields, TOML, or the path of a TOML file;
            text with an equals sign or more than one line is TOML, other text a path.
        changes: Fields by name; None leaves the recipe's, `"none"` switches an optional one off.
        rows: Rows trained on.

    Raises:
        RecipeError: The recipe or a field cannot be.
        OptionError: `given` is none of these.

    Example:
        >>> resolve_recipe("lr = 0.01", {"dropout": 0.5, "mixup": None}, rows=100).dropout
        (0.5,)
    """
    base = _given(given, rows)
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


def _given(given: object, rows: int) -> Recipe:
    if given is None or (isinstance(given, str) and given == AUTO):
        return default_recipe(rows, automatic=given is not None)
    if isinstance(given, Recipe):
        return given
    if isinstance(given, Mapping):
        return recipe_from_dict(given)
    if isinstance(given, str) and ("=" in given or "\n" in given):
        return recipe_from_toml(given)
    if isinstance(given, str | os.PathLike):
        if isinstance(given, str) and difflib.get_close_matches(given.lower(), [AUTO]) and not os.path.exists(given):
            raise OptionError(f"recipe: expected 'auto' or a file, got {given!r}{nearest(given, [AUTO])}")
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
