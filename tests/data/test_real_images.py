"""The image data sets of the posts: found by name, byte for byte what was published, in the official parts."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from regimen.data import ImagePreparation, hold_out, load
from regimen.data.known_images import KNOWN

FOLDER = os.environ.get("REGIMEN_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="REGIMEN_DATA names no folder with image data sets")


def beside(*names: str) -> Path:
    """Return a path in the folder of data sets, or skip where it is absent."""
    path = Path(FOLDER or "").joinpath(*names)
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_hashes_that_downloads_are_checked_by_are_those_of_the_files(name: str) -> None:
    for file in KNOWN[name].remotes:
        content = beside(name, file.name).read_bytes()
        assert file.known_hash == f"sha256:{hashlib.sha256(content).hexdigest()}"


# Mean and standard deviation of the training pixels as published for years: PyTorch's MNIST example has the first.
@pytest.mark.parametrize(
    ("name", "mean", "deviation", "shirts"),
    [("mnist", 0.1307, 0.3081, "6"), ("fashion-mnist", 0.2860, 0.3530, "shirt")],
)
def test_the_two_mnists_are_whole_and_scaled_as_published(
    name: str, mean: float, deviation: float, shirts: str
) -> None:
    beside(name)
    images = load(name)
    parts = hold_out(images)
    assert (images.shape, len(parts.development), len(parts.test)) == ((1, 28, 28), 60_000, 10_000)
    assert parts.test.tolist() == list(range(60_000, 70_000))
    assert np.bincount(images.y[parts.test]).sum() == 10_000
    assert images.classes[6] == shirts
    preparation = ImagePreparation.fit(images, parts.development)
    assert (round(preparation.center[0], 4), round(preparation.scale[0], 4)) == (mean, deviation)


def test_the_first_digits_of_mnist_are_the_known_ones() -> None:
    beside("mnist")
    images = load("mnist")
    assert images.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert images.y[60_000:60_005].tolist() == [7, 2, 1, 0, 4]


def test_a_part_of_cifar_is_used_and_said_to_be_one() -> None:
    folder = beside("cifar10", "cifar-10-batches-bin")
    images = load("cifar10")
    batches = len(list(folder.glob("data_batch_*.bin")))
    assert images.n == 10_000 * (batches + 1)
    assert any(f"has {batches} of 5 batches" in note for note in images.notes) == (batches < 5)
    assert (np.bincount(images.y[hold_out(images).test]) == 1000).all()


def test_folders_of_pictures_hold_what_they_are_said_to_hold() -> None:
    images = load(str(beside("images", "cifar10-png")))
    assert (images.n, images.shape, len(hold_out(images).test)) == (1200, (3, 32, 32), 200)
    assert images.classes == KNOWN["cifar10"].classes
    signs = load(str(beside("images", "sign-digits")), image_size=20)
    assert (signs.n, signs.shape, signs.classes) == (600, (3, 20, 20), tuple("0123456789"))
