"""The reference engine is the PyTorch loop that one would write by hand: each technique is written out here again.

Bitwise wherever the loop uses the same operations, else to the rounding of float32.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, update_bn

from regimen.data import prepare, stop_split
from regimen.engine import train_one
from regimen.kernels import dropout_mask
from regimen.models import MLP
from regimen.run import Run
from regimen.streams import permutation
from regimen.techniques import (
    EMA,
    SGD,
    SWA,
    Adagrad,
    Adam,
    AdamW,
    CosineLR,
    EarlyStopping,
    OneCycleLR,
    RMSprop,
    initialize,
    input_noise,
    mixup_partners,
    mixup_weights,
)

LR, EPOCHS = 0.01, 3
MakeRun = Callable[..., Run]
# The batches of 41 rows at 10 a batch: a single last row joins the batch before it.
BATCHES = [slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 41)]


def part(run: Run, name: str) -> tuple[Tensor, Tensor]:
    prepared = prepare(run.data, run.split, run.recipe.input_scaling)
    return prepared.x[name], prepared.y[name]


def steps(run: Run) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield step, inputs and targets of every optimizer step of the run."""
    x, y = part(run, "train")
    for epoch in range(EPOCHS):
        order = permutation(run.key, len(x), epoch=epoch)
        for i, rows in enumerate(BATCHES):
            yield epoch * len(BATCHES) + i, x[order[rows]], y[order[rows]]


def mlp(run: Run, *layers: nn.Module) -> nn.Sequential:
    """Return the layers, by default 4-8-3 with ReLU, with the initial weights of the run."""
    network = nn.Sequential(*(layers or (nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))))
    initialize(network, "default", run.key)
    return network


def adam(network: nn.Module, **options: Any) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=LR, fused=True, **options)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def weights_of(run: Run) -> list[Tensor]:
    """Return parameters and buffers after the engine trained the run, in the order of the modules."""
    result = train_one(run, keep=("weights",))
    assert result.status == "finished"
    assert result.weights is not None
    return [torch.from_numpy(value) for value in result.weights.values()]


def assert_equal(run: Run, network: nn.Module, *, exact: bool = True) -> None:
    for found, expected in zip(weights_of(run), network.state_dict().values(), strict=True):
        if exact:
            assert torch.equal(found, expected)
        else:
            torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-6)


def test_plain_adam(make_run: MakeRun) -> None:
    run = make_run()
    network = mlp(run)
    optimizer = adam(network)
    for _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
    assert_equal(run, network)


