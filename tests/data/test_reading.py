"""Files are read whatever their dialect, and columns become what a person would take them for."""

from collections.abc import Callable

import numpy as np
import pytest

from regimen.data import Table, load

ROWS = 40
LABELS = ["no", "yes"] * (ROWS // 2)


def kinds(table: Table) -> dict[str, str]:
    """Return the kind of each column."""
    return {column.name: column.kind for column in table.columns}


def numbers_of(table: Table, name: str) -> list[float]:
    """Return the numbers of one column, in the order of the rows."""
    names = [number for column in table.columns for number in column.number_names]
    return table.numbers[:, names.index(name)].tolist()


DIALECTS = {
    "plain": "a,b,y\n{}",
    "a byte order mark": "\ufeffa,b,y\n{}",
    "blanks around cells": " a , b ,y\n{}",
    "quoted names": '"a","b",y\n{}',
    "blank lines": "\na,b,y\n\n{}\n\n",
}


@pytest.mark.parametrize("header", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_dialect_gives_the_same_table(
    write: Callable[..., str], header: str, separator: str, ending: str
) -> None:
    rows = "".join(f'{i / 2}, {"uvw"[i % 3]} ,"{LABELS[i]}"\n' for i in range(ROWS))
    text = header.format(rows).replace(",", separator).replace("\n", ending)
    table = load(write(text), target="y")
    assert kinds(table) == {"a": "number", "b": "category"}
    assert numbers_of(table, "a") == [i / 2 for i in range(ROWS)]
    assert table.categories[:4, 0].tolist() == ["u", "v", "w", "u"]
    assert table.classes == ("no", "yes")
    assert table.y[:4].tolist() == [0, 1, 0, 1]


def test_quoted_cells_may_hold_separators_quotes_and_line_ends(write: Callable[..., str]) -> None:
    levels = ['"u, v"', '"say ""w"""', '"two\nlines"']
    text = "a,b,y\n" + "".join(f"{i / 2},{levels[i % 3]},{LABELS[i]}\n" for i in range(ROWS))
    table = load(write(text), target="y")
    assert table.columns[1].levels == ('say "w"', "two\nlines", "u, v")


def test_the_separator_is_the_one_that_cuts_all_lines_alike(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"share (a; b; c; d)": [i / 8 for i in range(ROWS)]})
    assert kinds(table) == {"x": "number", "share (a; b; c; d)": "number"}


@pytest.mark.parametrize("word", ["", " ", "NA", "N/A", "NaN", "nan", "?", "null", '""'])
def test_a_missing_cell_is_missing_in_every_kind_of_column(load_columns: Callable[..., Table], word: str) -> None:
    table = load_columns(
        {
            "number": [word, *(i / 4 for i in range(1, ROWS))],
            "text": [word, *("uv"[i % 2] + "!" for i in range(1, ROWS))],
            "flag": [word, *("yn"[i % 2] for i in range(1, ROWS))],
            "day": [word, *(f"2024-02-{i % 28 + 1}" for i in range(1, ROWS))],
        }
    )
    assert kinds(table) == {"x": "number", "number": "number", "text": "category", "flag": "boolean", "day": "date"}
    assert np.isnan(table.numbers[0, 1:]).all()
    assert not np.isnan(table.numbers[1:]).any()
    assert table.categories[0, 0] is None
    assert (table.codes[1:] >= 0).all()


@pytest.mark.parametrize("word", ["none", "None", "unknown", "missing", "-"])
def test_words_that_tables_use_as_levels_are_not_missing(load_columns: Callable[..., Table], word: str) -> None:
    table = load_columns({"b": [(word, "some")[i % 2] for i in range(ROWS)]})
    assert word in table.columns[1].levels


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (["yes", "no"], [1.0, 0.0]),
        (["True", "False"], [1.0, 0.0]),
        (["f", "t"], [0.0, 1.0]),
        (["Y", "N"], [1.0, 0.0]),
        (["NO", "Yes"], [0.0, 1.0]),
    ],
)
def test_two_words_of_consent_are_a_boolean(
    load_columns: Callable[..., Table], words: list[str], codes: list[float]
) -> None:
    table = load_columns({"b": words * (ROWS // 2)})
    assert kinds(table)["b"] == "boolean"
    assert numbers_of(table, "b")[:2] == codes


# 2024-02-29 was a Thursday, 19,782 days after the first of 1970.
LEAP = [19782.0, 2.0, 4.0]
DATES = {
    "2024-02-29": LEAP,
    "2024/02/29": LEAP,
    "29.02.2024": LEAP,
    "02/29/2024": LEAP,
    "29/02/2024": LEAP,
    "2024-02-29 12:00": [19782.5, 2.0, 4.0],
    "2024-02-29 12:00:00": [19782.5, 2.0, 4.0],
    "2024-02-29T12:00:00.000": [19782.5, 2.0, 4.0],
    "2024-02-29T12:00:00Z": [19782.5, 2.0, 4.0],
    "2024-02-29T14:00:00+02:00": [19782.5, 2.0, 4.0],
}


@pytest.mark.parametrize(("text", "numbers"), DATES.items(), ids=DATES)
def test_a_date_becomes_days_since_1970_month_and_weekday(
    load_columns: Callable[..., Table], text: str, numbers: list[float]
) -> None:
    table = load_columns({"day": [text, text.replace("29", "28")] * (ROWS // 2)})
    assert kinds(table)["day"] == "date"
    assert table.columns[1].number_names == ("day (days)", "day (month)", "day (weekday)")
    assert table.numbers[0, 1:].tolist() == numbers


def test_an_ambiguous_date_is_read_as_month_first_and_said_so(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"day": [f"03/{i % 12 + 1:02d}/2024" for i in range(ROWS)]})
    assert numbers_of(table, "day (month)") == [3.0] * ROWS
    assert "column 'day': read as month/day/year; day/month/year would fit as well" in table.notes


def test_the_comma_is_a_decimal_comma_where_it_does_not_separate(load_columns: Callable[..., Table]) -> None:
    values = [f"{i},5" if i % 3 else str(i) for i in range(ROWS)]
    table = load_columns({"a": values}, separator=";")
    assert numbers_of(table, "a")[:3] == [0.0, 1.5, 2.5]
    assert "column 'a': the comma is a decimal comma" in table.notes


def test_whole_numbers_with_few_values_stay_numbers(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"grade": [i % 4 for i in range(ROWS)]})
    assert kinds(table)["grade"] == "number"


def test_few_words_among_many_numbers_count_as_missing_and_are_named(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"a": ["broken", *(i / 8 for i in range(1, ROWS))]})
    assert np.isnan(numbers_of(table, "a")[0])
    assert table.columns[1].missing == ("broken",)
    assert "column 'a': 1 cell without a number taken as missing ('broken')" in table.notes


def test_words_among_few_numbers_make_a_category(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"a": ["s", *(i % 9 for i in range(1, ROWS))]})
    assert table.columns[1].levels == (*"012345678", "s")


def test_many_words_among_many_numbers_make_a_category(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"a": ["lost", "broken", "wet", *(i % 25 for i in range(3, ROWS))]})
    assert kinds(table)["a"] == "category"


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e39"])
def test_a_number_that_is_infinite_in_float32_counts_as_missing(load_columns: Callable[..., Table], value: str) -> None:
    table = load_columns({"a": [value, *(i / 8 for i in range(1, ROWS))]})
    assert np.isnan(numbers_of(table, "a")[0])
    assert any("column 'a'" in note and "1 infinite value taken as missing" in note for note in table.notes)


LEFT_OUT = {
    "an empty column": (["", "NA"] * (ROWS // 2), "left out column 'b': it is empty"),
    "a constant number": ([3] * ROWS, "left out column 'b': it is constant (3)"),
    "a constant text": (["u"] * ROWS, "left out column 'b': it is constant (u)"),
    "consecutive numbers": ([ROWS + 5 - i for i in range(ROWS)], "left out column 'b': it numbers the rows"),
    "names": (
        [f"person {i}" for i in range(ROWS)],
        "left out column 'b': it tells rows apart (40 different texts in 40 rows, such as 'person 0')",
    ),
}


@pytest.mark.parametrize(("values", "note"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_column_that_teaches_nothing_is_left_out_and_said_so(
    load_columns: Callable[..., Table], values: list[object], note: str
) -> None:
    table = load_columns({"b": values})
    assert kinds(table) == {"x": "number"}
    assert table.notes == (note,)


@pytest.mark.parametrize("name", ["id", "ID", "patient_id", "PassengerId", "Unnamed_1", "index"])
def test_different_whole_numbers_under_the_name_of_an_identifier_are_left_out(
    load_columns: Callable[..., Table], name: str
) -> None:
    values = [i * i + 7 for i in range(ROWS)]
    assert kinds(load_columns({name: values, "paid": values})) == {"x": "number", "paid": "number"}


def test_a_column_of_one_value_and_missing_cells_is_kept(load_columns: Callable[..., Table]) -> None:
    table = load_columns({"b": ["u", ""] * (ROWS // 2)})
    assert kinds(table)["b"] == "category"


def test_an_unnamed_column_gets_the_name_of_its_place(load_columns: Callable[..., Table]) -> None:
    assert "unnamed_2" in kinds(load_columns({"": [i % 7 for i in range(ROWS)]}))


def test_a_category_with_many_levels_is_noted(load_columns: Callable[..., Table]) -> None:
    draws = np.random.default_rng(4).integers(0, 32, 400)
    table = load_columns({"b": [f"town {i}" for i in (*range(32), *draws)]})
    assert "column 'b': 32 levels; the 31 most frequent stay, the others share one" in table.notes


def test_ignored_columns_are_left_out_however_they_are_listed(write: Callable[..., str], mixed_csv: str) -> None:
    path = write(mixed_csv)
    listed = load(path, target="label", ignore=["age", "town"])
    assert list(kinds(listed)) == ["joined", "member"]
    assert load(path, target="label", ignore="age,town") == listed
