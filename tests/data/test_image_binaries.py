"""IDX files and CIFAR-10 batches are read whole, with what lies beside them, and refused where they are damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regimen.data import hold_out, load
from regimen.data.idx_files import read_idx_images
from regimen.errors import DataError

DRAWS = np.random.default_rng(4)
PIXELS = DRAWS.integers(0, 256, (40, 5, 4)).astype(np.uint8)
LABELS = (np.arange(40) % 3).astype(np.uint8)
IMAGES, TOLD = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array: np.ndarray) -> bytes:
    """Return an array of bytes as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def put(folder: Path, files: dict[str, bytes]) -> str:
    """Write the files and return the path of the first."""
    for name, content in files.items():
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(folder / next(iter(files)))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES, TOLD),
        (f"{IMAGES}.gz", f"{TOLD}.gz"),
        (IMAGES, f"{TOLD}.gz"),
        (f"{IMAGES}.gz", TOLD),
        ("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
    ],
)
def test_idx_images_are_read_with_the_labels_beside_them(images: str, labels: str, tmp_path: Path) -> None:
    found = load(put(tmp_path, {images: idx(PIXELS), labels: idx(LABELS + 4)}))
    np.testing.assert_array_equal(found.pixels[:, 0], PIXELS)
    assert (found.classes, found.y.tolist()) == (("4", "5", "6"), LABELS.tolist())
    assert found.test_rows is None


@pytest.mark.parametrize("other", ["t10k", "test"])
def test_test_images_beside_training_images_are_the_test_part(other: str, tmp_path: Path) -> None:
    files = {IMAGES: idx(PIXELS), TOLD: idx(LABELS)}
    more = {name.replace("train", other): idx(array[:9]) for name, array in ((IMAGES, 255 - PIXELS), (TOLD, LABELS))}
    path = put(tmp_path, files | more)
    for source in (path, str(tmp_path)):
        found = load(source)
        assert hold_out(found).test.tolist() == list(range(40, 49))
        np.testing.assert_array_equal(found.pixels[40:, 0], 255 - PIXELS[:9])
        assert f"{other}-images-idx3-ubyte, beside {IMAGES}, are the test part" in found.notes[0]
    given_ = load(path, test=str(tmp_path / f"{other}-images-idx3-ubyte"), validation=path)
    assert (given_.test_rows is not None and given_.validation_rows is not None) and given_.n == 89


def damaged(content: bytes) -> dict[str, bytes]:
    return {IMAGES: content, TOLD: idx(LABELS)}


