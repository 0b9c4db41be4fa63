"""A fitted estimator as files: the model's two, its arguments, classes and curves in JSON, and what a study found."""

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from regimen import __version__
from regimen.errors import StoreError
from regimen.estimators.continuing import Progress
from regimen.records import Results
from regimen.run import Recipe, SavedModel, recipe_to_toml

SCHEMA = 1
FILE = "estimator.json"
STUDY = "results.json"
# Fitted attributes that are plain values.
PLAIN = ("n_features_in_", "loss_curve_", "validation_curve_", "n_iter_", "engine_", "temperature_")

Estimator = TypeVar("Estimator")


def write_estimator(estimator: Any, folder: Path) -> None:
    """Write a fitted estimator into a folder.

    Raises:
        StoreError: The folder cannot be written to.
    """
    estimator.model_.save(folder)
    classes = getattr(estimator, "classes_", None)
    names = getattr(estimator, "feature_names_in_", None)
    content = {
        "schema": SCHEMA,
        "regimen": __version__,
        "estimator": type(estimator).__name__,
        "arguments": {name: _written(value) for name, value in estimator.get_params(deep=False).items()},
        "classes": None if classes is None else {"dtype": classes.dtype.str, "labels": classes.tolist()},
        "feature_names": None if names is None else names.tolist(),
        "notes": list(estimator.notes_),
        "steps": estimator._progress.steps,
        "mean_weight": estimator._progress.mean_weight,
        "studied": hasattr(estimator, "study_"),
        "fitted": {name: getattr(estimator, name) for name in PLAIN if hasattr(estimator, name)},
    }
    try:
        if hasattr(estimator, "study_"):
            (folder / STUDY).write_text(estimator.study_.to_json(), encoding="utf-8")
        (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))
    except OSError as error:
        raise StoreError(
            f"could not save the estimator in {folder}: {error.strerror}; choose another folder"
        ) from error


def read_estimator(kind: type[Estimator], folder: Path) -> Estimator:
    """Return the estimator of that kind that `write_estimator` wrote.

    Raises:
        StoreError: A file is missing, damaged, or of another estimator.
    """
    path = folder / FILE
    model = SavedModel.load(folder)
    try:
        content = msgspec.json.decode(path.read_bytes())
        if content["schema"] != SCHEMA or content["estimator"] != kind.__name__:
            raise StoreError(
                f"{path}: expected schema {SCHEMA} and a {kind.__name__}, got schema {content['schema']} and a "
                f"{content['estimator']}; load it with the class that saved it"
            )
        estimator: Any = kind(**{name: _read(value) for name, value in content["arguments"].items()})
        for name, value in content["fitted"].items():
            setattr(estimator, name, value)
        if content["classes"] is not None:
            estimator.classes_ = np.array(content["classes"]["labels"], dtype=content["classes"]["dtype"])
        if content["feature_names"] is not None:
            estimator.feature_names_in_ = np.array(content["feature_names"], dtype=object)
        estimator.notes_ = tuple(content["notes"])
        # Not whether the file is there: one of an earlier estimator may be left in the folder.
        if content.get("studied"):
            estimator.study_ = Results.read(folder / STUDY)
        estimator.model_, estimator.recipe_ = model, model.recipe
        estimator._progress = Progress(steps=content["steps"], mean_weight=content["mean_weight"])
    except OSError as error:
        raise StoreError(
            f"expected a saved estimator: {path}: {error.strerror}; name the folder it was saved in"
        ) from error
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged, or describes no estimator: {error}; save again") from error
    return estimator  # type: ignore[no-any-return]


def _written(value: Any) -> Any:
    """Return an argument in a form of JSON that means the same; generators of random numbers mean nothing there."""
    if isinstance(value, Recipe):
        return recipe_to_toml(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = getattr(value, "name", None)
        return ({} if name is None else {"name": name}) | {
            key: list(part) if isinstance(part, tuple) else part for key, part in dataclasses.asdict(value).items()
        }
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_written(part) for part in value]
    return None if isinstance(value, np.random.RandomState | np.random.Generator) else value


def _read(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
