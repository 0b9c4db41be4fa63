"""Writes the generated parts of the documentation between their markers, or says which are not current."""

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def fill(text: str, parts: Mapping[str, str], script: str) -> str:
    """Return a page with what stands between the markers of each part replaced.

    A marker is an HTML comment on a line of its own: `<!-- begin NAME: scripts/….py -->` and `<!-- end NAME -->`.

    Args:
        text: The page.
        parts: Content by name; every one must have its markers, and every marker of `script` its content.
        script: File name of the script that writes these parts.

    Raises:
        SystemExit: A part has no markers in the page, or markers have no content.
    """
    marker = re.compile(rf"(<!-- begin (\S+): scripts/{re.escape(script)} -->\n).*?(<!-- end \2 -->)", re.S)
    found = {match[2] for match in marker.finditer(text)}
    if found != set(parts):
        raise SystemExit(f"expected markers for {sorted(parts)}, found those of {sorted(found)}")
    return marker.sub(lambda match: f"{match[1]}{parts[match[2]].strip()}\n{match[3]}", text)


def main(files: Callable[[], Mapping[Path, str]], description: str | None) -> None:
    """Write the files, or with `--check` name those that are not current and leave with exit code 1."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if anything would change")
    check = parser.parse_args().check
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(f"{'not current' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    raise SystemExit(1 if check and stale else 0)
