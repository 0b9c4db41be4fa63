"""Reads the binary batches of CIFAR-10: records of one label byte and 3 x 32 x 32 pixel bytes."""

from pathlib import Path

import numpy as np

from regimen.data.image_source import ImageSource, joined
from regimen.data.naming import listed
from regimen.data.pixel_files import Pixels
from regimen.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINING = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
_SHAPE = (3, 32, 32)
# Krizhevsky (2009), "Learning multiple layers of features from tiny images": label, then red, green and blue.
_RECORD = 1 + 3 * 32 * 32


def has_batches(folder: Path) -> bool:
    """Tell whether a folder holds at least one batch to train on."""
    return any((folder / name).is_file() for name in TRAINING)


def read_batches(folder: Path, *, name: str = "cifar10", where: str = "") -> ImageSource:
    """Read the training batches that are there, and the test batch.

    Args:
        folder: `cifar-10-batches-bin`.
        name: For reports.
        where: For messages; the path if empty.

    Raises:
        DataError: There is no batch, or one is cut off or no batch at all.
    """
    where = where or str(folder)
    found = [folder / batch for batch in TRAINING if (folder / batch).is_file()]
    if not found:
        raise DataError(f"{where}: expected {listed(TRAINING)} in {folder}, got none of them; put them there")
    test = folder / TEST
    files = [*found, test] if test.is_file() else found
    notes = []
    absent = [batch for batch in TRAINING if folder / batch not in found]
    if absent:
        notes.append(f"{folder} has {len(found)} of 5 batches of CIFAR-10 to train on: {listed(absent)} is not there")
    if files[-1] != test:
        notes.append(f"{folder} has no {TEST}: the test part is drawn from the others")
    read = [_records(path) for path in files]
    labels = np.concatenate([records[:, 0] for records in read])
    return ImageSource(
        name=name,
        where=where,
        pixels=joined([_pixels(records) for records in read], where),
        y=labels.astype(np.int64),
        classes=CLASSES,
        tested=len(read[-1]) if files[-1] == test else 0,
        notes=tuple(notes),
    )


def _pixels(records: Pixels) -> Pixels:
    return records[:, 1:].reshape(-1, *_SHAPE)


def _records(path: Path) -> Pixels:
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: expected a readable file: {error.strerror}; check its permissions") from error
    if not len(content) or len(content) % _RECORD:
        raise DataError(
            f"{path}: expected records of {_RECORD:,} bytes (a label and 3 x 32 x 32 pixels), got {len(content):,} "
            "bytes, no multiple; the file is cut off or none of CIFAR-10, get it again"
        )
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise DataError(
            f"{path}: expected labels from 0 to 9, got {records[:, 0].max()} in record "
            f"{int(records[:, 0].argmax()) + 1}; it is no batch of CIFAR-10, or damaged"
        )
    return records
