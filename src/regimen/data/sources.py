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
IMAGES = ("mnist", "fashion-mnist", "cifar10")
OPENML = "openml:"


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
        notes: What was decided while reading, in words.
    """

    name: str
    where: str
    frame: pl.DataFrame
    target: str | None = None
    task: Task | None = None
    whole: bool = False
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()


def read(source: str) -> Source:
    """Return the bundled table, the table of OpenML or the file that `source` names.

    Raises:
        DataError: There is none, its kind is not supported, or it cannot be read.
    """
    if source in BUNDLED:
        return _bundled(source)
    if source.startswith(OPENML):
        return _from_openml(source)
    path = Path(source).expanduser()
    extension = path.suffix.lower()
    if source in IMAGES:
        raise DataError(f"{source}: expected a table as the others, got images; name a file")
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
    if "://" in source:
        return f"{source}: expected a path, got an address; download the file first"
    if source and path.is_dir():
        return (
            f"{source}: expected a table, a file ending in {', '.join(EXTENSIONS)}, got a folder; name the file in it"
        )
    if path.suffix or path.parent != Path("."):
        files = path.parent.iterdir() if path.parent.is_dir() else ()
        beside = [file.name for file in files if file.suffix.lower() in EXTENSIONS]
        where = "" if path.parent.is_dir() else f", nor a folder {path.parent}"
        return f"{source}: expected a file, got none there{where}{hint(path.name, beside)}; check the path"
    return (
        f"{source}: expected a bundled table, a known name of images, {OPENML}NAME, or the path of a file "
        f"({', '.join(EXTENSIONS)}) or of a folder of images, got none of them{nearest(source, (*BUNDLED, *IMAGES))}"
    )


def _from_openml(source: str) -> Source:
    from regimen.data.openml_tables import read_openml

    table = read_openml(source.removeprefix(OPENML))
    return Source(name=source, where=source, frame=table.frame, target=table.target, notes=table.notes)


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
