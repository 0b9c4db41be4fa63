"""Constraints on the weights: what each adds to the gradient, or does to the weights around an optimizer step.

All functions work in place on the weight matrices they are given (biases and norms are the caller's choice). L2 itself,
λ/2 · Σ w², is the `weight_decay` of `torch.optim`.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def add_l1_gradient(weights: Iterable[Tensor], strength: float) -> None:
    """Add the subgradient of λ · Σ |w|, that is λ · sign(w) with sign(0) = 0, to each gradient.

    Weights hover around zero at a distance of about lr · λ instead of reaching it; see `proximal_l1`.

    Args:
        weights: Parameters with gradients.
        strength: λ >= 0.
    """
    for weight in weights:
        if weight.grad is not None:
            weight.grad.add_(weight.detach().sign(), alpha=strength)


@torch.no_grad()
def proximal_l1(weights: Iterable[Tensor], threshold: float) -> None:
    """Soft-threshold after the optimizer step: w ← sign(w) · max(|w| - threshold, 0), which makes exact zeros.

    Args:
        weights: Parameters.
        threshold: lr · λ >= 0.

    Reference:
        Parikh and Boyd (2014), "Proximal algorithms", section 6.5.2.
    """
    for weight in weights:
        weight.copy_(torch.nn.functional.softshrink(weight, threshold))


@torch.no_grad()
def decay(weights: Iterable[Tensor], factor: float) -> None:
    """Decoupled weight decay, before the optimizer step: w ← w · (1 - factor) with factor = lr · λ.

    Reference:
        Loshchilov and Hutter (2019), "Decoupled weight decay regularization", arXiv:1711.05101, equation 2.
    """
    for weight in weights:
        weight.mul_(1.0 - factor)


@torch.no_grad()
def limit_norm(weights: Iterable[Tensor], radius: float) -> None:
    """Scale back, after the optimizer step, each unit's incoming weight vector whose L2 norm exceeds `radius`.

    Args:
        weights: Matrices `[out, in…]`; a row holds the incoming weights of one unit.
        radius: Largest norm, > 0.

    Reference:
        Srivastava et al. (2014), JMLR 15, section 5.1 (max-norm regularization).
    """
    for weight in weights:
        norms = weight.flatten(1).norm(dim=1)
        # Not radius / clamped norms: PyTorch divides a number by a tensor as number · (1 / tensor), which can miss 1.
        scales = torch.where(norms > radius, radius / norms, 1.0)
        weight.mul_(scales.view(-1, *[1] * (weight.dim() - 1)))
