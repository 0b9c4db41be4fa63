"""Optimizers as descriptions: all parameters of the update rule except the learning rate and the weight decay."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from regimen.errors import RecipeError
from regimen.limits import require_number

# Their parameters are scales and shifts whatever their shape: those of LayerNorm have that of its input.
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def _require_betas(betas: Any) -> None:
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise RecipeError(f"optimizer.betas: expected two numbers in [0, 1), got {betas!r}")
    for beta in betas:
        require_number("optimizer.betas", beta, low=0, high=1, high_open=True)


def _require_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise RecipeError(f"{name}: expected true or false, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """What all optimizers share: a name, and `build`, which hands the parameters to `torch.optim`."""

    name: ClassVar[str]

    def build(self, groups: Iterable[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return the `torch.optim` optimizer over parameter `groups` (each with its own `weight_decay`, L2)."""
        raise TypeError(f"{type(self).__name__} describes no update rule")


@dataclass(frozen=True, kw_only=True, slots=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    b ← momentum · b + (1 - dampening) · g;  w ← w - lr · b  (Nesterov: w ← w - lr · (g + momentum · b)).

    Attributes:
        momentum: In [0, 1).
        dampening: In [0, 1]; 0 with Nesterov.
        nesterov: Look ahead along the momentum; needs momentum > 0.

    Reference:
        Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and momentum in deep learning".
    """

    name: ClassVar[str] = "sgd"
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        require_number("optimizer.momentum", self.momentum, low=0, high=1, high_open=True)
        require_number("optimizer.dampening", self.dampening, low=0, high=1)
        _require_flag("optimizer.nesterov", self.nesterov)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise RecipeError(
                "optimizer.nesterov: expected momentum > 0 and dampening = 0, "
                f"got momentum = {self.momentum} and dampening = {self.dampening}"
            )

    def build(self, groups: Iterable[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return `torch.optim.SGD`."""
        return torch.optim.SGD(
            groups,
            lr=lr,
            momentum=self.momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
            fused=True,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam(Optimizer):
    """Adaptive moments: w ← w - lr · m̂ / (sqrt(v̂) + eps).

    Attributes:
        betas: Decay rates of the two moments, each in [0, 1).
        eps: Added to the root, > 0.
        amsgrad: Use the maximum of all past second moments (Reddi, Kale and Kumar 2018).

    Reference:
        Kingma and Ba (2015), "Adam: a method for stochastic optimization", arXiv:1412.6980, algorithm 1.
    """

    name: ClassVar[str] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    amsgrad: bool = False

    def __post_init__(self) -> None:
        _require_betas(self.betas)
        require_number("optimizer.eps", self.eps, low=0, low_open=True)
        _require_flag("optimizer.amsgrad", self.amsgrad)

    def build(self, groups: Iterable[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return `torch.optim.Adam`; decoupled decay is the engine's, so Adam serves AdamW as well."""
        return torch.optim.Adam(groups, lr=lr, betas=self.betas, eps=self.eps, amsgrad=self.amsgrad, fused=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamW(Adam):
    """Adam whose weight decay is decoupled: a recipe with it takes `decoupled_weight_decay` and refuses `weight_decay`.

    Reference:
        Loshchilov and Hutter (2019), "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2.
    """

    name: ClassVar[str] = "adamw"


@dataclass(frozen=True, kw_only=True, slots=True)
class RMSprop(Optimizer):
    """Gradient over a running root mean square: v ← alpha · v + (1 - alpha) · g²;  w ← w - lr · g / (sqrt(v) + eps).

    Attributes:
        alpha: Smoothing constant in [0, 1).
        eps: Added to the root, > 0.
        centered: Subtract the squared running mean of the gradient from v.
        momentum: In [0, 1).

    Reference:
        Tieleman and Hinton (2012), lecture 6.5 of "Neural networks for machine learning"; centered: Graves (2013),
        arXiv:1308.0850, equations 38-45.
    """

    name: ClassVar[str] = "rmsprop"
    alpha: float = 0.99
    eps: float = 1e-8
    centered: bool = False
    momentum: float = 0.0

    def __post_init__(self) -> None:
        require_number("optimizer.alpha", self.alpha, low=0, high=1, high_open=True)
        require_number("optimizer.eps", self.eps, low=0, low_open=True)
        _require_flag("optimizer.centered", self.centered)
        require_number("optimizer.momentum", self.momentum, low=0, high=1, high_open=True)

    def build(self, groups: Iterable[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return `torch.optim.RMSprop`."""
        return torch.optim.RMSprop(
            groups, lr=lr, alpha=self.alpha, eps=self.eps, centered=self.centered, momentum=self.momentum
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Adagrad(Optimizer):
    """Gradient over the root of all past squares: s ← s + g²;  w ← w - lr_t · g / (sqrt(s) + eps).

    Attributes:
        lr_decay: lr_t = lr / (1 + t · lr_decay), >= 0.
        initial_accumulator_value: Start value of s, >= 0.
        eps: Added to the root, > 0.

    Reference:
        Duchi, Hazan and Singer (2011), "Adaptive subgradient methods", JMLR 12.
    """

    name: ClassVar[str] = "adagrad"
    lr_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        require_number("optimizer.lr_decay", self.lr_decay, low=0)
        require_number("optimizer.initial_accumulator_value", self.initial_accumulator_value, low=0)
        require_number("optimizer.eps", self.eps, low=0, low_open=True)

    def build(self, groups: Iterable[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return `torch.optim.Adagrad`."""
        return torch.optim.Adagrad(
            groups,
            lr=lr,
            lr_decay=self.lr_decay,
            initial_accumulator_value=self.initial_accumulator_value,
            eps=self.eps,
            fused=True,
        )


def parameter_groups(module: nn.Module, *, weight_decay: float, decay_all: bool) -> list[dict[str, Any]]:
    """Return two groups for an optimizer: weights, which decay, and biases and norms, which do so only if `decay_all`.

    Parameters that are frozen are in neither.

    Args:
        module: Network whose parameters are grouped; weights are those of `decaying`.
        weight_decay: L2 coefficient λ of λ/2 · Σ w², >= 0; its gradient λ · w is added by the optimizer.
        decay_all: Whether biases and normalization parameters decay too, as a plain `torch.optim` call does.
    """
    weights = decaying(module)
    decays = set(map(id, weights))
    others = [p for p in module.parameters() if p.requires_grad and id(p) not in decays]
    groups = [
        {"params": weights, "weight_decay": weight_decay, "decays": True},
        {"params": others, "weight_decay": weight_decay if decay_all else 0.0, "decays": decay_all},
    ]
    return [group for group in groups if group["params"]]


def decaying(module: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a network: learned parameters of two or more dimensions that are no normalization's.

    Example:
        >>> module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm((2, 4, 4)))
        >>> [tuple(weight.shape) for weight in decaying(module)]
        [(2, 1, 3, 3)]
    """
    norms = {id(p) for layer in module.modules() if isinstance(layer, NORMS) for p in layer.parameters()}
    return [p for p in module.parameters() if p.requires_grad and p.dim() >= 2 and id(p) not in norms]


OPTIMIZERS: dict[str, type[Optimizer]] = {kind.name: kind for kind in (SGD, Adam, AdamW, RMSprop, Adagrad)}
