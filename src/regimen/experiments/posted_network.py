"""Part E in plain PyTorch, as the post does it: its network with its fixed batch size, SGD at 2e-4, ten epochs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from regimen.engine.trainer import available_cores
from regimen.experiments.context import Context
from regimen.experiments.kept import Kept
from regimen.experiments.known_pictures import Pixels, pixels_of
from regimen.records import Curves, RunResult

BATCH, EPOCHS = 256, 10
# A guess: the post gives no rate, and those that it prints contradict each other.
LR = 2e-4
MEAN, STD = 0.1307, 0.3081
TRAIN_IMAGES, TEST_IMAGES = 60_000, 10_000


class PostedNetwork(nn.Module):
    """The network of the post. Its `view` with a fixed batch size fails on a batch of any other size.

    Args:
        batch_size: Images of every batch.
        batch_norm: Batch normalization before each ReLU.
        dropout: Channel dropout 0.2 after each convolution's ReLU, and dropout 0.2 after the hidden one.
    """

    def __init__(self, batch_size: int, *, batch_norm: bool = False, dropout: bool = False) -> None:
        super().__init__()
        self.batch_size = batch_size
        layers: list[nn.Module] = []
        for before, after, pooled in ((1, 16, False), (16, 32, True), (32, 64, True)):
            layers.append(nn.Conv2d(before, after, 3, padding=1))
            layers += [nn.BatchNorm2d(after)] if batch_norm else []
            layers.append(nn.ReLU())
            layers += [nn.Dropout2d(0.2)] if dropout else []
            layers += [nn.MaxPool2d(2)] if pooled else []
        self.convolutions = nn.Sequential(*layers)
        head: list[nn.Module] = [nn.Linear(64 * 7 * 7, 100)]
        head += [nn.BatchNorm1d(100)] if batch_norm else []
        head.append(nn.ReLU())
        head += [nn.Dropout(0.2)] if dropout else []
        self.head = nn.Sequential(*head, nn.Linear(100, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of one batch."""
        logits: Tensor = self.head(self.convolutions(x).contiguous().view(self.batch_size, -1))
        return logits


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedRun:
    """One training as posted.

    Attributes:
        seed: Of PyTorch's own generator.
        weight_decay: Of SGD, on all parameters, biases too, as a plain `torch.optim` call does.
        batch_norm: Whether the network normalizes its batches.
        dropout: Whether it drops.
        he: Whether the weights start He normal, biases 0, instead of PyTorch's default.
        standardized: Whether the pixels are standardized by mean 0.1307 and standard deviation 0.3081.
        stepped: Whether `optimizer.step()` is called.
        images: First training images, of 60,000.
        test_images: First test images, of 10,000.
        epochs: Passes over them.
        batch_size: Images of a step; a last partial batch is dropped, in the test too.
    """

    seed: int = 1
    weight_decay: float = 0.0
    batch_norm: bool = False
    dropout: bool = False
    he: bool = False
    standardized: bool = False
    stepped: bool = True
    images: int = TRAIN_IMAGES
    test_images: int = TEST_IMAGES
    epochs: int = EPOCHS
    batch_size: int = BATCH

    @classmethod
    def at(cls, size: str, **changes: object) -> "PostedRun":
        """Return the run at the size of an experiment: `quick` has two steps and fewer images."""
        few = {"images": 128, "test_images": 64, "epochs": 1, "batch_size": 64} if size == "quick" else {}
        return cls(**(few | changes))  # type: ignore[arg-type]

    @property
    def note(self) -> str:
        """Return what was reduced, for the names of quantities; empty for the run of the post."""
        if (self.images, self.epochs) == (TRAIN_IMAGES, EPOCHS):
            return ""
        start = "quick: " if self.batch_size < BATCH else ""
        return f" ({start}{self.images:,} images, {self.epochs} epoch{'s' * (self.epochs > 1)})"

    def network(self) -> PostedNetwork:
        """Return the network with its initial weights, from PyTorch's own generator."""
        network = PostedNetwork(self.batch_size, batch_norm=self.batch_norm, dropout=self.dropout)
        if self.he:
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                    nn.init.kaiming_normal_(layer.weight)
                    nn.init.zeros_(layer.bias)
        return network

    def pixels(self) -> Pixels:
        """Return the images, standardized if they shall be."""
        data = pixels_of("mnist", train=self.images, test=self.test_images)
        if not self.standardized:
            return data
        return Pixels(x=(data.x - MEAN) / STD, y=data.y, test_x=(data.test_x - MEAN) / STD, test_y=data.test_y)


def train_posted(run: PostedRun, on_epoch: Callable[[], None]) -> RunResult:
    """Train and test as the post does.

    Returns:
        Curves with the mean cost of each epoch in train mode, and cross-entropy and accuracy on the test images (those
        of whole batches) in eval mode.
    """
    started = time.perf_counter()
    torch.manual_seed(run.seed)
    data = run.pixels()
    # Channels last changes the order of numbers in memory only; a step takes about three quarters of the time.
    network: PostedNetwork = run.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = DataLoader(TensorDataset(data.x, data.y), batch_size=run.batch_size, shuffle=True, drop_last=True)
    tests = DataLoader(TensorDataset(data.test_x, data.test_y), batch_size=run.batch_size, drop_last=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, weight_decay=run.weight_decay)
    costs, losses, accuracies = [], [], []
    for _ in range(run.epochs):
        network.train()
        cost = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            if run.stepped:
                optimizer.step()
            cost += loss.item() / len(loader)
        costs.append(cost)
        loss_now, accuracy = _test(network, tests)
        losses.append(loss_now)
        accuracies.append(accuracy)
        on_epoch()
    return RunResult(
        identity="",
        status="finished",
        metric=accuracies[-1],
        train_loss=costs[-1],
        validation_loss=losses[-1],
        epoch=run.epochs,
        epochs_run=run.epochs,
        steps=run.epochs * len(loader),
        seconds=time.perf_counter() - started,
        curves=Curves(train_loss=tuple(costs), validation_loss=tuple(losses), metric=tuple(accuracies)),
    )


@torch.no_grad()
def _test(network: PostedNetwork, batches: DataLoader[tuple[Tensor, ...]]) -> tuple[float, float]:
    """Return cross-entropy and accuracy over whole batches, in eval mode."""
    network.eval()
    loss, right, seen = 0.0, 0, 0
    for images, labels in batches:
        outputs = network(images)
        loss += float(F.cross_entropy(outputs.double(), labels, reduction="sum"))
        right += int((outputs.argmax(1) == labels).sum())
        seen += len(labels)
    return loss / seen, right / seen


@contextmanager
def all_cores(context: Context) -> Iterator[None]:
    """Compute with one thread for each core inside: these runs come one after the other; quick ones need only one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if context.size == "quick" else context.processes or available_cores())
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def posted(store: Kept, run: PostedRun, *, share: float) -> RunResult:
    """Return the result of a run as posted, trained now or taken from the store."""
    with all_cores(store.context):
        described = {"what": "part E as posted", **asdict(run)}
        return store.posted(described, lambda step: train_posted(run, step), steps=run.epochs, share=share)
