"""The image data sets that are known by name: where their files are looked for, and what is downloaded."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from regimen.data.cifar_files import CLASSES, TEST, TRAINING, has_batches, read_batches
from regimen.data.downloads import Remote, fetch, remotes
from regimen.data.idx_files import idx_in, read_idx
from regimen.data.image_source import ImageSource
from regimen.data.pixel_files import cache_folder
from regimen.errors import DataError

# The folder of one's own copies of data sets; each in the folder named here.
VARIABLE = "REGIMEN_DATA"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownImages:
    """One data set.

    Attributes:
        name: As the user writes it.
        folders: Where its files lie below a folder of data sets, the usual place first.
        files: The files that are read, as they are called in that place.
        classes: Label of each code.
        remotes: What is downloaded: the files, or one archive with them.
        batches: The files are CIFAR-10's, else IDX.
    """

    name: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    classes: tuple[str, ...]
    remotes: tuple[Remote, ...]
    batches: bool = False

    def begun_in(self, folder: Path) -> bool:
        """Tell whether files to train on lie in the folder."""
        return folder.is_dir() and (has_batches(folder) if self.batches else idx_in(folder) is not None)

    def complete_in(self, folder: Path) -> bool:
        """Tell whether all files lie in the folder, compressed or not."""
        return all((folder / name).is_file() or (folder / name.removesuffix(".gz")).is_file() for name in self.files)

    def read(self, folder: Path) -> ImageSource:
        """Read the files in a folder.

        Raises:
            DataError: They are damaged, or one is missing that others need.
        """
        if self.batches:
            return read_batches(folder, name=self.name, where=self.name)
        images = idx_in(folder)
        if images is None:
            raise DataError(f"{self.name}: expected {self.files[0]} in {folder}, got none; put it there")
        source = read_idx(images, classes=self.classes, name=self.name, where=self.name)
        if source.tested:
            return source
        return replace(source, notes=(f"{folder} has no test images: the test part is drawn from the others",))

    def download(self, folder: Path) -> None:
        """Download the files into a folder.

        Raises:
            DataError: No mirror gives them; the message says where to put them.
        """
        try:
            for remote in self.remotes:
                path = fetch(remote, folder)
                if tarfile.is_tarfile(path):
                    _unpack(path, folder, self.files)
        except DataError as error:
            own = os.environ.get(VARIABLE)
            archive = [remote.name for remote in self.remotes if remote.name not in self.files]
            files = " or ".join([", ".join(self.files), *archive])
            elsewhere = f" or {Path(own) / self.folders[0]}" if own else f" (or below a folder named in {VARIABLE})"
            raise DataError(
                f"{self.name}: expected its files in {folder}{elsewhere}, got none, and they cannot be downloaded "
                f"({error}); put {files} there, or connect to the network and try again"
            ) from error


def read_known(name: str) -> ImageSource:
    """Read a data set by name: the user's own copy, that in the cache, or a new download into the cache.

    Where some files to train on are there and the others cannot be downloaded, a note says what is missing.

    Raises:
        DataError: Its files are damaged, or nowhere to be found.
    """
    known = KNOWN[name]
    own = os.environ.get(VARIABLE)
    if own:
        for folder in (Path(own).expanduser() / place for place in known.folders):
            if known.begun_in(folder):
                return known.read(folder)
    folder = cache_folder() / known.folders[0]
    if not known.complete_in(folder):
        try:
            known.download(folder)
        except DataError:
            if not known.begun_in(folder):
                raise
    return known.read(folder)


def _unpack(archive: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Write the named files of an archive into a folder, whatever their place in it; then remove the archive.

    Raises:
        DataError: One is missing, or cannot be written.
    """
    try:
        with tarfile.open(archive) as packed:
            for member in _wanted(packed, names):
                file = packed.extractfile(member)
                assert file is not None  # _wanted yields regular files
                draft = folder / f"{Path(member.name).name}.part"
                draft.write_bytes(file.read())
                draft.replace(folder / Path(member.name).name)
        archive.unlink()
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{archive} cannot be unpacked: {error}") from error


def _wanted(packed: tarfile.TarFile, names: tuple[str, ...]) -> Iterator[tarfile.TarInfo]:
    found = {Path(member.name).name: member for member in packed.getmembers() if member.isreg()}
    for name in names:
        if name not in found:
            raise DataError(f"expected {name} in the archive, got {', '.join(sorted(found)) or 'nothing'}")
        yield found[name]


_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
_FASHION = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)
_CLOTHES = (
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
)

KNOWN = {
    known.name: known
    for known in (
        # LeCun, Cortes, Burges (1998), "The MNIST database of handwritten digits"
        KnownImages(
            name="mnist",
            folders=("mnist", "MNIST/raw"),
            files=_IDX,
            classes=tuple(map(str, range(10))),
            remotes=remotes(
                [(name, f"sha256:{digest}") for name, digest in zip(_IDX, _MNIST, strict=True)],
                (
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                ),
            ),
        ),
        # Xiao, Rasul, Vollgraf (2017), "Fashion-MNIST", arXiv:1708.07747
        KnownImages(
            name="fashion-mnist",
            folders=("fashion-mnist", "FashionMNIST/raw"),
            files=_IDX,
            classes=_CLOTHES,
            remotes=remotes(
                [(name, f"sha256:{digest}") for name, digest in zip(_IDX, _FASHION, strict=True)],
                (
                    "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                ),
            ),
        ),
        # Krizhevsky (2009), "Learning multiple layers of features from tiny images"
        KnownImages(
            name="cifar10",
            folders=("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "cifar10"),
            files=(*TRAINING, TEST),
            classes=CLASSES,
            remotes=(
                Remote(
                    name="cifar-10-binary.tar.gz",
                    mirrors=(
                        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
                        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",
                    ),
                    known_hash="md5:c32a1d4ab5d03f1284b67883e8d87530",
                ),
            ),
            batches=True,
        ),
    )
}
