"""Samples of .npz files, an array `samples` or an `X` of more than two sides: fed to the network as they are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import polars as pl

from regimen.data.binary_files import npz_arrays
from regimen.data.naming import hint, listed
from regimen.data.sample_arrays import from_samples, sample_features
from regimen.data.samples import SampleFeatures, Samples
from regimen.errors import DataError
from regimen.records import Task


def names_samples(source: str) -> bool:
    """Tell whether what the user names is an .npz file of samples; one that is damaged is left to others."""
    path = Path(source).expanduser()
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        arrays = npz_arrays(path)
    except DataError:
        return False
    return "samples" in arrays or arrays["x"].ndim > 2


def load_samples(
    source: str,
    *,
    task: Task | None = None,
    test: str | None = None,
    validation: str | None = None,
    group: str | None = None,
    time: str | None = None,
    weights: str | None = None,
) -> Samples:
    """Read samples from an .npz file with arrays `samples`, or `X`, `[rows, ...]` and `y` `[rows]`.

    Args:
        source: Path of the file; an array `classes` of text names the classes.
        task: `classification` or `regression`; None reads it from the type of `y`.
        test: Path of such a file whose samples are the test part; None draws it.
        validation: Path of such a file whose samples validate every run; None draws them anew for each.
        group: Name of the array that holds the group of each row, or None.
        time: Name of the array that holds the time of each row, or None.
        weights: Name of the array, in all files, that holds the weight of each row, or None.

    Raises:
        DataError: A file cannot be read or studied.
    """
    arrays = _pair(source)
    for option, name in (("group", group), ("time", time), ("weight", weights)):
        _require_array(source, arrays, option, name)
    given: dict[str, tuple[npt.NDArray[Any], ...]] = {}
    for part, file in (("test", test), ("validation", validation)):
        if file is not None:
            found = _pair(file)
            _require_array(file, found, "weight", weights)
            weighed = () if weights is None else (found[weights.lower()],)
            given[part] = (_inputs(found), found["y"], *weighed)
    samples = from_samples(
        _inputs(arrays),
        arrays["y"],
        task=task,
        classes=arrays["classes"].astype(str).tolist() if "classes" in arrays else None,
        name=source,
        test=given.get("test"),
        validation=given.get("validation"),
        group=None if group is None else _named(arrays[group.lower()], group),
        time=None if time is None else _named(arrays[time.lower()], time),
        sample_weight=None if weights is None else _named(arrays[weights.lower()], weights),
    )
    # Messages name the path, reports the file.
    return replace(samples, name=Path(source).stem)


def read_samples(source: str) -> SampleFeatures:
    """Read samples to predict from an .npz file, with or without targets.

    Raises:
        DataError: The file is none, or cannot be read.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise DataError(f"{source}: expected an .npz file with an array X, as the model was trained on; check the path")
    return sample_features(_inputs(npz_arrays(path)), name=path.stem)


def _require_array(source: str, arrays: dict[str, npt.NDArray[Any]], option: str, name: str | None) -> None:
    """Refuse a file that lacks the array in which an option is to be found."""
    if name is not None and name.lower() not in arrays:
        names = [known for known in arrays if known not in ("x", "samples", "y", "classes")]
        raise DataError(
            f"{source}: expected an array with the {option} of each row, got none named {name!r}"
            f"{hint(name, names)} (arrays: {listed(list(arrays))})"
        )


def _inputs(arrays: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays["samples"] if "samples" in arrays else arrays["x"]


def _named(array: npt.NDArray[Any], name: str) -> Any:
    """Return groups, times or weights with the name of their array, which notes and reports repeat."""
    if array.ndim != 1 or array.dtype.kind not in "biufUM":
        return array
    return pl.Series(name, array.astype("datetime64[us]") if array.dtype.kind == "M" else array)


def _pair(source: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file that has samples and targets."""
    path = Path(source).expanduser()
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise DataError(f"{source}: expected an .npz file with arrays X and y, got none there; check the path")
    arrays = npz_arrays(path)
    if "y" not in arrays:
        raise DataError(f"{source}: expected targets in an array named y, got {listed(list(arrays))}; add them")
    return arrays
