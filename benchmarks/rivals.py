"""How others train the same networks on a CPU, each written as its best users would: loops in PyTorch, scikit-learn."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
# Runs that are stacked at a time: 16 fill bmm's calls and keep weights and moments in a cache of some tens of MB.
BUNDLE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What one run has for itself.

    Attributes:
        p: Drop probability after each hidden activation.
        lr: Learning rate of Adam.
        weight_decay: Of Adam, L2.
        seed: Of all its randomness.
    """

    p: float
    lr: float
    weight_decay: float
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """A classifier to be trained, many times over.

    Attributes:
        x: Training inputs, float32 `[rows, features]`.
        y: Their classes, int64 `[rows]`.
        x_validation: Validation inputs.
        y_validation: Their classes.
        hidden: Widths of the hidden layers.
        classes: How many.
        batch: Rows of a step.
        epochs: Passes over the training rows.
    """

    x: Tensor
    y: Tensor
    x_validation: Tensor
    y_validation: Tensor
    hidden: tuple[int, ...]
    classes: int
    batch: int
    epochs: int

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each linear layer."""
        widths = (self.x.shape[1], *self.hidden, self.classes)
        return tuple(itertools.pairwise(widths))

    @property
    def steps(self) -> int:
        """Optimizer steps of one run."""
        return self.epochs * -(-len(self.x) // self.batch)

    @property
    def flops_per_step(self) -> float:
        """Floating-point operations in matrix products per step, those of the evaluation after each epoch included.

        With W = Σ inputs · outputs over the layers and n rows, 2 n W forward, 2 n W for the weight gradients, 2 n W
        for the input gradients but for those of the first layer, and 2 n W for each row that is evaluated.
        """
        weights = sum(a * b for a, b in self.layers)
        first = self.layers[0][0] * self.layers[0][1]
        rows = len(self.x)
        evaluated = rows + len(self.x_validation)
        epoch = 2 * rows * (3 * weights - first) + 2 * evaluated * weights
        return epoch * self.epochs / self.steps

    def lasting(self, epochs: int) -> "Job":
        """Return the job with another number of epochs."""
        return replace(self, epochs=epochs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What every contestant computes after each epoch; kept of the last one."""

    train_loss: float
    validation_loss: float
    validation_accuracy: float


Contestant = Callable[[Job, Sequence[Setting]], list[Outcome]]


def plain(job: Job, settings: Sequence[Setting]) -> list[Outcome]:
    """Train with modules, a DataLoader and Adam, as tutorials do."""
    return [_plain(job, setting) for setting in settings]


def _plain(job: Job, setting: Setting) -> Outcome:
    torch.manual_seed(setting.seed)
    layers: list[nn.Module] = []
    for inputs, outputs in job.layers[:-1]:
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(setting.p)]
    model = nn.Sequential(*layers, nn.Linear(*job.layers[-1]))
    loader = DataLoader(TensorDataset(job.x, job.y), batch_size=job.batch, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=setting.lr, weight_decay=setting.weight_decay)
    criterion = nn.CrossEntropyLoss()
    outcome = None
    for _ in range(job.epochs):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            train, validation = model(job.x), model(job.x_validation)
            outcome = _outcome(job, train, validation)
    assert outcome is not None
    return outcome


def lean(job: Job, settings: Sequence[Setting]) -> list[Outcome]:
    """Train with bare parameters, fused Adam, and batches sliced from rows shuffled once an epoch."""
    return [_lean(job, setting) for setting in settings]


