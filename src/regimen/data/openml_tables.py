"""Tables of openml.org by name or number, downloaded once and kept in the user's cache by scikit-learn."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from regimen.data.naming import refuse_duplicates
from regimen.data.pixel_files import cache_folder
from regimen.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenmlTable:
    """What was downloaded; `target` is the column that OpenML names as such, or None."""

    frame: pl.DataFrame
    target: str | None
    notes: tuple[str, ...]


def read_openml(name: str) -> OpenmlTable:
    """Return a table of OpenML.

    Args:
        name: Its name, of which the newest active version is taken, or its number.

    Raises:
        DataError: There is no such table, it is sparse, or the network cannot be reached.
    """
    from sklearn.datasets import fetch_openml

    folder = cache_folder() / "openml"
    which: dict[str, Any] = {"data_id": int(name)} if name.isdecimal() else {"name": name}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # several versions: the note names the one that is taken
            # Without pandas; text comes as codes then, with the texts beside.
            bunch = fetch_openml(**which, as_frame=False, parser="liac-arff", data_home=str(folder), n_retries=1)
    except OSError as error:  # URLError is one
        raise DataError(
            f"openml:{name}: expected it in {folder} or on openml.org, got none, and the network cannot be reached "
            f"({getattr(error, 'reason', error)}); save the table as .csv or .parquet and name that file"
        ) from error
    except ValueError as error:
        if "STRING" in str(error):
            raise DataError(
                f"openml:{name}: expected numbers and categories, got columns of free text; download it as "
                ".parquet from openml.org, name that file and leave out the text with ignore"
            ) from error
        raise DataError(
            f"openml:{name}: expected a table of openml.org, got none ({error}); look up its name or number there"
        ) from error
    if not isinstance(bunch.data, np.ndarray):
        raise DataError(f"openml:{name}: expected a dense table, got a sparse one; save it as .csv with all columns")
    cells = {column: bunch.data[:, j] for j, column in enumerate(bunch.feature_names)}
    targets = list(bunch.target_names or ())
    if targets:
        values = bunch.target if bunch.target.ndim == 2 else bunch.target[:, None]
        cells |= {column: values[:, j] for j, column in enumerate(targets)}
    refuse_duplicates(f"openml:{name}", [*bunch.feature_names, *targets])
    categories = {} if bunch.categories is None else bunch.categories
    frame = pl.DataFrame([_column(column, values, categories.get(column)) for column, values in cells.items()])
    details = bunch.details
    return OpenmlTable(
        frame=frame,
        target=targets[0] if len(targets) == 1 else None,
        notes=(f"openml:{name} is {details['name']}, version {details['version']}, number {details['id']}",),
    )


def _column(name: str, values: Any, categories: list[str] | None) -> pl.Series:
    """Return a column; codes of categories become their texts, codes that are none become missing."""
    if values.dtype.kind in "OUS":
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    if categories is None:
        return pl.Series(name, values.astype(np.float64))
    texts = [None if np.isnan(code) or code < 0 else str(categories[int(code)]) for code in values]
    return pl.Series(name, texts, dtype=pl.String)
