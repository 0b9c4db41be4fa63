"""What was read of images, before any decision about parts: training rows first, then those of other files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.data.naming import listed
from regimen.data.pixel_files import Pixels
from regimen.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSource:
    """Images of one source with their labels.

    Attributes:
        name: For reports: the known name, or that of the file or folder.
        where: For messages: the same, or the path as given.
        pixels: uint8 `[rows, channels, height, width]`.
        y: int64 codes `[rows]`.
        classes: Label of each code.
        tested: How many rows after those of training came from test files.
        validated: How many rows after those came from validation files.
        row_names: Name of each row's file, or empty.
        notes: What was decided while reading, in words.
    """

    name: str
    where: str
    pixels: Pixels
    y: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    tested: int = 0
    validated: int = 0
    row_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def main(self) -> int:
        """Number of rows that are for training."""
        return len(self.pixels) - self.tested - self.validated


def joined(parts: Sequence[Pixels], where: str) -> Pixels:
    """Return images of several files below each other.

    Raises:
        DataError: Their sizes differ.
    """
    if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
        raise DataError(
            f"{where}: expected images of one size, got {' and '.join(str(list(part.shape[1:])) for part in parts)} "
            "(channels, height, width); keep those of one size together"
        )
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def coded_as(
    labels: npt.NDArray[np.int64], known: tuple[str, ...], classes: tuple[str, ...], where: str
) -> npt.NDArray[np.int64]:
    """Return codes of one source in those of another.

    Args:
        labels: Codes, indices into `known`.
        known: Their labels.
        classes: The labels of the main source.
        where: What the source is called in messages.

    Raises:
        DataError: The main source lacks a class.
    """
    unseen = [known[code] for code in np.unique(labels).tolist() if known[code] not in classes]
    if unseen:
        raise DataError(
            f"{where}: expected only classes of the training images ({listed(classes)}), got {listed(unseen)}; leave "
            "those images out or add such images to the training part"
        )
    place = np.array([classes.index(label) if label in classes else -1 for label in known], dtype=np.int64)
    return place[labels]
