"""Frames of pandas and polars: columns of every kind, missing cells, and the same columns at prediction."""

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from regimen.data.columns import describe
from regimen.data.frames import describe_rows, is_frame, read_frame, read_rows
from regimen.errors import DataError
from regimen.estimators import RegimenClassifier, RegimenRegressor


def fitted(mixed: pl.DataFrame, ripe: Any) -> RegimenClassifier:
    return RegimenClassifier(hidden=(8,), epochs=60, lr=0.01, dropout=0.0, random_state=0).fit(mixed, ripe)


def test_columns_of_every_kind_are_learnt_from(mixed: pl.DataFrame, ripe: Any) -> None:
    model = fitted(mixed, ripe)
    kinds = {column.name: column.kind for column in model.model_.preparation.columns}
    assert kinds == {
        "size": "number", "color": "category", "grade": "category", "fresh": "boolean", "picked": "date"
    }  # fmt: skip
    assert model.feature_names_in_.tolist() == mixed.columns
    assert model.n_features_in_ == 5
    assert (model.predict(mixed) == ripe).mean() > 0.95


def test_a_level_never_seen_and_a_missing_cell_are_predicted(mixed: pl.DataFrame, ripe: Any) -> None:
    strange = mixed.head(3).with_columns(color=pl.Series(["violet", None, "red"]))
    assert np.isfinite(fitted(mixed, ripe).predict_proba(strange)).all()


def test_other_columns_than_those_fitted_on_are_refused(mixed: pl.DataFrame, ripe: Any) -> None:
    model = fitted(mixed, ripe)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(mixed.select("color", "size", "grade", "fresh", "picked"))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(mixed.drop("size"))


def test_text_where_a_number_was_is_refused(mixed: pl.DataFrame, ripe: Any) -> None:
    with pytest.raises(DataError, match="expected numbers in column 'size', got 'large' in row 1"):
        fitted(mixed, ripe).predict(mixed.head(2).with_columns(size=pl.Series(["large", "1"])))


def test_an_array_can_not_stand_for_a_frame_with_text(mixed: pl.DataFrame, ripe: Any) -> None:
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(DataError, match="'color' is no number, got an array; give a pandas or polars frame"),
    ):
        fitted(mixed, ripe).predict(np.zeros((2, 5)))


def test_a_frame_of_numbers_is_an_array_with_names(yields: Any) -> None:
    x, y = yields
    frame = pl.DataFrame(x, schema=["a", "b", "c", "d"])
    model = RegimenRegressor(hidden=(8,), epochs=5, random_state=0)
    with_names, without = model.fit(frame, y).predict(frame), model.fit(x, y).predict(x)
    np.testing.assert_array_equal(with_names, without)


def test_the_rows_of_a_frame_may_have_weights(mixed: pl.DataFrame, ripe: Any) -> None:
    weights = np.where(np.arange(len(ripe)) < 10, 0.0, 1.0)
    weighted = RegimenClassifier(hidden=(8,), epochs=5, random_state=0).fit(mixed, ripe, sample_weight=weights)
    without = RegimenClassifier(hidden=(8,), epochs=5, random_state=0).fit(mixed[10:], ripe[10:])
    np.testing.assert_array_equal(weighted.predict_proba(mixed), without.predict_proba(mixed))


@pytest.mark.parametrize("y", [None, [0, 1]], ids=["missing", "too short"])
def test_targets_that_do_not_fit_a_frame_are_refused(mixed: pl.DataFrame, y: Any) -> None:
    with pytest.raises(ValueError, match=r"requires y|inconsistent numbers"):
        RegimenClassifier().fit(mixed, y)


