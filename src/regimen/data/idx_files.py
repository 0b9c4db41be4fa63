"""Reads IDX files, the form of MNIST: images, and the labels that lie beside them under the usual names."""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from regimen.data.image_source import ImageSource, coded_as, joined
from regimen.data.naming import listed
from regimen.data.pixel_files import Pixels
from regimen.errors import DataError

# Two zero bytes, 8 for unsigned bytes, then the number of dimensions; after them each length as four bytes, big-endian.
# http://yann.lecun.com/exdb/mnist/, "THE IDX FILE FORMAT"
_MAGIC = b"\x00\x00\x08"
_NAMES = re.compile(r"(idx\d?|ubyte)(\.gz)?$", re.IGNORECASE)
# deflate shrinks at most by this factor: a header that promises more is not believed before memory is taken for it.
_DENSEST = 1032


def is_idx(path: Path) -> bool:
    """Tell whether a file is called like an IDX file or begins like one."""
    if _NAMES.search(path.name):
        return True
    try:
        with _opened(path) as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return head[:3] == _MAGIC and len(head) == 4


def idx_in(folder: Path) -> Path | None:
    """Return the training images among the IDX files of a folder, None where it has none.

    Raises:
        DataError: There are several.
    """
    found = [path for path in _idx_images(folder) if "train" in path.name]
    # Beside a raw file its compressed form is the same file.
    found = [path for path in found if path.suffix != ".gz" or path.with_suffix("") not in found]
    if len(found) > 1:
        raise DataError(
            f"{folder}: expected one file of training images, got {listed([path.name for path in found])}; name one"
        )
    return found[0] if found else None


def read_idx(path: Path, *, classes: tuple[str, ...] | None = None, name: str = "", where: str = "") -> ImageSource:
    """Read a file of images with its labels, and the test images that lie beside training images.

    Args:
        path: The file of images; raw or compressed (.gz).
        classes: Label of each code; None takes the numbers as labels.
        name: For reports; the file's name if empty.
        where: For messages; the path if empty.

    Raises:
        DataError: A file is missing, cut off, or none of bytes; or the numbers of images and labels differ.
    """
    where = where or str(path)
    pixels, codes = _pair(path)
    values = np.unique(codes)
    known = tuple(map(str, values.tolist())) if classes is None else classes
    y = np.searchsorted(values, codes) if classes is None else _checked(codes, len(classes), path)
    test = _test_beside(path)
    source = ImageSource(name=name or path.stem, where=where, pixels=pixels, y=y.astype(np.int64), classes=known)
    if test is None:
        return source
    more, told = _pair(test)
    if classes is None:
        numbers, told = np.unique(told, return_inverse=True)
        told = coded_as(told, tuple(map(str, numbers.tolist())), known, str(test))
    else:
        told = _checked(told, len(classes), test)
    notes = () if classes is not None else (f"the images of {test.name}, beside {path.name}, are the test part",)
    return ImageSource(
        name=source.name,
        where=where,
        pixels=joined([pixels, more], where),
        y=np.concatenate([source.y, told.astype(np.int64)]),
        classes=known,
        tested=len(more),
        notes=notes,
    )


def read_idx_images(path: Path) -> Pixels:
    """Return the images of an IDX file, uint8 `[rows, channels, height, width]`, whatever lies beside it.

    Raises:
        DataError: The file is cut off, none of bytes, or none of images.
    """
    images = _array(path)
    if images.ndim == 1:
        raise DataError(f"{path}: expected a file of images, got labels alone; name the file of images beside it")
    if images.ndim not in (3, 4):
        raise DataError(
            f"{path}: expected images [rows, height, width], got {list(images.shape)}; flat rows are a table"
        )
    return images[:, None] if images.ndim == 3 else images


def _pair(path: Path) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Return images `[rows, channels, height, width]` and the labels that lie beside them."""
    images = read_idx_images(path)
    beside = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    candidates = _either_form(path.with_name(beside))
    found = next((label for label in candidates if label.is_file() and label != path), None)
    if found is None:
        names = " or ".join(label.name for label in candidates) if beside != path.name else "-labels- in its name"
        raise DataError(f"{path}: expected its labels beside it, got no file {names}; put it there")
    labels = _array(found)
    if labels.ndim != 1:
        raise DataError(f"{found}: expected labels [rows], got {list(labels.shape)}; it is no file of labels")
    if len(labels) != len(images):
        raise DataError(
            f"{found}: expected a label for each of {len(images):,} images of {path.name}, got {len(labels):,}; "
            "take both from one place"
        )
    return images, labels.astype(np.int64)


def _array(path: Path) -> Pixels:
    try:
        with _opened(path) as file:
            head = file.read(4)
            if head[:3] != _MAGIC or len(head) < 4 or not 1 <= head[3] <= 4:
                raise DataError(
                    f"{path}: expected an IDX file of bytes, which begins with 00 00 08, got "
                    f"{head.hex(' ') or 'nothing'}; it is another kind of file, or damaged"
                )
            lengths = file.read(4 * head[3])
            shape = struct.unpack(f">{len(lengths) // 4}I", lengths[: len(lengths) // 4 * 4])
            size = math.prod(shape)
            most = path.stat().st_size * (_DENSEST if _packed(path) else 1)
            content = file.read(size + 1) if len(shape) == head[3] and size <= most else b""
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: expected a whole .gz file, got a damaged or cut off one ({error}); get it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: expected a readable file: {error.strerror}; check its permissions") from error
    if len(shape) != head[3] or len(content) != size or not size:
        promised = " x ".join(f"{length:,}" for length in shape)
        raise DataError(
            f"{path}: expected {promised} bytes after the header, got {'more' if len(content) > size else 'fewer'}; "
            "the file is cut off or damaged, get it again"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if _packed(path) else path.open("rb")


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _checked(codes: npt.NDArray[np.int64], classes: int, path: Path) -> npt.NDArray[np.int64]:
    if codes.max() >= classes:
        raise DataError(f"{path}: expected labels from 0 to {classes - 1}, got {codes.max()}; it is another data set")
    return codes


def _test_beside(path: Path) -> Path | None:
    if "train" not in path.name:
        return None
    names = [path.name.replace("train", other) for other in ("t10k", "test")]
    candidates = [file for name in names for file in _either_form(path.with_name(name))]
    return next((file for file in candidates if file.is_file()), None)


def _either_form(path: Path) -> tuple[Path, Path]:
    """Return the path as it is, and with or without `.gz`."""
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    return path, other


def _idx_images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if "images" in path.name and _NAMES.search(path.name))
