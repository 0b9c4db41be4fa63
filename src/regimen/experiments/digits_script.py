"""Part A in plain PyTorch: the post's network, its training script with its mistake, and its summary table."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

WIDTHS = (64, 100, 100, 100, 100, 10)
RATE, BATCH = 0.5, 32
MEGABYTE = 1 << 20


def network(*, dropout: bool = True) -> nn.Sequential:
    """Return 64-100-100-100-100-10 with ReLU, and dropout 0.5 after each ReLU if wanted.

    Example:
        >>> sum(p.numel() for p in network().parameters())
        37810
    """
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(WIDTHS[:-1]):
        layers += [nn.Linear(before, after), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(RATE))
    return nn.Sequential(*layers, nn.Linear(*WIDTHS[-2:]))


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptCurves:
    """What the script saw after every epoch.

    Attributes:
        posted: Sum of the batches' losses in train mode, divided by the last index: what the post plots.
        averaged: The same sum divided by the number of batches.
        train: Loss over the training rows in eval mode, after the epoch.
        test: Loss over the test rows in eval mode.
        accuracy: Share of test rows that are right at the end.
    """

    posted: tuple[float, ...]
    averaged: tuple[float, ...]
    train: tuple[float, ...]
    test: tuple[float, ...]
    accuracy: float


def run_script(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], *, dropout: bool, epochs: int, seed: int
) -> ScriptCurves:
    """Train as the post does, with a `DataLoader`, and watch the losses in both modes.

    Args:
        train: Inputs float32 `[rows, 64]` and class codes `[rows]`.
        test: The same of the test rows.
        dropout: Whether the network has dropout.
        epochs: Passes over the training rows.
        seed: Of PyTorch's generator: weights, order and masks.
    """
    torch.manual_seed(seed)
    net, criterion = network(dropout=dropout), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters())
    loader = DataLoader(TensorDataset(*train), batch_size=BATCH, shuffle=True)
    found: dict[str, list[float]] = {"posted": [], "averaged": [], "train": [], "test": []}
    for _ in range(epochs):
        net.train()
        running, last = 0.0, 0
        for i, (x, y) in enumerate(loader):
            loss = criterion(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running, last = running + loss.item(), i
        found["posted"].append(running / last)
        found["averaged"].append(running / len(loader))
        net.eval()
        with torch.no_grad():
            found["train"].append(criterion(net(train[0]), train[1]).item())
            outputs = net(test[0])
            found["test"].append(criterion(outputs, test[1]).item())
    return ScriptCurves(
        **{name: tuple(values) for name, values in found.items()},
        accuracy=float((outputs.argmax(1) == test[1]).double().mean()),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The network's layers as the post lists them, and its sizes in units of 2^20 bytes (which it calls MB)."""

    text: str
    parameters: int
    trainable: int
    input_size: float
    passes_size: float
    parameters_size: float

    @property
    def total_size(self) -> float:
        """The three sizes together."""
        return self.input_size + self.passes_size + self.parameters_size


def summarize(net: nn.Sequential, inputs: int) -> Summary:
    """Return layer, output shape and parameters of each layer, with the totals; one row of float32 goes through.

    Outputs count twice in the size of the passes: each is kept for its gradient.

    Example:
        >>> print(summarize(nn.Sequential(nn.Linear(64, 10)), 64).text.splitlines()[3])
        Linear-1                  [-1, 10]                 650
    """
    lines, outputs = [], 0
    x = torch.zeros(1, inputs)
    with torch.no_grad():
        for place, layer in enumerate(net, start=1):
            x = layer(x)
            outputs += x.numel()
            count = sum(p.numel() for p in layer.parameters())
            shape = str([-1, *x.shape[1:]])
            lines.append(f"{f'{type(layer).__name__}-{place}':<26}{shape:<18}{count:>10,}")
    parameters = sum(p.numel() for p in net.parameters())
    trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)
    sizes = 4 * inputs / MEGABYTE, 2 * 4 * outputs / MEGABYTE, 4 * parameters / MEGABYTE
    rule, names = "-" * 54, ("Input size", "Forward/backward pass size", "Params size", "Estimated total size")
    text = [
        rule,
        f"{'Layer (type)':<26}{'Output shape':<18}{'Param #':>10}",
        rule,
        *lines,
        rule,
        f"Total params: {parameters:,}",
        f"Trainable params: {trainable:,}",
        f"Non-trainable params: {parameters - trainable:,}",
        rule,
        *(f"{name} (MB): {size:.2f}" for name, size in zip(names, (*sizes, sum(sizes)), strict=True)),
        rule,
    ]
    return Summary(
        text="\n".join(text),
        parameters=parameters,
        trainable=trainable,
        input_size=sizes[0],
        passes_size=sizes[1],
        parameters_size=sizes[2],
    )
