"""Writes the tables of techniques and recipes in docs from the catalogue and from the recipe's own description.

python scripts/docs_tables.py           # after a change of the catalogue or of a recipe's fields
python scripts/docs_tables.py --check   # fails if a table is not that of the code
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from marked import ROOT, fill, main

from regimen.run import Recipe
from regimen.study.family import DEFAULT_ARMS
from regimen.techniques import AVERAGINGS, CATALOGUE, OPTIMIZERS, SCHEDULES, EarlyStopping, Technique


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; bars inside cells are escaped."""
    lines = [list(head), ["---"] * len(list(head)), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def toml(value: Any) -> str:
    """Return a value as TOML on one line.

    Example:
        >>> toml({"name": "ema", "decay": 0.99})
        '{ name = "ema", decay = 0.99 }'
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else f"{value:.1f}"
    return json.dumps(value)


def attributes(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says about each of its attributes."""
    text = inspect.getdoc(kind) or ""
    section = re.search(r"^Attributes:\n((?:    .*\n?|\n)+)", text, re.M)
    joined = re.sub(r"\n {8,}", " ", section[1]) if section else ""
    return dict(re.findall(r"^ {4}(\w+): (.+)$", joined, re.M))


def default(field: "dataclasses.Field[Any]", kind: type) -> str:
    """Return the default of a field as it would be written in TOML."""
    value = getattr(kind(), field.name)
    if value is None or field.name == "augmentation":
        return "absent"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name: str = value.name  # type: ignore[attr-defined]
        return f'`{{ name = "{name}" }}`'
    return f"`{toml(value)}`" if value != () else "`0.0`"


def fields(kind: type) -> str:
    """Return the table of a description's fields."""
    said = attributes(kind)
    rows = [[f"`{one.name}`", default(one, kind), said[one.name]] for one in dataclasses.fields(kind)]
    return table(["key", "default", "meaning"], rows)


def named(kinds: dict[str, type[Any]]) -> str:
    """Return the table of the classes that a `name` chooses from, with their parameters."""
    rows = []
    for name, kind in kinds.items():
        said = attributes(kind) | {key: text for base in kind.__bases__ for key, text in attributes(base).items()}
        parameters = [f"`{one.name} = {toml(getattr(kind(), one.name))}`" for one in dataclasses.fields(kind)]
        meanings = "<br>".join(
            f"{written}: {said[one.name]}" for one, written in zip(dataclasses.fields(kind), parameters, strict=True)
        )
        rows.append([f'`name = "{name}"`', (inspect.getdoc(kind) or "").split("\n")[0], meanings])
    return table(["name", "what it is", "parameters with their defaults"], rows)


def settings(technique: Technique) -> str:
    """Return the settings of a technique: the first one as TOML, the others as the number that differs."""
    first = ", ".join(f"{key} = {toml(value)}" for key, value in technique.settings[0].items())
    others = ", ".join(f"{strength:g}" for strength in technique.strengths[1:])
    return f"`{first}`" + (f"<br>then {others}" if others else "")


def catalogue() -> str:
    """Return the table of all techniques, in the order in which a study tries them."""
    rows = []
    described = [one for one in CATALOGUE.values() if not one.own_only]
    of_tables = [one.name for one in described if not one.images_only][:DEFAULT_ARMS]
    for one in CATALOGUE.values():
        name = f"**`{one.name}`**" if one.name in of_tables else f"`{one.name}`"
        tasks = " (images only)" if one.images_only else "" if len(one.tasks) > 1 else f" ({one.tasks[0]} only)"
        tasks = " (modules of your own only)" if one.own_only else tasks
        what = f"{one.summary}{tasks}<br>*{one.family}* · {one.reference}"
        rows.append([name, what, settings(one)])
    total = sum(len(one.settings) for one in CATALOGUE.values())
    of_images = ", ".join(f"`{one.name}`" for one in described[:DEFAULT_ARMS])
    end = (
        f"{len(CATALOGUE)} techniques, {total} settings; the {DEFAULT_ARMS} in bold are what a study of a table tries "
        f"by default. A study of images tries {of_images}."
    )
    return f"{table(['technique', 'what it does; family and reference', 'settings'], rows)}\n\n{end}"


def files() -> dict[Path, str]:
    """Return every page this script writes parts of, with its content."""
    parts = {
        "techniques/index": {"catalogue": catalogue()},
        "recipe": {
            "fields": fields(Recipe),
            "optimizers": named(dict(OPTIMIZERS)),
            "schedules": named(dict(SCHEDULES)),
            "averagings": named(dict(AVERAGINGS)),
            "early-stopping": fields(EarlyStopping),
        },
    }
    pages = {ROOT / "docs" / f"{name}.md": made for name, made in parts.items()}
    return {path: fill(path.read_text("utf-8"), made, Path(__file__).name) for path, made in pages.items()}


if __name__ == "__main__":
    main(files, __doc__)
