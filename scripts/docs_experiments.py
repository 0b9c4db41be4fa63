"""Writes the tables of docs/experiments and docs/ko/experiments from the stored numbers of `regimen reproduce`.

python scripts/docs_experiments.py           # after scripts/take_experiments.py
python scripts/docs_experiments.py --check   # fails if a table is not that of the stored numbers

A page names the experiment whose table it wants: `<!-- begin techniques/dropout: scripts/docs_experiments.py -->`.
"""

import re
from pathlib import Path

import msgspec
from marked import ROOT, fill, main

from regimen.experiments.records import Row
from regimen.experiments.wording import measured_text, posted_text

STORED = ROOT / "benchmarks" / "results" / "reproduce"
PAGES = {"en": ROOT / "docs" / "experiments", "ko": ROOT / "docs" / "ko" / "experiments"}
HEADS = {
    "en": ("quantity", "run", "posted", "measured", "n"),
    "ko": ("항목", "실행", "게시값", "측정값", "n"),
}
VARIANTS = {
    "en": {"as_posted": "as posted", "corrected": "corrected"},
    "ko": {"as_posted": "게시글 그대로", "corrected": "수정판"},
}
SIZES = {
    "en": {"quick": "quick size", "standard": "full size", "full": "all images"},
    "ko": {"quick": "빠른 실행(--quick)", "standard": "전체 실행", "full": "전체 이미지"},
}


class Stored(msgspec.Struct):
    """What `take_experiments.py` wrote."""

    name: str
    size: str
    date: str
    environment: dict[str, object]
    rows: list[Row]


def table(stored: Stored, language: str) -> str:
    """Return the table of an experiment, and below it when and on what it was measured."""
    lines = [HEADS[language], ("---", "---", "--:", "--:", "--:")]
    for row in stored.rows:
        cells = row.quantity, VARIANTS[language][row.variant], posted_text(row), measured_text(row), str(row.n)
        lines.append(tuple(cell.replace("|", "\\|") for cell in cells))
    said = f"{SIZES[language][stored.size]}, {stored.date}, {stored.environment.get('processor', '')}"
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{shown}\n\n*{said.rstrip(', ')}; ± SD*"


def files() -> dict[Path, str]:
    """Return every page with tables, with its content."""
    found = {}
    for language, folder in PAGES.items():
        for page in sorted(folder.glob("*.md")):
            text = page.read_text("utf-8")
            names = re.findall(rf"<!-- begin (\S+): scripts/{Path(__file__).name} -->", text)
            parts = {}
            for name in names:
                path = STORED / f"{name.replace('/', '-')}.json"
                parts[name] = table(msgspec.json.decode(path.read_bytes(), type=Stored), language)
            found[page] = fill(text, parts, Path(__file__).name)
    return found


if __name__ == "__main__":
    main(files, __doc__)
