"""Tables of OpenML come with the texts of their categories; nothing here uses the network."""

from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import scipy.sparse
import sklearn.datasets
from sklearn.utils import Bunch

from regimen.data import load
from regimen.errors import DataError


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that puts an answer in the place of the network, and keeps what was asked."""
    asked: list[dict[str, Any]] = []

    def answer_with(answer: Any) -> list[dict[str, Any]]:
        def fetch(**options: Any) -> Any:
            asked.append(options)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
        return asked

    return answer_with


def bunch(**changes: Any) -> Bunch:
    """Return what scikit-learn gives for a table with a number, a category and a class."""
    towns = np.arange(60) % 3.0
    towns[5] = np.nan
    return Bunch(
        **{
            "data": np.stack([np.linspace(0, 1, 60), towns], axis=1),
            "target": np.array(["good", "bad"] * 30, dtype=object),
            "feature_names": ["age", "town"],
            "target_names": ["class"],
            "categories": {"town": ["Ulm", "Rome", "Oslo"]},
            "details": {"name": "people", "version": "2", "id": "31"},
        }
        | changes
    )


def test_codes_of_categories_become_their_texts(openml: Callable[..., Any]) -> None:
    asked = openml(bunch())
    table = load("openml:people")
    assert (table.n, table.task, table.target, table.classes) == (60, "classification", "class", ("bad", "good"))
    assert [column.kind for column in table.columns] == ["number", "category"]
    assert table.categories[:6, 0].tolist() == ["Ulm", "Rome", "Oslo", "Ulm", "Rome", None]
    assert table.notes[0] == "openml:people is people, version 2, number 31"
    assert asked[0]["name"] == "people"


def test_a_table_can_be_asked_for_by_number(openml: Callable[..., Any]) -> None:
    asked = openml(bunch())
    load("openml:31")
    assert asked[0]["data_id"] == 31 and "name" not in asked[0]


def test_amounts_stay_amounts_and_another_target_can_be_named(openml: Callable[..., Any]) -> None:
    openml(bunch(target=np.linspace(0, 9, 60)))
    assert load("openml:people").task == "regression"
    assert load("openml:people", target="town", ignore=["class"]).classes == ("Oslo", "Rome", "Ulm")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (URLError("no route"), r"expected it in .*openml or on openml.org, .* \(no route\); save the table as .csv"),
        (ValueError("No known dataset"), r"got none \(No known dataset\); look up its name"),
        (ValueError("STRING attributes are not supported"), r"columns of free text; download it as .parquet"),
        (bunch(data=scipy.sparse.csr_matrix((60, 2))), "got a sparse one"),
        (bunch(feature_names=["age", "age"]), "'age' more than once"),
    ],
)
def test_what_can_not_be_had_is_refused(openml: Callable[..., Any], answer: Any, message: str) -> None:
    openml(answer)
    with pytest.raises(DataError, match=message):
        load("openml:people")
