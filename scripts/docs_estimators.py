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
    """Return the table over all stored files, and below it when and on what they were measured."""
    files = [json.loads(path.read_text("utf-8")) for path in sorted(STORED.glob("estimators*.json"))]
    lines = [HEAD, ("---", *("--:",) * (len(HEAD) - 1))]
    for stored in files:
        tables: dict[str, dict[str, dict[str, Any]]] = {}
        for row in stored["rows"]:
            tables.setdefault(row["table"], {})[row["contestant"]] = row
        lines += [cells(rows) for rows in tables.values()]
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{shown}\n\n*{measured(files)}*"


def measured(files: list[dict[str, Any]]) -> str:
    """Return when and on what the files were measured, and how busy the machine was with other work besides."""
    machines = [stored["environment"] for stored in files]
    loads = [
        load for stored in files for load in (stored["environment"]["load_average"][0], stored["load_average_after"][0])
    ]
    cores = sorted({stored["processes"] or stored["environment"]["cores"] for stored in files})
    said = {name: ", ".join(sorted({str(machine[name]) for machine in machines})) for name in ("processor", "cores")}
    days = ", ".join(sorted({machine["date"][:10] for machine in machines}))
    commits = ", ".join(sorted({machine["commit"][:7] for machine in machines}))
    versions = ", ".join(sorted({machine["scikit-learn"] for machine in machines}))
    return (
        f"{days}, {said['processor']} with {said['cores']} cores, of which each contestant used "
        f"{', '.join(map(str, cores))}; load average {min(loads):.0f} to {max(loads):.0f}; scikit-learn {versions}; "
        f"commits {commits}."
    )


def files() -> dict[Path, str]:
    """Return the page with its table."""
    return {PAGE: fill(PAGE.read_text("utf-8"), {"comparison": comparison()}, "docs_estimators.py")}


if __name__ == "__main__":
    main(files, __doc__)
