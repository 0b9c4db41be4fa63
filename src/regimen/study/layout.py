"""Which rows a study searches on, sets aside for the confirmation, and keeps for the test."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen import streams
from regimen.data import Data, Split, hold_out, pair_split, set_aside
from regimen.records import Fresh

Rows = npt.NDArray[np.int64]
NO_ROWS: Rows = np.empty(0, dtype=np.int64)
SEARCH, CONFIRMATION, FINAL = 0, 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The parts of a table, or of images; which rows they hold depends on the table alone, not on the seed.

    Attributes:
        table: The table or images.
        development: All rows but those of the test part.
        test: Rows that are touched once, at the end.
        search: Rows of the search.
        aside: Rows that only the confirmation sees, or None where the table is too small to spare any.
    """

    table: Data
    development: Rows
    test: Rows
    search: Rows
    aside: Rows | None

    @classmethod
    def of(cls, table: Data) -> "Layout":
        """Return the layout of a table."""
        parts = hold_out(table)
        search, aside = set_aside(table, parts.development)
        return cls(
            table=table,
            development=parts.development,
            test=parts.test,
            search=search,
            aside=aside,
        )

    @property
    def fresh(self) -> Fresh:
        """Return what the confirmation has of its own."""
        return "seeds" if self.aside is None else "rows"

    @property
    def given_validation(self) -> bool:
        """Return whether the validation part of the search was given, the same rows in every pair."""
        return self.table.validation_rows is not None

    def search_split(self, key: int) -> Split:
        """Return the split of one pair of the search: given validation rows if there are any, else drawn by the key."""
        return pair_split(self.table, self.search, key)

    def confirmation_split(self, key: int) -> Split:
        """Return the split of one pair of the confirmation, with the test part."""
        drawn = self.search_split(key)
        validation = drawn.validation if self.aside is None else self.aside
        return Split(train=drawn.train, validation=validation, test=self.test)

    def final_split(self) -> Split:
        """Return the split of the saved model: trained on everything but the test part."""
        return Split(train=self.development, validation=NO_ROWS, test=self.test)


def search_key(seed: int, pair: int) -> int:
    """Return the run key of a pair of the search."""
    return streams.run_key(seed, pair=pair, phase=SEARCH)


def confirmation_key(seed: int, pair: int) -> int:
    """Return the run key of a pair of the confirmation: never one of the search."""
    return streams.run_key(seed, pair=pair, phase=CONFIRMATION)


def final_key(seed: int, network: int = 0) -> int:
    """Return the run key of a saved network."""
    return streams.run_key(seed, pair=network, phase=FINAL)