def test_what_can_not_be_learnt_from_is_left_out_and_said() -> None:
    nothing = pl.Series([None, None], dtype=pl.String)
    frame = pl.DataFrame({"empty": nothing, "nan": [float("nan")] * 2, "a": [1, 2], "lists": [[1], [2]]})
    columns, notes = describe_rows(frame, frame.columns)
    assert [column.name for column in columns] == ["a"]
    assert notes == [
        "left out column 'empty': it is empty",
        "left out column 'nan': it is empty",
        "left out column 'lists': values of type List(Int64) are not supported",
    ]
    with pytest.raises(DataError, match="expected at least one column to learn from"):
        describe_rows(frame.select("empty"), ["empty"])


@pytest.mark.parametrize(
    "cells",
    [
        ["red", "green", None],
        [" red", "red ", "?"],
        ["a1", "b"],
        ["1", "2"],
        ["1,5", "2"],
        ["Yes", "NO", "yes"],
        ["y", "yes", "no"],
        ["T", "f"],
        ["inf", "-Infinity"],
        ["nan", "x"],
        ["", "NA"],
        ["01.02.2024"],
        ["½", "٣"],
        [f"level {a}{b}" for a in "abcdef" for b in "abcdef"],
    ],
)
def test_a_column_of_text_is_what_it_is_in_a_file(cells: list[str | None]) -> None:
    series = pl.Series("a", cells, dtype=pl.String)
    expected, note = describe(series, whole=True, decimal_comma=False)
    if expected is None:
        with pytest.raises(DataError, match="at least one column"):
            describe_rows(pl.DataFrame([series]), ["a"])
        return
    assert describe_rows(pl.DataFrame([series]), ["a"]) == ((expected,), [note] if note else [])


def test_pandas_frames_give_what_polars_frames_give(mixed: pl.DataFrame, ripe: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "size": mixed["size"].to_numpy(),
            "color": pandas.Series(mixed["color"].to_list(), dtype=object),
            "grade": pandas.Categorical(mixed["grade"].cast(pl.String).to_list()),
            "fresh": pandas.Series(mixed["fresh"].to_list(), dtype="boolean"),
            "picked": pandas.to_datetime(pandas.Series(mixed["picked"].to_list())),
        }
    )
    np.testing.assert_array_equal(fitted(mixed, ripe).predict_proba(mixed), fitted(frame, ripe).predict_proba(frame))


def test_pandas_columns_become_columns_of_their_own_type() -> None:
    pandas = pytest.importorskip("pandas")
    days = [datetime.date(2024, 1, 1), None]
    frame = pandas.DataFrame(
        {
            0: pandas.Series([1, None], dtype="Int64"),
            "flags": pandas.Series([True, None], dtype=object),
            "numbers": pandas.Series([1.5, None], dtype=object),
            "days": pandas.Series(days, dtype=object),
            "zoned": pandas.to_datetime(pandas.Series(["2024-01-01T12:00+02:00", None])),
            "words": pandas.Series(["a", 1], dtype=object),
        }
    )
    found = read_frame(frame)
    assert found.columns == ["0", "flags", "numbers", "days", "zoned", "words"]
    assert found.dtypes == [pl.Float64, pl.Boolean, pl.Float64, pl.Date, pl.Datetime("us"), pl.String]
    assert found["zoned"][0] == datetime.datetime(2024, 1, 1, 10)
    assert found["words"].to_list() == ["a", "1"]
    assert found["numbers"].to_list() == [1.5, None]


def test_tables_of_arrow_are_frames() -> None:
    class Arrow:
        def __init__(self, frame: pl.DataFrame) -> None:
            self.frame = frame

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.frame.__arrow_c_stream__(requested_schema)

    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert is_frame(Arrow(frame))
    assert read_frame(Arrow(frame)).equals(frame)


def test_duplicate_names_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="expected different column names"):
        read_frame(pandas.DataFrame(np.zeros((2, 2)), columns=["a", "a"]))


def test_rows_are_found_by_name_whatever_else_there_is() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    columns, _ = describe_rows(x, ["a", "b"])
    assert read_rows(x, columns[1:], ["a", "b"]).numbers.tolist() == [[2.0], [4.0]]
