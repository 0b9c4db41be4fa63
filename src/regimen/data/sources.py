"""Finds what the user names as data, a bundled table or a file, and reads it into a frame."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from regimen.data.binary_files import frame_of, read_npz, read_parquet
from regimen.data.csv_files import read_csv
from regimen.data.naming import hint
from regimen.errors import DataError, nearest
from regimen.records import Task

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
EXTENSIONS = (".csv", ".tsv", ".parquet", ".npz")
_DOWNLOADED = ("mnist", "fashion-mnist", "cifar10")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What was read, before any decision about its columns.

    Attributes:
        name: For reports: the bundled name, or the file's name without its extension.
        where: For messages: the same, or the path as given.
        frame: The columns; those of separated values are text.
        target: The target that needs no naming, or None.
        task: What that target is for, where it is known.
        whole: The columns are elements of arrays and keep their places: constant ones stay.
        decimal_comma: Numbers may be written as 1,5, because commas do not separate cells.
    """

    name: str
    where: str
    frame: pl.DataFrame
    target: str | None = None
    task: Task | None = None
    whole: bool = False
    decimal_comma: bool = False


def read(source: str) -> Source:
    """Return the bundled table or the file that `source` names.

    Raises:
        DataError: There is none, its kind is not supported, or it can not be read.
    """
    if source in BUNDLED:
        return _bundled(source)
    path = Path(source).expanduser()
    extension = path.suffix.lower()
    if not path.is_file():
        raise DataError(_nothing_there(source, path))
    if extension not in EXTENSIONS:
        raise DataError(
            f"{source}: expected a file ending in {', '.join(EXTENSIONS)}, got {extension or 'no extension'}; "
            "export the table as .csv"
        )
    try:
        if extension == ".npz":
            frame = read_npz(path)
            target = "y" if "y" in frame.columns else None
            return Source(name=path.stem, where=source, frame=frame, target=target, whole=True)
        if extension == ".parquet":
            return Source(name=path.stem, where=source, frame=read_parquet(path))
        frame, separator = read_csv(path)
        return Source(name=path.stem, where=source, frame=frame, decimal_comma=separator != ",")
    except OSError as error:
        raise DataError(f"{source}: expected a readable file: {error.strerror}; check its permissions") from error


def _nothing_there(source: str, path: Path) -> str:
    """Return why `source` is nothing that can be read."""
    if source in _DOWNLOADED or source.startswith("openml:"):
        return (
            f"{source}: expected a bundled table ({', '.join(BUNDLED)}) or a file; this version does not download "
            "data, save the table as .csv, .parquet or .npz"
        )
    if "://" in source:
        return f"{source}: expected a path, got an address; download the file first"
    if source and path.is_dir():
        return (
            f"{source}: expected a file ending in {', '.join(EXTENSIONS)}, got a folder; name the file in it "
            "(this version does not read folders of images)"
        )
    if path.suffix or path.parent != Path("."):
        files = path.parent.iterdir() if path.parent.is_dir() else ()
        beside = [file.name for file in files if file.suffix.lower() in EXTENSIONS]
        where = "" if path.parent.is_dir() else f", nor a folder {path.parent}"
        return f"{source}: expected a file, got none there{where}{hint(path.name, beside)}; check the path"
    return (
        f"{source}: expected a bundled table or the path of a file ({', '.join(EXTENSIONS)}), got a name that is "
        f"neither{nearest(source, BUNDLED)}"
    )


def _bundled(name: str) -> Source:
    """Read one of scikit-learn's small tables; its target is called `target`."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    target = bunch.target
    labels = bunch.get("target_names")
    if labels is not None:
        target = labels.astype(str)[target]
    frame = frame_of(bunch.data, target, where=name, names=list(bunch.feature_names)).rename({"y": "target"})
    task: Task = "regression" if labels is None else "classification"
    return Source(name=name, where=name, frame=frame, target="target", task=task, whole=True)
