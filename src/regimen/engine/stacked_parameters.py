"""The parameters of all runs of a bundle as one matrix, and what is done to them beside the optimizer's step."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regimen.engine.devices import CPU
from regimen.run import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where the parameters that a network learns lie in a row of numbers: the weights come first.

    Attributes:
        names: Of `named_parameters()`, which lists tied ones once, without those that are frozen.
        shapes: Their shapes.
        matrices: How many of them are weights, which decay and are constrained.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    matrices: int

    @classmethod
    def of(cls, network: nn.Module, weights: Iterable[nn.Parameter]) -> "Layout":
        """Return the layout of a network's parameters, of which these are weights."""
        decaying = set(map(id, weights))
        learned = [named for named in network.named_parameters() if named[1].requires_grad]
        ordered = sorted(learned, key=lambda named: id(named[1]) not in decaying)
        return cls(
            names=tuple(name for name, _ in ordered),
            shapes=tuple(parameter.shape for _, parameter in ordered),
            matrices=len(decaying),
        )

    @property
    def weights(self) -> int:
        """How many numbers the weights are."""
        return sum(map(torch.Size.numel, self.shapes[: self.matrices]))

    def row(self, network: nn.Module) -> Tensor:
        """Return a network's parameters as a row, a copy."""
        parameters = dict(network.named_parameters())
        return torch.cat([parameters[name].detach().flatten() for name in self.names])

    def split(self, matrix: Tensor) -> dict[str, Tensor]:
        """Return the parameters in rows `[runs, P]` by name, `[runs, …]` each: views, so that a gradient is one matrix.

        Example:
            >>> linear = nn.Linear(3, 2)
            >>> layout = Layout.of(linear, [linear.weight])
            >>> {name: tuple(part.shape) for name, part in layout.split(torch.zeros(5, 8)).items()}
            {'weight': (5, 2, 3), 'bias': (5, 2)}
        """
        sizes = [shape.numel() for shape in self.shapes]
        parts = matrix.split(sizes, dim=1)  # type: ignore[no-untyped-call]
        return {
            name: part.reshape(len(matrix), *shape)
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }


class Constraints:
    """L1, L2, decays, clipping and max-norm of every run, with its own strengths.

    Args:
        recipes: One a run, equal in `decay_bias_and_norm`.
        layout: Of the parameters.
        device: Where they are.
    """

    def __init__(self, recipes: Sequence[Recipe], layout: Layout, device: torch.device = CPU) -> None:
        self.layout, self.weights, self.device = layout, layout.weights, device
        self.decaying = None if recipes[0].decay_bias_and_norm else self.weights
        subgradient = [one.l1 if one.l1_step == "subgradient" else 0.0 for one in recipes]
        proximal = [one.l1 if one.l1_step == "proximal" else 0.0 for one in recipes]
        self.numbers = {
            "l1": _column(subgradient),
            "proximal": _column(proximal),
            "l2": _column([one.weight_decay for one in recipes]),
            "decay": _column([one.decoupled_weight_decay for one in recipes]),
            "clip": _column([one.clip_norm for one in recipes], math.inf),
            "radius": _column([one.max_norm for one in recipes], math.inf),
        }
        self._look()

    def _look(self) -> None:
        """Note what any run asks for, on the device: what none does costs nothing."""
        neutral = {name: math.inf if name in ("clip", "radius") else 0.0 for name in self.numbers}
        used = {name: column for name, column in self.numbers.items() if bool((column != neutral[name]).any())}
        self.columns = {name: column.to(self.device) for name, column in used.items()}

    def select(self, runs: Tensor) -> None:
        """Keep these runs only, int64 indices."""
        self.numbers = {name: column[runs] for name, column in self.numbers.items()}
        self._look()

    def finish_gradients(self, parameters: Tensor, gradients: Tensor) -> None:
        """Add the L1 subgradient and clip by the norm of each run, in place."""
        weights = slice(self.weights)
        if "l1" in self.columns:
            gradients[:, weights].addcmul_(parameters[:, weights].sign(), self.columns["l1"].to(gradients.dtype))
        if "clip" in self.columns:
            limit = self.columns["clip"].to(gradients.dtype)
            # As torch.nn.utils.clip_grad_norm_; a run without limit keeps its gradient whatever its norm is.
            factor = (limit / (gradients.norm(dim=1, keepdim=True) + 1e-6)).clamp(max=1.0)
            gradients.mul_(torch.where(limit.isinf(), 1.0, factor))

    def before_step(self, parameters: Tensor, gradients: Tensor, rates: Tensor) -> None:
        """Decay the weights, then add the gradient of L2, in place; `rates` are float64 `[runs, 1]`."""
        decaying = slice(self.decaying)
        if "decay" in self.columns:
            parameters[:, decaying].mul_((1.0 - rates * self.columns["decay"]).to(parameters.dtype))
        if "l2" in self.columns:
            gradients[:, decaying].addcmul_(parameters[:, decaying], self.columns["l2"].to(gradients.dtype))

    def after_step(self, parameters: Tensor, rates: Tensor) -> None:
        """Soft-threshold by the proximal L1, and limit the norm of each unit's incoming weights, in place."""
        if "proximal" in self.columns:
            weights = parameters[:, : self.weights]
            threshold = (rates * self.columns["proximal"]).to(parameters.dtype)
            weights.sub_(torch.maximum(torch.minimum(weights, threshold), -threshold))
        if "radius" in self.columns:
            radius = self.columns["radius"].to(parameters.dtype)
            for part in list(self.layout.split(parameters).values())[: self.layout.matrices]:
                norms = part.flatten(2).norm(dim=2)
                scales = torch.where(norms > radius, radius / norms, 1.0)
                part.mul_(scales.reshape(*scales.shape, *[1] * (part.dim() - 2)))


