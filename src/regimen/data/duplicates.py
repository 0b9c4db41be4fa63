"""Counts rows that occur on both sides of a division."""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from regimen.data.images import Images
from regimen.data.kinds import Data
from regimen.data.samples import Samples
from regimen.data.split import Parts
from regimen.data.tables import Rows, Table


def near_duplicates(data: Data, parts: Parts) -> int:
    """Return how many rows of the test part also occur among the development rows.

    Rows of a table with features and target, numbers compared after rounding to a ten-thousandth of their column's
    standard deviation; images and samples number by number, whatever their target.
    """
    lines = _table_lines(data) if isinstance(data, Table) else _whole_lines(data)
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


def _whole_lines(data: Images | Samples) -> Callable[[Rows], Iterator[bytes]]:
    """Return what gives a hash of the inputs of rows, 16 bytes: chance makes no two of 2^32 rows equal."""
    inputs = data.pixels if isinstance(data, Images) else data.x
    return lambda rows: (hashlib.blake2b(inputs[row].data, digest_size=16).digest() for row in rows)
