"""Draws parts that tear no group apart, parts in the order of time, and the folds of cross-validation."""

import numpy as np
import numpy.typing as npt

from regimen.data.structure import Structure
from regimen.data.tables import Rows
from regimen.errors import DataError

Codes = npt.NDArray[np.int64]

# Of so many draws of groups that one is taken whose classes and number of rows are nearest to what was asked for. More
# would be nearer, and among few groups always the same.
_CANDIDATES = 8
# Training rows of a pair in time end between these shares of the rows, and the validation part is the fifth after it:
# in the mean 20 % after 60 %, the proportion of pairs that are drawn at random.
_FIRST_ORIGIN, _LAST_ORIGIN, _WINDOW = 0.4, 0.8, 0.2
# Where many rows share a time, the nearest origin may lie elsewhere, but never so that next to nothing trains or
# validates.
_LEAST_TRAINING, _MOST_TRAINING = 0.25, 0.9


def draw_groups(
    rows: Rows, size: int, y: Codes | None, seed: int, structure: Structure, *, least: int = 1
) -> tuple[Rows, Rows]:
    """Divide `rows` into those kept and about `size` taken: whole groups, classes in equal shares as groups allow.

    Args:
        rows: Row numbers.
        size: How many to take, as nearly as groups allow.
        y: Class codes by row number, or None.
        seed: Of scikit-learn's splitter.
        structure: The group of every row.
        least: Groups to take at least.

    Raises:
        DataError: The rows are of too few groups to divide.
    """
    from sklearn.model_selection import ShuffleSplit

    rows, groups, counts = _counted(rows, y, structure)
    many = len(counts)
    if many <= least:
        raise DataError(
            f"expected rows of at least {least + 1} groups to divide, got {many} of {structure.column!r}; give more "
            "groups, or leave --group out"
        )
    taken = min(max(least, round(size / len(rows) * many)), many - 1)
    wanted = counts.sum(axis=0) * (size / len(rows))
    draws = [chosen for _, chosen in ShuffleSplit(_CANDIDATES, test_size=taken, random_state=seed).split(counts)]
    best = min(draws, key=lambda chosen: float(np.abs(counts[chosen].sum(axis=0) - wanted).sum()))
    inside = np.isin(groups, best)
    return rows[~inside], rows[inside]


def group_folds(rows: Rows, y: Codes | None, seed: int, structure: Structure, folds: int) -> list[Rows]:
    """Return the rows of each fold: whole groups, the classes in equal shares where groups allow.

    Raises:
        DataError: There are fewer groups than folds.
    """
    from sklearn.model_selection import KFold

    rows, groups, counts = _counted(rows, y, structure)
    if len(counts) < folds:
        raise DataError(
            f"--folds: expected at most one fold for each of the {len(counts)} groups that {structure.column!r} leaves "
            f"the search, got {folds}; take fewer folds"
        )
    wanted = counts.sum(axis=0) / folds

    def distance(parts: list[Codes]) -> float:
        return sum(float(np.abs(counts[part].sum(axis=0) - wanted).sum()) for part in parts)

    draws = [
        [part for _, part in KFold(folds, shuffle=True, random_state=(seed + i) % (1 << 32)).split(counts)]
        for i in range(_CANDIDATES)
    ]
    return [rows[np.isin(groups, part)] for part in min(draws, key=distance)]


def row_folds(rows: Rows, y: Codes | None, seed: int, folds: int) -> list[Rows]:
    """Return the rows of each fold, the classes in equal shares: neither rows nor those of a class differ by over one.

    Args:
        rows: Row numbers.
        y: Class codes by row number, or None.
        seed: Of scikit-learn's shuffle.
        folds: How many.

    Example:
        >>> sorted(len(fold) for fold in row_folds(np.arange(7), None, 1, 3))
        [2, 2, 3]
    """
    from sklearn.utils import shuffle

    mixed = np.asarray(shuffle(np.sort(rows), random_state=seed))
    if y is not None:
        mixed = mixed[np.argsort(y[mixed], kind="stable")]
    # Dealt like cards, one class after the other.
    return [np.sort(mixed[fold::folds]) for fold in range(folds)]


def latest(rows: Rows, size: int, structure: Structure) -> tuple[Rows, Rows]:
    """Divide `rows` into the earlier and about `size` later ones; rows of one time stay together.

    Raises:
        DataError: All rows are of one time.
    """
    ordered, cuts = _in_time(rows, structure)
    cut = _nearest(cuts, len(ordered) - size)
    return np.sort(ordered[:cut]), np.sort(ordered[cut:])


def rolling_origin(rows: Rows, share: float, structure: Structure) -> tuple[Rows, Rows]:
    """Return training rows that end at an origin in time, and the validation rows that follow it.

    The origin lies at `share` of the way from 40 % to 80 % of the rows; everything before it trains, the next 20 % of
    the rows validate. Rows of one time stay together, for which the origin may move, within 25 % to 90 % of the rows.

    Args:
        rows: Row numbers.
        share: Where between the first origin and the last, in [0, 1).
        structure: The time of every row.

    Raises:
        DataError: All rows are of one time, or so many that no origin lies between 25 % and 90 % of the rows.
    """
    ordered, cuts = _in_time(rows, structure)
    n = len(ordered)
    possible = [cut for cut in cuts if _LEAST_TRAINING * n <= cut <= _MOST_TRAINING * n]
    if not possible:
        times, counts = np.unique(structure.values[ordered], return_counts=True)
        most = int(counts.argmax())
        raise DataError(
            f"expected a time of {structure.column!r} before which {_LEAST_TRAINING:.0%} to {_MOST_TRAINING:.0%} of "
            f"{n} rows lie, to validate what comes after it, got {counts[most]} rows of one time, the "
            f"{most + 1}. of {len(times)}; name a finer time, or leave --time out"
        )
    start = _nearest(possible, round(n * (_FIRST_ORIGIN + share * (_LAST_ORIGIN - _FIRST_ORIGIN))))
    end = _nearest([cut for cut in (*cuts, n) if cut > start], start + round(_WINDOW * n))
    return np.sort(ordered[:start]), np.sort(ordered[start:end])


def last_rows(rows: Rows, count: int, structure: Structure) -> Rows:
    """Return the `count` latest of the rows, ascending."""
    ordered, _ = _in_time(rows, structure)
    return np.sort(ordered[len(ordered) - count :])


def _counted(rows: Rows, y: Codes | None, structure: Structure) -> tuple[Rows, Codes, Codes]:
    """Return the rows ascending, the number of each one's group, and the rows of each group `[groups, classes]`."""
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    _, groups = np.unique(structure.values[rows], return_inverse=True)
    classes = np.zeros(len(rows), dtype=np.int64) if y is None else y[rows]
    counts = np.zeros((groups.max(initial=-1) + 1, classes.max(initial=0) + 1), dtype=np.int64)
    np.add.at(counts, (groups, classes), 1)
    return rows, groups, counts


def _in_time(rows: Rows, structure: Structure) -> tuple[Rows, list[int]]:
    """Return the rows in the order of time, and the places in it where a new time begins."""
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    ordered = rows[np.argsort(structure.values[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(structure.values[ordered])) + 1
    if not len(cuts):
        raise DataError(
            f"expected rows of at least two times to divide, got {len(rows)} of one time of {structure.column!r}; name "
            "a finer time, or leave --time out"
        )
    return ordered, cuts.tolist()


def _nearest(places: list[int], wanted: int) -> int:
    return min(places, key=lambda place: abs(place - wanted))
