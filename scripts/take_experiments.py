"""Takes numbers and pictures of a run of `regimen reproduce` into the repository, with the machine they came from.

    regimen reproduce all --out runs/reproduce
    python scripts/take_experiments.py runs/reproduce --size standard
    python scripts/docs_experiments.py     # then the tables of the pages

Only experiments whose `numbers.json` lies in the folder are taken; what is stored of others stays.
"""

import argparse
import datetime
import json
import shutil
from pathlib import Path

from marked import ROOT

from regimen.experiments.catalogue import ENTRIES
from regimen.study.environment import environment

STORED = ROOT / "benchmarks" / "results" / "reproduce"
PICTURES = ROOT / "docs" / "experiments" / "images"


def take(name: str, folder: Path, size: str) -> None:
    """Store the numbers of one experiment and copy its pictures.

    Args:
        name: Name of the experiment.
        folder: Its folder in the run.
        size: How much was done: quick, standard or full.
    """
    numbers = json.loads((folder / "numbers.json").read_text("utf-8"))
    flat = name.replace("/", "-")
    when = datetime.date.fromtimestamp((folder / "numbers.json").stat().st_mtime)
    head = {"name": name, "size": size, "date": when.isoformat(), "environment": environment()}
    STORED.mkdir(parents=True, exist_ok=True)
    (STORED / f"{flat}.json").write_text(json.dumps(head | {"rows": numbers["rows"]}, indent=1) + "\n", "utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob(f"{flat}.*.svg"):
        old.unlink()
    for picture in sorted(folder.glob("*.svg")):
        shutil.copy(picture, PICTURES / f"{flat}.{picture.name}")


def main() -> None:
    """Take what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=["quick", "standard", "full"], required=True)
    options = parser.parse_args()
    for entry in ENTRIES:
        folder = options.folder / entry.name
        if (folder / "numbers.json").is_file():
            take(entry.name, folder, options.size)
            print(f"taken: {entry.name}")


if __name__ == "__main__":
    main()
