"""Prepares the API page of the site: one section for each module of the package, examples shown as code."""

import re
from pathlib import Path
from typing import Any

import griffe

PACKAGE = Path(__file__).parent.parent / "src" / "regimen"
NOT_AN_API = {"__init__", "__main__", "cli"}  # docs/command-line.md is the page of the command


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Append a section for each module to `api.md` (a hook of MkDocs), so that none can be forgotten.

    A package shows what its `__all__` names; its modules are rooms of their own and not shown.
    """
    if page.file.src_uri != "api.md":
        return markdown
    found = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    sections = [f"## regimen.{name}\n\n::: regimen.{name}\n" for name in sorted(found - NOT_AN_API)]
    return "\n".join([markdown, *sections])


class ExampleSections(griffe.Extension):
    """Read our sections `Example:` as the sections `Examples:` that mkdocstrings renders as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section in the docstring of `obj`."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