def _column(values: Sequence[float | None], absent: float = 0.0) -> Tensor:
    return torch.tensor([[absent if value is None else value] for value in values], dtype=torch.float64)


class StackedAverage:
    """Running averages of the parameters of every run, each by its own rule.

    Args:
        recipes: One a run; all of them average.
        steps_per_epoch: Optimizer steps in one epoch.
        device: Where the parameters are.
    """

    def __init__(self, recipes: Sequence[Recipe], steps_per_epoch: int, device: torch.device = CPU) -> None:
        self.recipes, self.steps_per_epoch = list(recipes), steps_per_epoch
        self.mean: Tensor | None = None
        self.started = torch.zeros(len(recipes), 1, dtype=torch.bool, device=device)

    def update(self, parameters: Tensor, step: int) -> None:
        """Take the parameters after 0-based optimizer `step` into the averages of the runs whose rule says so."""
        shares = [self._share(recipe, step) for recipe in self.recipes]
        if all(share is None for share in shares):
            return
        if self.mean is None:
            self.mean = parameters.clone()
        takes = torch.tensor([[share is not None] for share in shares]).to(parameters.device)
        # The first parameters that enter are the average.
        share = torch.tensor([[share or 0.0] for share in shares], dtype=torch.float64).to(parameters.device)
        share = torch.where(self.started, share, 1.0).to(parameters.dtype)
        self.mean = torch.where(takes, torch.lerp(self.mean, parameters, share), self.mean)
        self.started = self.started | takes

    def _share(self, recipe: Recipe, step: int) -> float | None:
        assert recipe.averaging is not None
        total = recipe.epochs * self.steps_per_epoch
        return recipe.averaging.share(step=step, steps_per_epoch=self.steps_per_epoch, total=total)

    def evaluated(self, parameters: Tensor) -> Tensor:
        """Return what is evaluated: the averages, and the parameters of runs whose average has not begun."""
        return parameters if self.mean is None else torch.where(self.started, self.mean, parameters)

    def select(self, runs: Tensor) -> None:
        """Keep these runs only, int64 indices."""
        self.recipes = [self.recipes[run] for run in runs.tolist()]
        self.mean = None if self.mean is None else self.mean[runs]
        self.started = self.started[runs]
