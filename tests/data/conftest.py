"""Tables written to files as users have them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from regimen.data import Table, load

# Enough rows that no table below is refused for its size.
ROWS = 60


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes text or bytes to a file and returns its path."""

    def write_file(content: str | bytes, name: str = "table.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


@pytest.fixture
def load_columns(write: Callable[..., str]) -> Callable[..., Table]:
    """Return a function that writes columns, with two more called `x` and `y`, and loads them with target `y`."""

    def load_table(columns: Mapping[str, Sequence[object]], separator: str = ",", **options: object) -> Table:
        draws = np.random.default_rng(1)
        rows = len(next(iter(columns.values())))
        filled = {"x": draws.normal(size=rows).round(6), **columns}
        filled.setdefault("y", ["no", "yes"] * rows)
        lines = [separator.join(filled)]
        lines += [separator.join(str(values[i]) for values in filled.values()) for i in range(rows)]
        return load(write("\n".join(lines) + "\n"), **({"target": "y"} | options))

    return load_table


@pytest.fixture(scope="session")
def mixed_csv() -> str:
    """Numbers, booleans, dates and categories, each with missing cells, and a class of three rows."""
    draws = np.random.default_rng(2)
    lines = ["age,joined,member,town,label"]
    for i in range(ROWS):
        age = "" if i % 7 == 0 else str(draws.integers(18, 80) + 0.5)
        joined = "?" if i % 11 == 0 else f"2021-{i % 12 + 1:02d}-{i % 28 + 1:02d}"
        member = "NA" if i % 13 == 0 else ("yes", "no")[i % 2]
        town = "" if i % 9 == 0 else ("Ulm", "Köln", '"Rome, Italy"')[i % 3]
        lines.append(f"{age},{joined},{member},{town},{'rare' if i < 3 else ('good', 'bad')[i % 2]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def mixed(write: Callable[..., str], mixed_csv: str) -> Table:
    """The mixed table, loaded."""
    return load(write(mixed_csv, "mixed.csv"), target="label")
