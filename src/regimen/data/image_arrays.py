"""Images that are in memory, as arrays or tensors, under the same rules as files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.data.images import Images, as_pixels
from regimen.data.naming import listed
from regimen.data.part_notes import notes_on_parts, require_rows
from regimen.data.row_weights_arrays import BesideArrays
from regimen.data.structure_reading import structure_of_values
from regimen.errors import DataError


def from_images(
    pixels: Any,
    y: Any,
    *,
    classes: Sequence[str] | None = None,
    name: str = "images",
    test: tuple[Any, ...] | None = None,
    group: Any = None,
    time: Any = None,
    sample_weight: Any = None,
) -> Images:
    """Make data of images in memory.

    Args:
        pixels: Array or tensor `[rows, height, width]` or `[rows, channels, height, width]`: whole numbers from 0 to
            255, or floats from 0 to 1, which are rounded to bytes.
        y: Labels `[rows]`: with `classes` their codes from 0 on, else whole numbers or text.
        classes: Label of each code; None takes the different values of `y` in their order.
        name: What the images are called in messages and reports.
        test: Pixels and labels of the test part, in the same form, and beside `sample_weight` their weights too; None
            draws it from the rows.
        group: Group of each image, `[rows]`; images of one group are never in two parts.
        time: Time of each image, `[rows]`, numbers or dates; what is scored is later than what is trained on.
        sample_weight: Weight of each image, `[rows]`, >= 0: how much it counts, in training and in every score.

    Raises:
        DataError: The arrays cannot be studied as they are.
        OptionError: Group or time are given beside each other or beside test, or weights of one part alone.

    Example:
        >>> draws = np.random.default_rng(1)
        >>> images = from_images(draws.random((30, 3, 8, 8)), ["cat", "dog"] * 15)
        >>> images.shape, images.classes, images.pixels.dtype
        ((3, 8, 8), ('cat', 'dog'), dtype('uint8'))
    """
    cells, notes = as_pixels(pixels, name)
    weighed = BesideArrays.of(sample_weight, len(cells), name)
    cells, y = weighed.kept(cells, y)
    codes, labels = _coded(y, None if classes is None else tuple(map(str, classes)), len(cells), name)
    require_rows(name, codes, labels, what="image")
    structure, said = structure_of_values(group, time, weighed.rows, name, given=["test"] if test is not None else [])
    structure = weighed.structure(structure)
    tested = None
    if test is not None:
        test = weighed.part(test, "test")
        more, further = as_pixels(test[0], f"{name}: test")
        if more.shape[1:] != cells.shape[1:]:
            raise DataError(
                f"{name}: expected test images of {list(cells.shape[1:])} as the others, got {list(more.shape[1:])}; "
                "resize them"
            )
        known = labels if classes is not None else None
        told, found = _coded(test[1], known, len(more), f"{name}: test")
        unseen = [label for label in found if label not in labels]
        if unseen:
            raise DataError(
                f"{name}: expected only classes of the other images in test ({listed(labels)}), got {listed(unseen)}; "
                "name them all in classes"
            )
        tested = np.arange(len(cells), len(cells) + len(more))
        cells, notes = np.concatenate([cells, more]), (*notes, *further)
        codes = np.concatenate([codes, np.array([labels.index(label) for label in found])[told]])
    images = Images(
        name=name,
        pixels=cells,
        y=codes,
        classes=labels,
        test_rows=tested,
        structure=structure,
        weights=weighed.weights(),
    )
    return replace(images, notes=(*notes, *weighed.notes, *said, *notes_on_parts(images)))


def _coded(
    y: Any, classes: tuple[str, ...] | None, rows: int, where: str
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the code of each row, int64, and the label of each code."""
    array = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    if array.shape != (rows,):
        raise DataError(f"{where}: expected one label for each of {rows} images, got {list(array.shape)}")
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array):
        array = array.astype(str)
    if array.dtype.kind not in "iubU":
        raise DataError(f"{where}: expected labels as whole numbers or text, got {array.dtype}; convert them")
    if classes is None:
        values, codes = np.unique(array, return_inverse=True)
        return codes.astype(np.int64), tuple(map(str, values.tolist()))
    if len(set(classes)) != len(classes):
        raise DataError(f"{where}: expected different classes, got {listed(classes)}; rename them")
    if array.dtype.kind == "U":
        raise DataError(f"{where}: expected codes of the given classes, got text; leave classes out")
    if array.min() < 0 or array.max() >= len(classes):
        raise DataError(
            f"{where}: expected codes from 0 to {len(classes) - 1}, one for each class, got {array.min()} to "
            f"{array.max()}; name all classes"
        )
    return array.astype(np.int64), classes
