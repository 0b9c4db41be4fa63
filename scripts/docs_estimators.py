"""Writes the comparison with scikit-learn in docs/estimators.md from what `benchmarks/bench_estimators.py` stored.

python scripts/docs_estimators.py           # after the benchmark: benchmarks/results/estimators*.json
python scripts/docs_estimators.py --check   # fails if the table is not that of the stored results
"""

import json
from pathlib import Path
from typing import Any

from marked import ROOT, fill, main

STORED = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "estimators.md"
BASE, DEFAULT, AUTO, BOOSTING = "mlp", "default", "auto", "boosting"
HEAD = (
    "table",
    "rows",
    "splits",
    "MLPClassifier",
    "RegimenClassifier()",
    "times as fast",
    'recipe="auto", 60 s',
    "gradient boosting",
)


def points(row: dict[str, Any]) -> str:
    """Return a difference in points with its 95 % interval over splits, bold where the interval leaves zero out."""
    low, high = row["ci"]
    text = f"{row['difference']:+.2f} ({low:+.2f} to {high:+.2f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def cells(rows: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Return the line of one table from the rows of its contestants."""
    base, default = rows[BASE], rows[DEFAULT]
    return (
        base["table"],
        f"{base['rows']:,}",
        str(len(base["accuracies"])),
        f"{100 * base['accuracy']:.2f} %",
        points(default),
        f"{default['times_faster']:.1f}",
        points(rows[AUTO]),
        points(rows[BOOSTING]),
    )


def comparison() -> str:
    """Return the table over all stored files, and below it when and on what each was measured."""
    lines, measured = [HEAD, ("---", *("--:",) * (len(HEAD) - 1))], set()
    for path in sorted(STORED.glob("estimators*.json")):
        stored = json.loads(path.read_text("utf-8"))
        tables: dict[str, dict[str, dict[str, Any]]] = {}
        for row in stored["rows"]:
            tables.setdefault(row["table"], {})[row["contestant"]] = row
        lines += [cells(rows) for rows in tables.values()]
        machine, trained = stored["environment"], stored["processes"] or stored["environment"]["cores"]
        measured.add(
            f"{machine['date'][:10]}, {machine['processor']}, {machine['cores']} cores, of which each contestant used "
            f"{trained}, load average {machine['load_average'][0]:.0f} to {stored['load_average_after'][0]:.0f}; "
            f"scikit-learn {machine['scikit-learn']}, commit {machine['commit'][:7]}"
        )
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{shown}\n\n*{'; '.join(sorted(measured))}.*"


def files() -> dict[Path, str]:
    """Return the page with its table."""
    return {PAGE: fill(PAGE.read_text("utf-8"), {"comparison": comparison()}, "docs_estimators.py")}


if __name__ == "__main__":
    main(files, __doc__)
