"""Part B in plain PyTorch, as the post does it: five linear layers, one dropout object, Adam, fifteen epochs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = 1
BATCH, RATE, LR = 100, 0.3, 1e-3


def network() -> nn.Sequential:
    """Return the network of the post, with Xavier-uniform weights; the same dropout object stands in four places."""
    dropout, relu = nn.Dropout(RATE), nn.ReLU()
    linear = [nn.Linear(784, 512), *(nn.Linear(512, 512) for _ in range(3)), nn.Linear(512, 10)]
    for layer in linear:
        nn.init.xavier_uniform_(layer.weight)
    steps: list[nn.Module] = []
    for layer in linear[:-1]:
        steps += [layer, relu, dropout]
    return nn.Sequential(*steps, linear[-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What a network is worth on the test images: accuracy in [0, 1] and cross-entropy in nats."""

    accuracy: float
    loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """Costs and scores after every epoch, and the network as it was after the posted number of epochs.

    Attributes:
        network: In eval mode.
        costs: Mean cost of each epoch, in train mode, as the post prints it.
        right: Scores after each epoch in eval mode, test pixels 0..1.
        posted: The same with the test pixels of the post, 0..255.
    """

    network: nn.Sequential
    costs: tuple[float, ...]
    right: tuple[Scores, ...]
    posted: tuple[Scores, ...]


def train(
    x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor, *, epochs: int, shown: int, on_epoch: Callable[[], None]
) -> Trained:
    """Train as the post does, from a fresh start.

    Args:
        x: Pixels 0..1, `[rows, 784]`.
        y: Digits.
        test_x: Test pixels 0..1.
        test_y: Their digits.
        epochs: How many to train.
        shown: Epochs after which the network is kept.
        on_epoch: Called after each.
    """
    torch.manual_seed(SEED)
    model = network()
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True, drop_last=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    costs, right, posted = [], [], []
    kept: dict[str, Tensor] = {}
    for epoch in range(1, epochs + 1):
        model.train()
        cost = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            cost += loss.item() / len(loader)
        costs.append(cost)
        right.append(score(model, test_x, test_y))
        posted.append(score(model, 255.0 * test_x, test_y))
        if epoch == shown:
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        on_epoch()
    model.load_state_dict(kept)
    return Trained(network=model.eval(), costs=tuple(costs), right=tuple(right), posted=tuple(posted))


@torch.no_grad()
def score(model: nn.Module, x: Tensor, y: Tensor, *, training: bool = False) -> Scores:
    """Return accuracy and cross-entropy, in eval mode unless `training`."""
    model.train(training)
    outputs = model(x)
    accuracy = float((outputs.argmax(1) == y).double().mean())
    return Scores(accuracy=accuracy, loss=float(F.cross_entropy(outputs.double(), y)))


def different_masks(model: nn.Sequential) -> int:
    """Return how many different masks the one dropout object of the network draws in the four calls of a forward."""
    dropout = next(layer for layer in model if isinstance(layer, nn.Dropout)).train()
    masks = {tuple(dropout(torch.ones(512)).tolist()) for _ in range(4)}
    dropout.eval()
    return len(masks)
