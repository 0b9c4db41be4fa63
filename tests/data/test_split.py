"""Parts are drawn as the design says: stratified, disjoint, complete, and the test part the same for every seed."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.data import Parts, Split, Table, from_arrays, hold_out, load, near_duplicates, pair_split, set_aside
from regimen.data import stop_split as stop_rows


def classes_of(counts: list[int], *, extra: int = 2) -> Table:
    """Return a table of classes with the given numbers of rows."""
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(6).normal(size=(len(y), extra))
    return from_arrays(x, [f"class {code:02d}" for code in y])


def amounts(rows: int) -> Table:
    """Return a table with a regression target."""
    draws = np.random.default_rng(7)
    return from_arrays(draws.normal(size=(rows, 2)), draws.normal(size=rows))


def assert_parts(rows: np.ndarray, *parts: np.ndarray) -> None:
    """Require that the parts are ascending int64, none empty, and together the rows without repetition."""
    for part in parts:
        assert part.dtype == np.int64
        assert len(part) > 0
        assert (np.diff(part) > 0).all()
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(rows))


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=12).filter(
        lambda counts: sum(counts) >= 20 and sum(count >= 5 for count in counts) >= 2 and sum(counts) >= 2 * len(counts)
    ),
    key=st.integers(0, 2**64 - 1),
)
def test_parts_are_disjoint_complete_and_keep_small_classes_in_training(counts: list[int], key: int) -> None:
    table = classes_of(counts)
    parts = hold_out(table)
    assert_parts(np.arange(table.n), parts.development, parts.test)
    split = pair_split(table, parts.development, key)
    assert_parts(parts.development, split.train, split.validation)
    train, stop = stop_rows(split.train, table.y, key)
    assert_parts(split.train, train, stop)
    in_training = Counter(table.y[split.train].tolist())
    for code, count in enumerate(counts):
        if count < 5:
            assert in_training[code] == count
        else:
            assert in_training[code] >= 1


@given(rows=st.integers(20, 300), key=st.integers(0, 2**64 - 1))
def test_regression_rows_are_divided_in_the_stated_shares(rows: int, key: int) -> None:
    table = amounts(rows)
    parts = hold_out(table)
    assert_parts(np.arange(rows), parts.development, parts.test)
    assert len(parts.test) == round(0.2 * rows)
    split = pair_split(table, parts.development, key)
    assert_parts(parts.development, split.train, split.validation)
    assert len(split.validation) == round(0.25 * len(parts.development))
    train, stop = stop_rows(split.train, None, key)
    assert_parts(split.train, train, stop)
    assert len(stop) == np.ceil(0.15 * len(split.train))


@pytest.mark.parametrize("name", ["iris", "wine", "digits", "breast_cancer"])
def test_every_part_has_the_classes_in_the_shares_of_the_table(name: str) -> None:
    table = load(name)
    split = pair_split(table, hold_out(table).development, 3)
    shares = np.bincount(table.y) / table.n
    for rows in (hold_out(table).test, split.train, split.validation):
        counts = np.bincount(table.y[rows], minlength=len(shares))
        assert np.abs(counts - shares * len(rows)).max() <= 1.5


def test_the_test_part_is_at_most_ten_thousand_rows() -> None:
    assert len(hold_out(amounts(60_000)).test) == 10_000


def test_parts_that_no_seed_may_move_stay_where_they_are() -> None:
    # Frozen: the test rows of a table decide what every published number of it means.
    parts = hold_out(load("iris"))
    assert parts.test.tolist() == [
        0,
        3,
        6,
        8,
        13,
        16,
        28,
        30,
        33,
        47,
        63,
        66,
        67,
        72,
        76,
        78,
        84,
        86,
        91,
        95,
        105,
        114,
        121,
        123,
        124,
        127,
        129,
        140,
        148,
        149,
    ]
    table = amounts(2600)
    _, aside = set_aside(table, hold_out(table).development)
    assert aside is not None
    assert aside[:5].tolist() == [11, 16, 20, 21, 38]


@pytest.mark.parametrize(("rows", "spared"), [(2499, False), (2500, True)])
def test_rows_are_set_aside_from_two_thousand_development_rows_on(rows: int, spared: bool) -> None:
    table = amounts(rows)
    development = hold_out(table).development
    search, aside = set_aside(table, development)
    if spared:
        assert aside is not None
        assert_parts(development, search, aside)
        assert len(aside) == round(0.2 * len(development))
    else:
        assert aside is None
        np.testing.assert_array_equal(search, development)


def test_pairs_differ_by_their_key_alone() -> None:
    table = load("wine")
    rows = hold_out(table).development
    assert pair_split(table, rows, 1) == pair_split(table, rows[::-1], 1)
    assert pair_split(table, rows, 1) != pair_split(table, rows, 2)
    assert pair_split(table, rows, 1) != pair_split(table, rows, 1 << 32)


def test_the_stop_part_is_not_a_copy_of_the_draw_of_the_pair() -> None:
    rows = np.arange(400)
    table = amounts(400)
    validation = pair_split(table, rows, 9, validation_fraction=0.15).validation
    _, stop = stop_rows(rows, None, 9)
    assert len(stop) == len(validation)
    assert not np.array_equal(stop, validation)


def test_the_test_rows_are_in_a_split_only_where_they_are_asked_for() -> None:
    table = load("wine")
    parts = hold_out(table)
    assert len(pair_split(table, parts.development, 1).test) == 0
    np.testing.assert_array_equal(pair_split(table, parts.development, 1, test=parts.test).test, parts.test)


def test_given_parts_are_used_as_they_are(write: Callable[..., str]) -> None:
    def file(name: str, rows: range) -> str:
        return write("a,y\n" + "".join(f"{i / 4},{'pq'[i % 2]}\n" for i in rows), name)

    table = load(
        file("train.csv", range(40)),
        target="y",
        test=file("test.csv", range(40, 47)),
        validation=file("validation.csv", range(47, 52)),
    )
    parts = hold_out(table)
    assert parts.test.tolist() == list(range(40, 47))
    for key in (1, 2):
        split = pair_split(table, parts.development, key)
        assert split.train.tolist() == list(range(40))
        assert split.validation.tolist() == list(range(47, 52))


def test_given_validation_rows_are_neither_tested_on_nor_set_aside(write: Callable[..., str]) -> None:
    def file(name: str, rows: range) -> str:
        return write("a,y\n" + "".join(f"{i / 4},{i / 2 + 0.25}\n" for i in rows), name)

    table = load(file("t.csv", range(3000)), target="y", validation=file("v.csv", range(3000, 3100)))
    parts = hold_out(table)
    assert len(parts.test) == 600
    search, aside = set_aside(table, parts.development)
    assert aside is not None
    assert_parts(np.arange(3100), parts.test, search, aside)
    assert set(range(3000, 3100)) <= set(search.tolist())


def test_equal_rows_across_parts_are_counted_up_to_rounding(write: Callable[..., str]) -> None:
    lines = [f"{i / 4},{'uvw'[i % 3]},{'pq'[i % 2]}" for i in range(40)]
    lines[1] = "0.0000001,u,p"  # equal to row 0 after rounding
    lines[3] = "0.5,u,p"  # row 2 but for the town
    lines[5] = "1.0,v,q"  # row 4 but for the label
    lines[6], lines[7] = ",u,p", ",u,p"  # equal, missing cells too
    table = load(write("a,b,y\n" + "\n".join(lines)), target="y")
    odd = np.array([1, 3, 5, 7])
    assert near_duplicates(table, Parts(development=np.array([0, 2, 4, 6]), test=odd)) == 2


def test_splits_are_equal_by_their_rows() -> None:
    rows = np.arange(10)
    assert Split(train=rows[:5], validation=rows[5:], test=rows[:0]) == Split(
        train=rows[:5].copy(), validation=rows[5:], test=rows[:0]
    )
    assert Split(train=rows[:5], validation=rows[5:], test=rows[:0]) != Split(
        train=rows[:5], validation=rows[:0], test=rows[5:]
    )
