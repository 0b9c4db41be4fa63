"""From what the user names to a table or images: columns described, rows chosen, every decision noted in words."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args, overload

import numpy as np
import numpy.typing as npt

from regimen.data.assembly import described, features_of, stacked
from regimen.data.binary_files import frame_of
from regimen.data.frames import read_frame
from regimen.data.image_features import read_image_features
from regimen.data.image_loading import load_images, names_images
from regimen.data.image_preparation import ImagePreparation
from regimen.data.images import ImageFeatures
from regimen.data.kinds import Data
from regimen.data.naming import counted, hint, listed, require_columns
from regimen.data.part_notes import notes_on_parts, require_rows
from regimen.data.preparation import Preparation
from regimen.data.row_weights_reading import SAMPLE_WEIGHT, Weighed, weights_column
from regimen.data.sample_files import load_samples, names_samples, read_samples
from regimen.data.sample_preparation import SamplePreparation
from regimen.data.samples import SampleFeatures
from regimen.data.sources import Source, read
from regimen.data.structure import By
from regimen.data.structure_columns import Marked
from regimen.data.structure_reading import asked, series_of
from regimen.data.tables import Features, Table
from regimen.data.targets import read_known_target, read_target
from regimen.errors import DataError, OptionError
from regimen.records import Task

AnyPreparation = Preparation | ImagePreparation | SamplePreparation


def load(
    source: str,
    *,
    target: str | None = None,
    task: Task | None = None,
    ignore: Iterable[str] = (),
    test: str | None = None,
    validation: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    group: str | None = None,
    time: str | None = None,
    weights: str | None = None,
) -> Data:
    """Read a table or images, decide what the columns or parts are, and say so in the notes.

    Args:
        source: A bundled table (`digits`, `iris`, `wine`, `breast_cancer`, `diabetes`); the path of a .csv, .tsv,
            .parquet or .npz file; images by name (`mnist`, `fashion-mnist`, `cifar10`), a folder with a folder of
            images for each class, or the path of an IDX file.
        target: Name of the target column; needed for files, except .npz files with X and y.
        task: `classification` or `regression`; inferred from the target if None.
        ignore: Names of columns to leave out.
        test: Path of a file or folder whose rows are the test part; None takes the test files that belong to the
            source, else draws it.
        validation: Path of a file whose rows validate every run; None draws them anew for each.
        image_size: Height and width of images, or one number for both, in pixels; None keeps that of most.
        group: Name of a column; rows with the same value there are never in two parts, and it is no feature.
        time: Name of a column of numbers or dates; what is scored is later than what is trained on, and it is no
            feature.
        weights: Name of a column of numbers >= 0: how much each row counts, in training and in every score; it is no
            feature.

    Raises:
        DataError: The table or the images cannot be studied as they are.
        OptionError: There is no such task, an option is for tables and the source is images, or both group and time are
            given.

    Example:
        >>> table = load("iris")
        >>> table.n, table.task, table.classes
        (150, 'classification', ('setosa', 'versicolor', 'virginica'))
    """
    if names_images(source):
        _refuse_table_options(source, target=target, task=task, ignore=ignore, group=group, time=time, weights=weights)
        return load_images(source, test=test, validation=validation, image_size=image_size)
    if image_size is not None:
        what = "samples" if names_samples(source) else "a table"
        raise OptionError(f"image_size: {source} is {what}; leave it out")
    if names_samples(source):
        if target not in (None, "y") or ignore:
            raise OptionError(f"target, ignore: {source} has arrays and no columns; leave them out")
        return load_samples(
            source, task=task, test=test, validation=validation, group=group, time=time, weights=weights
        )
    further = {"test": test, "validation": validation}
    return _table(
        read(source),
        target=target,
        task=task,
        ignore=tuple(ignore.split(",")) if isinstance(ignore, str) else tuple(ignore),
        further={part: read(path) for part, path in further.items() if path is not None},
        structured=asked(group, time),
        weights=weights,
    )


def from_arrays(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    task: Task | None = None,
    columns: Sequence[str] | None = None,
    name: str = "arrays",
    group: Any = None,
    time: Any = None,
    sample_weight: Any = None,
) -> Table:
    """Make a table of arrays in memory, under the same rules as files.

    Args:
        x: Cells, `[rows, columns]`, numbers, booleans or text; NaN and empty text are missing.
        y: Targets, `[rows]`.
        task: `classification` or `regression`; inferred from `y` if None.
        columns: Names of the columns; x0, x1, … if None.
        name: What the table is called in messages and reports.
        group: Group of each row, `[rows]`, or the name of a column; rows of one group are never in two parts.
        time: Time of each row, `[rows]`, numbers or dates, or the name of a column; what is scored is later than what
            is trained on.
        sample_weight: Weight of each row, `[rows]`, >= 0, or the name of a column: how much the row counts, in training
            and in every score.

    Raises:
        DataError: The arrays cannot be studied as they are.

    Example:
        >>> from_arrays(np.arange(60.0).reshape(30, 2), [0, 1] * 15).classes
        ('0', '1')
    """
    frame = frame_of(x, y, where=name, names=columns)
    structured = asked(group, time)
    if structured is not None and not isinstance(structured[1], str):
        by = structured[0]
        cells = series_of(structured[1], by, frame.height, name)
        # A column of the same name stays what it is.
        beside = by if by not in frame.columns else f"{by} of rows"
        frame, structured = frame.with_columns(cells.alias(beside)), (by, beside)
    if sample_weight is not None and not isinstance(sample_weight, str):
        cells = weights_column(sample_weight, frame.height, name)
        sample_weight = SAMPLE_WEIGHT if SAMPLE_WEIGHT not in frame.columns else f"{SAMPLE_WEIGHT} of rows"
        frame = frame.with_columns(cells.alias(sample_weight))
    source = Source(name=name, where=name, frame=frame, target="y", whole=True)
    return _table(source, target=None, task=task, ignore=(), further={}, structured=structured, weights=sample_weight)


def from_frame(
    frame: Any,
    target: str | None,
    *,
    task: Task | None = None,
    ignore: Iterable[str] = (),
    name: str = "frame",
    group: str | None = None,
    time: str | None = None,
    weights: str | None = None,
) -> Table:
    """Make a table of a frame in memory, under the same rules as files.

    Args:
        frame: Of pandas, polars or Arrow; categories, booleans and dates keep their kinds.
        target: Name of the target column.
        task: `classification` or `regression`; inferred from the target if None.
        ignore: Names of columns to leave out.
        name: What the table is called in messages and reports.
        group: Name of a column; rows with the same value there are never in two parts, and it is no feature.
        time: Name of a column of numbers or dates; what is scored is later than what is trained on.
        weights: Name of a column of numbers >= 0: how much each row counts, in training and in every score; it is no
            feature.

    Raises:
        DataError: The frame cannot be studied as it is.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"age": [20, 30, 50, 40] * 10, "label": ["a", "b"] * 20})
        >>> from_frame(frame, "label").classes
        ('a', 'b')
    """
    found = read_frame(frame, where=name)
    for option, column in (("group", group), ("time", time), ("weights", weights)):
        if column is not None and not isinstance(column, str):
            raise OptionError(f"{option}: expected the name of a column of {name}, got {type(column).__name__}")
    source = Source(name=name, where=name, frame=found)
    left_out = tuple(ignore.split(",")) if isinstance(ignore, str) else tuple(ignore)
    return _table(
        source,
        target=target,
        task=task,
        ignore=left_out,
        further={},
        structured=asked(group, time),
        weights=weights,
    )


@overload
def read_features(source: str, preparation: Preparation) -> Features: ...


@overload
def read_features(source: str, preparation: ImagePreparation) -> ImageFeatures: ...


@overload
def read_features(source: str, preparation: AnyPreparation) -> Features | ImageFeatures | SampleFeatures: ...


def read_features(source: str, preparation: AnyPreparation) -> Features | ImageFeatures | SampleFeatures:
    """Read rows to predict, with or without a target or labels.

    Args:
        source: As for `load`; images also directly in a folder, or one file. Columns may stand in any order.
        preparation: Of the saved model; it holds what each column was, or the size of images.

    Raises:
        DataError: A column is missing, a cell is not of its column's kind, or no image can be read.
    """
    if isinstance(preparation, ImagePreparation):
        return read_image_features(source, preparation)
    if isinstance(preparation, SamplePreparation):
        return read_samples(source)
    found = read(source)
    names = [column.name for column in preparation.columns]
    require_columns(found.where, found.frame.columns, names, "the columns that the model was trained on")
    features = features_of(found, preparation.columns, np.arange(found.frame.height))
    extra = [name for name in found.frame.columns if name not in names]
    if not extra:
        return features
    note = f"the model does not use {counted(len(extra), 'column')} of {found.where}: {listed(extra)}"
    return replace(features, notes=(*features.notes, note))


def _refuse_table_options(source: str, *, task: Task | None, ignore: Iterable[str], **columns: str | None) -> None:
    given = {"task": None if task == "classification" else task, "ignore": ", ".join(ignore)} | columns
    for name, value in given.items():
        if value:
            raise OptionError(f"{name}: {source} is images, which have classes and no columns; leave out {value!r}")


def _table(
    source: Source,
    *,
    target: str | None,
    task: Task | None,
    ignore: tuple[str, ...],
    further: dict[str, Source],
    structured: tuple[By, str] | None = None,
    weights: str | None = None,
) -> Table:
    chosen = _target_name(source, target)
    _check_ignored(source, ignore, chosen)
    marked = None if structured is None else Marked.of(source, *structured, target=chosen)
    other = None if structured is None else structured[1]
    weighed = None if weights is None else Weighed.of(source, weights, target=chosen, other=other)
    if task is not None and task not in get_args(Task):
        raise OptionError(f"task: expected classification or regression, got {task!r}{hint(str(task), get_args(Task))}")
    known = source.task if chosen == source.target else None
    answer = read_target(source.frame[chosen], source.where, task or known)
    if weighed is not None:
        answer, ignore = weighed.keep(answer), (*ignore, weighed.column)
    if marked is not None:
        answer, ignore = marked.keep(answer), (*ignore, marked.column)
    require_rows(source.where, answer.y, answer.classes, notes=() if weighed is None else weighed.notes)
    columns, notes = described(source, [*ignore, chosen], answer.rows)
    parts, targets = [features_of(source, columns, answer.rows)], [answer]
    wanted = [*(column.name for column in columns), chosen, *(one.column for one in (weighed, marked) if one)]
    for part, file in further.items():
        require_columns(file.where, file.frame.columns, wanted, f"the columns of {source.where} in the {part} file")
        told = read_known_target(file.frame[chosen], file.where, answer.task, answer.classes)
        told = told if weighed is None else weighed.further(file, told)
        targets.append(told if marked is None else marked.further(file, told))
        parts.append(features_of(file, columns, targets[-1].rows))
        extra = [name for name in file.frame.columns if name not in source.frame.columns]
        if extra:
            notes.append(f"left out {counted(len(extra), 'column')} that only {file.where} has: {listed(extra)}")
    merged = stacked(parts)
    ends = np.cumsum([part.n for part in parts])
    given = {part: np.arange(ends[i], ends[i + 1]) for i, part in enumerate(further)}
    table = Table(
        name=source.name,
        columns=merged.columns,
        numbers=merged.numbers,
        codes=merged.codes,
        task=answer.task,
        target=chosen,
        y=np.concatenate([found.y for found in targets]),
        classes=answer.classes,
        test_rows=given.get("test"),
        validation_rows=given.get("validation"),
        structure=None if marked is None else marked.structure(list(further)),
        weights=None if weighed is None else weighed.weights(targets),
    )
    said = [note for file in (source, *further.values()) for note in file.notes]
    said += [note for found in targets for note in found.notes]
    said += [note for one in (weighed, marked) if one is not None for note in one.notes]
    return replace(table, notes=(*said, *notes, *merged.notes, *notes_on_parts(table)))


def _target_name(source: Source, target: str | None) -> str:
    names = source.frame.columns
    target = target or source.target
    if target is None:
        raise DataError(
            f"{source.where}: expected the name of the target column, got none; set target to one of {listed(names)}"
        )
    if target not in names:
        raise DataError(
            f"{source.where}: expected a target column, got {target!r}, which the table lacks{hint(target, names)} "
            f"(columns: {listed(names)})"
        )
    return target


def _check_ignored(source: Source, ignore: tuple[str, ...], target: str) -> None:
    for name in ignore:
        if name not in source.frame.columns:
            raise DataError(
                f"{source.where}: expected columns to ignore that the table has, got {name!r}"
                f"{hint(name, source.frame.columns)} (columns: {listed(source.frame.columns)})"
            )
        if name == target:
            raise DataError(
                f"{source.where}: expected columns to ignore other than the target, got the target {name!r}; "
                "name another target or keep the column"
            )
