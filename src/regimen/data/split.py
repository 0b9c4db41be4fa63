"""Draws the parts of the data: test, set-aside, training, validation and stop rows, stratified by class."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from regimen.data.images import Data, Images
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


def hold_out(data: Data) -> Parts:
    """Return the test rows, 20 % and at most 10,000, and the others; the same for every seed of a study.

    Rows of a test file are the test rows, where there are some; rows of a validation file are always development.

    Example:
        >>> from regimen.data import load
        >>> parts = hold_out(load("iris"))
        >>> len(parts.development), len(parts.test)
        (120, 30)
    """
    if data.test_rows is not None:
        return Parts(development=np.setdiff1d(np.arange(data.n), data.test_rows), test=np.sort(data.test_rows))
    drawn = data.drawn_rows
    size = min(round(TEST_FRACTION * len(drawn)), TEST_LIMIT)
    _, test = _draw(drawn, size, _labels(data), split_seed(0, _TEST_DRAW), _rows_of_small_classes(data))
    return Parts(development=np.setdiff1d(np.arange(data.n), test), test=test)


def set_aside(data: Data, development: Rows) -> tuple[Rows, Rows | None]:
    """Return the rows of the search and, from 2,000 development rows on, the 20 % kept for the confirmation.

    Args:
        data: The table or images.
        development: Rows that are not test rows.
    """
    drawn = np.intersect1d(development, data.drawn_rows)
    if len(drawn) < ASIDE_FROM:
        return np.sort(development), None
    size = round(ASIDE_FRACTION * len(drawn))
    _, aside = _draw(drawn, size, _labels(data), split_seed(0, _ASIDE_DRAW), _rows_of_small_classes(data))
    return np.setdiff1d(development, aside), aside


def pair_split(
    data: Data, rows: Rows, key: int, *, validation_fraction: float = 0.25, test: Rows | None = None
) -> Split:
    """Return the training and validation rows of one pair.

    Args:
        data: The table or images; rows of a validation file are the validation part of every pair.
        rows: Rows to divide.
        key: 64-bit run key of the pair.
        validation_fraction: Share of `rows` that validates, in (0, 1).
        test: Rows of the test part, if the run shall be scored on them; None is an empty part.
    """
    tested = np.empty(0, dtype=np.int64) if test is None else np.sort(test)
    if data.validation_rows is not None:
        given = np.intersect1d(rows, data.validation_rows)
        return Split(train=np.setdiff1d(rows, given), validation=given, test=tested)
    size = round(validation_fraction * len(rows))
    train, validation = _draw(rows, size, _labels(data), split_seed(key), _rows_of_small_classes(data))
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


def near_duplicates(data: Data, parts: Parts) -> int:
    """Return how many rows of the test part also occur among the development rows.

    Rows of a table with features and target, numbers compared after rounding to a ten-thousandth of their column's
    standard deviation; images pixel by pixel, whatever their label.
    """
    lines = _image_lines(data) if isinstance(data, Images) else _table_lines(data)
    known = set(lines(parts.development))
    return sum(line in known for line in lines(parts.test))


def _table_lines(table: Table) -> Callable[[Rows], Iterator[bytes]]:
    """Return what gives the rounded content of rows."""
    numbers = np.concatenate([table.numbers, table.y[:, None].astype(np.float64)], axis=1)
    spread = np.array([column[~np.isnan(column)].std() if (~np.isnan(column)).any() else 0.0 for column in numbers.T])
    spread[spread == 0] = 1.0

    def lines(rows: Rows) -> Iterator[bytes]:
        for start in range(0, len(rows), 4096):  # bounds memory on wide tables
            block = rows[start : start + 4096]
            rounded = np.round(numbers[block] / spread * 1e4) + 0.0  # no negative zeros
            yield from (line.tobytes() for line in np.concatenate([rounded, table.codes[block]], axis=1))

    return lines


def _image_lines(images: Images) -> Callable[[Rows], Iterator[bytes]]:
    """Return what gives a hash of the pixels of rows, 16 bytes: chance makes no two of 2^32 images equal."""
    return lambda rows: (hashlib.blake2b(images.pixels[row].data, digest_size=16).digest() for row in rows)


def small_classes(data: Data) -> npt.NDArray[np.int64]:
    """Return the codes of the classes with under 5 rows in the main file; they go to training only."""
    if data.task == "regression":
        return np.empty(0, dtype=np.int64)
    counts = np.bincount(data.y[data.drawn_rows], minlength=len(data.classes))
    return np.flatnonzero((counts > 0) & (counts < SMALL_CLASS))


def _labels(data: Data) -> npt.NDArray[np.int64] | None:
    return data.y if data.task == "classification" else None


def _rows_of_small_classes(data: Data) -> npt.NDArray[np.bool_] | None:
    small = small_classes(data)
    return np.isin(data.y, small) if len(small) else None


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