@pytest.mark.parametrize(
    ("optimizer", "theirs", "options"),
    [
        (SGD(momentum=0.9), torch.optim.SGD, {"momentum": 0.9, "fused": True}),
        (SGD(momentum=0.9, nesterov=True), torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
        (Adam(betas=(0.8, 0.9), amsgrad=True), torch.optim.Adam, {"betas": (0.8, 0.9), "amsgrad": True, "fused": True}),
        (RMSprop(momentum=0.5, centered=True), torch.optim.RMSprop, {"momentum": 0.5, "centered": True}),
        (Adagrad(), torch.optim.Adagrad, {"fused": True}),
    ],
    ids=["momentum", "nesterov", "amsgrad", "rmsprop", "adagrad"],
)
def test_other_optimizers(make_run: MakeRun, optimizer: Any, theirs: Any, options: dict[str, Any]) -> None:
    run = make_run(optimizer=optimizer)
    network = mlp(run)
    by_hand = theirs(network.parameters(), lr=LR, **options)
    for _, x, y in steps(run):
        descend(by_hand, F.cross_entropy(network(x), y))
    assert_equal(run, network)


def test_the_mean_squared_error_of_a_regression(make_run: MakeRun, regression: Any) -> None:
    run = make_run(data=regression)
    network = mlp(run, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = adam(network)
    for _, x, y in steps(run):
        descend(optimizer, ((network(x)[:, 0] - y) ** 2).mean())
    assert_equal(run, network)


def test_dropout_with_the_masks_of_the_stream(make_run: MakeRun) -> None:
    run = make_run(dropout=(0.3, 0.6), input_dropout=0.2, model=MLP(hidden=(8, 6)))
    first, second, last = layers = [nn.Linear(4, 8), nn.Linear(8, 6), nn.Linear(6, 3)]
    network = mlp(run, *layers)
    optimizer = adam(network)
    for n, x, y in steps(run):

        def mask(p: float, site: int, features: int, rows: int = len(x), n: int = n) -> Tensor:
            return dropout_mask(run.key, p, rows=rows, features=features, step=n, site=site)[0]

        hidden = torch.relu(first(x * mask(0.2, 0, 4))) * mask(0.3, 1, 8)
        hidden = torch.relu(second(hidden)) * mask(0.6, 2, 6)
        descend(optimizer, F.cross_entropy(last(hidden), y))
    assert_equal(run, network)


@pytest.mark.parametrize(("kind", "norm"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)], ids=["batch", "layer"])
def test_normalization(make_run: MakeRun, kind: str, norm: type[nn.Module]) -> None:
    run = make_run(normalization=kind)
    network = mlp(run, nn.Linear(4, 8), norm(8), nn.ReLU(), nn.Linear(8, 3))  # type: ignore[call-arg]
    optimizer = adam(network)
    for _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
    assert_equal(run, network)


def test_l2_of_weights_without_biases_and_norms(make_run: MakeRun) -> None:
    run = make_run(weight_decay=0.1, normalization="layer")
    network = mlp(run, nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))
    matrices = [network[0].weight, network[3].weight]
    optimizer = adam(network)
    for _, x, y in steps(run):
        # λ/2 · Σ w² written into the loss: rounded in another order.
        penalty = 0.1 / 2 * sum(w.square().sum() for w in matrices)
        descend(optimizer, F.cross_entropy(network(x), y) + penalty)
    assert_equal(run, network, exact=False)


def test_l2_of_everything_is_the_weight_decay_of_a_plain_call(make_run: MakeRun) -> None:
    run = make_run(weight_decay=0.1, decay_bias_and_norm=True, normalization="batch")
    network = mlp(run, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = adam(network, weight_decay=0.1)
    for _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
    assert_equal(run, network)


@pytest.mark.parametrize("everything", [False, True])
def test_decoupled_decay_is_adamw(make_run: MakeRun, everything: bool) -> None:
    run = make_run(decoupled_weight_decay=2.0, decay_bias_and_norm=everything, optimizer=AdamW())
    network = mlp(run)
    weights, biases = ([p for p in network.parameters() if (p.dim() > 1) == matrix] for matrix in (True, False))
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 2.0}, {"params": biases, "weight_decay": 2.0 if everything else 0.0}],
        lr=LR,
    )
    for _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
    assert_equal(run, network, exact=False)


def test_decoupled_decay_follows_the_schedule(make_run: MakeRun) -> None:
    run = make_run(decoupled_weight_decay=2.0, schedule=CosineLR(), decay_bias_and_norm=True)
    network = mlp(run)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=2.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for n, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
        if (n + 1) % len(BATCHES) == 0:
            scheduler.step()
    assert_equal(run, network, exact=False)


def test_onecycle_changes_the_rate_at_every_step(make_run: MakeRun) -> None:
    run = make_run(schedule=OneCycleLR(), optimizer=SGD())
    network = mlp(run)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, EPOCHS * len(BATCHES), cycle_momentum=False)
    for n, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
        if n + 1 < EPOCHS * len(BATCHES):
            scheduler.step()
    assert_equal(run, network, exact=False)


def test_l1_written_into_the_loss(make_run: MakeRun) -> None:
    run = make_run(l1=0.01)
    network = mlp(run)
    optimizer = adam(network)
    for _, x, y in steps(run):
        penalty = 0.01 * (network[0].weight.abs().sum() + network[2].weight.abs().sum())
        descend(optimizer, F.cross_entropy(network(x), y) + penalty)
    assert_equal(run, network, exact=False)


def test_proximal_l1_after_the_step(make_run: MakeRun) -> None:
    run = make_run(l1=5.0, l1_step="proximal", optimizer=SGD())
    network = mlp(run)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, fused=True)
    for _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
        with torch.no_grad():
            for w in (network[0].weight, network[2].weight):
                w.copy_(w.sign() * (w.abs() - LR * 5.0).clamp(min=0))
    assert_equal(run, network, exact=False)
    assert (network[0].weight == 0).any()


