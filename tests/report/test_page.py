"""The page as text: self-contained, escaped, valid, complete in every study."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from regimen.errors import StoreError
from regimen.records import Results
from regimen.report import verdict_sentence, write_report

from .cases import HOSTILE, STUDIES, diverged, letters
from .studies import TOML, digits, regression

VOID = frozenset(("br", "col", "hr", "img", "input", "link", "meta"))
Report = Callable[[str], Path]


class Document(HTMLParser):
    """Elements, attributes and text of a page; refuses tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [key for key, _ in attributes]
        assert len(set(names)) == len(names), f"<{name}> repeats an attribute"
        self.elements.append((name, {key: value or "" for key, value in attributes}))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(text)

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.elements if found == name]


@pytest.fixture(params=list(STUDIES))
def document(request: pytest.FixtureRequest, report: Report) -> Document:
    return Document(report(request.param).read_text(encoding="utf-8"))


def read(results: Results, folder: Path) -> str:
    write_report(results, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def test_tags_close_in_order_and_ids_are_unique(document: Document) -> None:
    count = Counter(attributes["id"] for _, attributes in document.elements if "id" in attributes)
    assert count and max(count.values()) == 1


def test_links_and_labels_lead_to_ids_of_the_page(document: Document) -> None:
    ids = {attributes.get("id") for _, attributes in document.elements}
    wanted = [one["href"].removeprefix("#") for one in document.all("a")]
    wanted += [one["data-copy"] for one in document.all("button")]
    wanted += [one["aria-labelledby"] for _, one in document.elements if "aria-labelledby" in one]
    assert wanted and set(wanted) <= ids


def test_nothing_is_loaded_from_anywhere(document: Document) -> None:
    loads = [
        attributes[key] for _, attributes in document.elements for key in ("src", "href", "action") if key in attributes
    ]
    assert all(address.startswith("#") or address == "data:," for address in loads)
    assert not any("style" in attributes for _, attributes in document.elements)
    assert not any(key.startswith("on") for _, attributes in document.elements for key in attributes)


def test_the_policy_allows_only_the_style_and_script_that_were_shipped(report: Report) -> None:
    page = report("digits").read_text(encoding="utf-8")
    policy = next(one["content"] for one in Document(page).all("meta") if one.get("http-equiv"))
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    for name in ("style", "script"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_every_chart_says_in_words_what_it_shows(document: Document) -> None:
    charts = [one for one in document.all("svg") if "chart" in one.get("class", "")]
    assert charts
    assert all(one["role"] == "img" and len(one["aria-label"]) > 30 for one in charts)


def test_no_missing_number_reaches_the_page(document: Document) -> None:
    text = " ".join(document.text)
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)
    drawn = [value for _, attributes in document.elements for value in attributes.values()]
    assert not any(re.search(r"\bnan\b|\binf\b", value) for value in drawn)


@pytest.mark.parametrize("name", STUDIES)
def test_the_verdict_stands_on_top(name: str, report: Report) -> None:
    page = report(name).read_text(encoding="utf-8")
    (heading,) = re.findall(r"<h1>(.*?)</h1>", page, re.DOTALL)
    plain = "".join(Document(f"<h1>{heading}</h1>").text).replace("−", "-").replace("\u00a0", " ")
    assert plain == verdict_sentence(STUDIES[name]())


def test_hostile_names_are_shown_as_text_and_never_run(report: Report) -> None:
    page = report("letters").read_text(encoding="utf-8")
    document = Document(page)
    assert len(document.all("script")) == 1
    assert HOSTILE not in page
    assert sum(HOSTILE in text for text in document.text) > 10
    assert any(HOSTILE in one.get("aria-label", "") for one in document.all("svg"))


def test_class_names_that_no_file_can_hold_are_replaced(report: Report) -> None:
    text = " ".join(Document(report("letters").read_text(encoding="utf-8")).text)
    assert "lone\N{REPLACEMENT CHARACTER}" in text and "nul\N{REPLACEMENT CHARACTER}byte" in text
    assert "\u202e" not in text and "名前のとても長いクラス" in text


def test_recipe_code_and_command_are_there_to_the_letter(report: Report) -> None:
    text = Document(report("digits").read_text(encoding="utf-8")).text
    results = digits()
    assert TOML in text and results.recipe.code in text and results.plan["command"] in text


def test_free_form_records_are_sorted_and_complete(report: Report) -> None:
    text = Document(report("digits").read_text(encoding="utf-8")).text
    terms = ["instruction set", "processor", "python", "threads", "torch"]
    assert [one for one in text if one in terms] == terms
    assert "avx2" in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "It cannot remove that these very rows chose the recipe"),
        ("digits", "max_norm=2 is left out: the baseline has it already"),
        ("regression", "442 rows were set aside before the search began"),
        ("pilot", "Fewer than 8 pairs make a pilot"),
        ("diverged", "10 runs diverged"),
        ("empty", "No technique was compared with the baseline"),
        ("all_equivalent", "Nothing was recommended, so there was nothing to confirm"),
    ],
)
def test_what_a_reader_must_know_is_said(name: str, expected: str, report: Report) -> None:
    assert expected in " ".join(" ".join(Document(report(name).read_text(encoding="utf-8")).text).split())


