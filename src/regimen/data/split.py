"""Draws the parts of a table: test, set-aside, training, validation and stop rows, stratified by class."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from regimen.data.tables import Rows, Table, canonical_bytes
from regimen.streams import split_seed

TEST_FRACTION, TEST_LIMIT = 0.2, 10_000
ASIDE_FRACTION, ASIDE_FROM = 0.2, 2_000
# Classes with fewer rows can not stand in every part: they go to training only.
SMALL_CLASS = 5

# Test and set-aside rows are the same for every seed of a study: their streams have key 0 and these draws.
_TEST_DRAW, _ASIDE_DRAW = 0, 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Split:
    """Rows of one pair; equal and hashed by content.

    Attributes:
        train: Rows trained on, int64, ascending.
        validation: Rows scored; may be empty.
        test: Rows touched once, at the end; empty during the search.
        digest: SHA-256 of the three as hex.
    """

    train: Rows
    validation: Rows
    test: Rows
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256()
        for rows in (self.train, self.validation, self.test):
            digest.update(canonical_bytes(rows))
        object.__setattr__(self, "digest", digest.hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parts:
    """The rows that may be developed on, and those that are touched once, at the end."""

    development: Rows
    test: Rows


def hold_out(table: Table) -> Parts:
    """Return the test rows, 20 % and at most 10,000, and the others; the same for every seed of a study.

    Rows of a test file are the test rows, where there are some; rows of a validation file are always development.

    Example:
        >>> from regimen.data import load
        >>> parts = hold_out(load("iris"))
        >>> len(parts.development), len(parts.test)
        (120, 30)
    """
    if table.test_rows is not None:
        return Parts(development=np.setdiff1d(np.arange(table.n), table.test_rows), test=np.sort(table.test_rows))
    drawn = table.drawn_rows
    size = min(round(TEST_FRACTION * len(drawn)), TEST_LIMIT)
    _, test = _draw(drawn, size, _labels(table), split_seed(0, _TEST_DRAW), _rows_of_small_classes(table))
    return Parts(development=np.setdiff1d(np.arange(table.n), test), test=test)


def set_aside(table: Table, development: Rows) -> tuple[Rows, Rows | None]:
    """Return the rows of the search and, from 2,000 development rows on, the 20 % kept for the confirmation.

    Args:
        table: The table.
        development: Rows that are not test rows.
    """
    drawn = np.intersect1d(development, table.drawn_rows)
    if len(drawn) < ASIDE_FROM:
        return np.sort(development), None
    size = round(ASIDE_FRACTION * len(drawn))
    _, aside = _draw(drawn, size, _labels(table), split_seed(0, _ASIDE_DRAW), _rows_of_small_classes(table))
    return np.setdiff1d(development, aside), aside


def pair_split(
    table: Table, rows: Rows, key: int, *, validation_fraction: float = 0.25, test: Rows | None = None
) -> Split:
    """Return the training and validation rows of one pair.

    Args:
        table: The table; rows of a validation file are the validation part of every pair.
        rows: Rows to divide.
        key: 64-bit run key of the pair.
        validation_fraction: Share of `rows` that validates, in (0, 1).
        test: Rows of the test part, if the run shall be scored on them; None is an empty part.
    """
    tested = np.empty(0, dtype=np.int64) if test is None else np.sort(test)
    if table.validation_rows is not None:
        given = np.intersect1d(rows, table.validation_rows)
        return Split(train=np.setdiff1d(rows, given), validation=given, test=tested)
    size = round(validation_fraction * len(rows))
    train, validation = _draw(rows, size, _labels(table), split_seed(key), _rows_of_small_classes(table))
    return Split(train=train, validation=validation, test=tested)


def stop_split(
    train_rows: Rows, y: npt.NDArray[np.int64] | None, key: int, fraction: float = 0.15
) -> tuple[Rows, Rows]:
    """Return the rows that are trained on and those that pick the epoch.

    Args:
        train_rows: Training rows of a pair.
        y: Class codes, indexed by row number; None for regression.
        key: 64-bit run key.
        fraction: Share of the rows that picks the epoch, in (0, 1).
    """
    # Draw 1: draw 0 of the same key has divided training and validation rows.
    return _draw(train_rows, math.ceil(fraction * len(train_rows)), y, split_seed(key, 1), None)


def near_duplicates(table: Table, parts: Parts) -> int:
    """Return how many rows of the test part also occur, features and target, among the development rows.

    Numbers are compared after rounding to a ten-thousandth of their column's standard deviation.
    """
    numbers = np.concatenate([table.numbers, table.y[:, None].astype(np.float64)], axis=1)
    spread = np.array([column[~np.isnan(column)].std() if (~np.isnan(column)).any() else 0.0 for column in numbers.T])
    spread[spread == 0] = 1.0

    def lines(rows: Rows) -> Iterator[bytes]:
        for start in range(0, len(rows), 4096):  # bounds memory on wide tables
            block = rows[start : start + 4096]
            rounded = np.round(numbers[block] / spread * 1e4) + 0.0  # no negative zeros
            yield from (line.tobytes() for line in np.concatenate([rounded, table.codes[block]], axis=1))

    known = set(lines(parts.development))
    return sum(line in known for line in lines(parts.test))


def small_classes(table: Table) -> npt.NDArray[np.int64]:
    """Return the codes of the classes with under 5 rows in the main file; they go to training only."""
    if table.task == "regression":
        return np.empty(0, dtype=np.int64)
    counts = np.bincount(table.y[table.drawn_rows], minlength=len(table.classes))
    return np.flatnonzero((counts > 0) & (counts < SMALL_CLASS))


def _labels(table: Table) -> npt.NDArray[np.int64] | None:
    return table.y if table.task == "classification" else None


def _rows_of_small_classes(table: Table) -> npt.NDArray[np.bool_] | None:
    small = small_classes(table)
    return np.isin(table.y, small) if len(small) else None


def _draw(
    rows: Rows, size: int, y: npt.NDArray[np.int64] | None, seed: int, keep: npt.NDArray[np.bool_] | None
) -> tuple[Rows, Rows]:
    """Divide `rows` into those kept and at least one taken, stratified by `y` where every class allows it.

    Args:
        rows: Row numbers.
        size: How many to take.
        y: Class codes by row number, or None.
        seed: Of scikit-learn's splitter.
        keep: By row number: rows that are never taken; None for none.
    """
    from sklearn.model_selection import train_test_split

    rows = np.sort(np.asarray(rows, dtype=np.int64))
    may_leave = np.ones(len(rows), dtype=bool) if keep is None else ~keep[rows]
    if y is not None:
        # A class that earlier parts have left with one row can not be divided.
        may_leave &= np.bincount(y[rows])[y[rows]] > 1
    eligible = rows[may_leave]
    if len(eligible) < 2:
        eligible, may_leave = rows, np.ones(len(rows), dtype=bool)
    size = max(1, min(size, len(eligible) - 1))
    strata = None if y is None else y[eligible]
    if strata is not None and min(size, len(eligible) - size) < len(np.unique(strata)):
        strata = None
    _, taken = train_test_split(eligible, test_size=size, random_state=seed, stratify=strata)
    taken = np.sort(taken)
    return np.setdiff1d(rows, taken), taken
