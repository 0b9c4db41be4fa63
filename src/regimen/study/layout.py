"""Which rows a study searches on, sets aside for the confirmation, and keeps for the test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen import streams
from regimen.data import Data, Split, fold_split, hold_out, pair_split, set_aside
from regimen.data.structured_split import last_rows
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
        folds: Each pair of the search is one of so many folds of repeated cross-validation; 0 draws pairs alone.
    """

    table: Data
    development: Rows
    test: Rows
    search: Rows
    aside: Rows | None
    folds: int = 0

    @classmethod
    def of(cls, table: Data, *, folds: int = 0) -> "Layout":
        """Return the layout of a table.

        Args:
            table: The table, images or samples.
            folds: Folds of the search's cross-validation, or 0.

        Raises:
            DataError: Groups or times are too few to divide.
        """
        parts = hold_out(table)
        search, aside = set_aside(table, parts.development)
        return cls(
            table=table,
            development=parts.development,
            test=parts.test,
            search=search,
            aside=aside,
            folds=folds,
        )

    @property
    def fresh(self) -> Fresh:
        """Return what the confirmation has of its own."""
        return "seeds" if self.aside is None else "rows"

    @property
    def given_validation(self) -> bool:
        """Return whether the validation part of the search was given, the same rows in every pair."""
        return self.table.validation_rows is not None

    @property
    def new_rows_known(self) -> bool:
        """Return whether pairs that differ tell what other rows would give, see `judge_arms`."""
        structure = self.table.structure
        return not self.given_validation and (structure is None or structure.by == "group")

    def search_pair(self, seed: int, pair: int) -> tuple[int, Split]:
        """Return key and split of one pair of the search: given validation rows if there are any, else drawn.

        Raises:
            OptionError: There are folds, and the data have none.
            DataError: There are more folds than rows or groups, or times are too few to divide.
        """
        return search_key(seed, pair), self._drawn(search_key, seed, pair)

    def notes(self, seed: int, pairs: int) -> tuple[str, ...]:
        """Return what is to be said of the pairs of the search: where several are of one division, how many there are.

        Args:
            seed: Of the study.
            pairs: How many pairs it has.
        """
        structure = self.table.structure
        if structure is None or self.given_validation or self.folds:
            return ()
        different = len({self.search_pair(seed, pair)[1].digest for pair in range(pairs)})
        if different == pairs:
            return ()
        what = "origin in time" if structure.by == "time" else "division of the groups"
        several = {"time": "origins in time", "group": "divisions of the groups"}[structure.by]
        return (
            f"the {pairs} pairs have {different} different {what if different == 1 else several} of "
            f"{structure.column!r}: those of one train and validate on the same rows, and differ by chance alone",
        )

    def confirmation_pair(self, seed: int, pair: int) -> tuple[int, Split]:
        """Return key and split of one pair of the confirmation, with the test part.

        Where later rows are set aside, as many rows train as are drawn, but the latest ones: no time lies between.
        """
        drawn = self._drawn(confirmation_key, seed, pair)
        train, validation = drawn.train, drawn.validation
        if self.aside is not None:
            validation, structure = self.aside, self.table.structure
            if structure is not None and structure.by == "time":
                train = last_rows(self.search, len(train), structure)
        return confirmation_key(seed, pair), Split(train=train, validation=validation, test=self.test)

    def _drawn(self, key: Callable[[int, int], int], seed: int, pair: int) -> Split:
        if not self.folds:
            return pair_split(self.table, self.search, key(seed, pair))
        fold = pair % self.folds
        # All folds of a repetition are of one division, that of its first pair.
        return fold_split(self.table, self.search, key(seed, pair - fold), fold=fold, folds=self.folds)

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
