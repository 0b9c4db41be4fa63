"""Puts columns together: those of one file as numbers and codes, and the rows of several files below each other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from regimen.data.columns import LARGEST, codes_of, describe, numbers_of, plain_numbers
from regimen.data.naming import counted
from regimen.data.sources import Source
from regimen.data.tables import Codes, Column, Features, Rows
from regimen.errors import DataError


def described(source: Source, left_out: Sequence[str], rows: Rows) -> tuple[tuple[Column, ...], list[str]]:
    """Return the columns to learn from, and the decisions about all columns in words.

    Args:
        source: The main file.
        left_out: Names of columns that are no features: the target and those to ignore.
        rows: Positions of the rows that have a target; the others decide nothing.

    Raises:
        DataError: No column is left.
    """
    columns: list[Column] = []
    notes: list[str] = []
    differs = False
    for cells in source.frame:
        if cells.name in left_out:
            continue
        column, note = describe(cells[rows], whole=source.whole, decimal_comma=source.decimal_comma)
        if column is not None:
            columns.append(column)
            differs = differs or cells[rows].n_unique() > 1
        if note:
            notes.append(note)
    if not differs:
        reasons = f" ({'; '.join(notes[:5])})" if notes else ""
        raise DataError(
            f"{source.where}: expected at least one column to learn from beside the target, got none{reasons}; "
            "add columns that differ between rows"
        )
    return tuple(columns), notes


def features_of(source: Source, columns: Sequence[Column], rows: Rows) -> Features:
    """Return the given columns and rows of a file as numbers and codes.

    Args:
        source: Any file that has the columns.
        columns: What each column is; levels of categories are found anew.
        rows: Positions in the file.

    Raises:
        DataError: A cell is not of its column's kind.
    """
    frame = source.frame.select(column.name for column in columns)[rows]
    categories, codes = codes_of(frame, [column for column in columns if column.kind == "category"])
    plain = plain_numbers(frame, columns)
    numbers = [np.empty((len(rows), 0))]
    notes: list[str] = []
    for column in columns:
        if column.kind == "category":
            continue
        if column.name in plain:
            values = plain[column.name][:, None]
        else:
            values = numbers_of(frame[column.name], column, where=source.where, rows=rows + 1)
        infinite = np.abs(values) > LARGEST
        if infinite.any():
            values = np.where(infinite, np.nan, values)
            count = counted(int(infinite.sum()), "infinite value")
            notes.append(f"column {column.name!r} of {source.where}: {count} taken as missing")
        numbers.append(values)
    with_levels = {column.name: column for column in categories}
    return Features(
        name=source.name,
        columns=tuple(with_levels.get(column.name, column) for column in columns),
        numbers=np.concatenate(numbers, axis=1),
        codes=codes,
        notes=tuple(notes),
    )


def stacked(parts: Sequence[Features]) -> Features:
    """Return the rows of several files below each other; levels that only later files have follow those of the first.

    Args:
        parts: Features of the same columns, at least one.
    """
    first = parts[0]
    merged: dict[str, Column] = {}
    codes: list[list[Codes]] = [[] for _ in parts]
    for j, column in enumerate(first.category_columns):
        further = {level for part in parts[1:] for level in part.category_columns[j].levels}
        levels = (*column.levels, *sorted(further - set(column.levels)))
        merged[column.name] = replace(column, levels=levels)
        place = {level: code for code, level in enumerate(levels)}
        for i, part in enumerate(parts):
            # The last entry is what code -1 picks.
            places = np.array([*(place[level] for level in part.category_columns[j].levels), -1], dtype=np.int32)
            codes[i].append(places[part.codes[:, j]])
    together = [
        np.stack(of_part, axis=1) if of_part else part.codes for of_part, part in zip(codes, parts, strict=True)
    ]
    return Features(
        name=first.name,
        columns=tuple(merged.get(column.name, column) for column in first.columns),
        numbers=np.concatenate([part.numbers for part in parts]),
        codes=np.concatenate(together),
        notes=tuple(note for part in parts for note in part.notes),
    )