REFUSED = {
    "cut off": (damaged(idx(PIXELS)[:-1]), "expected 40 x 5 x 4 bytes after the header, got fewer"),
    "cut off in the header": (damaged(idx(PIXELS)[:7]), "got fewer; the file is cut off"),
    "too long": (damaged(idx(PIXELS) + b"x"), "expected 40 x 5 x 4 bytes after the header, got more"),
    "another kind of number": (damaged(b"\0\0\x0d\x03" + idx(PIXELS)[4:]), "begins with 00 00 08, got 00 00 0d 03"),
    "empty": (damaged(b""), "got nothing"),
    "a promise of terabytes": (damaged(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**16, 2**16)), "got fewer"),
    "no images": (damaged(struct.pack(">HBB3I", 0, 8, 3, 0, 5, 4)), "expected 0 x 5 x 4 bytes"),
    "flat rows": (damaged(idx(PIXELS.reshape(40, 20))), r"got \[40, 20\]; flat rows are a table"),
    "no labels": ({IMAGES: idx(PIXELS)}, f"expected its labels beside it, got no file {TOLD} or {TOLD}.gz"),
    "a name without images": ({"digits": idx(PIXELS)}, "no file -labels- in its name"),
    "labels alone": ({TOLD: idx(LABELS)}, "got labels alone; name the file of images"),
    "labels that are images": ({IMAGES: idx(PIXELS), TOLD: idx(PIXELS)}, r"expected labels \[rows\], got \[40, 5, 4\]"),
    "too few labels": ({IMAGES: idx(PIXELS), TOLD: idx(LABELS[:39])}, "a label for each of 40 images .* got 39"),
    "a .gz that is cut off": ({f"{IMAGES}.gz": idx(PIXELS), TOLD: idx(LABELS)}, "damaged or cut off one"),
    "an unseen class": (
        {
            IMAGES: idx(PIXELS),
            TOLD: idx(LABELS),
            "t10k-images-idx3-ubyte": idx(PIXELS),
            "t10k-labels-idx1-ubyte": idx(LABELS + 1),
        },
        "only classes of the training images .* got '3'",
    ),
    "another size": (
        {
            IMAGES: idx(PIXELS),
            TOLD: idx(LABELS),
            "t10k-images-idx3-ubyte": idx(PIXELS[:, :4]),
            "t10k-labels-idx1-ubyte": idx(LABELS),
        },
        r"images of one size, got \[1, 5, 4\] and \[1, 4, 4\]",
    ),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_damaged_idx_files_are_refused_with_the_reason(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    path = put(tmp_path, files)
    if path.endswith(".gz"):
        Path(path).write_bytes(Path(path).read_bytes()[:-30])
    with pytest.raises(DataError, match=message):
        load(path)


def test_a_folder_with_two_training_files_asks_which(tmp_path: Path) -> None:
    put(tmp_path, {f"emnist-{kind}-train-images-idx3-ubyte": idx(PIXELS) for kind in ("letters", "digits")})
    with pytest.raises(DataError, match=r"got 'emnist-digits-.*', 'emnist-letters-.*'; name one"):
        load(str(tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 60), byte=st.integers(0, 255), cut=st.integers(0, 40), packed=st.booleans())
def test_no_damage_ends_in_anything_but_images_or_a_refusal(
    place: int, byte: int, cut: int, packed: bool, tmp_path: Path
) -> None:
    whole = idx(PIXELS[:3])
    content = bytearray(gzip.compress(whole, mtime=0) if packed else whole)
    content[place % len(content)] = byte
    path = tmp_path / "some-images-idx3-ubyte"
    path.write_bytes(content[: len(content) - cut])
    try:
        assert read_idx_images(path).dtype == np.uint8
    except DataError as error:
        assert str(path) in str(error)


def batch(rows: int, seed: int) -> bytes:
    """Return records of CIFAR-10."""
    records = np.random.default_rng(seed).integers(0, 256, (rows, 3073)).astype(np.uint8)
    records[:, 0] = np.arange(rows) % 10
    return records.tobytes()


def test_batches_that_are_there_are_used_and_the_others_named(tmp_path: Path) -> None:
    put(tmp_path, {"data_batch_1.bin": batch(60, 1), "data_batch_3.bin": batch(50, 2), "test_batch.bin": batch(20, 3)})
    found = load(str(tmp_path))
    assert (found.n, found.shape, found.classes[3]) == (130, (3, 32, 32), "cat")
    assert hold_out(found).test.tolist() == list(range(110, 130))
    assert found.y[[0, 59, 60, 110]].tolist() == [0, 9, 0, 0]
    records = np.frombuffer(batch(50, 2), dtype=np.uint8).reshape(50, 3073)
    np.testing.assert_array_equal(found.pixels[60:110].reshape(50, -1), records[:, 1:])
    assert "2 of 5 batches of CIFAR-10 to train on: 'data_batch_2.bin', 'data_batch_4.bin'" in found.notes[0]


def test_without_a_test_batch_the_test_part_is_drawn_and_that_is_said(tmp_path: Path) -> None:
    put(tmp_path, {f"data_batch_{number}.bin": batch(20, number) for number in range(1, 6)})
    found = load(str(tmp_path))
    assert found.test_rows is None
    assert "no test_batch.bin: the test part is drawn from the others" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch(30, 1)[:-1], "records of 3,073 bytes .* no multiple; the file is cut off"),
        (b"", "got 0 bytes"),
        (bytes([11]) + batch(30, 1)[1:], "labels from 0 to 9, got 11 in record 1"),
    ],
)
def test_damaged_batches_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    put(tmp_path, {"data_batch_1.bin": content})
    with pytest.raises(DataError, match=message):
        load(str(tmp_path))
