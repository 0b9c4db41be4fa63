"""Reads Parquet and NPZ files into frames, and arrays that are in memory; nothing is ever unpickled."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regimen.data.naming import listed, refuse_duplicates
from regimen.errors import DataError

# Kinds of array elements that can be cells: booleans, whole numbers, floats and text.
_CELLS = "biufU"


def read_parquet(path: Path) -> pl.DataFrame:
    """Return the columns of a Parquet file in their own types.

    Raises:
        DataError: The file cannot be read, or has no rows or no columns.
    """
    try:
        frame = pl.read_parquet(path)
    # On damaged pages polars panics, which is no PolarsError and not even an Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: expected a Parquet file, got one that cannot be read ({reason}); it may be cut off, "
            "write it again"
        ) from error
    if not frame.width or not frame.height:
        raise DataError(f"{path}: expected columns with rows, got {frame.width} columns and {frame.height} rows")
    return frame.rename({name: name.strip() for name in frame.columns})


def read_npz(path: Path) -> pl.DataFrame:
    """Return the arrays `X` `[rows, columns]` and, where the file has it, `y` `[rows]` as the columns x0, x1, …, y.

    An array `columns` of text names the columns of `X`.

    Raises:
        DataError: The file cannot be read, holds pickled objects, lacks `X`, or has arrays that do not fit.
    """
    arrays = npz_arrays(path)
    if "x" not in arrays:
        raise DataError(f"{path}: expected the array X of a table, got samples; rename it, or name samples alone")
    names = arrays.get("columns")
    return frame_of(arrays["x"], arrays.get("y"), where=str(path), names=None if names is None else names.tolist())


def npz_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz file by their names in small letters; `x` or `samples` is among them.

    Raises:
        DataError: The file cannot be read, holds pickled objects, or lacks both.
    """
    try:
        # Opened here, because np.load leaves a file that it cannot read open.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: expected an .npz file with arrays X and y, got a single array")
            with archive:
                arrays = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, NotImplementedError, MemoryError, zlib.error) as error:
        raise DataError(
            f"{path}: expected an .npz file of plain arrays, got one that cannot be read ({error}); "
            "it may be cut off or hold pickled objects, write it again with np.savez(path, X=X, y=y)"
        ) from error
    by_name = {name.lower(): array for name, array in arrays.items()}
    if "x" not in by_name and "samples" not in by_name:
        raise DataError(f"{path}: expected arrays named X and y, got {listed(list(arrays)) or 'none'}; rename them")
    return by_name


def frame_of(
    x: npt.ArrayLike, y: npt.ArrayLike | None, *, where: str, names: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return arrays as a frame with the columns x0, x1, … (or `names`) and `y`.

    Args:
        x: Cells, `[rows, columns]`, numbers, booleans or text.
        y: Targets, `[rows]` or `[rows, 1]`, or None.
        where: What the arrays are called in messages.
        names: Names of the columns of `x`.

    Raises:
        DataError: The shapes do not fit each other, or the elements are no cells.
    """
    cells = _checked(x, f"{where}: X")
    if cells.ndim != 2 or 0 in cells.shape:
        kind = "give images to from_images, or save them in folders of classes" if cells.ndim > 2 else "reshape it"
        raise DataError(f"{where}: expected X of shape [rows, columns], got {list(cells.shape)}; {kind}")
    labels = [f"x{j}" for j in range(cells.shape[1])] if names is None else [str(name) for name in names]
    if len(labels) != cells.shape[1]:
        raise DataError(f"{where}: expected {cells.shape[1]} names of columns as X has, got {len(labels)}")
    columns = [pl.Series(name, cells[:, j]) for j, name in enumerate(labels)]
    if y is not None:
        targets = _checked(y, f"{where}: y")
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if targets.shape != cells.shape[:1]:
            raise DataError(
                f"{where}: expected y of shape [{len(cells)}], one target for each row of X, got {list(targets.shape)}"
            )
        columns.append(pl.Series("y", targets))
    refuse_duplicates(where, [column.name for column in columns])
    return pl.DataFrame(columns)


def _checked(values: npt.ArrayLike, where: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in _CELLS:
        raise DataError(f"{where}: expected numbers, booleans or text, got elements of type {array.dtype}; convert it")
    if array.dtype.kind == "f":
        # Half and extended precision have no column type.
        return array.astype(np.float64)
    return array
