"""Mixup and input noise: what is done to a batch before the network sees it."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import betaincinv
from torch import Tensor

from regimen.streams import Purpose, counter3, normal, philox, sort_keys, uniform, words


def mixup_weights(key: int, alpha: float, *, step: int, steps: int) -> npt.NDArray[np.float64]:
    """Return λ ~ Beta(alpha, alpha) for consecutive optimizer steps by inverting the distribution function.

    Args:
        key: 64-bit run key.
        alpha: Shape, > 0; small values leave most batches nearly unmixed, 1 is uniform.
        step: First optimizer step.
        steps: How many steps.

    Returns:
        float64 `[steps]` in [0, 1].
    """
    c2 = torch.arange(step, step + steps, dtype=torch.int64)
    # The middle of each of the 2^24 cells: never exactly 0 or 1.
    u = uniform(philox(key, 0, 0, c2, counter3(Purpose.MIXUP))[0]) + 2.0**-25
    lam: npt.NDArray[np.float64] = betaincinv(alpha, alpha, u.numpy())
    return lam


def mixup_partners(key: int, rows: int, *, step: int) -> Tensor:
    """Return which row of the batch each row is mixed with: a permutation, int64 `[rows]`."""
    return torch.argsort(sort_keys(key, rows, c2=step, c3=counter3(Purpose.MIXUP, call=1)), stable=True)


def mix(inputs: Tensor, partners: Tensor, weight: float) -> Tensor:
    """Return weight · x + (1 - weight) · x[partners].

    Reference:
        Zhang, Cisse, Dauphin and Lopez-Paz (2018), "mixup: beyond empirical risk minimization", arXiv:1710.09412.
    """
    return torch.lerp(inputs[partners], inputs, weight)


def input_noise(key: int, scale: float, *, rows: int, features: int, step: int) -> Tensor:
    """Return Gaussian noise for one batch, float32 `[rows, features]`; added to the scaled inputs in training only.

    Args:
        key: 64-bit run key.
        scale: Standard deviation in units of the scaled inputs, > 0.
        rows: Rows of the batch.
        features: Elements of a row.
        step: Optimizer step.

    Reference:
        Bishop (1995), "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7.
    """
    c1 = torch.arange(rows, dtype=torch.int64)[:, None]
    even = features + features % 2
    drawn = normal(words(key, even, c1, step, counter3(Purpose.NOISE)))[:, :features]
    return (scale * drawn).to(torch.float32)
