"""Folders with a folder of images for each class: what is in them, in which size they are read, what is left out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regimen.data.image_decoding import DAMAGED, EXTENSIONS, Header, Size, decode, read_header
from regimen.data.image_source import ImageSource
from regimen.data.machine import available_cores, free_memory
from regimen.data.naming import counted, listed
from regimen.data.part_folders import PartFolders, hidden, part_folders
from regimen.data.pixel_files import BLOCK, Pixels, PixelWriter
from regimen.errors import DataError

# Files decoded at a time: enough for all cores, little in memory.
_BATCH = 64
# Threads that decode them, where the largest image leaves memory for all.
_THREADS = 8
# What Pillow and we hold of each pixel while we lay a transparent image on white: five times four bytes.
_BYTES_A_PIXEL = 20
# Share of the free memory that the images take while they are decoded.
_SHARE = 1 / 4
# So many names of files stand in a note.
_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoded:
    """The images of some files that could be read.

    Attributes:
        pixels: uint8 `[rows, channels, height, width]`.
        kept: Index of each row's file among those asked for.
        notes: What was left out and what was changed, in words.
    """

    pixels: Pixels
    kept: list[int]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listed:
    """The files of one part: by class, and how many others there are."""

    files: list[tuple[str, Path]]
    others: list[Path]
    empty: list[str]


def read_class_folders(
    folder: Path, *, image_size: Size | None = None, channels: int | None = None, where: str = ""
) -> ImageSource:
    """Read `folder/<class>/*`, or `folder/train/<class>/*` with `folder/test/<class>/*` and `folder/validation/…`.

    Other names of these parts: see `part_folders`.

    Args:
        folder: The folder.
        image_size: Height and width; None takes the most frequent of the training images.
        channels: 1 or 3; None takes 3 as soon as a training image has colours.
        where: For messages; the path if empty.

    Raises:
        DataError: There are no images in folders of classes, a class has none that can be read, a part has classes that
            training lacks, or an image would exhaust the memory.
    """
    where = where or str(folder)
    try:
        found = part_folders(folder)
        parts = {part: _listed(path) for part, path in found.folders.items()}
    except OSError as error:
        raise DataError(f"{where}: expected a readable folder: {error.strerror}; check its permissions") from error
    if not parts["train"].files:
        raise DataError(_no_images(folder, found.folders["train"], parts["train"]))
    classes = tuple(dict.fromkeys(label for label, _ in parts["train"].files))
    for part, content in parts.items():
        unseen = sorted({label for label, _ in content.files} - set(classes))
        if unseen:
            raise DataError(
                f"{where}: expected in {part} only classes of train ({listed(classes)}), got {listed(unseen)}; take "
                "those folders out or add them to train"
            )
    files = [file for content in parts.values() for file in content.files]
    decoded = read_images(
        [path for _, path in files],
        folder,
        image_size=image_size,
        channels=channels,
        deciding=len(parts["train"].files),
    )
    ends = np.cumsum([len(content.files) for content in parts.values()])
    of_part = np.searchsorted(ends, decoded.kept, side="right")
    y = np.array([classes.index(files[index][0]) for index in decoded.kept], dtype=np.int64)
    emptied = [label for code, label in enumerate(classes) if not (y[of_part == 0] == code).any()]
    if emptied:
        raise DataError(
            f"{where}: expected images of each class that can be read, got none of {listed(emptied)} ("
            f"{'; '.join(decoded.notes)}); get those files again or take the folder out"
        )
    counts = dict(zip(parts, np.bincount(of_part, minlength=len(parts)).tolist(), strict=True))
    return ImageSource(
        name=folder.name,
        where=where,
        pixels=decoded.pixels,
        y=y,
        classes=classes,
        tested=counts.get("test", 0),
        validated=counts.get("validation", 0),
        row_names=tuple(str(files[index][1].relative_to(folder)) for index in decoded.kept),
        notes=(*_said(parts, found), *decoded.notes),
    )


def image_files(folder: Path) -> list[Path]:
    """Return all files below a folder that are called like images, in the order of their paths; no hidden ones."""
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in EXTENSIONS and path.is_file())
    return [path for path in found if not any(hidden(name) for name in path.relative_to(folder).parts)]


def read_images(
    paths: Sequence[Path],
    folder: Path,
    *,
    image_size: Size | None = None,
    channels: int | None = None,
    deciding: int | None = None,
) -> Decoded:
    """Read files into one array; those that cannot be read are left out and named.

    Args:
        paths: The files.
        folder: What their names in notes are relative to.
        image_size: Height and width; None takes the most frequent, the smallest of several that are.
        channels: 1 or 3; None takes 3 as soon as one has colours.
        deciding: Size and channels follow from the first so many; None for all.

    Raises:
        DataError: None can be read, or one would exhaust the memory.
    """
    headers: dict[int, Header] = {}
    damaged: list[Path] = []
    for index, path in enumerate(paths):
        try:
            headers[index] = read_header(path)
        except DAMAGED:
            damaged.append(path)
    first = [header for index, header in headers.items() if deciding is None or index < deciding]
    if not first:
        raise DataError(f"{folder}: expected images that can be read, got none ({_damaged(damaged, folder)})")
    size = image_size or _most_frequent([header.size for header in first])
    depth = channels or (1 if all(header.grey for header in first) else 3)
    writer, kept = PixelWriter(rows=len(headers), shape=(depth, *size)), []
    for index, pixels in _decoded(headers, depth, size):
        if pixels is None:
            damaged.append(paths[index])
        else:
            writer.add(pixels)
            kept.append(index)
    if not kept:
        raise DataError(f"{folder}: expected images that can be read, got none ({_damaged(damaged, folder)})")
    read = [headers[index] for index in kept]
    notes = [_damaged(sorted(damaged), folder)] if damaged else []
    notes += _changes(read, depth, size, given=image_size is not None)
    return Decoded(pixels=writer.finished(), kept=kept, notes=(*notes, *writer.notes))


def _decoded(headers: dict[int, Header], channels: int, size: Size) -> Iterator[tuple[int, Pixels | None]]:
    """Yield index and pixels of each file in their order, None where the file turns out to be damaged."""

    def decoded(index: int) -> Pixels | None:
        try:
            return decode(headers[index], channels, size)
        except DAMAGED:
            return None

    order, threads = list(headers), threads_for(headers.values())
    batch = max(threads, min(_BATCH, BLOCK // (channels * size[0] * size[1])))
    with ThreadPoolExecutor(threads) as pool:  # Pillow decodes without the interpreter's lock
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            yield from zip(some, pool.map(decoded, some), strict=True)


def threads_for(headers: Iterable[Header]) -> int:
    """Return how many images are decoded at a time: as many as there are cores, fewer where one takes much memory."""
    largest = max(header.size[0] * header.size[1] for header in headers)
    room = int(free_memory() * _SHARE) // (_BYTES_A_PIXEL * largest)
    return max(1, min(_THREADS, available_cores(), room))


def _listed(folder: Path) -> _Listed:
    content = _Listed(files=[], others=[], empty=[])
    for directory in sorted(path for path in folder.iterdir() if not hidden(path.name)):
        if not directory.is_dir():
            content.others.append(directory)
            continue
        inside = sorted(path for path in directory.iterdir() if not hidden(path.name))
        images = [path for path in inside if path.suffix.lower() in EXTENSIONS and path.is_file()]
        content.files.extend((directory.name, path) for path in images)
        content.others.extend(path for path in inside if path not in set(images))
        if not images:
            content.empty.append(directory.name)
    return content


def _no_images(folder: Path, main: Path, content: _Listed) -> str:
    kinds = ", ".join(EXTENSIONS)
    flat = [path for path in content.others if path.suffix.lower() in EXTENSIONS]
    if flat:
        return (
            f"{folder}: expected a folder for each class with its images in it, got {counted(len(flat), 'image')} "
            f"directly in {main}; sort them into folders named by class"
        )
    endings = sorted({path.suffix.lower() for path in content.others if path.suffix})
    deeper = next((path for path in main.glob("*/*/*") if path.suffix.lower() in EXTENSIONS), None)
    got = f"files that end in {listed(endings)}" if endings else "none"
    if deeper is not None:
        got = f"images one level deeper, such as {str(deeper.relative_to(folder))!r}"
    return f"{folder}: expected a folder for each class with images in it ({kinds}), got {got}; check the path"


def _said(parts: dict[str, _Listed], found: PartFolders) -> Iterator[str]:
    if found.unread:
        yield f"not read, because it is called like no part, or like one that is there: {listed(found.unread)}"
    others = [path for content in parts.values() for path in content.others]
    if others:
        named = listed([path.name for path in others[:_NAMED]]) + (" and so on" if len(others) > _NAMED else "")
        yield f"left out what is no image in a folder of a class: {named}"
    for part, content in parts.items():
        if content.empty:
            where = f" of {part}" if len(parts) > 1 else ""
            yield f"left out {counted(len(content.empty), 'folder')}{where} without images: {listed(content.empty)}"


def _damaged(files: Sequence[Path], folder: Path) -> str:
    names = listed([str(path.relative_to(folder)) for path in files[:_NAMED]])
    more = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
    return f"left out {counted(len(files), 'file')}, unreadable or cut off: {names}{more}"


def _most_frequent(sizes: Sequence[Size]) -> Size:
    counts = Counter(sizes)
    return max(counts, key=lambda size: (counts[size], -size[0] * size[1], size))


def _changes(headers: Sequence[Header], channels: int, size: Size, *, given: bool) -> Iterator[str]:
    total = counted(len(headers), "image")
    other = [header.size for header in headers if header.size != size]
    if other:
        low, high = (f"{height} x {width}" for height, width in (min(other), max(other)))
        yield (
            f"resized to {size[0]} x {size[1]} (height x width){'' if given else ', the most frequent size'}, "
            f"cropped in the middle where proportions differ: {len(other):,} of {total}, of {low}"
            + (f" to {high}" if low != high else "")
        )
    grey = sum(header.grey for header in headers)
    if channels == 3 and grey:
        yield f"grey, read as RGB: {grey:,} of {total}"
    if channels == 1 and grey < len(headers):
        yield f"in colours, read as grey: {len(headers) - grey:,} of {total}"
    transparent = sum(header.transparent for header in headers)
    if transparent:
        yield f"partly transparent, laid on white: {transparent:,} of {total}"
