"""No group is in two parts, nothing is validated on rows before those trained on, and folds cover every row once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data import (
    Split,
    Structure,
    Table,
    fold_split,
    from_arrays,
    from_images,
    from_samples,
    hold_out,
    load,
    pair_split,
    set_aside,
)
from regimen.data import stop_split as stop_rows
from regimen.errors import DataError, OptionError
from regimen.study.layout import Layout

draws = np.random.default_rng(3)


def grouped(sizes: list[int], *, amounts: bool = False) -> Table:
    """Return a table with groups of the given sizes, their rows scattered."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    source = np.random.default_rng(len(group))
    group = source.permutation(group)
    y = source.normal(size=len(group)) if amounts else np.arange(len(group)) % 2
    return from_arrays(source.normal(size=(len(group), 2)), y, group=group)


def timed(times: np.ndarray) -> Table:
    """Return a table with the given times."""
    source = np.random.default_rng(len(times))
    return from_arrays(source.normal(size=(len(times), 2)), source.normal(size=len(times)), time=times)


def values(table: Table, rows: np.ndarray) -> np.ndarray:
    """Return groups or ranks of times of some rows."""
    assert table.structure is not None
    return table.structure.values[rows]


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=6, max_size=30).filter(lambda sizes: sum(sizes) >= 30),
    key=st.integers(0, 2**64 - 1),
    amounts=st.booleans(),
)
def test_no_group_is_in_two_parts(sizes: list[int], key: int, amounts: bool) -> None:
    table = grouped(sizes, amounts=amounts)
    parts = hold_out(table)
    split = pair_split(table, parts.development, key)
    assert table.structure is not None
    train, stop = stop_rows(split.train, None if amounts else table.y, key, structure=table.structure)
    pieces = [parts.test, split.validation, train, stop]
    np.testing.assert_array_equal(np.sort(np.concatenate(pieces)), np.arange(table.n))
    groups = [set(values(table, rows).tolist()) for rows in pieces]
    assert sum(map(len, groups)) == len(set.union(*groups)) == len(sizes)
    # Two groups at least, or there would be no interval over groups.
    assert len(groups[0]) >= 2


@settings(max_examples=30)
@given(
    times=st.lists(st.integers(0, 60), min_size=40, max_size=150).filter(lambda times: len(set(times)) >= 12),
    key=st.integers(0, 2**64 - 1),
)
def test_what_is_scored_is_later_than_what_is_trained_on(times: list[int], key: int) -> None:
    table = timed(np.array(times))
    parts = hold_out(table)
    assert values(table, parts.test).min() > values(table, parts.development).max()
    if len(set(values(table, parts.development))) < 3:
        return
    try:
        split = pair_split(table, parts.development, key)
    except DataError:
        # Only where no time has a quarter of the rows before it and a tenth from it on.
        ranks = values(table, parts.development)
        before = np.array([(ranks < rank).mean() for rank in np.unique(ranks)])
        assert not ((before >= 0.25) & (before <= 0.9)).any()
        return
    assert 0.25 <= len(split.train) / len(parts.development) <= 0.9 and len(split.validation)
    assert values(table, split.validation).min() > values(table, split.train).max()
    # Every row before the origin trains, and none is left out between it and the validation rows.
    before = values(table, parts.development) < values(table, split.validation).min()
    np.testing.assert_array_equal(split.train, parts.development[before])


def test_origins_are_spread_over_the_middle_of_the_time_and_a_fifth_of_the_rows_validates() -> None:
    table = timed(np.random.default_rng(1).permutation(1000))
    splits = [pair_split(table, np.arange(1000), key) for key in range(200)]
    origins = np.array([len(split.train) for split in splits])
    assert origins.min() >= 400 and origins.max() <= 800
    # Uniform from 400 to 800: the mean of 200 is within 4 standard errors of 600 but for 6e-5 of the seeds.
    assert abs(origins.mean() - 600) < 4 * 400 / np.sqrt(12 * 200)
    assert {len(split.validation) for split in splits} == {200}


