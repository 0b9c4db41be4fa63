"""Tables are values: equal by content, cheap to send to another process, never written to."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from regimen.data import Table, hold_out, load, pair_split
from regimen.data.tables import canonical_bytes


def test_neither_name_nor_notes_change_what_a_table_is(mixed: Table) -> None:
    other = replace(mixed, name="other", notes=())
    assert other == mixed
    assert hash(other) == hash(mixed)


def changed(table: Table, what: str) -> Table:
    """Return the table with one cell, target, level or part changed."""
    if what in ("numbers", "codes", "y"):
        array = getattr(table, what).copy()
        array.flat[-1] += 1
        return replace(table, **{what: array})
    if what == "levels":
        columns = [
            replace(column, levels=(*column.levels[:-1], "new")) if column.levels else column
            for column in table.columns
        ]
        return replace(table, columns=tuple(columns))
    if what == "classes":
        return replace(table, classes=(*table.classes[:-1], "new"))
    return replace(table, **{what: np.array([3, 4])})


@pytest.mark.parametrize("what", ["numbers", "codes", "y", "levels", "classes", "test_rows", "validation_rows"])
def test_any_change_of_content_changes_the_digest(mixed: Table, what: str) -> None:
    assert changed(mixed, what).digest != mixed.digest


def test_test_rows_are_not_confused_with_validation_rows(mixed: Table) -> None:
    rows = np.array([3, 4])
    assert replace(mixed, test_rows=rows) != replace(mixed, validation_rows=rows)


def test_a_digest_is_the_same_in_every_process_and_version() -> None:
    # A study stores it: a change means that stored work of earlier versions is never found again.
    assert load("iris").digest == "7dc960da26434f81c6fecbdbbd0c227f30ca163f05281971745eab5f88989a49"


def test_a_pickled_table_is_equal_and_hardly_larger_than_its_arrays(mixed: Table) -> None:
    sent = pickle.dumps(mixed, protocol=5)
    assert pickle.loads(sent) == mixed
    assert len(sent) < mixed.numbers.nbytes + mixed.codes.nbytes + mixed.y.nbytes + 2000


def test_a_pickled_split_is_equal(mixed: Table) -> None:
    split = pair_split(mixed, hold_out(mixed).development, 1)
    assert pickle.loads(pickle.dumps(split)) == split


def test_a_table_can_not_be_written_to(mixed: Table) -> None:
    with pytest.raises(ValueError, match="read-only"):
        mixed.numbers[0, 0] = 1.0


@given(
    values=arrays.arrays(
        np.float64, arrays.array_shapes(max_dims=2), elements=st.floats(allow_nan=True, allow_infinity=True)
    )
)
@example(values=np.array([np.nan, 0.0]))
def test_equal_values_have_equal_bytes_whatever_their_layout(values: np.ndarray) -> None:
    # Every NaN is one value, whatever its bits; negative zero is zero.
    negated = np.where(np.isnan(values), -values, np.where(values == 0, -values, values))
    layouts = [np.asfortranarray(values), values.astype(">f8"), np.repeat(values, 2, axis=0)[::2], negated]
    for layout in layouts:
        assert canonical_bytes(layout) == canonical_bytes(values)
