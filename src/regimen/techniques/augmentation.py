"""Data augmentation on whole batches: a list of operations, each with its own random numbers for every picture."""

from collections.abc import Sequence

import torch
from torch import Tensor

from regimen.errors import OptionError
from regimen.techniques.augmentation_erasing import Cutout, Erasing, PixelNoise
from regimen.techniques.augmentation_geometry import Affine, HorizontalFlip, Rotation, VerticalFlip
from regimen.techniques.augmentation_operation import Augmentation, Draws, Shape, fill_of
from regimen.techniques.augmentation_windows import CenterCrop, RandomCrop, RandomResizedCrop, Resize

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    kind.name: kind
    for kind in (
        Resize,
        CenterCrop,
        RandomCrop,
        RandomResizedCrop,
        HorizontalFlip,
        VerticalFlip,
        Rotation,
        Affine,
        Erasing,
        Cutout,
        PixelNoise,
    )
}


def augment(
    x: Tensor,
    operations: Sequence[Augmentation],
    *,
    key: int,
    rows: Tensor,
    epoch: int,
    fill: Tensor | Sequence[float],
) -> Tensor:
    """Return the pictures after all `operations`, in their order; for training only, test pictures stay as they are.

    What happens to a picture depends on the key, its data row, the epoch and the place of the operation in the list,
    not on the batch that it comes in: counter c1 = row, c2 = epoch, call = place of the operation.

    Args:
        x: Scaled inputs, float32 `[n, C, H, W]`.
        operations: What is done, first to last.
        key: 64-bit run key.
        rows: Data row number of each picture, int64 `[n]`.
        epoch: Counted from 0.
        fill: What lies outside of a picture, one value a channel: black, after scaling.

    Returns:
        float32 `[n, C, H', W']`, see `output_shape`, channels last in memory if `x` is.

    Raises:
        OptionError: `x` is no batch of pictures, or `rows` or `fill` do not fit it, or a crop is too large for it.

    Example:
        >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> augment(x, [HorizontalFlip(p=1.0)], key=1, rows=torch.tensor([0]), epoch=0, fill=[0.0]).tolist()
        [[[[1.0, 0.0], [3.0, 2.0]]]]
    """
    if x.dim() != 4 or x.dtype != torch.float32:
        raise OptionError(f"augment: expected float32 [n, channels, height, width], got {x.dtype} {list(x.shape)}")
    if rows.shape != x.shape[:1] or rows.dtype != torch.int64:
        raise OptionError(
            f"augment: expected int64 rows [{len(x)}], one a picture, got {rows.dtype} {list(rows.shape)}"
        )
    border = fill_of(fill, x.shape[1])
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    for call, operation in enumerate(operations):
        x = operation.apply(x, Draws(key=key, rows=rows, epoch=epoch, call=call), border)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x.contiguous()


def output_shape(operations: Sequence[Augmentation], shape: Shape) -> Shape:
    """Return the (channels, height, width) of pictures of `shape` after all operations.

    Raises:
        OptionError: A crop is larger than what it is taken from.

    Example:
        >>> output_shape([Resize(size=34), CenterCrop(size=28)], (1, 28, 28))
        (1, 28, 28)
    """
    for operation in operations:
        shape = operation.output_shape(shape)
    return shape
