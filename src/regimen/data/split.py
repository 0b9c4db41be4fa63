"""Draws the parts of the data: test, set-aside, training, validation and stop rows, by class, group or time."""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from regimen.data.kinds import Data
from regimen.data.structure import Structure
from regimen.data.structured_split import draw_groups, group_folds, latest, rolling_origin, row_folds
from regimen.data.tables import Rows, canonical_bytes
from regimen.errors import OptionError
from regimen.streams import split_seed

TEST_FRACTION, TEST_LIMIT = 0.2, 10_000
ASIDE_FRACTION, ASIDE_FROM = 0.2, 2_000
# Classes with fewer rows cannot stand in every part: they go to training only.
SMALL_CLASS = 5
# An interval over groups needs two of them in the part. The rest must do for two parts of a pair and a stop part.
FEWEST_GROUPS, _ASIDE_GROUPS, _INTERVAL_GROUPS = 6, 6, 2

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

    Rows of a test file are the test rows, where there are some; rows of a validation file are always development. Of
    rows in time the latest are the test rows; of groups whole ones.

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
    _, test = _part(data, drawn, size, split_seed(0, _TEST_DRAW))
    return Parts(development=np.setdiff1d(np.arange(data.n), test), test=test)


def set_aside(data: Data, development: Rows) -> tuple[Rows, Rows | None]:
    """Return the rows of the search and, from 2,000 development rows on, the 20 % kept for the confirmation.

    Args:
        data: The table, images or samples.
        development: Rows that are not test rows.
    """
    drawn = np.intersect1d(development, data.drawn_rows)
    few = data.structure is not None and data.structure.by == "group" and data.structure.of(drawn).count < _ASIDE_GROUPS
    if len(drawn) < ASIDE_FROM or few:
        return np.sort(development), None
    _, aside = _part(data, drawn, round(ASIDE_FRACTION * len(drawn)), split_seed(0, _ASIDE_DRAW))
    return np.setdiff1d(development, aside), aside


def pair_split(
    data: Data, rows: Rows, key: int, *, validation_fraction: float = 0.25, test: Rows | None = None
) -> Split:
    """Return the training and validation rows of one pair.

    Args:
        data: The table, images or samples; rows of a validation file are the validation part of every pair.
        rows: Rows to divide.
        key: 64-bit run key of the pair.
        validation_fraction: Share of `rows` that validates, in (0, 1); of rows in time a fifth, whatever it says, after
            an origin that the key draws, see `rolling_origin`.
        test: Rows of the test part, if the run shall be scored on them; None is an empty part.
    """
    tested = np.empty(0, dtype=np.int64) if test is None else np.sort(test)
    if data.validation_rows is not None:
        given = np.intersect1d(rows, data.validation_rows)
        return Split(train=np.setdiff1d(rows, given), validation=given, test=tested)
    if data.structure is not None and data.structure.by == "time":
        train, validation = rolling_origin(rows, split_seed(key) / (1 << 32), data.structure)
    else:
        train, validation = _part(data, rows, round(validation_fraction * len(rows)), split_seed(key), least=1)
    return Split(train=train, validation=validation, test=tested)


def fold_split(data: Data, rows: Rows, key: int, *, fold: int, folds: int) -> Split:
    """Return the training and validation rows of one fold of cross-validation; each row is in one fold of a key.

    Args:
        data: The table, images or samples, not in order of time, without a given validation part.
        rows: Rows to divide.
        key: 64-bit run key of the repetition.
        fold: Which fold validates, from 0.
        folds: How many, at least 2.

    Raises:
        OptionError: The data have no folds.
        DataError: There are fewer groups or rows than folds.

    Example:
        >>> from regimen.data import load
        >>> iris = load("iris")
        >>> len(fold_split(iris, np.arange(150), 1, fold=0, folds=5).validation)
        30
    """
    if data.validation_rows is not None or (data.structure is not None and data.structure.by == "time"):
        given = data.validation_rows is not None
        why = "a given validation part (--validation)" if given else "an order in time (--time)"
        raise OptionError(f"--folds: expected rows that can be divided into folds, got {why}; leave one of them out")
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    small = _rows_of_small_classes(data)
    free = rows if small is None or data.structure is not None else rows[~small[rows]]
    if len(free) < folds:
        raise OptionError(f"--folds: expected at most one fold for each of {len(free)} rows, got {folds}")
    if data.structure is None:
        parts = row_folds(free, _labels(data), split_seed(key), folds)
    else:
        parts = group_folds(free, _labels(data), split_seed(key), data.structure, folds)
    none = np.empty(0, dtype=np.int64)
    return Split(train=np.setdiff1d(rows, parts[fold]), validation=parts[fold], test=none)


def stop_split(
    train_rows: Rows,
    y: npt.NDArray[np.int64] | None,
    key: int,
    fraction: float = 0.15,
    *,
    structure: Structure | None = None,
) -> tuple[Rows, Rows]:
    """Return the rows that are trained on and those that pick the epoch.

    Args:
        train_rows: Training rows of a pair.
        y: Class codes, indexed by row number; None for regression.
        key: 64-bit run key.
        fraction: Share of the rows that picks the epoch, in (0, 1).
        structure: Groups or times, indexed by row number: whole groups, or the latest rows, pick the epoch. None where
            the rows have neither, or are of one group or time alone.
    """
    # Draw 1: draw 0 of the same key has divided training and validation rows.
    size, seed = math.ceil(fraction * len(train_rows)), split_seed(key, 1)
    if structure is None or structure.of(np.asarray(train_rows)).count < 2:
        return _draw(train_rows, size, y, seed, None)
    if structure.by == "time":
        return latest(train_rows, size, structure)
    return draw_groups(train_rows, size, y, seed, structure)


def _part(data: Data, rows: Rows, size: int, seed: int, *, least: int = _INTERVAL_GROUPS) -> tuple[Rows, Rows]:
    """Divide `rows` into those kept and about `size` taken, as the structure asks; of groups take at least `least`."""
    structure = data.structure
    if structure is None:
        return _draw(rows, size, _labels(data), seed, _rows_of_small_classes(data))
    if structure.by == "time":
        return latest(rows, size, structure)
    return draw_groups(rows, size, _labels(data), seed, structure, least=least)


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
        # A class that earlier parts have left with one row cannot be divided.
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
