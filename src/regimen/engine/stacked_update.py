"""Optimizers for all runs of a bundle at once: parameters `[runs, P]`, hyper-parameters `[runs, 1]`.

Each does per run what `torch.optim` does with that run's hyper-parameters; what kind of step it is (momentum or none,
Nesterov, AMSGrad, centered) all runs of a bundle share, see `kind_of_step`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from regimen.techniques import SGD, Adagrad, Adam, Optimizer, RMSprop


def kind_of_step(optimizer: Optimizer) -> tuple[object, ...]:
    """Return what optimizers must have in common for their runs to be stepped together.

    Example:
        >>> kind_of_step(SGD(momentum=0.9)) == kind_of_step(SGD(momentum=0.5))
        True
        >>> kind_of_step(SGD(momentum=0.9)) == kind_of_step(SGD())
        False
    """
    match optimizer:
        case SGD():
            return "sgd", optimizer.momentum > 0, optimizer.nesterov
        case Adam():
            return "adam", optimizer.amsgrad
        case RMSprop():
            return "rmsprop", optimizer.centered, optimizer.momentum > 0
        case Adagrad():
            return ("adagrad",)
    return (type(optimizer),)


class StackedOptimizer(ABC):
    """The state of one optimizer for all runs of a bundle.

    Args:
        optimizers: One a run, equal in `kind_of_step`.
        parameters: float `[runs, P]`, only to make the state like them.
    """

    # Fields of the description that differ from run to run.
    numbers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, optimizers: Sequence[Optimizer], parameters: Tensor) -> None:
        self.kind: Any = optimizers[0]
        self.steps = 0
        self.columns = {
            name: torch.tensor([[getattr(one, name)] for one in optimizers], dtype=torch.float64).to(parameters.device)
            for name in self.numbers
        }
        self.state: dict[str, Tensor] = {}

    def step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        """Change `parameters` in place.

        Args:
            parameters: `[runs, P]`.
            gradients: `[runs, P]`, with L2 and all else that is added; may be overwritten.
            rates: Learning rates, float64 `[runs, 1]`.
        """
        self.steps += 1
        self._step(parameters, gradients, rates)

    @abstractmethod
    def _step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        """Change `parameters` in place, by the rule."""

    def select(self, runs: Tensor) -> None:
        """Keep the state of these runs only, int64 indices."""
        self.columns = {name: column[runs] for name, column in self.columns.items()}
        self.state = {name: values[runs] for name, values in self.state.items()}

    def _remembered(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        if name not in self.state:
            self.state[name] = make()
        return self.state[name]


def _like(parameters: Tensor, column: Tensor) -> Tensor:
    """Return numbers worked out in float64 as the parameters take them."""
    return column.to(parameters.dtype)


class StackedSGD(StackedOptimizer):
    """`torch.optim.SGD` of every run."""

    numbers = ("momentum", "dampening")

    def _step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        if self.kind.momentum > 0:
            momentum = _like(parameters, self.columns["momentum"])
            if self.steps == 1:  # not dampened, as in torch.optim
                velocity = self._remembered("velocity", gradients.clone)
            else:
                share = _like(parameters, 1.0 - self.columns["dampening"])
                velocity = self.state["velocity"].mul_(momentum).addcmul_(gradients, share)
            gradients = gradients.addcmul_(velocity, momentum) if self.kind.nesterov else velocity
        parameters.addcmul_(gradients, _like(parameters, -rates))


class StackedAdam(StackedOptimizer):
    """`torch.optim.Adam` of every run."""

    def __init__(self, optimizers: Sequence[Optimizer], parameters: Tensor) -> None:
        super().__init__(optimizers, parameters)
        each = [(*one.betas, one.eps) for one in optimizers if isinstance(one, Adam)]
        numbers = torch.tensor(each, dtype=torch.float64).to(parameters.device)
        self.columns = {"beta1": numbers[:, :1], "beta2": numbers[:, 1:2], "eps": numbers[:, 2:]}

    def _step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        beta1, beta2, t = self.columns["beta1"], self.columns["beta2"], self.steps
        mean = self._remembered("mean", lambda: torch.zeros_like(parameters))
        square = self._remembered("square", lambda: torch.zeros_like(parameters))
        mean.lerp_(gradients, _like(parameters, 1.0 - beta1))
        square.mul_(_like(parameters, beta2)).addcmul_(gradients.square_(), _like(parameters, 1.0 - beta2))
        if self.kind.amsgrad:
            square = torch.maximum(self._remembered("largest", square.clone), square, out=self.state["largest"])
        root = square.sqrt().div_(_like(parameters, (1.0 - beta2**t).sqrt()))
        root.add_(_like(parameters, self.columns["eps"]))
        parameters.addcmul_(mean.div(root), _like(parameters, -rates / (1.0 - beta1**t)))


class StackedRMSprop(StackedOptimizer):
    """`torch.optim.RMSprop` of every run."""

    numbers = ("alpha", "eps", "momentum")

    def _step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        alpha, share = (_like(parameters, column) for column in (self.columns["alpha"], 1.0 - self.columns["alpha"]))
        square = self._remembered("square", lambda: torch.zeros_like(parameters))
        square.mul_(alpha).addcmul_(gradients.square(), share)
        root = square
        if self.kind.centered:
            mean = self._remembered("mean", lambda: torch.zeros_like(parameters)).lerp_(gradients, share)
            root = square.addcmul(mean, mean, value=-1.0)
        root = root.sqrt().add_(_like(parameters, self.columns["eps"]))
        direction = gradients.div_(root)
        if self.kind.momentum > 0:
            velocity = self._remembered("velocity", lambda: torch.zeros_like(parameters))
            direction = velocity.mul_(_like(parameters, self.columns["momentum"])).add_(direction)
        parameters.addcmul_(direction, _like(parameters, -rates))


class StackedAdagrad(StackedOptimizer):
    """`torch.optim.Adagrad` of every run."""

    numbers = ("lr_decay", "eps", "initial_accumulator_value")

    def _step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        start = _like(parameters, self.columns["initial_accumulator_value"])
        total = self._remembered("total", lambda: start.expand_as(parameters).clone())
        total.addcmul_(gradients, gradients)
        root = total.sqrt().add_(_like(parameters, self.columns["eps"]))
        rates = rates / (1.0 + (self.steps - 1) * self.columns["lr_decay"])
        parameters.addcmul_(gradients.div_(root), _like(parameters, -rates))


def stacked_optimizer(optimizers: Sequence[Optimizer], parameters: Tensor) -> StackedOptimizer:
    """Return the optimizer of a bundle whose runs have these, equal in `kind_of_step`.

    Example:
        >>> weights = torch.ones(2, 3)
        >>> both = stacked_optimizer([SGD(), SGD()], weights)
        >>> both.step(weights, torch.ones(2, 3), torch.tensor([[0.5], [0.25]], dtype=torch.float64))
        >>> weights.tolist()
        [[0.5, 0.5, 0.5], [0.75, 0.75, 0.75]]
    """
    kinds: dict[type[Optimizer], type[StackedOptimizer]] = {
        SGD: StackedSGD, Adam: StackedAdam, RMSprop: StackedRMSprop, Adagrad: StackedAdagrad
    }  # fmt: skip
    kind = next(stacked for described, stacked in kinds.items() if isinstance(optimizers[0], described))
    return kind(optimizers, parameters)
