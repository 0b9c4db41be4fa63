"""The stored record prepares rows exactly as the scikit-learn pipeline that it stands for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from regimen.data import (
    BUNDLED,
    Features,
    Preparation,
    Scaling,
    Table,
    from_arrays,
    hold_out,
    load,
    pair_split,
    read_features,
)
from regimen.errors import DataError, OptionError, StoreError

SCALINGS = get_args(Scaling)
SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}


def pipeline_inputs(table: Table, train: np.ndarray, scaling: Scaling, features: Features) -> np.ndarray:
    """Return what scikit-learn's pipeline, fitted on the training rows, makes of the features."""
    scaler = "passthrough" if scaling == "none" else SCALERS[scaling]()
    a, b = table.numbers.shape[1], table.codes.shape[1]
    steps: list[tuple[str, Any, list[int]]] = []
    if a:
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        steps.append(("numbers", make_pipeline(imputer, scaler), list(range(a))))
        indicator = MissingIndicator(features="missing-only", error_on_new=False)
        steps.append(("missing", indicator, list(range(a))))
    if b:
        encoder = OneHotEncoder(max_categories=32, handle_unknown="infrequent_if_exist", sparse_output=False)
        steps.append(("categories", encoder, list(range(a, a + b))))

    def cells(rows: Features) -> np.ndarray:
        # The texts themselves, not the codes that the package passes.
        return np.concatenate([rows.numbers.astype(object), rows.categories], axis=1)

    pipeline = ColumnTransformer(steps, sparse_threshold=0.0).fit(cells(table)[train])
    return pipeline.transform(cells(features)).astype(np.float64)


def assert_agrees(table: Table, train: np.ndarray, scaling: Scaling, features: Features) -> None:
    """Require that the record's inputs are the pipeline's.

    To the last bit of a float32, and that only: the pipeline hands its scaler an array of another layout in memory,
    whose mean NumPy sums in another order (-2.2e-16 for 0, found by the law below).
    """
    inputs = Preparation.fit(table, train, scaling).apply(features)
    assert inputs.dtype == np.float32
    expected = pipeline_inputs(table, train, scaling, features)
    np.testing.assert_allclose(inputs, expected, rtol=1e-6 if scaling == "minmax" else 2.0**-23, atol=1e-12)


TABLES = {
    "abalone": "rings",
    "adult": "income",
    "auto_mpg": "mpg",
    "california_housing": "median_house_value",
    "car": "class",
    "concrete": "strength",
    "credit_g": "class",
    "hypothyroid": "Class",
    "kc1": "Defective",
    "letter": "target",
    "penguins": "species",
    "phoneme": "class",
    "power_plant": "PE",
    "soybean": "class",
    "titanic": "survived",
    "vehicle": "target",
}


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("name", TABLES)
def test_a_real_table_is_prepared_as_by_the_pipeline(real_data: Path, name: str, scaling: Scaling) -> None:
    table = load(str(real_data / "tabular" / f"{name}.csv"), target=TABLES[name])
    # Few training rows, so that the others hold levels and missing cells that training has not seen.
    train = pair_split(table, hold_out(table).development, 1, validation_fraction=0.7).train
    assert_agrees(table, train, scaling, table)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_table_is_prepared_as_by_the_pipeline(name: str, scaling: Scaling) -> None:
    table = load(name)
    assert_agrees(table, hold_out(table).development, scaling, table)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_unseen_levels_and_unseen_missing_cells_are_prepared_as_by_the_pipeline(
    write: Callable[..., str], mixed: Table, scaling: Scaling
) -> None:
    complete = np.flatnonzero(~np.isnan(mixed.numbers).any(axis=1) & (mixed.codes >= 0).all(axis=1))
    preparation = Preparation.fit(mixed, complete, scaling)
    assert not preparation.indicators
    path = write("town,member,joined,age\nParis,,,\nUlm,yes,2021-01-01,30\n,?,NA,nan\n", "new.csv")
    features = read_features(path, preparation)
    assert_agrees(mixed, complete, scaling, features)
    inputs = preparation.apply(features)
    assert np.isfinite(inputs).all()
    towns = [name.startswith("town") for name in preparation.feature_names]
    assert inputs[:, towns].sum(axis=1).tolist() == [0.0, 1.0, 0.0]


