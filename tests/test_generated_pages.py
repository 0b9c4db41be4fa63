"""Tables, figures and pictures in the documentation are those of the code and of the stored studies."""

import importlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("script", ["docs_tables", "readme_figures"])
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


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.stem)
def test_pictures_load_nothing_and_leave_no_colour_to_the_page(path: Path) -> None:
    """GitHub shows them as images: no style but their own reaches them, and nothing else is fetched."""
    text = path.read_text("utf-8")
    ElementTree.fromstring(text)
    assert "var(" not in text
    assert re.findall(r"https?://[^\s\"]+", text) == ["http://www.w3.org/2000/svg"]
