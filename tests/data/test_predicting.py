"""Rows to predict are read as the training table was, or refused."""

from collections.abc import Callable

import numpy as np
import pytest

from regimen.data import Preparation, Table, load, read_features
from regimen.errors import DataError


@pytest.fixture
def preparation(mixed: Table) -> Preparation:
    """Fitted on all rows of the mixed table, and stored and read back as a saved model would."""
    return Preparation.from_json(Preparation.fit(mixed, np.arange(mixed.n)).to_json())


def test_the_training_file_gives_the_inputs_of_training(
    write: Callable[..., str], mixed: Table, mixed_csv: str, preparation: Preparation
) -> None:
    features = read_features(write(mixed_csv, "again.csv"), preparation)
    np.testing.assert_array_equal(preparation.apply(features), preparation.apply(mixed))
    assert features.name == "again"


def test_columns_may_come_in_any_order_without_a_target(
    write: Callable[..., str], mixed: Table, mixed_csv: str, preparation: Preparation
) -> None:
    # The town is quoted where it holds a comma, so the lines are cut at the last three commas of the first cells.
    lines = []
    for line in mixed_csv.splitlines():
        age, joined, member, rest = line.split(",", 3)
        lines.append(f"{rest.rsplit(',', 1)[0]};{member};{age};{joined}")
    features = read_features(write("\n".join(lines), "shuffled.csv"), preparation)
    np.testing.assert_array_equal(preparation.apply(features), preparation.apply(mixed))
    assert features.notes == ()


def test_one_row_is_enough(write: Callable[..., str], preparation: Preparation) -> None:
    features = read_features(write("age,joined,member,town\n20,2021-05-05,yes,Ulm\n"), preparation)
    assert features.n == 1
    assert features.numbers[0].tolist() == [20.0, 18752.0, 5.0, 3.0, 1.0]


def test_columns_that_the_model_does_not_know_are_ignored_and_named(
    write: Callable[..., str], preparation: Preparation
) -> None:
    path = write("shoe,age,joined,member,town,label\n43,20,2021-05-05,yes,Ulm,good\n")
    assert read_features(path, preparation).notes == (f"the model does not use 2 columns of {path}: 'shoe', 'label'",)


REFUSED = {
    "a missing column": ("age,joined,town\n1,2021-01-01,Ulm\n", "trained on, got none named 'member'"),
    "a mistyped column": ("Age,joined,memer,town\n1,2021-01-01,yes,Ulm\n", "'age', 'member'; did you mean 'Age'"),
    "text for a number": ("age,joined,member,town\nold,,yes,Ulm\n", "numbers in column 'age', got 'old' in row 1"),
    "text for a date": ("age,joined,member,town\n1,then,yes,Ulm\n", "expected dates in column 'joined', got 'then'"),
    "another date format": ("age,joined,member,town\n1,1.5.2021,yes,Ulm\n", "got '1.5.2021' in row 1; correct"),
    "text for a boolean": ("age,joined,member,town\n1,,perhaps,Ulm\n", "yes or no in column 'member', got 'perhaps'"),
    "no rows": ("age,joined,member,town\n", "header line only"),
    "an empty file": ("", "empty file"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_rows_that_can_not_be_predicted_are_refused(
    write: Callable[..., str], preparation: Preparation, content: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_features(write(content), preparation)


def test_a_missing_file_is_refused(preparation: Preparation) -> None:
    with pytest.raises(DataError, match="got none there"):
        read_features("nothing.csv", preparation)


def test_words_that_meant_missing_in_training_mean_it_still_and_others_are_refused(
    write: Callable[..., str], load_columns: Callable[..., Table]
) -> None:
    table = load_columns({"a": ["broken", *(i / 8 for i in range(1, 60))]})
    preparation = Preparation.fit(table, np.arange(60))
    features = read_features(write("x,a\n1,broken\n2,0.5\n", "new.csv"), preparation)
    np.testing.assert_array_equal(features.numbers, [[1.0, np.nan], [2.0, 0.5]])
    with pytest.raises(DataError, match="got 'lost' in row 2"):
        read_features(write("x,a\n1,broken\n2,lost\n", "new.csv"), preparation)


def test_the_decimal_comma_of_training_is_read_beside_the_point(
    write: Callable[..., str], load_columns: Callable[..., Table]
) -> None:
    table = load_columns({"a": [f"{i},25" for i in range(60)]}, separator=";")
    preparation = Preparation.fit(table, np.arange(60))
    features = read_features(write("x;a\n1;2,25\n2;3.5\n", "new.csv"), preparation)
    assert features.numbers[:, 1].tolist() == [2.25, 3.5]


def test_bundled_rows_can_be_predicted() -> None:
    table = load("iris")
    preparation = Preparation.fit(table, np.arange(150))
    features = read_features("iris", preparation)
    np.testing.assert_array_equal(features.numbers, table.numbers)
    assert features.notes == ("the model does not use 1 column of iris: 'target'",)
