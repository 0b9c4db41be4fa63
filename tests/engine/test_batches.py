"""The slices of an epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.engine.reference import batches


@given(st.integers(1, 300), st.integers(1, 80))
def test_batches_cover_every_row_once_in_order(rows: int, batch_size: int) -> None:
    covered = [row for part in batches(rows, batch_size) for row in range(part.start, part.stop)]
    assert covered == list(range(rows))


@given(st.integers(1, 300), st.integers(1, 80))
def test_all_batches_are_full_but_the_last(rows: int, batch_size: int) -> None:
    sizes = [part.stop - part.start for part in batches(rows, batch_size)]
    assert set(sizes[:-1]) <= {batch_size}
    assert 1 <= sizes[-1] <= batch_size + 1


@given(st.integers(2, 300), st.integers(2, 80))
def test_no_batch_of_one_row_is_left_for_batch_norm(rows: int, batch_size: int) -> None:
    assert min(part.stop - part.start for part in batches(rows, batch_size)) >= 2


@pytest.mark.parametrize(
    ("rows", "batch_size", "sizes"),
    [
        (6, 3, [3, 3]), (7, 3, [3, 4]), (8, 3, [3, 3, 2]), (3, 32, [3]), (1, 32, [1]), (33, 32, [33]),
        (4, 1, [1, 1, 1, 1]), (1, 1, [1]), (2, 1, [1, 1]),
    ],
)  # fmt: skip
def test_a_single_row_left_over_joins_the_batch_before_it(rows: int, batch_size: int, sizes: list[int]) -> None:
    assert [part.stop - part.start for part in batches(rows, batch_size)] == sizes
