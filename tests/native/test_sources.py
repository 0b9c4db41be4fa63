"""What the C++ sources must keep to for compilers and platforms that the tests do not run on."""

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "csrc"


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.[ch]pp")), ids=lambda path: path.name)
def test_no_type_is_as_wide_as_the_platform_likes(source: Path) -> None:
    """A `long` has 32 bits on Windows, and on macOS is another type than the int64_t of the interface."""
    code = re.sub(r"//.*", "", source.read_text(encoding="utf-8"))
    assert re.findall(r".*\b(?:long|\d+L)\b.*", code) == []
