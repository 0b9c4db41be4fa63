"""From what the user names to images: files found and read, parts chosen, every decision noted in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from regimen.data.cifar_files import has_batches, read_batches
from regimen.data.idx_files import idx_in, is_idx, read_idx
from regimen.data.image_source import ImageSource, coded_as, joined
from regimen.data.images import Images
from regimen.data.known_images import KNOWN, read_known
from regimen.data.part_notes import notes_on_parts, require_rows
from regimen.data.sources import EXTENSIONS
from regimen.errors import DataError


def names_images(source: str) -> bool:
    """Tell whether what the user names is images rather than a table."""
    if source in KNOWN:
        return True
    path = Path(source).expanduser()
    if path.is_dir():
        return True
    return path.is_file() and path.suffix.lower() not in EXTENSIONS and is_idx(path)


def load_images(source: str, *, test: str | None = None, validation: str | None = None) -> Images:
    """Read images, choose their parts, and say so in the notes.

    Args:
        source: A known name, a folder or an IDX file.
        test: The same, for the test part; None takes the official test files, else draws it.
        validation: The same, for rows that validate every run; None draws them anew for each.

    Raises:
        DataError: The images can not be studied as they are.
    """
    main = _read(source)
    require_rows(main.where, main.y[: main.main], main.classes, what="image")
    given = {part: path for part, path in (("test", test), ("validation", validation)) if path is not None}
    further = {part: _read(path) for part, path in given.items()}
    rows = {}
    if test is not None or not main.tested:
        parts, codes, end = [main.pixels[: main.main]], [main.y[: main.main]], main.main
    else:
        parts, codes, end = [main.pixels], [main.y], len(main.y)
        rows["test"] = np.arange(main.main, end)
    for part, more in further.items():
        parts.append(more.pixels[: more.main])
        codes.append(coded_as(more.y[: more.main], more.classes, main.classes, more.where))
        rows[part] = np.arange(end, end + more.main)
        end += more.main
    images = Images(
        name=main.name,
        pixels=joined(parts, main.where),
        y=np.concatenate(codes),
        classes=main.classes,
        test_rows=rows.get("test"),
        validation_rows=rows.get("validation"),
    )
    said = [note for found in (main, *further.values()) for note in found.notes]
    return replace(images, notes=(*said, *notes_on_parts(images)))


def _read(source: str) -> ImageSource:
    if source in KNOWN:
        return read_known(source)
    path = Path(source).expanduser()
    if path.is_file():
        return read_idx(path)
    if has_batches(path):
        return read_batches(path, name=path.name)
    images = idx_in(path)
    if images is not None:
        return read_idx(images, name=path.name)
    raise DataError(f"{source}: expected a folder with IDX files or batches of CIFAR-10, got none of them")