def test_many_rows_of_one_time_leave_no_pair_with_next_to_no_training_rows() -> None:
    times = np.r_[np.arange(5), np.full(70, 5), np.arange(6, 12)]
    with pytest.raises(DataError, match=r"25% to 90% of 81 rows lie.*got 70 rows of one time, the 6\. of 12; name a"):
        pair_split(timed(times), np.arange(81), 1)
    # With fewer of them, the origin is behind those that share a time, although the other side may be nearer.
    times = np.r_[np.arange(15), np.full(65, 15), np.arange(16, 36)]
    sizes = {len(pair_split(timed(times), np.arange(100), key).train) for key in range(20)}
    assert min(sizes) == 80


def test_the_latest_rows_pick_the_epoch() -> None:
    table = timed(np.random.default_rng(1).permutation(200))
    assert table.structure is not None
    split = pair_split(table, np.arange(200), 5)
    train, stop = stop_rows(split.train, None, 5, structure=table.structure)
    assert values(table, stop).min() > values(table, train).max()
    assert len(stop) == np.ceil(0.15 * len(split.train))


@pytest.mark.parametrize("by", ["group", "time"])
def test_a_stop_part_is_drawn_by_row_where_all_rows_are_of_one_group_or_time(by: str) -> None:
    structure = Structure(by=by, column="c", values=np.zeros(40, dtype=np.int64))  # type: ignore[arg-type]
    train, stop = stop_rows(np.arange(40), None, 1, structure=structure)
    without = stop_rows(np.arange(40), None, 1)
    np.testing.assert_array_equal(train, without[0])
    np.testing.assert_array_equal(stop, without[1])


def test_classes_are_divided_as_evenly_as_groups_allow() -> None:
    # 40 groups of one class each: without regard to classes the share of class 0 among 8 of them varies by 0.16.
    group = np.repeat(np.arange(40), 10)
    table = from_arrays(draws.normal(size=(400, 2)), group % 2, group=group)
    shares = [table.y[pair_split(table, np.arange(400), key).validation].mean() for key in range(60)]
    assert np.std(shares) < 0.09


def test_few_groups_still_give_different_pairs() -> None:
    table = grouped([20] * 8)
    splits = {pair_split(table, hold_out(table).development, key) for key in range(30)}
    assert len(splits) >= 5


@settings(max_examples=30)
@given(
    rows=st.integers(30, 200),
    folds=st.integers(2, 12),
    key=st.integers(0, 2**64 - 1),
    classes=st.integers(2, 4),
)
def test_every_row_validates_in_one_fold_and_folds_have_equal_shares(
    rows: int, folds: int, key: int, classes: int
) -> None:
    table = from_arrays(np.random.default_rng(rows).normal(size=(rows, 2)), [f"c{i % classes}" for i in range(rows)])
    splits = [fold_split(table, np.arange(rows), key, fold=fold, folds=folds) for fold in range(folds)]
    np.testing.assert_array_equal(np.sort(np.concatenate([split.validation for split in splits])), np.arange(rows))
    for split in splits:
        np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.validation])), np.arange(rows))
    counts = np.array([np.bincount(table.y[split.validation], minlength=classes) for split in splits])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_folds_of_groups_keep_groups_whole() -> None:
    table = grouped([3, 9, 4, 7, 1, 12, 6, 6, 5, 8])
    splits = [fold_split(table, np.arange(table.n), 3, fold=fold, folds=4) for fold in range(4)]
    np.testing.assert_array_equal(np.sort(np.concatenate([s.validation for s in splits])), np.arange(table.n))
    for split in splits:
        assert not set(values(table, split.train)) & set(values(table, split.validation))


def test_classes_too_small_to_divide_never_validate_in_a_fold() -> None:
    table = from_arrays(draws.normal(size=(43, 2)), ["a", "b"] * 20 + ["rare"] * 3)
    splits = [fold_split(table, np.arange(43), 1, fold=fold, folds=5) for fold in range(5)]
    assert all(set(split.train) >= {40, 41, 42} for split in splits)


def test_pairs_are_the_folds_of_whole_repetitions() -> None:
    layout = Layout.of(load("wine"), folds=3)
    pairs = [layout.search_pair(0, pair) for pair in range(6)]
    assert len({key for key, _ in pairs}) == 6
    for repetition in (pairs[:3], pairs[3:]):
        rows = np.concatenate([split.validation for _, split in repetition])
        np.testing.assert_array_equal(np.sort(rows), layout.search)
    assert pairs[0][1] != pairs[3][1]
    fresh = [layout.confirmation_pair(0, pair)[1] for pair in range(3)]
    np.testing.assert_array_equal(np.sort(np.concatenate([split.validation for split in fresh])), layout.search)
    assert all(len(split.test) for split in fresh)


