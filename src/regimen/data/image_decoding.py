"""One image file to bytes: what Pillow reads, upright, in the wanted colours and size."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from regimen.data.pixel_files import Pixels
from regimen.errors import DataError

# Height and width.
Size = tuple[int, int]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
# What Pillow raises on damaged files of these formats.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
# A few kilobytes can unpack to gigabytes. Here Pillow warns by default, which a program can switch off for all that it
# runs, so this is compared too; no camera is near it.
LARGEST = 89_478_485
_ORIENTATION = 0x0112
# Exif 2.32, table 6: what undoes each orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "LA", "La")


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a file says of its image before it is decoded.

    Attributes:
        path: The file.
        size: Height and width, upright.
        grey: Whether it has no colours.
        transparent: Whether it has an alpha channel or a transparent colour.
        orientation: Exif number of how the camera was held; 1 is upright.
    """

    path: Path
    size: Size
    grey: bool
    transparent: bool
    orientation: int = 1


def read_header(path: Path) -> Header:
    """Return what a file says of its image.

    Not to be called by several threads at once, because it silences warnings.

    Raises:
        DataError: The image would have more than 89 million pixels, or than the program allows Pillow.
        OSError: Or another of `DAMAGED`: the file cannot be read.
    """
    limit = min(LARGEST, Image.MAX_IMAGE_PIXELS or LARGEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > limit:
                    raise Image.DecompressionBombError
                # Where the file says nothing, Pillow would decode all of a PNG to find that out.
                orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info else 1
                palette = image.getpalette() if image.mode == "P" else None
                grey = image.mode in _GREY or (palette is not None and palette[::3] == palette[1::3] == palette[2::3])
                transparent = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise DataError(
                f"{path}: expected an image of at most {limit:,} pixels, got a larger one, which could exhaust the "
                "memory; shrink it or take it out of the folder"
            ) from error
    if orientation not in _UPRIGHT:
        orientation = 1
    size = (width, height) if orientation >= 5 else (height, width)
    return Header(path=path, size=size, grey=grey, transparent=transparent, orientation=orientation)


def decode(header: Header, channels: int, size: Size) -> Pixels:
    """Return the image, uint8 `[channels, height, width]`; of an animation the first picture.

    Transparent pixels lie on white; 16 bits become 8; other sizes are scaled until they cover the wanted one, with
    antialiasing, and cropped in the middle.

    Raises:
        OSError: Or another of `DAMAGED`: the file cannot be read to its end.
    """
    with Image.open(header.path, formats=_FORMATS) as opened:
        if header.size != size:
            # JPEG unpacks to half, a quarter or an eighth in a fraction of the time; twice the wanted size is left.
            side = 2 * max(size)
            opened.draft(opened.mode, (side, side))
        image = _in_colours(opened, channels, transparent=header.transparent)
    if header.orientation != 1:
        image = image.transpose(_UPRIGHT[header.orientation])
    pixels = np.asarray(fitted(image, size))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def fitted(image: Image.Image, size: Size) -> Image.Image:
    """Return the middle of the image in the wanted size: as much as has its proportions, scaled with antialiasing.

    Args:
        image: Grey or RGB, 8 bits a channel.
        size: Height and width.

    Example:
        >>> fitted(Image.new("L", (30, 10), 7), (5, 5)).size
        (5, 5)
    """
    height, width = size
    if (image.height, image.width) == size:
        return image
    scale = min(image.height / height, image.width / width)
    # Limited, because rounding would put a box that is as wide as the image just outside of it.
    left, top = max(0.0, (image.width - scale * width) / 2), max(0.0, (image.height - scale * height) / 2)
    box = (left, top, min(image.width, left + scale * width), min(image.height, top + scale * height))
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def resized(pixels: Pixels, channels: int, size: Size) -> Pixels:
    """Return images in memory in other colours and another size, as `decode` does with files.

    Args:
        pixels: uint8 `[rows, 1 or 3, height, width]`.
        channels: 1 or 3.
        size: Height and width.

    Example:
        >>> resized(np.full((2, 1, 4, 4), 9, dtype=np.uint8), 3, (2, 2)).shape
        (2, 3, 2, 2)
    """
    if (pixels.shape[1], *pixels.shape[2:]) == (channels, *size):
        return pixels
    found = np.empty((len(pixels), channels, *size), dtype=np.uint8)
    for row, image in enumerate(pixels):
        picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        picture = fitted(picture.convert("L" if channels == 1 else "RGB"), size)
        cells = np.asarray(picture)
        found[row] = cells[None] if channels == 1 else cells.transpose(2, 0, 1)
    return found


def _in_colours(image: Image.Image, channels: int, *, transparent: bool) -> Image.Image:
    wanted = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I"):
        # 16 bits: 65,535 is 255, and each value goes to the nearest byte.
        deep = np.asarray(image).astype(np.int64).clip(0, 65_535)
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    elif transparent:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
        image = image.convert("RGB")
    return image.convert(wanted) if image.mode != wanted else image.copy()
