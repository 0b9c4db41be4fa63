"""An outcome as files: figures, `numbers.json` and a page for each experiment, and one page over all of them."""

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from regimen import __version__
from regimen.errors import StoreError
from regimen.experiments import pictures
from regimen.experiments.catalogue import ENTRIES, Entry
from regimen.experiments.context import Outcome, Size
from regimen.experiments.records import Numbers
from regimen.experiments.wording import VARIANTS, measured_text, posted_text
from regimen.report.quantities import clean

NUMBERS, PAGE = "numbers.json", "index.html"
SIZES = {
    "quick": "Done quickly: fewer runs, epochs or rows than the post",
    "standard": "Done at the size of the post",
    "full": "Done in full: more than the post did",
}


def write_outcome(entry: Entry, outcome: Outcome, folder: Path, *, size: Size = "standard") -> None:
    """Write figures (SVG and PNG), page and numbers, the numbers last: where they are, the experiment is finished.

    Args:
        entry: The experiment.
        outcome: What it found.
        folder: Where to; made if it is not there.
        size: How much was done, for the page.

    Raises:
        StoreError: A file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {folder}: {error.strerror}; choose another place") from error
    for picture in outcome.pictures:
        pictures.save(picture.figure, folder / picture.name)
    depth = len(Path(entry.name).parts)
    page = _render(
        title=f"{entry.title} ({entry.name})",
        entry=entry,
        outcome=outcome,
        size=SIZES[size],
        overview="../" * depth + PAGE,
        shown=[],
    )
    _write(folder / PAGE, page)
    _write(folder / NUMBERS, Numbers(name=entry.name, rows=outcome.rows).to_json())


def write_overview(out: Path, entries: tuple[Entry, ...] | None = None) -> Path:
    """Write the page over all experiments whose numbers lie in `out`, and return its path.

    Args:
        out: The folder of `regimen reproduce`.
        entries: Which experiments there are; None for all.

    Raises:
        StoreError: The page cannot be written, or numbers in the folder cannot be read.
    """
    found = []
    for entry in ENTRIES if entries is None else entries:
        path = out / entry.name / NUMBERS
        if path.is_file():
            found.append((entry, Numbers.read(path).rows, f"{entry.name}/{PAGE}"))
    _write(out / PAGE, _render(title="The experiments", entry=None, outcome=None, size="", overview="", shown=found))
    return out / PAGE


def _render(**values: object) -> str:
    style = resources.files("regimen.report").joinpath("page.css").read_text(encoding="utf-8")
    style += resources.files("regimen.experiments").joinpath("page.css").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(
            lambda name: resources.files("regimen.experiments").joinpath(name).read_text(encoding="utf-8")
        ),
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    digest = "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        values,
        style=Markup(style),
        policy=f"default-src 'none'; style-src '{digest}'; img-src 'self' file: data:; base-uri 'none'; "
        "form-action 'none'",
        variants=VARIANTS,
        posted=posted_text,
        measured=measured_text,
        version=__version__,
    )


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8", newline="", errors="replace")
        os.replace(draft, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; choose another place") from error
    finally:
        draft.unlink(missing_ok=True)
