"""Recipes as plain dictionaries and as TOML, in and out, refusing what they do not know with the nearest valid name."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from regimen.errors import RecipeError, nearest
from regimen.run.recipe import Recipe
from regimen.techniques import AUGMENTATIONS, AVERAGINGS, OPTIMIZERS, SCHEDULES, Augmentation, EarlyStopping

# Tables with a `name` key, which chooses the class that the other keys belong to.
NAMED: Mapping[str, Mapping[str, type]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "averaging": AVERAGINGS}
# What input_scaling is as a table.
CONSTANTS = ("center", "scale")
ALWAYS_WRITTEN = ("optimizer", "lr", "epochs", "batch_size")


def recipe_to_dict(recipe: Recipe, *, complete: bool = False) -> dict[str, Any]:
    """Return the recipe as nested plain values: what differs from the default, and always optimizer, lr, epochs, batch.

    Args:
        recipe: The recipe.
        complete: Whether fields at their default are written too (None included, which TOML cannot express).

    Example:
        >>> recipe_to_dict(Recipe(dropout=0.5))["dropout"]
        0.5
    """
    default = Recipe()
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        left_out = not complete and field.name not in ALWAYS_WRITTEN
        if left_out and value == getattr(default, field.name):
            continue
        if field.name == "input_scaling" and isinstance(value, tuple):
            plain[field.name] = dict(zip(CONSTANTS, map(list, value), strict=True))
            continue
        plain[field.name] = _plain(value, {"name": value.name} if field.name in NAMED and value is not None else {})
    if isinstance(plain.get("dropout"), list) and len(plain["dropout"]) == 1:
        plain["dropout"] = plain["dropout"][0]
    return plain


def _plain(value: Any, name: Mapping[str, Any] | None = None) -> Any:
    if isinstance(value, Augmentation):
        name = {"name": value.name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            **(name or {}),
            **{field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)},
        }
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def recipe_from_dict(values: Mapping[str, Any], *, base: Recipe | None = None) -> Recipe:
    """Return the recipe that `values` describe, as changes to `base` (default: the default recipe).

    Raises:
        RecipeError: An unknown key or name (with the nearest valid one) or an impossible value.

    Example:
        >>> recipe_from_dict({"droput": 0.5})
        Traceback (most recent call last):
        ...
        regimen.errors.RecipeError: recipe: no such key 'droput'; did you mean 'dropout'?
    """
    known = {field.name for field in dataclasses.fields(Recipe)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise RecipeError(f"recipe: no such key {key!r}{nearest(key, known)}")
        if key in NAMED:
            changes[key] = _named(key, value)
        elif key == "early_stopping" and value is not None:
            if not isinstance(value, Mapping):
                raise RecipeError(f"early_stopping: expected a table such as {{patience = 10}}, got {value!r}")
            changes[key] = _construct(key, EarlyStopping, value)
        elif key == "input_scaling" and isinstance(value, Mapping):
            if set(value) != set(CONSTANTS):
                raise RecipeError(f"input_scaling: expected a table {{center = […], scale = […]}}, got {dict(value)!r}")
            changes[key] = tuple(tuple(part) if isinstance(part, list) else part for part in map(value.get, CONSTANTS))
        elif key == "augmentation":
            changes[key] = _augmentation(value)
        else:
            changes[key] = tuple(value) if isinstance(value, list) else value
    return (base or Recipe()).replace(**changes)


def _named(key: str, value: Any) -> Any:
    kinds = NAMED[key]
    if value is None:
        return None
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or "name" not in value:
        first = next(iter(kinds))
        raise RecipeError(f'{key}: expected a table with a name, such as {{name = "{first}"}}, got {value!r}')
    name = value["name"]
    if not isinstance(name, str) or name not in kinds:
        raise RecipeError(f"{key}.name: no such {key} {name!r}{nearest(str(name), kinds)}")
    return _construct(key, kinds[name], {k: v for k, v in value.items() if k != "name"})


def _augmentation(value: Any) -> tuple[Augmentation, ...]:
    """Return the operations of a list of tables, each with a `name`; a text stands for a name at its defaults."""
    if not isinstance(value, list | tuple):
        raise RecipeError(f'augmentation: expected [[augmentation]] tables such as name = "rotation", got {value!r}')
    return tuple(map(_operation, value))


def _operation(value: Any) -> Augmentation:
    if isinstance(value, Augmentation):
        return value
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or "name" not in table:
        raise RecipeError(f'augmentation: expected a table with a name, such as {{name = "rotation"}}, got {value!r}')
    name = table["name"]
    if not isinstance(name, str) or name not in AUGMENTATIONS:
        raise RecipeError(f"augmentation.name: no such augmentation {name!r}{nearest(str(name), AUGMENTATIONS)}")
    operation: Augmentation = _construct(
        "augmentation", AUGMENTATIONS[name], {key: part for key, part in table.items() if key != "name"}
    )
    return operation


def _construct(where: str, kind: type, values: Mapping[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise RecipeError(f"{where}: {kind.__name__} has no parameter {key!r}{nearest(key, known)}")
    missing = [field.name for field in dataclasses.fields(kind) if field.name not in values and _required(field)]
    if missing:
        raise RecipeError(f"{where}: {kind.__name__} needs {' and '.join(missing)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML, scalars first; `recipe_from_toml` gives an equal recipe back."""
    plain = recipe_to_dict(recipe)
    operations = plain.pop("augmentation", ())
    tables = {key: value for key, value in plain.items() if isinstance(value, dict)}
    scalars = {key: value for key, value in plain.items() if key not in tables}
    # One table each, which tomli_w would write on one line if it is short enough.
    each = "".join(f"\n[[augmentation]]\n{tomli_w.dumps(operation)}" for operation in operations)
    return tomli_w.dumps(scalars | tables) + each


def recipe_from_toml(text: str, *, source: str = "recipe") -> Recipe:
    """Return the recipe that a TOML text describes.

    Raises:
        RecipeError: The text is no TOML, or describes no recipe; the message starts with `source`.
    """
    try:
        return recipe_from_dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source}: expected TOML: {error}") from error
    except RecipeError as error:
        raise RecipeError(f"{source}: {str(error).removeprefix('recipe: ')}") from error


def read_recipe(path: str | Path) -> Recipe:
    """Return the recipe in a TOML file.

    Raises:
        RecipeError: The file cannot be read, is no UTF-8 text, no TOML, or describes no recipe.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise RecipeError(f"expected a recipe in TOML at {path}: {reason}") from error
    return recipe_from_toml(text, source=str(path))