def _lean(job: Job, setting: Setting) -> Outcome:
    torch.manual_seed(setting.seed)
    parameters = [p for sizes in job.layers for p in nn.Linear(*sizes).parameters()]
    pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
    optimizer = torch.optim.Adam(parameters, lr=setting.lr, weight_decay=setting.weight_decay, fused=True)

    def forward(h: Tensor, training: bool) -> Tensor:
        for weight, bias in pairs[:-1]:
            h = F.linear(h, weight, bias).relu_()
            if training:
                h = F.dropout(h, setting.p)
        return F.linear(h, *pairs[-1])

    outcome = None
    for _ in range(job.epochs):
        order = torch.randperm(len(job.x))
        batches = zip(job.x[order].split(job.batch), job.y[order].split(job.batch), strict=True)
        for inputs, targets in batches:
            F.cross_entropy(forward(inputs, True), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.inference_mode():
            outcome = _outcome(job, forward(job.x, False), forward(job.x_validation, False))
    assert outcome is not None
    return outcome


def _outcome(job: Job, train: Tensor, validation: Tensor) -> Outcome:
    return Outcome(
        train_loss=F.cross_entropy(train, job.y).item(),
        validation_loss=F.cross_entropy(validation, job.y_validation).item(),
        validation_accuracy=(validation.argmax(1) == job.y_validation).float().mean().item(),
    )


def sklearn(job: Job, settings: Sequence[Setting]) -> list[Outcome]:
    """Train scikit-learn's MLPClassifier, which has no dropout, and evaluate it after each epoch as the others."""
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    x, y, x_validation, y_validation = (part.numpy() for part in (job.x, job.y, job.x_validation, job.y_validation))
    classes = np.arange(job.classes)
    outcomes = []
    for setting in settings:
        model = MLPClassifier(
            hidden_layer_sizes=job.hidden, batch_size=job.batch, learning_rate_init=setting.lr,
            alpha=setting.weight_decay, random_state=setting.seed,
        )  # fmt: skip
        outcome = None
        for _ in range(job.epochs):
            model.partial_fit(x, y, classes=classes)  # one epoch
            found = model.predict_proba(x_validation)
            outcome = Outcome(
                train_loss=log_loss(y, model.predict_proba(x), labels=classes),
                validation_loss=log_loss(y_validation, found, labels=classes),
                validation_accuracy=float((found.argmax(axis=1) == y_validation).mean()),
            )
        assert outcome is not None
        outcomes.append(outcome)
    return outcomes


def stacked(job: Job, settings: Sequence[Setting]) -> list[Outcome]:
    """Train bundles of runs whose parameters are stacked: products by bmm, own backward pass, own Adam."""
    found: list[Outcome] = []
    with torch.inference_mode():
        for first in range(0, len(settings), BUNDLE):
            found += Stack(job, settings[first : first + BUNDLE]).train()
    return found


class Stack:
    """Runs trained together: weights `[runs, inputs, outputs]`, biases `[runs, 1, outputs]`, all in one flat tensor.

    Args:
        job: What is trained.
        settings: One for each run.
    """

    def __init__(self, job: Job, settings: Sequence[Setting]) -> None:
        self.job, self.runs = job, len(settings)
        torch.manual_seed(settings[0].seed)
        shapes = [shape for a, b in job.layers for shape in ((self.runs, a, b), (self.runs, 1, b))]
        self.sizes, self.shapes = [int(np.prod(shape)) for shape in shapes], shapes
        self.parameters, self.gradients, self.first, self.second, self.scratch = torch.zeros(5, sum(self.sizes))
        self.rates = self._each([setting.lr for setting in settings])
        self.decay = self._each([setting.weight_decay for setting in settings])
        self.weights, self.biases = self._views(self.parameters)
        self.weight_gradients, self.bias_gradients = self._views(self.gradients)
        for (inputs, _), weight, bias in zip(job.layers, self.weights, self.biases, strict=True):
            weight.uniform_(-(inputs**-0.5), inputs**-0.5)
            bias.uniform_(-(inputs**-0.5), inputs**-0.5)
        p = torch.tensor([setting.p for setting in settings])[:, None, None]
        self.scale = 1 / (1 - p)
        # Four 16-bit numbers from each of torch's 64-bit ones: several times faster than its Bernoulli numbers.
        self.threshold = (p * 65536 - 32768).round().clamp(max=32767).to(torch.int16)
        self.steps_done = 0

    def _each(self, values: list[float]) -> Tensor:
        """Return a number of each run for each of its parameters, in the flat order."""
        each = torch.tensor(values)[:, None, None]
        return torch.cat([each.expand(shape).reshape(-1) for shape in self.shapes])

    def _views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        views = [part.view(shape) for part, shape in zip(flat.split(self.sizes), self.shapes, strict=True)]
        return views[::2], views[1::2]

    def train(self) -> list[Outcome]:
        """Train, evaluating after each epoch, and return the last evaluation of each run."""
        job, outcomes = self.job, list[Outcome]()
        for _ in range(job.epochs):
            order = torch.rand(self.runs, len(job.x)).argsort(dim=1)
            for rows in order.split(job.batch, dim=1):
                self._step(job.x[rows], job.y[rows])
            train_loss, _ = self._evaluated(job.x, job.y)
            validation_loss, accuracy = self._evaluated(job.x_validation, job.y_validation)
            outcomes = [
                Outcome(train_loss=a, validation_loss=b, validation_accuracy=c)
                for a, b, c in zip(train_loss, validation_loss, accuracy, strict=True)
            ]
        return outcomes

    def _masks(self, rows: int) -> Iterator[Tensor]:
        sizes = [self.runs * rows * width for width in self.job.hidden]
        numbers = torch.empty(-(-sum(sizes) // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        for part, width in zip(numbers[: sum(sizes)].split(sizes), self.job.hidden, strict=True):
            yield torch.where(part.view(self.runs, rows, width) >= self.threshold, self.scale, 0.0)

    def _step(self, x: Tensor, y: Tensor) -> None:
        h = [x]
        for weight, bias, mask in zip(self.weights, self.biases, self._masks(x.shape[1]), strict=False):
            h.append(torch.baddbmm(bias, h[-1], weight).relu_().mul_(mask))
        slope = torch.baddbmm(self.biases[-1], h[-1], self.weights[-1]).softmax(2)
        slope.scatter_add_(2, y[..., None], slope.new_full((1, 1, 1), -1.0).expand(*y.shape, 1)).div_(x.shape[1])
        for i in reversed(range(len(self.weights))):
            torch.bmm(h[i].transpose(1, 2), slope, out=self.weight_gradients[i])
            torch.sum(slope, 1, keepdim=True, out=self.bias_gradients[i])
            if i:
                slope = torch.bmm(slope, self.weights[i].transpose(1, 2))
                # Where a unit was dropped its output is 0, as where the ReLU was off.
                slope = torch.ops.aten.threshold_backward(slope, h[i], 0.0).mul_(self.scale)
        self._adam()

    def _adam(self) -> None:
        self.steps_done += 1
        first_scale, second_scale = 1 - BETA_1**self.steps_done, 1 - BETA_2**self.steps_done
        gradients, update = self.gradients, self.scratch
        gradients.addcmul_(self.parameters, self.decay)
        self.first.lerp_(gradients, 1 - BETA_1)
        self.second.mul_(BETA_2).addcmul_(gradients, gradients, value=1 - BETA_2)
        torch.sqrt(self.second, out=update).mul_(second_scale**-0.5).add_(EPSILON)
        torch.div(self.first, update, out=update)
        self.parameters.addcmul_(update, self.rates, value=-1 / first_scale)

    def _evaluated(self, x: Tensor, y: Tensor) -> tuple[list[float], list[float]]:
        """Return loss and accuracy of each run."""
        h = x.expand(self.runs, *x.shape)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = torch.baddbmm(bias, h, weight).relu_()
        outputs = torch.baddbmm(self.biases[-1], h, self.weights[-1])
        targets = y.expand(self.runs, -1)
        losses = F.cross_entropy(outputs.transpose(1, 2), targets, reduction="none").mean(1)
        return losses.tolist(), (outputs.argmax(2) == targets).float().mean(1).tolist()


def sweep(runs: int) -> list[Setting]:
    """Return settings of runs that differ in rate, learning rate and weight decay, spread evenly around the middle."""
    places: npt.NDArray[np.float64] = (np.arange(runs) + 0.5) / runs
    return [
        Setting(p=float(p), lr=float(lr), weight_decay=float(decay), seed=i)
        for i, (p, lr, decay) in enumerate(
            zip(0.4 + 0.2 * places, 10 ** (-3.3 + 0.6 * places), 10 ** (-6 + 2 * places), strict=True)
        )
    ]
