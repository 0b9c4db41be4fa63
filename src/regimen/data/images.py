"""Images and their labels as they are studied: pixels as bytes, class codes, every decision about them in words."""

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.data.pixel_files import BLOCK, Pixels, Place, place_of
from regimen.data.row_weights import RowWeights
from regimen.data.structure import Structure
from regimen.data.tables import Rows, canonical_bytes, rows_of_no_part
from regimen.errors import DataError
from regimen.records import Task


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageFeatures:
    """Images to learn from or to predict, without labels.

    Attributes:
        name: What the images are called in messages and reports.
        pixels: uint8 `[rows, channels, height, width]`, 0 black and 255 full; read-only.
        row_names: Name of each image's file, for those who print rows; empty where there are no files.
        notes: Decisions taken about the user's images, in plain words.
    """

    name: str
    pixels: Pixels
    row_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Images(ImageFeatures):
    """Images with their labels; equal and hashed by content.

    Attributes:
        y: int64 class codes `[rows]`.
        classes: Label of each code.
        test_rows: Rows of the official test files, or of a given test folder, or None.
        validation_rows: Rows of a given validation folder, or None.
        structure: Groups or times of the rows, or None.
        weights: How much each row counts, or None where all count alike.
        digest: SHA-256 of the content as hex; neither the name nor the notes enter.

    Raises:
        DataError: The pixels are no bytes `[rows, channels, height, width]`, or the codes do not fit them.

    Example:
        >>> from regimen.data import from_images
        >>> images = from_images(np.zeros((40, 8, 8), dtype=np.uint8), [0, 1] * 20)
        >>> images.n, images.shape, images.classes
        (40, (1, 8, 8), ('0', '1'))
    """

    y: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    test_rows: Rows | None = None
    validation_rows: Rows | None = None
    structure: Structure | None = None
    weights: RowWeights | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or 0 in self.pixels.shape:
            raise DataError(
                f"{self.name}: expected pixels as bytes [rows, channels, height, width], got {self.pixels.dtype} "
                f"{list(self.pixels.shape)}; make them with from_images"
            )
        if self.y.shape != (self.n,) or self.y.min() < 0 or self.y.max() >= len(self.classes):
            raise DataError(
                f"{self.name}: expected one code below {len(self.classes)} for each of {self.n} images, got codes "
                f"{list(self.y.shape)} from {self.y.min()} to {self.y.max()}; make them with from_images"
            )
        parts = (self.test_rows, self.validation_rows)
        described = (self.task, self.target, self.classes, self.pixels.shape, [rows is None for rows in parts])
        digest = hashlib.sha256(msgspec.json.encode(described))
        self.pixels.setflags(write=False)
        step = max(1, BLOCK // self.pixels[0].nbytes)
        for start in range(0, self.n, step):
            digest.update(np.ascontiguousarray(self.pixels[start : start + step]).data)
        for array in (self.y, *parts):
            if array is not None:
                array.setflags(write=False)
                digest.update(canonical_bytes(array))
        if self.structure is not None:
            digest.update(self.structure.content)
        if self.weights is not None:
            digest.update(self.weights.content)
        object.__setattr__(self, "digest", digest.hexdigest())

    def __getstate__(self) -> list[Any]:
        # Pixels in a file are not copied into every process.
        values = [getattr(self, part.name) for part in fields(self)]
        return [place_of(value) or value if isinstance(value, np.ndarray) else value for value in values]

    def __setstate__(self, state: list[Any]) -> None:
        for part, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, part.name, value.opened() if isinstance(value, Place) else value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Images) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def task(self) -> Task:
        """What images are learnt for: their classes."""
        return "classification"

    @property
    def target(self) -> str:
        """What the classes are called, in the place of a column's name."""
        return "label"

    @property
    def drawn_rows(self) -> Rows:
        """Rows of the main files: those from which parts are drawn."""
        return rows_of_no_part(self.n, self.test_rows, self.validation_rows)


def as_pixels(values: Any, where: str) -> tuple[Pixels, tuple[str, ...]]:
    """Return images in memory as bytes `[rows, channels, height, width]`, and what was decided in words.

    Args:
        values: An array or tensor `[rows, height, width]` or `[rows, channels, height, width]`: whole numbers from 0 to
            255, booleans, or floats from 0 to 1.
        where: What they are called in messages.

    Raises:
        DataError: The shape or the values are others.

    Example:
        >>> as_pixels(np.array([[[0.0, 0.5, 1.0]]]), "ramp")[0].tolist()
        [[[[0, 128, 255]]]]
    """
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise DataError(
            f"{where}: expected images [rows, height, width] or [rows, channels, height, width], got "
            f"{list(array.shape)}; reshape them"
        )
    if array.ndim == 3:
        array = array[:, None]
    if array.shape[1] > 4 >= array.shape[3]:
        raise DataError(
            f"{where}: expected the channels before height and width, got {list(array.shape)}; "
            "move them with pixels.transpose(0, 3, 1, 2)"
        )
    notes: tuple[str, ...] = ()
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind not in "iuf":
        raise DataError(f"{where}: expected pixels as numbers, got elements of type {array.dtype}; convert them")
    elif array.dtype != np.uint8:
        top = 1 if array.dtype.kind == "f" else 255
        if not (array.min() >= 0 and array.max() <= top):
            raise DataError(
                f"{where}: expected pixels as bytes from 0 to 255 or as floats from 0 to 1, got {array.dtype} from "
                f"{array.min()} to {array.max()}; undo the scaling, the recipe's input_scaling does its own"
            )
        if array.dtype.kind == "f":
            notes = (f"{where}: pixels are kept as bytes, each rounded to the nearest of 256 steps",)
            array = np.rint(array * 255)
    # A copy, which later changes of the caller's array cannot reach.
    return np.array(array, dtype=np.uint8, order="C"), notes
