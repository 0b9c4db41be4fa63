"""The rows of an experiment and their JSON: nothing is lost on the way out and in."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import OptionError, StoreError
from regimen.experiments import Numbers, Row
from regimen.experiments.wording import measured_text, posted_text

numbers = st.none() | st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
rows = st.builds(
    Row,
    part=texts,
    variant=st.sampled_from(["as_posted", "corrected"]),
    quantity=texts,
    unit=texts,
    posted=numbers,
    measured=numbers,
    sd=numbers,
    n=st.integers(2, 100),
)


def row(**changes: object) -> Row:
    fields = {"part": "A", "variant": "corrected", "quantity": "loss", "unit": "nats", "posted": None, "measured": 0.5}
    return Row(**(fields | changes))  # type: ignore[arg-type]


@given(st.lists(rows, max_size=5), texts)
def test_numbers_survive_the_way_through_json(
    tmp_path_factory: pytest.TempPathFactory, found: list[Row], name: str
) -> None:
    path = tmp_path_factory.mktemp("numbers") / "numbers.json"
    written = Numbers(name=name, rows=tuple(found))
    path.write_text(written.to_json(), encoding="utf-8")
    assert Numbers.read(path) == written


def test_the_json_has_the_documented_fields_and_unrounded_figures() -> None:
    found = json.loads(Numbers(name="demo", rows=(row(measured=1 / 3, sd=0.1, n=3),)).to_json())
    assert list(found) == ["schema", "name", "rows"]
    assert found["schema"] == 1
    assert list(found["rows"][0]) == ["part", "variant", "quantity", "unit", "posted", "measured", "sd", "n"]
    assert found["rows"][0]["measured"] == 1 / 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null(value: float) -> None:
    assert row(measured=value).measured is None
    assert measured_text(row(measured=value)) == "not finite"


@pytest.mark.parametrize(("n", "sd"), [(0, None), (1, 0.5)])
def test_a_spread_needs_two_repetitions(n: int, sd: float | None) -> None:
    with pytest.raises(OptionError, match="expected sd over n >= 2"):
        row(n=n, sd=sd)


def test_repetitions_give_mean_standard_deviation_and_number() -> None:
    found = Row.over([1.0, 2.0, 6.0], part="A", variant="corrected", quantity="loss", unit="")
    assert (found.measured, found.sd, found.n) == (3.0, pytest.approx(7**0.5), 3)
    assert Row.over([1.0], part="A", variant="corrected", quantity="loss", unit="").sd is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not the numbers of an experiment"),
        ('{"schema": 2, "name": "x", "rows": []}', "has schema 2"),
        ("[]", "has schema None"),
        ('{"schema": 1, "rows": []}', "is not the numbers of an experiment"),
        ('{"schema": 1, "name": "x", "rows": [{"part": "A"}]}', "is not the numbers of an experiment"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "numbers.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=message):
        Numbers.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected the numbers of an experiment"):
        Numbers.read(tmp_path / "numbers.json")


@pytest.mark.parametrize(
    ("posted", "measured", "sd", "n", "unit", "text"),
    [
        (4.0042, 4.004218578, None, 1, "", "4.0042"),
        (None, 28.712345, None, 1, "", "28.712"),
        (97.91, 98.0, None, 1, "%", "98.00 %"),
        (None, 98.5243, 0.5671, 10, "%", "98.52 ± 0.57 %"),
        (None, 9.516e-5, None, 1, "", "9.52e-05"),
        (None, 1.05e-5, 3.11e-6, 10, "nats", "1.05e-05 ± 3.1e-06 nats"),
        (37810, 37810, None, 1, "", "37,810"),
        (None, 0.0, None, 1, "", "0"),
        (None, 1_199_882, None, 1, "", "1,199,882"),
        (1_199_882, 1_199_882, None, 1, "parameters", "1,199,882 parameters"),
        (None, 1_199_882.5, None, 1, "", "1.20e+06"),
        (None, 1e9, None, 1, "", "1.00e+09"),
    ],
)
def test_figures_print_as_precisely_as_the_post_or_their_spread(
    posted: float | None, measured: float, sd: float | None, n: int, unit: str, text: str
) -> None:
    assert measured_text(row(posted=posted, measured=measured, sd=sd, n=n, unit=unit)) == text


def test_the_posted_figure_prints_as_it_was_posted() -> None:
    assert posted_text(row(posted=0.146523)) == "0.146523 nats"
    assert posted_text(row()) == "–"
