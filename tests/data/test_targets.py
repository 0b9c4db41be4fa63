"""The target column says which task it poses."""

from collections.abc import Callable

import numpy as np
import pytest

from regimen.data import Table, load

ROWS = 420

TARGETS = {
    "text": ([("low", "mid", "high")[i % 3] for i in range(ROWS)], "classification", ("high", "low", "mid")),
    "booleans": (["True", "False"] * (ROWS // 2), "classification", ("False", "True")),
    "whole numbers": ([(1, 2, 10)[i % 3] for i in range(ROWS)], "classification", ("1", "2", "10")),
    "whole numbers written as floats": (["1.0", "0.0"] * (ROWS // 2), "classification", ("0", "1")),
    "numbers and words": (["1", "2", "3+", "2"] * (ROWS // 4), "classification", ("1", "2", "3+")),
    "twenty whole numbers": ([i % 20 for i in range(ROWS)], "classification", tuple(str(i) for i in range(20))),
    "21 whole numbers": ([i % 21 for i in range(ROWS)], "regression", ()),
    "fractions": ([i % 3 / 2 for i in range(ROWS)], "regression", ()),
    "26 letters": ([chr(65 + i % 26) for i in range(ROWS)], "classification", tuple(chr(65 + i) for i in range(26))),
}


@pytest.mark.parametrize(("values", "task", "classes"), TARGETS.values(), ids=TARGETS)
def test_the_task_follows_from_the_target(
    load_columns: Callable[..., Table], values: list[object], task: str, classes: tuple[str, ...]
) -> None:
    table = load_columns({"y": values})
    assert (table.task, table.classes) == (task, classes)
    if task == "classification":
        assert table.y.dtype == np.int64
        assert float(table.y[3]) == classes.index(str(values[3]).removesuffix(".0"))
    else:
        assert table.y.dtype == np.float64
        assert table.y.tolist() == values


def test_whole_numbers_are_amounts_where_rows_are_few_for_so_many_values(load_columns: Callable[..., Table]) -> None:
    assert load_columns({"y": [i % 10 for i in range(60)]}).task == "regression"


def test_the_given_task_overrides_the_inferred_one(load_columns: Callable[..., Table]) -> None:
    grades = [i % 5 for i in range(ROWS)]
    assert load_columns({"y": grades}, task="regression").y.tolist() == grades
    halves = [i % 5 / 2 for i in range(ROWS)]
    assert load_columns({"y": halves}, task="classification").classes == ("0", "0.5", "1", "1.5", "2")


def test_a_doubtful_reading_of_whole_numbers_is_noted(load_columns: Callable[..., Table]) -> None:
    classes = load_columns({"y": [i % 5 for i in range(ROWS)]})
    assert classes.notes == (
        "target 'y': its 5 different whole numbers are read as classes; if they are amounts, set task to regression",
    )
    amounts = load_columns({"y": [i % 50 for i in range(ROWS)]})
    assert amounts.notes == (
        "target 'y': its 50 different whole numbers are read as amounts; if they are classes, set task to "
        "classification",
    )
    assert load_columns({"y": [i % 2 for i in range(ROWS)]}).notes == ()


def test_rows_without_a_target_are_left_out_and_counted(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"a": [i / 2 for i in range(60)], "y": ["p", "q", "?"] * 20})
    assert table.n == 40
    assert table.numbers[:3, 1].tolist() == [0.0, 0.5, 1.5]
    assert table.notes[0].startswith("left out 20 rows of ")


def test_a_column_filled_only_where_the_target_is_missing_is_left_out(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"a": ["", "", 7] * 20, "y": ["p", "q", ""] * 20})
    assert "left out column 'a': it is empty" in table.notes


def test_further_files_keep_their_rows_apart(write: Callable[..., str]) -> None:
    def file(name: str, rows: range, towns: str) -> str:
        lines = [f"{i / 4},{towns[i % len(towns)]},{'pq'[i % 2]}" for i in rows]
        return write("a,town,y\n" + "\n".join(lines), name)

    table = load(
        file("train.csv", range(40), "bd"),
        target="y",
        test=file("test.csv", range(40, 47), "ac"),
        validation=file("validation.csv", range(47, 52), "db"),
    )
    assert table.n == 52
    assert table.test_rows is not None
    assert table.validation_rows is not None
    assert table.test_rows.tolist() == list(range(40, 47))
    assert table.validation_rows.tolist() == list(range(47, 52))
    assert table.drawn_rows.tolist() == list(range(40))
    assert table.numbers[:, 0].tolist() == [i / 4 for i in range(52)]
    # Levels that the training file lacks follow its own.
    assert table.columns[1].levels == ("b", "d", "a", "c")
    expected = [("bd" if i < 40 else "ac" if i < 47 else "db")[i % 2] for i in range(52)]
    assert table.categories[:, 0].tolist() == expected


def test_what_only_the_further_file_has_is_noted(write: Callable[..., str]) -> None:
    train = write("a,y\n" + "".join(f"{i / 4},{'pq'[i % 2]}\n" for i in range(40)), "train.csv")
    test = write("extra,a,y\n1,0.1,p\n2,0.2,p\n3,0.3,\n", "test.csv")
    notes = load(train, target="y", test=test).notes
    assert notes == (
        f"left out 1 row of {test} without a target",
        f"{test} has no row of class 'q'",
        f"left out 1 column that only {test} has: 'extra'",
    )


def test_rows_that_occur_in_both_files_are_counted(write: Callable[..., str]) -> None:
    lines = [f"{i / 4},{'pq'[i % 2]}" for i in range(40)]
    train = write("a,y\n" + "\n".join(lines), "train.csv")
    further = write("a,y\n" + "\n".join([*lines[:6], "99,p"]), "further.csv")
    assert load(train, target="y", test=further).notes == (
        "6 of 7 test rows also occur, equal after rounding, among the others",
    )
    assert "6 of 7 validation rows also occur, equal after rounding, among the others" in (
        load(train, target="y", validation=further).notes
    )