def test_an_arm_that_never_trained_is_listed_last_without_numbers(tmp_path: Path) -> None:
    rows = re.findall(r'<tr role="row">(.*?)</tr>', read(diverged(), tmp_path), re.DOTALL)
    assert "did not train" in rows[-1] and "LR 10" in rows[-1] and rows[-1].count(">–<") == 9


def test_an_effect_beyond_the_axis_becomes_an_arrow(tmp_path: Path) -> None:
    assert 'class="arrow hurts"' in read(diverged(), tmp_path)
    assert 'class="arrow' not in read(digits(), tmp_path)


def test_curves_of_the_recipe_are_shown_before_those_of_its_arms(tmp_path: Path) -> None:
    assert ">recipe, validation<" in read(digits(), tmp_path)
    without = {arm: one for arm, one in digits().curves.items() if arm != "recipe"}
    page = read(replace(digits(), curves=without), tmp_path)
    assert ">dropout 0.3, validation<" in page and "Beside the baseline: dropout 0.3, the best single setting" in page


def test_a_study_without_curves_says_so(tmp_path: Path) -> None:
    assert "No curves were stored" in read(replace(digits(), curves={}), tmp_path)


def test_forty_arms_fold_away_all_but_the_first_panels(tmp_path: Path) -> None:
    assert "27 more settings" in read(letters(), tmp_path)


def test_a_failed_write_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "report.html"
    with pytest.raises(StoreError, match=r"expected a place to write the report.*gone.report\.html"):
        write_report(regression(), path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_replaces_the_one_before_and_leaves_no_draft(tmp_path: Path) -> None:
    assert read(digits(), tmp_path) != read(regression(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    assert read(letters(), tmp_path) == read(letters(), tmp_path)


def test_results_read_back_from_their_file_give_the_same_report(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(digits().to_json(), encoding="utf-8")
    assert read(Results.read(tmp_path / "results.json"), tmp_path) == read(digits(), tmp_path)


def test_writing_a_report_imports_no_torch() -> None:
    code = "import sys, regimen.report; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_rows_in_time_leave_no_interval_for_new_rows_and_folds_and_samples_are_named(tmp_path: Path) -> None:
    base = digits()
    pages = {
        "time": replace(base, design=replace(base.design, division="time", division_column="day", fresh="rows")),
        "group": replace(
            base,
            data=replace(base.data, sample="8x8"),
            design=replace(base.design, division="group", division_column="<b>", folds=5),
        ),
    }
    said = {}
    for name, results in pages.items():
        write_report(results, tmp_path / f"{name}.html")
        said[name] = " ".join(Document((tmp_path / f"{name}.html").read_text(encoding="utf-8")).text)
    assert "Rows are divided by time (day)" in said["time"] and "later than all rows of the search" in said["time"]
    assert "Nadeau" not in said["time"] and "widened for new" not in said["time"]
    assert (
        "groups of <b>: none is in two parts" in said["group"] and "interval for new groups is widened" in said["group"]
    )
    assert "Pairs are the 5 folds of cross-validation, done 2 times" in said["group"]
    assert "samples of 8x8" in said["group"] and "64 features" not in said["group"]


def test_given_validation_rows_leave_no_interval_for_new_rows(tmp_path: Path) -> None:
    base = digits()
    write_report(replace(base, plan={**base.plan, "given_validation": True}), tmp_path / "given.html")
    said = " ".join(Document((tmp_path / "given.html").read_text(encoding="utf-8")).text)
    assert "the given validation rows are the same in every pair" in said
    assert "scored on the given validation rows again" in said
    assert "Nadeau" not in said and "splits the same rows anew" not in said
