"""Where decoded pixels are kept: in memory, or in a file of the cache folder that is mapped where memory is short."""

import math
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regimen.data.machine import available_cores, free_memory
from regimen.data.tables import Rows
from regimen.errors import DataError

Pixels = npt.NDArray[np.uint8]

# Bytes read at once where all pixels are gone through: bounds memory where they lie in a file.
BLOCK = 1 << 24
# Pixels lie in a file where they and their copies would take more than this share of the free memory.
_SHARE = 1 / 2
# In each worker process: the pixels, those of the pair that it trains, and of a run that stops early its own rows.
_COPIES = 3
_SUFFIX = ".pixels"


def cache_folder() -> Path:
    """Return the folder for what can be made or downloaded again."""
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("regimen"))


class PixelWriter:
    """Takes images one after another into one array.

    Args:
        rows: How many there are at most.
        shape: Of each.

    Raises:
        DataError: They fit neither into memory nor on the disk.
    """

    def __init__(self, *, rows: int, shape: tuple[int, int, int]) -> None:
        self._next = 0
        self.notes: tuple[str, ...] = ()
        size = rows * math.prod(shape)
        # Ours and those of one process for each core.
        if size * (1 + _COPIES * available_cores()) <= free_memory() * _SHARE:
            self._pixels: Pixels = np.empty((rows, *shape), dtype=np.uint8)
            return
        self._pixels = mapped((rows, *shape), cache_folder(), shared=True)
        self.notes = (f"the pixels take {size / 2**30:.1f} GiB and lie in a file while they are used, not in memory",)

    def add(self, image: Pixels) -> None:
        """Append an image."""
        self._pixels[self._next] = image
        self._next += 1

    def finished(self) -> Pixels:
        """Return the images that were added, uint8 `[rows, channels, height, width]`."""
        pixels = self._pixels[: self._next]
        return pixels if isinstance(pixels, np.memmap) or self._next == len(self._pixels) else pixels.copy()


def mapped(shape: tuple[int, ...], folder: Path, *, shared: bool) -> Pixels:
    """Return an array in a new file, which goes away with the array.

    Args:
        shape: Of the array.
        folder: Where the file is made.
        shared: Whether other processes will open the file.

    Raises:
        DataError: The disk has no room, or the folder cannot be written to.
    """
    size = math.prod(shape)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if size > free:
            raise DataError(
                f"expected {size / 2**30:.1f} GiB for pixels that do not fit into memory, got {free / 2**30:.1f} GiB "
                f"in {folder}; make room, or read the images smaller with image_size"
            )
        with tempfile.NamedTemporaryFile(dir=folder, suffix=_SUFFIX, delete=False) as file:
            path = Path(file.name)
            file.truncate(size)
        pixels = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise DataError(
            f"cannot write pixels that do not fit into memory to {folder}: {error.strerror}; set XDG_CACHE_HOME to a "
            "folder with room"
        ) from error
    if shared or os.name != "posix":
        weakref.finalize(pixels._mmap, path.unlink, missing_ok=True)  # type: ignore[attr-defined]
    else:
        path.unlink()  # the content stays as long as it is mapped, and goes even if the process is killed
    return pixels


def gathered(pixels: Pixels, rows: Rows) -> Pixels:
    """Return some rows as an array of their own, in a file where the pixels are in one."""
    if not isinstance(pixels, np.memmap):
        return pixels[rows]
    found = mapped((len(rows), *pixels.shape[1:]), Path(str(pixels.filename)).parent, shared=False)
    step = max(1, BLOCK // pixels[0].nbytes)
    for start in range(0, len(rows), step):
        found[start : start + step] = pixels[rows[start : start + step]]
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where pixels lie: what goes to another process in their stead.

    Attributes:
        path: The file.
        shape: Of the pixels, which begin where the file does.
    """

    path: str
    shape: tuple[int, ...]

    def opened(self) -> Pixels:
        """Return the pixels, read-only."""
        return np.memmap(self.path, dtype=np.uint8, mode="r", shape=self.shape)


def place_of(pixels: Pixels) -> Place | None:
    """Return where the pixels lie, None for those in memory."""
    return Place(path=str(pixels.filename), shape=pixels.shape) if isinstance(pixels, np.memmap) else None
