"""Whether the parts that a study scores hold the rows that its metric needs, asked before anything is trained."""

from collections.abc import Iterator

import numpy as np

from regimen.data import Data
from regimen.errors import OptionError
from regimen.stats import deleted_together
from regimen.study.confirming import GROUPS, NEEDS_EVERY_CLASS, clusters_of, order_left_out
from regimen.study.layout import Layout, Rows

FEWEST = 2


def check_scored_parts(layout: Layout, metric: str, *, seed: int, pairs: int) -> None:
    """Refuse parts that cannot be scored, or on which no interval over rows can be had.

    Every part needs two rows, because the interval over rows leaves some out. A metric that is not defined without
    rows of a class needs two classes, and two rows of each that occurs. Parts that are drawn anew are looked at in
    every pair.

    Args:
        layout: The parts of the data.
        metric: Name of the metric.
        seed: Of the study.
        pairs: Pairs of the search, and of the confirmation.

    Raises:
        OptionError: A part has too few rows, of any class or in all.
    """
    structure = layout.table.structure
    # Parts of groups and times differ in size from pair to pair.
    looked = pairs if metric in NEEDS_EVERY_CLASS or structure is not None else 1
    for part, rows in _parts(layout, seed, looked):
        if len(rows) < FEWEST:
            raise OptionError(
                f"expected at least {FEWEST} rows in the {part} part, received {len(rows)}: no metric of fewer says "
                "anything; give more rows"
            )
        shared = part != "validation" or layout.given_validation
        if shared and structure is not None and structure.of(rows).count < FEWEST:
            raise OptionError(
                f"expected rows of at least {FEWEST} {structure.by}s in the {part} part, received rows of one: no "
                f"interval could be had; give more of {structure.column!r}"
            )
        if metric in NEEDS_EVERY_CLASS:
            _check_classes(layout.table, metric, part, rows)
            if shared and structure is not None:
                _check_clusters(layout.table, metric, part, rows)


def _check_classes(data: Data, metric: str, part: str, rows: Rows) -> None:
    codes, counts = np.unique(data.y[rows], return_counts=True)
    if len(codes) < 2:
        raise OptionError(
            f"--metric {metric}: expected rows of at least two classes in the {part} part, received {len(rows)} of "
            f"class {data.classes[codes[0]]!r} alone; take another --metric, such as log_loss, or give rows of others"
        )
    if counts.min() < FEWEST:
        raise OptionError(
            f"--metric {metric}: expected at least {FEWEST} rows of every class in the {part} part, received "
            f"{counts.min()} of class {data.classes[codes[counts.argmin()]]!r}; take another --metric, "
            "such as log_loss, or give more rows of it"
        )


def _check_clusters(data: Data, metric: str, part: str, rows: Rows) -> None:
    """Refuse a class of which the interval over rows would leave out all rows at once."""
    clusters, y = clusters_of(data.structure, rows), data.y[rows]
    together = deleted_together(len(rows), groups=GROUPS, order=order_left_out(y, metric), clusters=clusters)
    for code in np.unique(y):
        if len(np.unique(together[y == code])) < FEWEST:
            raise OptionError(
                f"--metric {metric}: expected rows of every class in at least {FEWEST} groups or stretches of time of "
                f"the {part} part that the interval over rows leaves out one after the other, received class "
                f"{data.classes[code]!r} in such as it leaves out at once; take another --metric, such as log_loss, or "
                "give rows of that class in more groups or times"
            )


def _parts(layout: Layout, seed: int, pairs: int) -> Iterator[tuple[str, Rows]]:
    """Yield every part that is scored, by its name; a part that all pairs share once."""
    yield "test", layout.test
    if layout.aside is not None:
        yield "set-aside", layout.aside
    redrawn = 1 if layout.given_validation else pairs
    for pair in range(redrawn):
        yield "validation", layout.search_pair(seed, pair)[1].validation
        if layout.aside is None and not layout.given_validation:
            yield "validation", layout.confirmation_pair(seed, pair)[1].validation
