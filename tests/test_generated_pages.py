"""Tables, figures and pictures in the documentation are those of the code and of the stored studies."""

import ast
import importlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("script", ["docs_tables", "docs_experiments", "docs_estimators", "readme_figures"])
def test_what_a_script_writes_into_the_documentation_is_current(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    files = importlib.import_module(script).files()
    stale = [path.name for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    assert not stale, f"run python scripts/{script}.py"


def test_markers_without_content_and_content_without_markers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    fill = importlib.import_module("marked").fill
    page = "before\n<!-- begin one: scripts/s.py -->\nold\n<!-- end one -->\nafter\n"
    assert fill(page, {"one": "new\n"}, "s.py") == page.replace("old", "new")
    for parts in ({}, {"two": "new"}, {"one": "new", "two": "new"}):
        with pytest.raises(SystemExit, match="expected markers"):
            fill(page, parts, "s.py")


PICTURES = [*(ROOT / "docs" / "images").glob("*.svg"), *(ROOT / "docs" / "experiments" / "images").glob("*.svg")]
# Names, which nothing fetches: of SVG and of the vocabularies and the document type that matplotlib writes.
NAMES = {
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd",
    "http://purl.org/dc/elements/1.1/",
    "http://purl.org/dc/dcmitype/StillImage",
    "http://creativecommons.org/ns#",
}


@pytest.mark.parametrize("path", sorted(PICTURES), ids=lambda path: path.stem)
def test_pictures_load_nothing_and_leave_no_colour_to_the_page(path: Path) -> None:
    """GitHub shows them as images: no style but their own reaches them, and nothing else is fetched."""
    text = path.read_text("utf-8")
    drawing = ElementTree.fromstring(text)
    assert "var(" not in text
    assert set(re.findall(r"https?://[^\s\"]+", text)) <= NAMES
    references = [value for part in drawing.iter() for name, value in part.items() if name.endswith(("href", "src"))]
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in references)
    assert not any(part.tag.endswith("script") for part in drawing.iter())


def test_the_pictures_of_the_experiments_stay_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "experiments" / "images").iterdir()) < 3_000_000


def test_every_picture_of_the_experiments_is_on_its_page_in_each_language() -> None:
    stored = {path.name for path in (ROOT / "docs" / "experiments" / "images").glob("*.svg")}
    for language in ("docs/experiments", "docs/ko/experiments"):
        text = "".join(page.read_text("utf-8") for page in (ROOT / language).glob("*.md"))
        assert set(re.findall(r"images/(\S+\.svg)\)", text)) == stored


def _python_blocks(page: Path) -> list[str]:
    """Return the programs of a page without comments, which are translated."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [ast.unparse(ast.parse(block)) for block in blocks]


KOREAN = ROOT / "docs" / "ko"


@pytest.mark.parametrize("page", sorted(KOREAN.rglob("*.md")), ids=lambda page: str(page.relative_to(KOREAN)))
def test_a_korean_page_has_the_programs_sections_and_pictures_of_the_english_one(page: Path) -> None:
    english = ROOT / "docs" / page.relative_to(KOREAN)
    assert _python_blocks(page) == _python_blocks(english)
    texts = page.read_text("utf-8"), english.read_text("utf-8")
    for what in (r"^(#+) ", r"<!-- (?:begin|end) [^>]+-->", r"images/(\S+\.svg)\)"):
        korean, original = (re.findall(what, text, re.MULTILINE) for text in texts)
        assert korean == original
