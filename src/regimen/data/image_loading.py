"""From what the user names to images: files found and read, parts chosen, every decision noted in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from regimen.data.cifar_files import has_batches, read_batches
from regimen.data.idx_files import idx_in, is_idx, read_idx
from regimen.data.image_decoding import EXTENSIONS as IMAGE_EXTENSIONS
from regimen.data.image_decoding import Size, resized
from regimen.data.image_folders import read_class_folders
from regimen.data.image_source import ImageSource, coded_as, joined
from regimen.data.images import Images
from regimen.data.known_images import KNOWN, read_known
from regimen.data.part_notes import notes_on_parts, require_rows
from regimen.data.sources import EXTENSIONS
from regimen.errors import DataError, OptionError


def names_images(source: str) -> bool:
    """Tell whether what the user names is images rather than a table."""
    if source in KNOWN:
        return True
    path = Path(source).expanduser()
    if path.is_dir():
        return source != "" and not _holds_tables(path)
    extension = path.suffix.lower()
    if extension in EXTENSIONS or not path.is_file():
        return False
    return extension in IMAGE_EXTENSIONS or is_idx(path)


def _holds_tables(folder: Path) -> bool:
    inside = list(folder.iterdir())
    return any(path.suffix.lower() in EXTENSIONS for path in inside) and not any(path.is_dir() for path in inside)


def load_images(
    source: str, *, test: str | None = None, validation: str | None = None, image_size: int | Size | None = None
) -> Images:
    """Read images, choose their parts, and say so in the notes.

    Args:
        source: A known name, a folder or an IDX file.
        test: The same, for the test part; None takes the test files of the source, else draws it.
        validation: The same, for rows that validate every run; None takes the validation files of the source, else
            draws them anew for each.
        image_size: Height and width, or one number for both, in pixels; None keeps that of most images.

    Raises:
        DataError: The images cannot be studied as they are.
        OptionError: The size is none.
    """
    size = _checked_size(image_size)
    main = _sized(_read(source, size), size)
    require_rows(main.where, main.y[: main.main], main.classes, what="image")
    given = {part: path for part, path in (("test", test), ("validation", validation)) if path is not None}
    further = {part: _fitting(path, main) for part, path in given.items()}
    own = {"test": (main.main, main.tested), "validation": (main.main + main.tested, main.validated)}
    kept = [slice(0, main.main), *(slice(a, a + n) for part, (a, n) in own.items() if n and part not in given)]
    # All rows as they are where no part gives way to a given one: no copy.
    whole = sum(piece.stop - piece.start for piece in kept) == len(main.pixels)
    pixels = [main.pixels] if whole else [main.pixels[piece] for piece in kept]
    y = [main.y[piece] for piece in kept]
    names = [name for piece in kept for name in main.row_names[piece]]
    counts = {part: n for part, (_, n) in own.items() if n and part not in given}
    for part, more in further.items():
        rows = slice(0, more.main)
        pixels.append(more.pixels[rows])
        y.append(coded_as(more.y[rows], more.classes, main.classes, more.where))
        names += more.row_names[rows]
        counts[part] = more.main
    ends = np.cumsum([main.main, *counts.values()])
    parts = {part: np.arange(ends[i], ends[i + 1]) for i, part in enumerate(counts)}
    images = Images(
        name=main.name,
        pixels=joined(pixels, main.where),
        y=np.concatenate(y),
        classes=main.classes,
        test_rows=parts.get("test"),
        validation_rows=parts.get("validation"),
        row_names=tuple(names) if len(names) == ends[-1] else (),
    )
    said = [note for found in (main, *further.values()) for note in found.notes]
    return replace(images, notes=(*said, *notes_on_parts(images)))


def _read(source: str, size: Size | None, *, channels: int | None = None) -> ImageSource:
    if source in KNOWN:
        return read_known(source)
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix.lower() in IMAGE_EXTENSIONS:
            raise DataError(f"{source}: expected many images, got one; name the folder with a folder for each class")
        return read_idx(path)
    if not path.is_dir():
        raise DataError(
            f"{source}: expected a folder of images, an IDX file or one of {', '.join(KNOWN)}, got none there"
        )
    name = path.stem or path.resolve().name
    if has_batches(path):
        return read_batches(path, name=name)
    images = idx_in(path)
    if images is not None:
        return read_idx(images, name=name)
    return replace(read_class_folders(path, image_size=size, channels=channels, where=source), name=name)


def _fitting(source: str, main: ImageSource) -> ImageSource:
    """Read another part in the size and colours of the main one."""
    height, width = main.pixels.shape[2:]
    channels = main.pixels.shape[1]
    return _sized(_read(source, (height, width), channels=channels), (height, width), channels=channels)


def _sized(source: ImageSource, size: Size | None, *, channels: int | None = None) -> ImageSource:
    found = source.pixels.shape[1:]
    wanted = (channels or found[0], *(size or found[1:]))
    if wanted == found:
        return source
    note = f"the images of {source.where} were resized from {_words(found)} to {_words(wanted)}"
    return replace(source, pixels=resized(source.pixels, wanted[0], wanted[1:]), notes=(*source.notes, note))


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[2]} {'grey' if shape[0] == 1 else 'RGB'}"


def _checked_size(size: int | Size | None) -> Size | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise OptionError(f"image_size: expected height and width from 1 to 4096 pixels, got {height} x {width}")
    return height, width
