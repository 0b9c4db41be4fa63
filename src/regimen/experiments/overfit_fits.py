"""What part F trains, in plain PyTorch as the post does: one linear unit, and a wide network on noise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LINE_SEED, NOISE_SEED, NETWORK_SEED = 43052, 5, 1
POINTS, TRAINED_ON = 100, 80
WIDTH, RATE = 512, 0.8
STEPS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The line of F.1 and what it was learned from."""

    x: Tensor
    y: Tensor
    weight: float
    bias: float
    losses: tuple[float, ...]

    def at(self, x: float) -> float:
        """Return the prediction, in float32 as the network computes it."""
        return float(torch.tensor(x) * torch.tensor(self.weight) + torch.tensor(self.bias))


def fit_line() -> Line:
    """Fit y = 4 x + 2.5 + 0.5 ε by one linear unit, with the seed, generator and order of draws of the post.

    Example:
        >>> line = fit_line()
        >>> f"{line.weight:.4f} {line.bias:.4f} {line.at(0.1):.4f} {line.at(0.2):.4f}"
        '4.0042 2.4459 2.8463 3.2467'
    """
    torch.manual_seed(LINE_SEED)
    x = torch.randn(100).sort().values.reshape(-1, 1)
    y = 4 * x + 2.5 + 0.5 * torch.randn(100).reshape(-1, 1)
    unit = nn.Linear(1, 1)
    losses = fit(unit, x, y, lr=0.1, steps=200)
    return Line(x=x, y=y, weight=unit.weight.item(), bias=unit.bias.item(), losses=losses)


def noise() -> tuple[Tensor, Tensor]:
    """Return 100 even points x in [0, 1] and y = 0.01 ε, nothing but noise, both `[100, 1]`."""
    torch.manual_seed(NOISE_SEED)
    x = torch.linspace(0, 1, POINTS).reshape(-1, 1)
    return x, 0.01 * torch.randn(POINTS).reshape(-1, 1)


def fit(network: nn.Module, x: Tensor, y: Tensor, *, lr: float, steps: int) -> tuple[float, ...]:
    """Train in train mode with Adam on all rows at once, as the post does; return the loss before each step."""
    criterion, optimizer = nn.MSELoss(), torch.optim.Adam(network.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        loss = criterion(network(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return tuple(losses)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The network 1-512-1 trained on some of the points; errors are in eval mode."""

    network: nn.Sequential
    x: Tensor
    y: Tensor
    train: Tensor
    test: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, train: Tensor, *, rate: float, seed: int) -> "Fit":
        """Train on the rows `train`; the others are the test points."""
        torch.manual_seed(seed)
        dropout = [nn.Dropout(rate)] if rate else []
        network = nn.Sequential(nn.Linear(1, WIDTH), nn.ReLU(), *dropout, nn.Linear(WIDTH, 1))
        fit(network, x[train], y[train], lr=1e-3, steps=STEPS)
        rest = torch.ones(len(x), dtype=torch.bool)
        rest[train] = False
        return cls(network=network.eval(), x=x, y=y, train=train, test=rest.nonzero()[:, 0])

    def error(self, rows: Tensor) -> float:
        """Return the mean squared error on some rows."""
        return float((self.curve(self.x[rows]) - self.y[rows]).square().mean())

    def curve(self, x: Tensor, *, training: bool = False) -> Tensor:
        """Return the predictions, in eval mode unless `training`."""
        with torch.no_grad():
            self.network.train(training)
            outputs: Tensor = self.network(x)
            self.network.eval()
        return outputs


def pair_of(x: Tensor, y: Tensor, train: Tensor, seed: int) -> tuple[Fit, Fit]:
    """Return the fits without and with dropout to the same points."""
    return Fit.of(x, y, train, rate=0.0, seed=seed), Fit.of(x, y, train, rate=RATE, seed=seed)
