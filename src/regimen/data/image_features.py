"""Images to predict: the images of a folder, of one file, of an IDX file or of a known name, as a model takes them."""

from pathlib import Path

from regimen.data.cifar_files import has_batches
from regimen.data.idx_files import idx_in, is_idx, read_idx_images
from regimen.data.image_decoding import EXTENSIONS, resized
from regimen.data.image_folders import image_files, read_images
from regimen.data.image_loading import load_images
from regimen.data.image_preparation import ImagePreparation
from regimen.data.images import ImageFeatures
from regimen.data.known_images import KNOWN
from regimen.data.pixel_files import Pixels
from regimen.errors import DataError


def read_image_features(source: str, preparation: ImagePreparation) -> ImageFeatures:
    """Read images to predict, with or without labels; those of another size or colours are changed, and a note says so.

    Args:
        source: A folder, of which all images are read, those in folders below too; one image; an IDX file; a folder
            with IDX files or batches of CIFAR-10; or a known name.
        preparation: Of the saved model; it holds the size and the colours.

    Raises:
        DataError: There is no image that can be read.
    """
    channels, height, width = preparation.inputs
    if channels not in (1, 3):
        raise DataError(f"{source}: expected a model of grey or RGB images, got one of {channels} channels; use Python")
    path = Path(source).expanduser()
    if source not in KNOWN and not path.exists():
        raise DataError(f"{source}: expected a folder of images or a file, got none there; check the path")
    if source in KNOWN or (path.is_dir() and (has_batches(path) or idx_in(path) is not None)):
        images = load_images(source)
        return _fitting(images.name, images.pixels, images.notes, preparation)
    if path.is_file() and path.suffix.lower() not in EXTENSIONS:
        if not is_idx(path):
            raise DataError(f"{source}: expected an image ({', '.join(EXTENSIONS)}) or an IDX file, got another kind")
        return _fitting(path.name, read_idx_images(path), (), preparation)
    folder = path if path.is_dir() else path.parent
    files = image_files(path) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{source}: expected images ({', '.join(EXTENSIONS)}) in the folder, got none; check the path")
    read = read_images(files, folder, image_size=(height, width), channels=channels)
    return ImageFeatures(
        name=path.resolve().name,
        pixels=read.pixels,
        row_names=tuple(str(files[index].relative_to(folder)) for index in read.kept),
        notes=read.notes,
    )


def _fitting(name: str, pixels: Pixels, notes: tuple[str, ...], preparation: ImagePreparation) -> ImageFeatures:
    channels, height, width = preparation.inputs
    found = resized(pixels, channels, (height, width))
    if found is not pixels:
        notes += (
            f"the images were resized from {list(pixels.shape[1:])} to {list(preparation.inputs)} (channels, height, "
            "width), cropped in the middle where proportions differ",
        )
    return ImageFeatures(name=name, pixels=found, notes=notes)