def test_rows_set_aside_are_the_latest_and_the_confirmation_trains_on_those_just_before_them() -> None:
    table = timed(np.random.default_rng(1).permutation(4000))
    layout = Layout.of(table)
    assert layout.aside is not None
    np.testing.assert_array_equal(np.sort(values(table, layout.aside)), np.arange(2560, 3200))
    split = layout.confirmation_pair(0, 1)[1]
    drawn = values(table, split.train)
    assert drawn.max() == 2559 and drawn.min() == 2560 - len(drawn)
    np.testing.assert_array_equal(split.validation, layout.aside)


def test_groups_are_set_aside_whole() -> None:
    table = grouped([100] * 30)
    search, aside = set_aside(table, hold_out(table).development)
    assert aside is not None
    assert not set(values(table, search)) & set(values(table, aside))


def test_too_few_groups_for_an_interval_set_none_aside() -> None:
    table = grouped([500] * 7)
    assert set_aside(table, hold_out(table).development)[1] is None


FILE = "g,when,x,y\n" + "".join(
    f"p{i % 9},2024-{i // 28 % 12 + 1:02d}-{i % 28 + 1:02d},{i * 7 % 11 + i / 100},{'ab'[i * i % 7 % 2]}\n"
    for i in range(60)
)


@pytest.mark.parametrize(("option", "column", "count"), [("group", "g", 9), ("time", "when", 60)])
def test_the_column_is_no_feature_and_a_note_says_how_rows_are_divided(
    write: Callable[..., str], option: str, column: str, count: int
) -> None:
    table = load(write(FILE, "t.csv"), target="y", **{option: column})  # type: ignore[arg-type]
    assert isinstance(table, Table) and table.structure is not None
    assert column not in [one.name for one in table.columns]
    assert (table.structure.by, table.structure.column, table.structure.count) == (option, column, count)
    assert any(note.startswith("rows are divided by ") and column in note for note in table.notes)
    assert table.digest != load(write(FILE, "u.csv"), target="y", ignore=[column]).digest


@pytest.mark.parametrize(
    "times",
    [
        [f"2024-{i % 12 + 1:02d}" for i in range(60)],
        [f"{i % 28 + 1}.{i % 12 + 1}.2024" for i in range(60)],
        [f"2024-01-{i % 28 + 1:02d}T03:00:00Z" for i in range(60)],
        np.datetime64("2024-01-01") + np.arange(60) % 20,
        np.arange(60) % 20 / 4,
    ],
    ids=["months", "german", "zone", "datetime64", "numbers"],
)
def test_times_are_read_from_dates_and_numbers(times: Any) -> None:
    samples = from_samples(draws.normal(size=(60, 2)), [0, 1] * 30, time=times)
    order = np.argsort(np.array([str(t) for t in times])) if isinstance(times[0], str) else np.argsort(times)
    assert samples.structure is not None
    if not str(times[0]).endswith("2024"):
        assert (np.diff(samples.structure.values[order]) >= 0).all()
    assert samples.structure.count == len(set(map(str, times)))


def test_rows_without_a_group_are_left_out_and_a_class_that_is_then_empty_goes(write: Callable[..., str]) -> None:
    lines = [
        f"{'' if label == 'c' or i == 3 else f'p{i % 8}'},{i / 3},{label}" for i, label in enumerate("ab" * 24 + "cc")
    ]
    table = load(write("g,x,y\n" + "\n".join(lines), "t.csv"), target="y", group="g")
    assert table.n == 47 and table.classes == ("a", "b")
    assert any("left out 3 rows" in note and "'g'" in note for note in table.notes)


