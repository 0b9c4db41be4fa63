"""How 32 convolutional networks are trained without an engine: one after the other, or with a hand-written vmap."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state
from torch.nn import functional as F

CLASSES, SIDE = 10, 28
EVALUATED = 500


@dataclass(frozen=True, kw_only=True)
class CnnJob:
    """What every contestant trains.

    Attributes:
        images: Training images; a quarter of that many more are evaluated.
        batch: Images of a step.
        epochs: Passes.
        lr: Rate of plain SGD.
    """

    images: int = 2000
    batch: int = 64
    epochs: int = 3
    lr: float = 0.05

    @property
    def held_out(self) -> int:
        """Images that are evaluated only."""
        return self.images // 4

    @property
    def steps(self) -> int:
        """Optimizer steps of a run; a single image that is left over joins the last batch."""
        return self.epochs * len(self.cuts)

    @property
    def cuts(self) -> list[int]:
        """Where batches begin."""
        starts = list(range(0, self.images, self.batch))
        return starts[:-1] if len(starts) > 1 and self.images - starts[-1] == 1 else starts


def pictures(job: CnnJob) -> tuple[Tensor, Tensor]:
    """Return uint8 `[rows, 1, 28, 28]` of both parts, a bright bar for each class under noise, and their classes."""
    generator = torch.Generator().manual_seed(1)
    count = job.images + job.held_out
    labels = torch.arange(count) % CLASSES
    pixels = torch.randint(0, 160, (count, 1, SIDE, SIDE), generator=generator)
    rows = torch.arange(SIDE)[None, None, :, None]
    bars = (rows >= 2 * labels[:, None, None, None] + 2) & (rows < 2 * labels[:, None, None, None] + 5)
    return (pixels + 80 * bars).to(torch.uint8), labels


def prepared(job: CnnJob) -> tuple[Tensor, Tensor]:
    """Return scaled images, channels last, and their classes."""
    pixels, labels = pictures(job)
    x = pixels.float() / 255
    x = (x - x[: job.images].mean()) / x[: job.images].std()
    return x.contiguous(memory_format=torch.channels_last), labels


def network(seed: int) -> nn.Sequential:
    """Return the network of part E."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 100), nn.ReLU(), nn.Linear(100, CLASSES),
    )  # fmt: skip


def eager(job: CnnJob, seeds: Sequence[int]) -> list[float]:
    """Train one network after the other in a plain loop; return the training loss of each at the end."""
    x, y = prepared(job)
    losses = []
    for seed in seeds:
        model = network(seed).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=job.lr, fused=True)
        order = torch.Generator().manual_seed(seed)
        for _ in range(job.epochs):
            model.train()
            for rows in torch.randperm(job.images, generator=order).tensor_split(job.cuts[1:]):
                optimizer.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                outputs = torch.cat([model(part) for part in x.split(EVALUATED)])
                loss = F.cross_entropy(outputs[: job.images], y[: job.images])
                (outputs[job.images :].argmax(1) == y[job.images :]).float().mean()
        losses.append(float(loss))
    return losses


def by_vmap(job: CnnJob, seeds: Sequence[int]) -> list[float]:
    """Train all networks together, as the guide of `torch.func` to model ensembles does it."""
    x, y = prepared(job)
    x = x.contiguous()
    models = [network(seed) for seed in seeds]
    base = models[0]
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    parameters = {name: value.detach() for name, value in parameters.items()}
    orders = [torch.Generator().manual_seed(seed) for seed in seeds]

    def loss_of(own: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(base, own, (x,)), y)

    gradients_of = torch.vmap(grad_and_value(loss_of))
    outputs_of = torch.vmap(lambda own, x: functional_call(base, own, (x,)), in_dims=(0, None))
    for _ in range(job.epochs):
        permuted = torch.stack([torch.randperm(job.images, generator=order) for order in orders])
        for rows in permuted.tensor_split(job.cuts[1:], dim=1):
            gradients, _ = gradients_of(parameters, x[rows], y[rows])
            for name, gradient in gradients.items():
                parameters[name].sub_(gradient, alpha=job.lr)
        outputs = torch.cat([outputs_of(parameters, part) for part in x.split(EVALUATED // 10)], dim=1)
        losses = [F.cross_entropy(own[: job.images], y[: job.images]) for own in outputs]
        (outputs[:, job.images :].argmax(-1) == y[job.images :]).float().mean(1)
    return [float(loss) for loss in losses]
