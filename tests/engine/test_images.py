"""Training on images is the PyTorch loop that one would write by hand, with each technique written out here again."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, update_bn

from regimen.data import Images, Split, from_images, prepare, stop_split
from regimen.engine import reference, train, train_one, why_not
from regimen.kernels import dropout_mask
from regimen.kernels.native import find_kernels
from regimen.models import MLP, ConvNet, Convolution
from regimen.models.names import Model
from regimen.run import Recipe, Run
from regimen.streams import permutation
from regimen.techniques import (
    EMA,
    SGD,
    Augmentation,
    Cutout,
    EarlyStopping,
    HorizontalFlip,
    PixelNoise,
    Rotation,
    augment,
    cutmix,
    initialize,
    input_noise,
    mixup_partners,
    mixup_weights,
)

LR, EPOCHS, ROWS, TRAIN = 0.01, 2, 60, 41
# The batches of 41 rows at 10 a batch: a single last row joins the batch before it.
BATCHES = [slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 41)]
NET = ConvNet(convolutions=(Convolution(channels=4), Convolution(channels=5, pool=2)), hidden=(6,))
OPERATIONS: tuple[Augmentation, ...] = (Rotation(degrees=30.0), HorizontalFlip(), Cutout(size=3), PixelNoise(std=0.1))
Step = Callable[[int, Tensor, Tensor], None]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def images() -> Images:
    """Return images of 8x6 pixels in three colours; the rows of the parts below are in no order."""
    source = np.random.default_rng(1)
    y = source.permutation(np.repeat([0, 1, 2], [30, 20, 10]))
    pixels = source.integers(0, 200, (ROWS, 3, 8, 6)) + 25 * y[:, None, None, None]
    return from_images(pixels.astype(np.uint8), y, name="three colours")


@pytest.fixture
def make_run(images: Images) -> Callable[..., Run]:
    rows = np.random.default_rng(2).permutation(ROWS)
    split = Split(train=rows[:TRAIN], validation=rows[TRAIN:53], test=rows[53:])

    def make(model: Model = NET, **changes: Any) -> Run:
        recipe = Recipe(**({"epochs": EPOCHS, "batch_size": 10, "lr": LR} | changes))
        return Run(recipe=recipe, model=model, data=images, split=split, key=7, metric="accuracy")

    return make


MakeRun = Callable[..., Run]


def by_hand(run: Run, *layers: nn.Module) -> nn.Sequential:
    """Return the layers, by default those of `NET`, with the initial weights of the run."""
    network = nn.Sequential(
        *(layers or (
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(5 * 4 * 3, 6), nn.ReLU(), nn.Linear(6, 3),
        ))
    ).to(memory_format=torch.channels_last)  # fmt: skip
    initialize(network, "default", run.key)
    return network


def scaled(run: Run, rows: Any) -> tuple[Tensor, Tensor]:
    """Return inputs and labels of data rows: each channel standardized by the training rows."""
    train = run.data.pixels[run.split.train] / 255.0  # type: ignore[union-attr]
    mean, spread = train.mean(axis=(0, 2, 3), keepdims=True), train.std(axis=(0, 2, 3), keepdims=True)
    inputs = (run.data.pixels[rows] / 255.0 - mean) / spread  # type: ignore[union-attr]
    x = torch.from_numpy(inputs).float().contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(run.data.y[rows])


def steps(run: Run) -> Iterator[tuple[int, np.ndarray[Any, Any], Tensor, Tensor]]:
    """Yield step, data rows, inputs and labels of every optimizer step of the run."""
    for epoch in range(EPOCHS):
        order = permutation(run.key, TRAIN, epoch=epoch).numpy()
        for i, part in enumerate(BATCHES):
            rows = run.split.train[order[part]]
            yield epoch * len(BATCHES) + i, rows, *scaled(run, rows)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def assert_trained(run: Run, network: nn.Module) -> None:
    """Compare parameters and buffers after the engine trained the run; inputs alone differ, by rounding."""
    result = train_one(run, keep=("weights",))
    assert result.status == "finished"
    assert result.weights is not None
    for found, expected in zip(result.weights.values(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=2e-5, atol=2e-6)


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=LR, momentum=0.9)


HEAVY = SGD(momentum=0.9)


def test_a_plain_convolutional_network_bitwise_from_the_same_inputs(make_run: MakeRun) -> None:
    run = make_run()
    prepared = prepare(run.data, run.split, "standard")
    network = by_hand(run)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR, fused=True)
    for epoch in range(EPOCHS):
        order = permutation(run.key, TRAIN, epoch=epoch)
        for rows in BATCHES:
            x, y = prepared.scaled(prepared.x["train"][order[rows]]), prepared.y["train"][order[rows]]
            descend(optimizer, F.cross_entropy(network(x), y))
    result = train_one(run, keep=("weights",))
    assert result.weights is not None
    for found, expected in zip(result.weights.values(), network.state_dict().values(), strict=True):
        assert torch.equal(torch.from_numpy(found), expected)


def test_a_convolutional_network_on_pixels_scaled_by_hand(make_run: MakeRun) -> None:
    run = make_run(optimizer=HEAVY)
    network = by_hand(run)
    optimizer = sgd(network)
    for _, _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
    assert_trained(run, network)


def test_given_numbers_scale_the_pixels_of_each_channel(make_run: MakeRun) -> None:
    center, scale = (0.5, 0.4, 0.3), (0.25, 0.5, 1.0)
    run = make_run(optimizer=HEAVY, input_scaling=(center, scale))
    network = by_hand(run)
    optimizer = sgd(network)
    for _, rows, _, y in steps(run):
        pixels = torch.from_numpy(run.data.pixels[rows] / 255.0)  # type: ignore[union-attr]
        by_channel = [(pixels[:, i : i + 1] - center[i]) / scale[i] for i in range(3)]
        descend(optimizer, F.cross_entropy(network(torch.cat(by_channel, dim=1).float()), y))
    assert_trained(run, network)


@pytest.mark.parametrize("kind", ["element", "channel"])
def test_dropout_after_the_pool_and_the_hidden_layer_with_the_masks_of_the_stream(make_run: MakeRun, kind: str) -> None:
    run = make_run(dropout=0.4, dropout_kind=kind, optimizer=HEAVY)
    network = by_hand(run)
    first, second, third, last = network[0], network[2], network[6], network[8]
    optimizer = sgd(network)
    for n, _, x, y in steps(run):

        def mask(hidden: Tensor, site: int, rows: int = len(x), n: int = n) -> Tensor:
            features = hidden.shape[1] if kind == "channel" else hidden[0].numel()
            drawn = dropout_mask(run.key, 0.4, rows=rows, features=features, step=n, site=site)[0]
            if hidden.dim() == 2:
                return drawn
            if kind == "channel":
                return drawn[:, :, None, None]
            channels, height, width = hidden.shape[1:]
            return drawn.reshape(rows, height, width, channels).permute(0, 3, 1, 2)

        hidden = torch.relu(first(x))
        hidden = F.max_pool2d(torch.relu(second(hidden * mask(hidden, 1))), 2)
        hidden = torch.relu(third((hidden * mask(hidden, 2)).flatten(1)))
        wide = hidden.shape[1]
        drawn = dropout_mask(run.key, 0.4, rows=len(x), features=wide, step=n, site=3)[0]
        descend(optimizer, F.cross_entropy(last(hidden * drawn), y))
    assert_trained(run, network)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_normalization_before_each_activation(make_run: MakeRun, kind: str) -> None:
    run = make_run(normalization=kind, optimizer=HEAVY)
    over_images: Any = nn.BatchNorm2d if kind == "batch" else lambda channels: nn.GroupNorm(1, channels)
    over_rows: Any = nn.BatchNorm1d if kind == "batch" else nn.LayerNorm
    network = by_hand(
        run,
        nn.Conv2d(3, 4, 3, padding=1), over_images(4), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1), over_images(5),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(60, 6), over_rows(6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip
    optimizer = sgd(network)
    for _, _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
    assert_trained(run, network)


def test_augmentation_by_data_row_and_epoch_then_mixup_then_noise(make_run: MakeRun) -> None:
    run = make_run(augmentation=OPERATIONS, mixup=0.4, input_noise=0.2, optimizer=HEAVY)
    network = by_hand(run)
    optimizer = sgd(network)
    black = scaled(run, run.split.train)[0].amin((0, 2, 3))
    weights = mixup_weights(run.key, 0.4, step=0, steps=EPOCHS * len(BATCHES))
    prepared = prepare(run.data, run.split, "standard")
    torch.testing.assert_close(torch.tensor(prepared.black), black, rtol=0.05, atol=0.0)  # the darkest is nearly black
    for n, rows, x, y in steps(run):
        x = augment(
            x, OPERATIONS, key=run.key, rows=torch.from_numpy(rows), epoch=n // len(BATCHES), fill=prepared.black
        )
        lam, partners = float(weights[n]), mixup_partners(run.key, len(x), step=n)
        x = lam * x + (1 - lam) * x[partners]
        x = x + input_noise(run.key, 0.2, rows=len(x), features=144, step=n).reshape(len(x), 3, 8, 6)
        target = lam * F.one_hot(y, 3) + (1 - lam) * F.one_hot(y[partners], 3)
        descend(optimizer, -(target * network(x).log_softmax(1)).sum(1).mean())
    assert_trained(run, network)


def test_cutmix_after_augmentation(make_run: MakeRun) -> None:
    run = make_run(cutmix=1.0, augmentation=(HorizontalFlip(),), optimizer=HEAVY)
    network = by_hand(run)
    optimizer = sgd(network)
    for n, rows, x, y in steps(run):
        x = augment(
            x, (HorizontalFlip(),), key=run.key, rows=torch.from_numpy(rows), epoch=n // len(BATCHES), fill=[0, 0, 0]
        )
        x, partners, share = cutmix(x, key=run.key, alpha=1.0, step=n)
        target = share * F.one_hot(y, 3) + (1 - share) * F.one_hot(y[partners], 3)
        descend(optimizer, -(target * network(x).log_softmax(1)).sum(1).mean())
    assert_trained(run, network)


def test_max_norm_bounds_all_incoming_weights_of_each_filter(make_run: MakeRun) -> None:
    run = make_run(max_norm=0.5, optimizer=HEAVY)
    network = by_hand(run)
    optimizer = sgd(network)
    bound = False
    for _, _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
        with torch.no_grad():
            for weight in (network[0].weight, network[2].weight, network[6].weight, network[8].weight):
                for unit in weight:
                    length = unit.square().sum().sqrt()
                    bound = bound or (weight.dim() == 4 and length > 0.5)
                    unit.mul_(min(1.0, 0.5 / float(length)))
    assert bound
    assert_trained(run, network)


def test_l1_and_l2_and_clipping_of_filters_and_matrices_without_biases(make_run: MakeRun) -> None:
    run = make_run(l1=0.01, weight_decay=0.1, clip_norm=0.5, optimizer=HEAVY)
    network = by_hand(run)
    weights = [p for p in network.parameters() if p.dim() > 1]
    biases = [p for p in network.parameters() if p.dim() == 1]
    optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 0.1}, {"params": biases}], lr=LR, momentum=0.9)
    for _, _, x, y in steps(run):
        optimizer.zero_grad()
        (F.cross_entropy(network(x), y) + 0.01 * sum(w.abs().sum() for w in weights)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
    assert_trained(run, network)


def test_ema_with_batch_norm_statistics_estimated_again_on_plain_images(make_run: MakeRun) -> None:
    run = make_run(averaging=EMA(decay=0.7), normalization="batch", optimizer=HEAVY, augmentation=(HorizontalFlip(),))
    network = by_hand(
        run,
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(60, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip

    def rising(mean: Tensor, live: Tensor, t: Tensor) -> Tensor:
        d = min(0.7, (1 + float(t)) / (10 + float(t)))
        return d * mean + (1 - d) * live

    averaged = AveragedModel(network, avg_fn=rising)
    optimizer = sgd(network)
    for n, rows, x, y in steps(run):
        x = augment(
            x, (HorizontalFlip(),), key=run.key, rows=torch.from_numpy(rows), epoch=n // len(BATCHES), fill=[0, 0, 0]
        )
        descend(optimizer, F.cross_entropy(network(x), y))
        averaged.update_parameters(network)
    x, _ = scaled(run, run.split.train)
    order = permutation(run.key, TRAIN, epoch=EPOCHS - 1)
    update_bn([x[order[rows]] for rows in BATCHES], averaged)
    assert_trained(run, averaged.module)


def test_early_stopping_leaves_its_rows_out_and_augments_the_others_by_their_data_rows(make_run: MakeRun) -> None:
    run = make_run(early_stopping=EarlyStopping(patience=5), augmentation=(HorizontalFlip(),), optimizer=HEAVY)
    labels = run.data.y[run.split.train]
    kept, stop = stop_split(np.arange(TRAIN), labels, run.key)
    network = by_hand(run)
    optimizer = sgd(network)
    states, losses = [], []
    for epoch in range(EPOCHS):
        order = permutation(run.key, len(kept), epoch=epoch).numpy()
        for part in (slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 34)):
            rows = run.split.train[kept[order[part]]]
            x, y = scaled(run, rows)
            x = augment(x, (HorizontalFlip(),), key=run.key, rows=torch.from_numpy(rows), epoch=epoch, fill=[0, 0, 0])
            descend(optimizer, F.cross_entropy(network(x), y))
        x, y = scaled(run, run.split.train[stop])
        with torch.no_grad():
            losses.append(float(F.cross_entropy(network(x), y)))
        states.append([p.detach().clone() for p in network.parameters()])
    result = train_one(run, keep=("weights",))
    assert result.weights is not None
    best = int(np.argmin(losses))
    assert result.epoch == best + 1
    for found, expected in zip(result.weights.values(), states[best], strict=True):
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=2e-5, atol=2e-6)


def test_losses_and_outputs_are_of_images_as_they_are(make_run: MakeRun) -> None:
    run = make_run(augmentation=OPERATIONS, dropout=0.5, cutmix=1.0)
    result = train_one(run, keep=("outputs", "weights"))
    network = run.network((3, 8, 6), 3).eval()
    assert result.weights is not None and result.outputs is not None
    network.load_state_dict({name: torch.from_numpy(value) for name, value in result.weights.items()})
    with torch.no_grad():
        for part, loss in (("train", result.train_loss), ("validation", result.validation_loss)):
            x, y = scaled(run, getattr(run.split, part))
            assert loss == pytest.approx(float(F.cross_entropy(network(x), y)), rel=1e-5)
        for part in ("validation", "test"):
            expected = network(scaled(run, getattr(run.split, part))[0])
            torch.testing.assert_close(torch.from_numpy(result.outputs[part]), expected, rtol=1e-4, atol=1e-5)


def test_how_many_images_are_evaluated_at_once_changes_nothing_but_rounding(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(normalization="batch")
    whole = train_one(run, keep=("outputs",))
    monkeypatch.setattr(reference, "EVALUATION_IMAGES", 7)
    pieces = train_one(run, keep=("outputs",))
    assert whole.outputs is not None and pieces.outputs is not None
    assert pieces.train_loss == pytest.approx(whole.train_loss, rel=1e-6)
    np.testing.assert_allclose(pieces.outputs["test"], whole.outputs["test"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"input_dropout": 0.2, "dropout": 0.3, "input_noise": 0.2, "mixup": 0.4},
        {"normalization": "batch", "averaging": EMA(decay=0.9), "optimizer": HEAVY},
        {"early_stopping": EarlyStopping(patience=2), "epochs": 4},
    ],
    ids=["plain", "noise", "batch norm", "early stopping"],
)
def test_a_perceptron_on_flattened_images_means_the_same_in_the_native_engine(
    make_run: MakeRun, changes: dict[str, Any]
) -> None:
    if find_kernels() is None:
        pytest.skip("the C++ kernels are not installed")
    run = make_run(model=MLP(hidden=(8,)), **changes)
    [found] = train([run], engine="native", keep=("outputs", "weights"))
    expected = train_one(run, keep=("outputs", "weights"))
    assert (found.engine, found.epoch, found.steps) == ("native", expected.epoch, expected.steps)
    assert found.curves.metric == expected.curves.metric
    np.testing.assert_allclose(found.curves.train_loss, expected.curves.train_loss, rtol=1e-5)
    assert found.weights is not None and expected.weights is not None
    assert list(found.weights) == list(expected.weights)
    for name, value in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert found.outputs is not None and expected.outputs is not None
    np.testing.assert_allclose(found.outputs["test"], expected.outputs["test"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "trains multilayer perceptrons only, not ConvNet"),
        ({"model": MLP(), "augmentation": (HorizontalFlip(),)}, "has no augmentation"),
        ({"model": MLP(), "cutmix": 1.0}, "has no cutmix"),
    ],
)
def test_the_native_engine_says_what_of_images_it_does_not_train(
    make_run: MakeRun, changes: dict[str, Any], reason: str
) -> None:
    assert why_not(make_run(**changes)) == reason
