"""The image data sets that are known by name: where their files are looked for, and how they are read."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from regimen.data.cifar_files import CLASSES, has_batches, read_batches
from regimen.data.idx_files import idx_in, read_idx
from regimen.data.image_source import ImageSource
from regimen.errors import DataError

# The folder of one's own copies of data sets; each in the folder named here.
VARIABLE = "REGIMEN_DATA"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownImages:
    """One data set.

    Attributes:
        name: As the user writes it.
        folders: Where its files lie below the folder of data sets, the usual place first.
        classes: Label of each code.
        batches: The files are CIFAR-10's, else IDX.
    """

    name: str
    folders: tuple[str, ...]
    classes: tuple[str, ...]
    batches: bool = False

    def in_folder(self, folder: Path) -> bool:
        """Tell whether its training files lie in the folder."""
        if not folder.is_dir():
            return False
        return has_batches(folder) if self.batches else idx_in(folder) is not None

    def read(self, folder: Path) -> ImageSource:
        """Read its files from a folder.

        Raises:
            DataError: They are not there, or damaged.
        """
        if self.batches:
            return read_batches(folder, name=self.name, where=self.name)
        images = idx_in(folder) or folder / "train-images-idx3-ubyte"
        return read_idx(images, classes=self.classes, name=self.name, where=self.name)


KNOWN = {
    known.name: known
    for known in (
        KnownImages(name="mnist", folders=("mnist", "MNIST/raw"), classes=tuple(map(str, range(10)))),
        KnownImages(
            name="fashion-mnist",
            folders=("fashion-mnist", "FashionMNIST/raw"),
            classes=(
                "T-shirt/top",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ),
        ),
        KnownImages(
            name="cifar10",
            folders=("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "cifar10"),
            classes=CLASSES,
            batches=True,
        ),
    )
}


def roots() -> Iterator[Path]:
    """Yield the folders that may hold data sets: that of `REGIMEN_DATA`, then the user's cache."""
    import pooch  # type: ignore[import-untyped]

    if os.environ.get(VARIABLE):
        yield Path(os.environ[VARIABLE]).expanduser()
    yield Path(pooch.os_cache("regimen"))


def read_known(name: str) -> ImageSource:
    """Read a data set by name.

    Raises:
        DataError: Its files are damaged, or nowhere to be found.
    """
    known = KNOWN[name]
    for root in roots():
        for folder in known.folders:
            if known.in_folder(root / folder):
                return known.read(root / folder)
    raise DataError(f"{name}: expected its files in a folder {known.folders[0]} below that in {VARIABLE}, got none")