def test_given_parts_have_groups_of_their_own(write: Callable[..., str]) -> None:
    def file(name: str, groups: range) -> str:
        rows = [f"p{group},{group * 3 + i / 7},{'ab'[i % 2]}" for group in groups for i in range(4)]
        return write("g,x,y\n" + "\n".join(rows), name)

    main, test, validation = file("m.csv", range(10)), file("t.csv", range(10, 14)), file("v.csv", range(14, 17))
    table = load(main, target="y", test=test, validation=validation, group="g")
    split = pair_split(table, hold_out(table).development, 1)
    assert table.structure is not None and table.structure.count == 17
    assert len(split.validation) == 12 and len(hold_out(table).test) == 16
    with pytest.raises(DataError, match=r"no group of the other rows, got 'p9' of 'g' in both \(1 group\)"):
        load(main, target="y", test=file("bad.csv", range(9, 14)), group="g")


def test_a_given_test_part_is_later_and_time_takes_no_given_validation(write: Callable[..., str]) -> None:
    def file(name: str, times: range) -> str:
        return write("t,x,y\n" + "\n".join(f"{t},{t * 7 % 5},{t * t % 13 / 2}" for t in times), name)

    main, later = file("m.csv", range(40)), file("l.csv", range(40, 50))
    table = load(main, target="y", test=later, time="t")
    assert hold_out(table).test.tolist() == list(range(40, 50))
    with pytest.raises(DataError, match="rows later in 't' than all others"):
        load(main, target="y", test=file("e.csv", range(39, 50)), time="t")
    with pytest.raises(OptionError, match="--validation: --time decides"):
        load(main, target="y", validation=later, time="t")


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "both": ({"group": "g", "time": "when"}, OptionError, "--group, --time: expected one of them"),
    "no such column": ({"group": "gg"}, DataError, "got 'gg', which the table lacks; did you mean 'g'"),
    "the target": ({"group": "y"}, DataError, "a group column other than the target"),
    "times that are none": ({"time": "g"}, DataError, r"numbers or dates in the time column 'g', got .* such as 'p0'"),
    "one time that is none": ({"time": "odd"}, DataError, r"time column 'odd', got others, such as 'soon' in row \d+;"),
    "few groups": ({"group": "few"}, DataError, "at least 6 different groups in 'few', got 2"),
    "few times": ({"time": "x2"}, DataError, "at least 10 different times in 'x2', got 3"),
}


@pytest.mark.parametrize(("options", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_columns_that_divide_nothing_are_refused(
    write: Callable[..., str], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    lines = FILE.splitlines()
    days = [f"2026-01-{1 + i % 28:02}" if i != 3 else "soon" for i in range(len(lines))]
    rows = [f"{line},{i % 2},{i % 3},{day}" for i, (line, day) in enumerate(zip(lines[1:], days, strict=False))]
    text = "\n".join([lines[0] + ",few,x2,odd", *rows])
    with pytest.raises(error, match=message):
        load(write(text, "t.csv"), target="y", **options)


def test_images_have_no_columns_of_groups_but_take_groups_in_python() -> None:
    with pytest.raises(OptionError, match="group: mnist is images"):
        load("mnist", group="patient")
    images = from_images(draws.integers(0, 255, (60, 4, 4)).astype(np.uint8), [0, 1] * 30, group=np.arange(60) // 5)
    split = pair_split(images, hold_out(images).development, 1)
    assert not set(split.train // 5) & set(split.validation // 5)


def test_folds_are_refused_where_rows_have_an_order_or_a_given_validation_part(write: Callable[..., str]) -> None:
    with pytest.raises(OptionError, match=r"--folds: .* got an order in time"):
        fold_split(timed(np.arange(40)), np.arange(40), 1, fold=0, folds=5)
    main = write("x,y\n" + "\n".join(f"{i / 2},{i * i % 13 / 2}" for i in range(40)), "m.csv")
    with pytest.raises(OptionError, match=r"--folds: .* got a given validation part"):
        fold_split(load(main, target="y", validation=main), np.arange(40), 1, fold=0, folds=5)
    with pytest.raises(DataError, match=r"--folds: expected at most one fold for each of the 8 groups .* got 9"):
        fold_split(grouped([5] * 8), np.arange(40), 1, fold=0, folds=9)


def test_splits_of_groups_differ_by_the_key_and_not_by_the_order_of_rows() -> None:
    table = grouped([5] * 20)
    rows = hold_out(table).development
    assert pair_split(table, rows, 1) == pair_split(table, rows[::-1], 1)
    assert isinstance(pair_split(table, rows, 1), Split)
    assert len({pair_split(table, rows, key) for key in range(10)}) == 10
