"""What the documentation promises is executed: no Python example can hide from the runner in conftest.py."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<ticks>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks)[ \t]*$",
    re.M | re.S,
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_python_block_is_marked_so_that_it_is_executed(page: Path) -> None:
    """The runner takes blocks whose info is exactly `python`; a title or another spelling would skip them silently."""
    text = page.read_text()
    blocks = list(FENCE.finditer(text))
    skipped = [
        block["info"]
        for block in blocks
        if block["info"] != "python" and (block["info"].lstrip(" {.").startswith("py") or ">>> " in block["body"])
    ]
    assert not skipped
    assert ">>> " not in FENCE.sub("", text), "a prompt outside a fenced block is not executed"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_its_language(page: Path) -> None:
    assert all(block["info"].strip() for block in FENCE.finditer(page.read_text()))


def test_the_layers_in_the_contributing_guide_are_those_that_are_enforced() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    enforced = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    guide = re.search(r"```text\n(__main__\n.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
    assert guide is not None
    assert guide[1].splitlines() == [layer.replace("(", "").replace(")", "") for layer in enforced]