def test_max_norm_after_the_step(make_run: MakeRun) -> None:
    run = make_run(max_norm=0.5)
    network = mlp(run)
    optimizer = adam(network)
    for _, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
        with torch.no_grad():
            for w in (network[0].weight, network[2].weight):
                for row in w:
                    if row.norm() > 0.5:
                        row.mul_(0.5 / row.norm())
    assert_equal(run, network, exact=False)
    assert network[0].weight.norm(dim=1).max().item() == pytest.approx(0.5)


def test_mixup_with_mixed_target_vectors(make_run: MakeRun) -> None:
    run = make_run(mixup=0.4)
    network = mlp(run)
    optimizer = adam(network)
    weights = mixup_weights(run.key, 0.4, step=0, steps=EPOCHS * len(BATCHES))
    for n, x, y in steps(run):
        lam, partners = float(weights[n]), mixup_partners(run.key, len(x), step=n)
        target = lam * F.one_hot(y, 3) + (1 - lam) * F.one_hot(y[partners], 3)
        mixed = lam * x + (1 - lam) * x[partners]
        descend(optimizer, -(target * network(mixed).log_softmax(1)).sum(1).mean())
    assert_equal(run, network, exact=False)


def test_mixup_of_a_regression_has_the_gradient_of_mixed_targets(make_run: MakeRun, regression: Any) -> None:
    run = make_run(mixup=0.4, data=regression, optimizer=SGD())
    network = mlp(run, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)
    weights = mixup_weights(run.key, 0.4, step=0, steps=EPOCHS * len(BATCHES))
    for n, x, y in steps(run):
        lam, partners = float(weights[n]), mixup_partners(run.key, len(x), step=n)
        mixed = lam * x + (1 - lam) * x[partners]
        descend(optimizer, F.mse_loss(network(mixed)[:, 0], lam * y + (1 - lam) * y[partners]))
    assert_equal(run, network, exact=False)


def test_label_smoothing_by_its_formula(make_run: MakeRun) -> None:
    run = make_run(label_smoothing=0.2)
    network = mlp(run)
    optimizer = adam(network)
    for _, x, y in steps(run):
        target = 0.8 * F.one_hot(y, 3) + 0.2 / 3
        descend(optimizer, -(target * network(x).log_softmax(1)).sum(1).mean())
    assert_equal(run, network, exact=False)


def test_balanced_class_weights_by_their_formula(make_run: MakeRun) -> None:
    run = make_run(class_weights="balanced")
    network = mlp(run)
    optimizer = adam(network)
    counts = part(run, "train")[1].bincount()
    weight = counts.sum() / (3.0 * counts)
    for _, x, y in steps(run):
        each = F.cross_entropy(network(x), y, reduction="none") * weight[y]
        descend(optimizer, each.sum() / weight[y].sum())
    assert_equal(run, network, exact=False)


def test_input_noise_and_clipping(make_run: MakeRun) -> None:
    run = make_run(input_noise=0.3, clip_norm=0.05, optimizer=SGD())
    network = mlp(run)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, fused=True)
    for n, x, y in steps(run):
        noisy = x + input_noise(run.key, 0.3, rows=len(x), features=4, step=n)
        optimizer.zero_grad()
        F.cross_entropy(network(noisy), y).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.05)
        optimizer.step()
    assert_equal(run, network)


def test_ema_with_batch_norm_statistics_estimated_again(make_run: MakeRun) -> None:
    run = make_run(averaging=EMA(decay=0.7), normalization="batch", dropout=0.5)
    network = mlp(run, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Identity(), nn.Linear(8, 3))

    def rising(mean: Tensor, live: Tensor, t: Tensor) -> Tensor:
        d = min(0.7, (1 + float(t)) / (10 + float(t)))
        return d * mean + (1 - d) * live

    averaged = AveragedModel(network, avg_fn=rising)
    optimizer = adam(network)
    for n, x, y in steps(run):
        hidden = network[:3](x) * dropout_mask(run.key, 0.5, rows=len(x), features=8, step=n, site=1)[0]
        descend(optimizer, F.cross_entropy(network[4](hidden), y))
        averaged.update_parameters(network)
    x, _ = part(run, "train")
    order = permutation(run.key, len(x), epoch=EPOCHS - 1)
    update_bn([x[order[rows]] for rows in BATCHES], averaged)
    assert_equal(run, averaged.module, exact=False)