@given(data=st.data(), scaling=st.sampled_from(SCALINGS))
def test_any_small_table_is_prepared_as_by_the_pipeline(data: st.DataObject, scaling: Scaling) -> None:
    rows, a, b = 30, data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    draws = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    levels = data.draw(st.integers(1, 60))
    numbers = np.where(
        draws.random((rows, a)) < data.draw(st.sampled_from([0, 0.5, 1])), np.nan, draws.normal(size=(rows, a))
    )
    text = np.array([f"level {i}" for i in range(levels)])[draws.integers(0, levels, (rows, b))]
    text[draws.random((rows, b)) < data.draw(st.sampled_from([0, 0.3]))] = ""
    anchor = np.arange(rows).astype(str)
    cells = np.concatenate([anchor[:, None], numbers.astype(str), text], axis=1)
    table = from_arrays(cells, np.arange(rows) % 2)
    assert_agrees(table, np.sort(draws.permutation(rows)[: data.draw(st.integers(2, rows))]), scaling, table)


def test_rare_levels_share_one_input_and_unseen_ones_join_them() -> None:
    counts = [60 - i for i in range(40)]
    towns = np.repeat([f"town {i:02d}" for i in range(40)], counts)
    table = from_arrays(np.stack([towns, np.arange(len(towns)).astype(str)], axis=1), np.arange(len(towns)) % 2)
    preparation = Preparation.fit(table, np.arange(table.n))
    assert preparation.levels == (tuple(f"town {i:02d}" for i in range(31)),)
    assert preparation.feature_names[-1] == "x0 = other"
    assert len(preparation.feature_names) == 1 + 32
    inputs = preparation.apply(table)
    assert inputs[:, 1:].sum(axis=1).tolist() == [1.0] * table.n
    assert inputs[:, -1].sum() == sum(counts[31:])


def test_only_training_rows_decide(mixed: Table) -> None:
    train = np.arange(30)
    numbers = mixed.numbers.copy()
    numbers[30:] = 1e6
    assert Preparation.fit(replace(mixed, numbers=numbers), train) == Preparation.fit(mixed, train)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_column_without_any_training_value_gives_zeros_and_its_indicator(scaling: Scaling) -> None:
    x = np.random.default_rng(8).normal(size=(40, 2))
    x[:20, 1] = np.nan
    table = from_arrays(x, np.arange(40) % 2)
    preparation = Preparation.fit(table, np.arange(20), scaling)
    assert preparation.feature_names == ("x0", "x1", "x1 is missing")
    assert preparation.apply(table)[:20, 1:].tolist() == [[0.0, 1.0]] * 20


def test_inputs_stay_finite_however_far_a_number_lies() -> None:
    x = np.random.default_rng(9).normal(size=(40, 1)) * 1e-6
    x[39] = 3e38
    table = from_arrays(x, np.arange(40) % 2)
    assert np.isfinite(Preparation.fit(table, np.arange(39)).apply(table)).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_record_reads_back_from_json_exactly(mixed: Table, scaling: Scaling) -> None:
    preparation = Preparation.fit(mixed, np.arange(40), scaling)
    read_back = Preparation.from_json(preparation.to_json())
    assert read_back == preparation
    np.testing.assert_array_equal(read_back.apply(mixed), preparation.apply(mixed))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "{}",
        lambda text: text.replace('"scaling":"standard"', '"scaling":"cubic"'),
        lambda text: text.replace('"indicators":[0,', '"indicators":[99,'),
        lambda text: text.replace('"fill":[', '"fill":[1.0,'),
    ],
    ids=["cut off", "empty", "unknown scaling", "indicator of no number", "one number too many"],
)
def test_a_damaged_record_is_refused(mixed: Table, damage: Callable[[str], str]) -> None:
    text = Preparation.fit(mixed, np.arange(40)).to_json()
    assert damage(text) != text
    with pytest.raises(StoreError, match="expected the preparation of a saved model"):
        Preparation.from_json(damage(text))


def test_an_unknown_scaling_is_refused_with_the_nearest(mixed: Table) -> None:
    with pytest.raises(OptionError, match="did you mean 'standard'"):
        Preparation.fit(mixed, np.arange(40), "standart")  # type: ignore[arg-type]


def test_rows_with_other_columns_are_refused(mixed: Table) -> None:
    with pytest.raises(DataError, match="read the rows with read_features"):
        Preparation.fit(mixed, np.arange(40)).apply(load("iris"))


def test_feature_names_say_what_each_input_is(mixed: Table) -> None:
    assert Preparation.fit(mixed, np.arange(mixed.n)).feature_names == (
        "age",
        "joined (days)",
        "joined (month)",
        "joined (weekday)",
        "member",
        "age is missing",
        "joined (days) is missing",
        "joined (month) is missing",
        "joined (weekday) is missing",
        "member is missing",
        "town = Köln",
        "town = Rome, Italy",
        "town = Ulm",
        "town is missing",
    )
