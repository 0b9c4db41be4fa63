"""Parquet and NPZ files, arrays and bundled tables keep the types that they have."""

import io
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from regimen.data import BUNDLED, from_arrays, load
from regimen.errors import DataError

ROWS = 40
LABELS = ["no", "yes"] * (ROWS // 2)


def test_parquet_columns_keep_their_types(write: Callable[..., str]) -> None:
    frame = pl.DataFrame(
        {
            "whole": pl.Series([i % 5 for i in range(ROWS)], dtype=pl.Int8),
            "money": pl.Series([i / 4 for i in range(ROWS)]).cast(pl.Decimal(10, 2)),
            "flag": [i % 3 == 0 for i in range(ROWS)],
            "town": pl.Series(["u", None, "v", "w"] * (ROWS // 4), dtype=pl.Categorical),
            "day": [date(2024, 2, 1 + i % 28) for i in range(ROWS)],
            "moment": pl.Series([datetime(2024, 2, 1 + i % 28, 7) for i in range(ROWS)]).dt.replace_time_zone(
                "America/New_York"
            ),
            "text": [str(i / 2) for i in range(ROWS)],
            "pair": [[i, i] for i in range(ROWS)],
            "y": [i % 2 == 0 for i in range(ROWS)],
        }
    )
    content = io.BytesIO()
    frame.write_parquet(content)
    table = load(write(content.getvalue(), "t.parquet"), target="y")
    assert {column.name: column.kind for column in table.columns} == {
        "whole": "number",
        "money": "number",
        "flag": "boolean",
        "town": "category",
        "day": "date",
        "moment": "date",
        "text": "number",
    }
    names = [name for column in table.columns for name in column.number_names]
    second = dict(zip(names, table.numbers[1], strict=True))
    assert second["money"] == 0.25
    assert second["moment (days)"] == second["day (days)"] + 0.5
    assert table.classes == ("false", "true")
    assert "left out column 'pair': values of type List(Int64) are not supported" in table.notes


def test_a_panic_of_the_parquet_reader_is_a_refusal(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Flipped bytes inside a page make polars panic, which is not even an Exception.
    def panic(path: Path) -> pl.DataFrame:
        raise pl.exceptions.PanicException("Thrift out of range")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(DataError, match=r"cannot be read \(Thrift out of range\)"):
        load(write("PAR1", "t.parquet"), target="y")


def test_a_parquet_file_gives_the_table_of_the_same_csv(write: Callable[..., str], mixed_csv: str) -> None:
    content = io.BytesIO()
    pl.read_csv(mixed_csv.encode(), infer_schema=False).write_parquet(content)
    path = write(content.getvalue(), "mixed.parquet")
    assert load(path, target="label") == load(write(mixed_csv), target="label")


def test_an_npz_file_needs_no_target_and_keeps_constant_columns(write: Callable[..., str]) -> None:
    x = np.random.default_rng(5).normal(size=(ROWS, 3)).astype(np.float16)
    x[:, 1] = 1.0
    content = io.BytesIO()
    np.savez(content, X=x, y=np.array(LABELS)[:, None])
    table = load(write(content.getvalue(), "t.npz"))
    assert [column.name for column in table.columns] == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(table.numbers, x.astype(np.float64))
    assert (table.target, table.classes) == ("y", ("no", "yes"))
    assert table == from_arrays(x, LABELS)


SHAPES = {
    "breast_cancer": (569, 30, 2),
    "diabetes": (442, 10, 0),
    "digits": (1797, 64, 10),
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_table_is_whole_and_without_notes(name: str) -> None:
    table = load(name)
    assert (table.n, table.numbers.shape[1], len(table.classes)) == SHAPES[name]
    assert not any("left out" in note or "read as" in note for note in table.notes)


def test_bundled_labels_fit_their_rows() -> None:
    assert [load("iris").classes[code] for code in load("iris").y[[0, 50, 100]]] == [
        "setosa",
        "versicolor",
        "virginica",
    ]
    assert load("digits").y[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
