"""MNIST and CIFAR-10 as the experiments take them: read once, and small parts of them for the comparisons."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from regimen.data import Images, Split, from_images, hold_out, load

# Rows are drawn, not taken from the front: the files are not shuffled the same way everywhere.
DRAW_SEED = 2026


@lru_cache(maxsize=2)
def images_of(name: str) -> Images:
    """Return a known data set, read once a process.

    Raises:
        DataError: It is neither on this machine nor can it be had.
    """
    data = load(name)
    if not isinstance(data, Images):
        raise TypeError(f"{name} holds no images")
    return data


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """Images as plain PyTorch takes them, 0..1, float32 `[rows, channels, height, width]`, and their classes."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def pixels_of(name: str, *, train: int | None = None, test: int | None = None) -> Pixels:
    """Return the official training and test images as tensors, the first `train` and `test` of them."""
    data = images_of(name)
    parts = hold_out(data)
    rows, test_rows = parts.development[:train], parts.test[:test]
    return Pixels(
        x=_tensor(data, rows),
        y=torch.from_numpy(data.y[rows]),
        test_x=_tensor(data, test_rows),
        test_y=torch.from_numpy(data.y[test_rows]),
    )


def _tensor(data: Images, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(data.pixels[rows]).float().div_(255.0)


@lru_cache(maxsize=4)
def part_of(name: str, *, train: int | None, test: int | None) -> Images:
    """Return a random part of a data set, the same every time: training images and official test images.

    Args:
        name: Of the data set.
        train: How many training images; None for all.
        test: How many test images; None for all.
    """
    data = images_of(name)
    parts = hold_out(data)
    rows = _drawn(parts.development, train)
    test_rows = _drawn(parts.test, test)
    return from_images(
        data.pixels[rows],
        data.y[rows],
        classes=data.classes,
        name=f"{name}, {len(rows):,} images",
        test=(data.pixels[test_rows], data.y[test_rows]),
    )


def _drawn(rows: np.ndarray, count: int | None) -> np.ndarray:
    return rows if count is None else np.random.default_rng(DRAW_SEED).permutation(rows)[:count]


def watched(data: Images) -> Split:
    """Return the split that trains on all training images and follows the test images; nothing is chosen by them."""
    parts = hold_out(data)
    return Split(train=parts.development, validation=parts.test, test=np.empty(0, dtype=np.int64))
