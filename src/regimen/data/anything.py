"""From whatever holds rows and targets in Python to data that can be studied."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from regimen.data.batches import from_batches, from_dataset, of_arrays
from regimen.data.frames import is_frame, read_frame
from regimen.data.images import Images
from regimen.data.kinds import Data
from regimen.data.loading import from_arrays, from_frame, load
from regimen.data.sample_targets import as_array
from regimen.data.samples import Samples
from regimen.data.tables import Table
from regimen.errors import DataError, OptionError
from regimen.records import Task


def as_data(
    value: Any,
    *,
    target: str | None = None,
    task: Task | None = None,
    group: Any = None,
    time: Any = None,
    weights: Any = None,
    name: str | None = None,
) -> Data:
    """Return what holds rows and targets as a table, images or samples.

    | value | becomes |
    |---|---|
    | a table, images or samples | itself |
    | text or a path, as on the command line | what `load` makes of it |
    | `(x, y)`, arrays or tensors, `x` `[rows, columns]` | a table |
    | `(x, y)`, `x` `[rows, 1 or 3, height, width]` of bytes or floats from 0 to 1 | images |
    | `(x, y)`, `x` of any other shape | samples |
    | a frame of pandas, polars or Arrow, with `target`, or `(frame, target)` | a table |
    | a `Dataset` of PyTorch | samples or images, see `from_dataset` |
    | a `DataLoader`, another iterable of batches, or a function that returns one | the same, see `from_batches` |

    Args:
        value: What to read.
        target: Name of the target column, of a file or a frame.
        task: `classification` or `regression`; None reads it from the target.
        group: Name of the column of groups, or, where there are no columns, the group of each row.
        time: Name of the column of times, or the time of each row.
        weights: Name of the column of weights, or the weight of each row: how much it counts.
        name: What the data are called in messages and reports; None names them by their kind.

    Raises:
        DataError: The rows cannot be studied as they are, or it is none of these.
        OptionError: An option does not go with the value.

    Example:
        >>> data = as_data((np.random.default_rng(1).normal(size=(40, 9, 2)), [0, 1] * 20))
        >>> type(data).__name__, data.shape
        ('Samples', (9, 2))
    """
    options: dict[str, Any] = {"task": task, "group": group, "time": time}
    if isinstance(value, Table | Images | Samples):
        asked = {"target": target, **options, "weights": weights}
        named = [option for option, found in asked.items() if found is not None]
        if named:
            raise OptionError(f"{named[0]}: {value.name} is read already; give the option to what made it")
        return value
    if isinstance(value, str | Path):
        return load(str(value), target=target, weights=weights, **options)
    if name is not None:
        options["name"] = name
    if isinstance(value, tuple | list) and len(value) == 2 and not _is_batch(value[0]):
        return _of_pair(value[0], value[1], target, options, weights)
    if _are_parts(value):
        given = ", ".join(_shown(part) for part in value)
        raise DataError(
            f"data: expected (x, y), inputs and targets, got a {type(value).__name__} of {len(value)} ({given}); give "
            "these two, and what else belongs to the rows by its name, such as as_data((x, y), group=…)"
        )
    if is_frame(value):
        return from_frame(value, target, weights=weights, **options)
    _refuse_target(target, value)
    options["sample_weight"] = weights
    if hasattr(value, "__getitem__") and not hasattr(value, "__iter__"):
        return from_dataset(value, **options)
    if _is_dataset(value):
        return from_dataset(value, **options)
    if callable(value) or isinstance(value, Iterable):
        return from_batches(value, **options)
    raise DataError(
        f"data: expected a table, images, samples, a name, a path, (x, y), a frame, a Dataset or a DataLoader, got "
        f"{type(value).__name__}"
    )


def _of_pair(x: Any, y: Any, target: str | None, options: dict[str, Any], weights: Any) -> Data:
    if is_frame(x):
        if isinstance(y, str):
            return from_frame(x, y, weights=weights, **options)
        frame = read_frame(x)
        named = getattr(y, "name", None) or target or "y"
        if named in frame.columns:
            raise DataError(f"data: expected targets beside the frame, got a column {named!r} in it too; drop it there")
        values = y.to_numpy() if hasattr(y, "to_numpy") else as_array(y)
        return from_frame(frame.with_columns(_column(str(named), values)), str(named), weights=weights, **options)
    _refuse_target(target, x)
    options = {**options, "sample_weight": weights}
    array = as_array(x)
    if array.ndim == 2 or array.dtype.kind not in "iubf":
        arrays = {"name": "arrays"} | options
        return from_arrays(array, as_array(y), **arrays)
    found = {"name": "arrays", "classes": None, "test": None} | options
    return of_arrays(array, y, **found)


def _column(name: str, values: np.ndarray[Any, Any]) -> Any:
    import polars as pl

    kind = values.dtype.kind
    return pl.Series(name, values if kind in "iubf" else [None if v is None else str(v) for v in values.tolist()])


def _is_dataset(value: Any) -> bool:
    from torch.utils.data import Dataset, IterableDataset

    return isinstance(value, Dataset) and not isinstance(value, IterableDataset)


def _is_batch(value: Any) -> bool:
    """Return whether the first of two is itself a pair: then they are two batches in a list."""
    return isinstance(value, tuple | list) and len(value) == 2 and hasattr(value[0], "shape")


def _are_parts(value: Any) -> bool:
    """Return whether one or several arrays were given as two would be, rather than batches."""
    if not isinstance(value, tuple | list) or len(value) == 2:
        return False
    if all(isinstance(part, tuple | list) and len(part) == 2 for part in value):
        return False
    return isinstance(value, tuple) or all(hasattr(part, "shape") for part in value)


def _shown(part: Any) -> str:
    kind = type(part).__name__
    return f"{kind} {list(part.shape)}" if hasattr(part, "shape") else kind


def _refuse_target(target: str | None, value: Any) -> None:
    if target is not None:
        raise OptionError(f"target: {type(value).__name__} has no columns; give the targets beside the inputs")
