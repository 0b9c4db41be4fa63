"""Ten architectures as a user would write them, tiny: what the tests of networks of the user's own go through.

Each class of `ARCHITECTURES` needs no arguments, and takes rows of the shape that stands beside it. None knows regimen.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FunctionalMLP(nn.Module):
    """A multilayer perceptron that calls activations and dropout as functions."""

    def __init__(self, p: float = 0.2) -> None:
        super().__init__()
        self.p = p
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 24), nn.Linear(24, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(x.size(0), -1)
        x = F.dropout(F.relu(self.fc1(x)), self.p, training=self.training)
        x = F.dropout(F.relu(self.fc2(x)), p=self.p, training=self.training)
        return self.fc3(x)


class LeNet(nn.Module):
    """Convolutions, activation and pool by turns, then linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(8 * 2 * 2, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.tanh(self.conv1(x)))
        x = self.pool(torch.tanh(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        return self.fc2(x)


class Block(nn.Module):
    """Two convolutions with batch norm beside an identity or a projection."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """A residual network with batch norm, as torchvision writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.layer1 = nn.Sequential(Block(4, 4), Block(4, 8, stride=2))
        self.layer2 = Block(8, 8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


class ResidualMLP(nn.Module):
    """Linear layers with layer norm first, added to what they are given."""

    def __init__(self, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.inner = nn.Linear(64, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        x = self.inner(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return x if return_features else self.head(x)


class ConvNetDropout2d(nn.Module):
    """Convolutions with channel dropout, then linear layers with dropout of their own rate."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d(0.1),
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(8 * 2 * 2, 16), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(16, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class GRUClassifier(nn.Module):
    """Reads the rows of an image one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 12, batch_first=True)
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.gru(x.squeeze(1))
        return self.fc(out[:, -1])


class TransformerClassifier(nn.Module):
    """A small encoder over the rows of an image, with torch.nn's own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.position = nn.Parameter(torch.zeros(1, 8, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.squeeze(1)) + self.position
        return self.head(self.encoder(x).mean(dim=1))


class AutoencoderRegression(nn.Module):
    """Narrows a row to a code, restores it, and regresses on code and restoration."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 16), nn.SiLU(), nn.Linear(16, 4), nn.SiLU())
        self.decoder = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Dropout(0.1), nn.Linear(16, 10))
        self.head = nn.Linear(14, 1)

    def forward(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        return self.head(torch.cat([code, self.decoder(code)], dim=1))


class TiedWeights(nn.Module):
    """Uses one matrix on the way down and, transposed, on the way up, and one dropout twice."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Linear(64, 16)
        self.middle = nn.Linear(16, 16)
        self.bias = nn.Parameter(torch.zeros(64))
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(64, 10)
        self.same = self.down

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.relu(self.down(x.flatten(1))))
        x = self.dropout(F.relu(self.middle(x)))
        x = F.relu(F.linear(x, self.down.weight.t(), self.bias))
        return self.out(F.relu(self.same(x)) @ self.down.weight / math.sqrt(64))


class ControlFlow(nn.Module):
    """Goes through its layer more or less often, as the activations say."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 10)
        self.dropout = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        for _ in range(3):
            if x.abs().mean() > 0.1:
                x = F.relu(self.fc2(x))
        return self.fc3(self.dropout(x))


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A network and what it takes.

    Attributes:
        make: Makes it.
        inputs: Shape of one input.
        outputs: Logits, or 1 for regression.
    """

    make: type[nn.Module]
    inputs: tuple[int, ...]
    outputs: int = 10


DIGIT = (1, 8, 8)
ARCHITECTURES: dict[str, Architecture] = {
    "functional mlp": Architecture(make=FunctionalMLP, inputs=DIGIT),
    "lenet": Architecture(make=LeNet, inputs=DIGIT),
    "resnet": Architecture(make=ResNet, inputs=DIGIT),
    "residual mlp": Architecture(make=ResidualMLP, inputs=DIGIT),
    "convnet with dropout2d": Architecture(make=ConvNetDropout2d, inputs=DIGIT),
    "gru": Architecture(make=GRUClassifier, inputs=DIGIT),
    "transformer": Architecture(make=TransformerClassifier, inputs=DIGIT),
    "autoencoder": Architecture(make=AutoencoderRegression, inputs=(10,), outputs=1),
    "tied weights": Architecture(make=TiedWeights, inputs=DIGIT),
    "control flow": Architecture(make=ControlFlow, inputs=DIGIT),
}
