"""What is to be said about the division of rows: too few are refused, classes and rows that stand out named."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from regimen.data.duplicates import near_duplicates
from regimen.data.kinds import Data, row_word
from regimen.data.naming import counted
from regimen.data.split import SMALL_CLASS, Parts, hold_out, small_classes
from regimen.errors import DataError

# Below this, the parts have too few rows for any verdict.
FEWEST_ROWS = 20


def require_rows(
    where: str, y: npt.NDArray[np.int64], classes: tuple[str, ...], *, what: str = "row", notes: Iterable[str] = ()
) -> None:
    """Refuse data whose parts would be too small.

    Args:
        where: What the data is called in messages.
        y: Class codes, or amounts, of the main file.
        classes: Label of each code; empty for amounts.
        what: `row`, `image` or `sample`.
        notes: Why some are gone, in words.

    Raises:
        DataError: There are fewer than 20 rows, or fewer than two classes with 5 or more.
    """
    why = "".join(f" ({note})" for note in notes)
    if len(y) < FEWEST_ROWS:
        having = "rows with a target" if what == "row" else f"{what}s"
        raise DataError(f"{where}: expected at least {FEWEST_ROWS} {having}, got {len(y)}{why}; add {what}s")
    if not classes:
        return
    counts = np.bincount(y, minlength=len(classes))
    enough = int((counts >= SMALL_CLASS).sum())
    if enough < 2:
        raise DataError(
            f"{where}: expected at least two classes with {SMALL_CLASS} or more {what}s, got {enough} (largest: "
            f"{classes[int(counts.argmax())]!r} with {counted(int(counts.max()), what)}){why}; add {what}s of other "
            "classes "
            + {"row": "or name another target", "image": "or name another folder"}.get(what, "or give other targets")
        )


def notes_on_parts(data: Data) -> Iterator[str]:
    """Yield what is to be said: classes too small to divide, rows that occur in two parts."""
    what = row_word(data)
    equal = {"image": "pixel by pixel", "sample": "number by number"}.get(what, "equal after rounding")
    small = small_classes(data)
    for code in small:
        rows = int((data.y[data.drawn_rows] == code).sum())
        where = "they go to training only"
        if data.structure is not None:
            where = f"where they are is left to the {data.structure.by}s"
        yield f"class {data.classes[code]!r} has {counted(rows, what)}, too few to divide: {where}"
    parts = hold_out(data)
    yield from _late_classes(data, parts, what)
    compared = {"test": parts}
    if data.validation_rows is not None:
        compared["validation"] = Parts(development=data.drawn_rows, test=data.validation_rows)
    for part, pair in compared.items():
        twice = near_duplicates(data, pair)
        if twice:
            yield f"{twice:,} of {counted(len(pair.test), f'{part} {what}')} also occur, {equal}, among the others"


def _late_classes(data: Data, parts: Parts, what: str) -> Iterator[str]:
    """Yield which classes of the test part nothing can be learnt about, as they occur nowhere else."""
    if data.structure is None or data.task == "regression":
        return
    alone = np.setdiff1d(data.y[parts.test], data.y[parts.development])
    for code in alone:
        rows = int((data.y[parts.test] == code).sum())
        yield f"class {data.classes[code]!r} is in the test part alone ({counted(rows, what)}): nothing can learn it"
