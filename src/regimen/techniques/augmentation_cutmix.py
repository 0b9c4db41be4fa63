"""CutMix: a rectangle of another picture in each picture, and the targets mixed by area."""

import torch
from scipy.special import betaincinv
from torch import Tensor

from regimen.streams import Purpose, counter3, philox, sort_keys, uniform

# Mixup has calls 0 and 1 of the same purpose: a recipe may use both.
WEIGHT_CALL, PARTNERS_CALL, PLACE_CALL = 2, 3, 4


def cutmix(x: Tensor, *, key: int, alpha: float, step: int) -> tuple[Tensor, Tensor, float]:
    """Return the batch with a rectangle of each picture's partner pasted in, the partners, and the share kept.

    λ ~ Beta(alpha, alpha); the rectangle has sides H · sqrt(1 - λ) and W · sqrt(1 - λ) in whole pixels, its centre is
    uniform, and what lies outside of the picture is cut off; the share kept is then 1 - area / (H · W). The loss is
    share · loss(own targets) + (1 - share) · loss(partners' targets). One rectangle serves the whole batch.

    Args:
        x: float32 `[n, C, H, W]`.
        key: 64-bit run key.
        alpha: Shape of the Beta distribution, > 0; the paper uses 1.
        step: Optimizer step.

    Returns:
        The mixed batch, the partners (a permutation, int64 `[n]`), and the share of its own pixels in each picture.

    Reference:
        Yun, Han, Oh, Chun, Choe and Yoo (2019), "CutMix", arXiv:1905.04899, equations 1 and 2.

    Example:
        >>> mixed, partners, share = cutmix(torch.zeros(4, 1, 8, 8), key=1, alpha=1.0, step=0)
        >>> mixed.shape, 0.0 <= share <= 1.0
        (torch.Size([4, 1, 8, 8]), True)
    """
    partners = torch.argsort(
        sort_keys(key, len(x), c2=step, c3=counter3(Purpose.MIXUP, call=PARTNERS_CALL)), stable=True
    )
    word = philox(key, 0, 0, step, counter3(Purpose.MIXUP, call=WEIGHT_CALL))[0]
    # The middle of each of the 2^24 cells: never exactly 0 or 1.
    weight = float(betaincinv(alpha, alpha, float(uniform(word)) + 2.0**-25))
    down, across, _, _ = philox(key, 0, 0, step, counter3(Purpose.MIXUP, call=PLACE_CALL))
    top, bottom = _side(x.shape[2], weight, float(uniform(down)))
    left, right = _side(x.shape[3], weight, float(uniform(across)))
    mixed = x.clone()
    mixed[:, :, top:bottom, left:right] = x[partners, :, top:bottom, left:right]
    return mixed, partners, 1.0 - (bottom - top) * (right - left) / (x.shape[2] * x.shape[3])


def _side(pixels: int, weight: float, place: float) -> tuple[int, int]:
    """Return where the rectangle begins and ends along one side."""
    length = int(pixels * (1.0 - weight) ** 0.5)
    start = int(place * pixels) - length // 2
    return max(start, 0), min(start + length, pixels)