def test_swa_of_the_last_epochs(make_run: MakeRun) -> None:
    run = make_run(averaging=SWA(start=0.4))
    network = mlp(run)
    averaged = AveragedModel(network)
    optimizer = adam(network)
    for n, x, y in steps(run):
        descend(optimizer, F.cross_entropy(network(x), y))
        if n + 1 in (2 * len(BATCHES), 3 * len(BATCHES)):  # the second and the third of three epochs
            averaged.update_parameters(network)
    assert_equal(run, averaged.module, exact=False)


def test_several_techniques_in_the_documented_order(make_run: MakeRun) -> None:
    """Mixup, noise, forward with masks, loss, backward, L1, clipping, decay, step with L2, max-norm."""
    run = make_run(
        optimizer=SGD(momentum=0.9), mixup=0.4, input_noise=0.1, dropout=0.5, l1=0.01, clip_norm=0.3,
        decoupled_weight_decay=2.0, weight_decay=0.1, max_norm=0.6, label_smoothing=0.1,
    )  # fmt: skip
    network = mlp(run)
    matrices = [network[0].weight, network[2].weight]
    optimizer = torch.optim.SGD(
        [{"params": matrices, "weight_decay": 0.1}, {"params": [network[0].bias, network[2].bias]}], lr=LR, momentum=0.9
    )
    for n, x, y in steps(run):
        lam = float(mixup_weights(run.key, 0.4, step=n, steps=1)[0])
        partners = mixup_partners(run.key, len(x), step=n)
        mixed = lam * x + (1 - lam) * x[partners]
        noisy = mixed + input_noise(run.key, 0.1, rows=len(x), features=4, step=n)
        hidden = torch.relu(network[0](noisy))
        outputs = network[2](hidden * dropout_mask(run.key, 0.5, rows=len(x), features=8, step=n, site=1)[0])
        target = 0.9 * (lam * F.one_hot(y, 3) + (1 - lam) * F.one_hot(y[partners], 3)) + 0.1 / 3
        optimizer.zero_grad()
        loss = -(target * outputs.log_softmax(1)).sum(1).mean() + 0.01 * sum(w.abs().sum() for w in matrices)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.3)
        with torch.no_grad():
            for w in matrices:
                w.mul_(1 - LR * 2.0)
        optimizer.step()
        with torch.no_grad():
            for w in matrices:
                w.mul_((0.6 / w.norm(dim=1, keepdim=True)).clamp(max=1.0))
    assert_equal(run, network, exact=False)


def test_early_stopping_returns_the_best_epoch_of_the_stop_part(make_run: MakeRun) -> None:
    run = make_run(early_stopping=EarlyStopping(patience=4), epochs=60, lr=0.03)
    x, y = part(run, "train")
    kept, held_out = stop_split(torch.arange(len(x)).numpy(), y.numpy(), run.key)
    assert len(held_out) == 7  # 15 % of 41, rounded up
    network = mlp(run)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03, fused=True)
    losses: list[float] = []
    states: list[list[Tensor]] = []
    for epoch in range(60):
        order = permutation(run.key, len(kept), epoch=epoch)
        for rows in (slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 34)):
            descend(optimizer, F.cross_entropy(network(x[kept][order[rows]]), y[kept][order[rows]]))
        with torch.no_grad():
            losses.append(float(F.cross_entropy(network(x[held_out]).double(), y[held_out])))
        states.append([p.detach().clone() for p in network.parameters()])
        best = losses.index(min(losses))
        if epoch - best >= 4:
            break
    result = train_one(run, keep=("weights",))
    assert result.status == "stopped"
    assert (result.epoch, result.epochs_run) == (best + 1, len(losses))
    assert result.epoch < result.epochs_run < 60
    assert result.steps == 4 * result.epochs_run
    assert result.weights is not None
    assert all(
        torch.equal(torch.from_numpy(found), expected)
        for found, expected in zip(result.weights.values(), states[best], strict=True)
    )
