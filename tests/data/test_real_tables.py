"""Well-known tables work as they are, with the right task, rows and notes."""

from pathlib import Path

import numpy as np
import pytest

from regimen.data import Table, hold_out, load, pair_split, prepare, set_aside

# Rows, task, classes, columns that stay, network inputs at most.
EXPECTED = {
    ("adult", "income"): (48_842, "classification", 2, 14),
    ("auto_mpg", "mpg"): (398, "regression", 0, 7),
    ("california_housing", "median_house_value"): (20_640, "regression", 0, 9),
    ("credit_g", "class"): (1_000, "classification", 2, 20),
    ("hypothyroid", "Class"): (3_772, "classification", 4, 27),
    ("penguins", "species"): (344, "classification", 3, 6),
    ("soybean", "class"): (683, "classification", 19, 35),
    ("titanic", "survived"): (891, "classification", 2, 12),
}


@pytest.mark.parametrize(("name", "target"), EXPECTED, ids=[name for name, _ in EXPECTED])
def test_a_table_is_studied_as_it_is(real_data: Path, name: str, target: str) -> None:
    table = load(str(real_data / "tabular" / f"{name}.csv"), target=target)
    assert (table.n, table.task, len(table.classes), len(table.columns)) == EXPECTED[name, target]
    parts = hold_out(table)
    search, _ = set_aside(table, parts.development)
    prepared = prepare(table, pair_split(table, search, 1, test=parts.test))
    for part in ("train", "validation", "test"):
        assert prepared.x[part].isfinite().all()
        assert len(prepared.y[part].unique()) > 1


@pytest.fixture
def hypothyroid(real_data: Path) -> Table:
    return load(str(real_data / "tabular" / "hypothyroid.csv"), target="Class")


def test_the_empty_and_the_constant_column_of_hypothyroid_are_left_out(hypothyroid: Table) -> None:
    assert "left out column 'TBG': it is empty" in hypothyroid.notes
    assert "left out column 'TBG_measured': it is constant (f)" in hypothyroid.notes


@pytest.mark.parametrize("key", range(5))
def test_the_class_of_two_rows_trains_in_every_pair(hypothyroid: Table, key: int) -> None:
    code = hypothyroid.classes.index("secondary_hypothyroid")
    parts = hold_out(hypothyroid)
    search, aside = set_aside(hypothyroid, parts.development)
    split = pair_split(hypothyroid, search, key)
    assert aside is not None
    assert set(np.flatnonzero(hypothyroid.y == code)) <= set(split.train)
    assert "class 'secondary_hypothyroid' has 2 rows, too few to divide: they go to training only" in hypothyroid.notes


def test_missing_cells_are_counted_as_the_tables_say(real_data: Path) -> None:
    missing = {"titanic": ("survived", 869), "penguins": ("species", 19), "adult": ("income", 6_465)}
    for name, (target, count) in missing.items():
        table = load(str(real_data / "tabular" / f"{name}.csv"), target=target)
        assert np.isnan(table.numbers).sum() + (table.codes < 0).sum() == count
