"""The native engine computes what the reference specifies: nine steps of every technique, on every instruction set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regimen.data import Table
from regimen.engine import train, train_one
from regimen.engine.native import NativeTraining, why_not
from regimen.kernels.native import Kernels
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Run
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
)

MakeRun = Callable[..., Run]
KEEP = ("outputs", "weights")
HEAVY = SGD(momentum=0.9)

CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"dropout": 0.5},
    "dropout by layer": {"dropout": (0.7, 0.1), "input_dropout": 0.2},
    "batch norm": {"normalization": "batch", "dropout": 0.3, "optimizer": HEAVY},
    "layer norm": {"normalization": "layer", "dropout": 0.3},
    "sgd": {"optimizer": SGD(), "lr": 0.1},
    "dampening": {"optimizer": SGD(momentum=0.9, dampening=0.5)},
    "nesterov": {"optimizer": SGD(momentum=0.9, nesterov=True)},
    "amsgrad": {"optimizer": Adam(amsgrad=True)},
    "betas": {"optimizer": Adam(betas=(0.3, 0.9), eps=1e-4)},
    "adamw": {"optimizer": AdamW(), "decoupled_weight_decay": 1.0},
    "rmsprop": {"optimizer": RMSprop(eps=1e-4)},
    "centered rmsprop": {"optimizer": RMSprop(centered=True, momentum=0.5, eps=1e-2), "lr": 1e-3},
    "adagrad": {"optimizer": Adagrad(lr_decay=0.01, initial_accumulator_value=0.1)},
    "l2": {"weight_decay": 0.1},
    "l2 everywhere": {"weight_decay": 0.1, "decay_bias_and_norm": True, "normalization": "layer"},
    "decay everywhere": {"decoupled_weight_decay": 1.0, "decay_bias_and_norm": True},
    "l2 of decayed weights": {"weight_decay": 0.5, "decoupled_weight_decay": 10.0, "optimizer": HEAVY},
    "gradients beyond 1e15": {"weight_decay": 1e17},
    "squares beyond float32": {"weight_decay": 1e25},
    "l1": {"l1": 1e-2, "optimizer": HEAVY},
    "proximal l1": {"l1": 1e-1, "l1_step": "proximal"},
    "max norm": {"max_norm": 0.5},
    "clipping": {"clip_norm": 0.1, "optimizer": HEAVY},
    "clipping, decay, l1, max norm": {
        "clip_norm": 0.1, "l1": 1e-2, "weight_decay": 0.1, "normalization": "layer", "max_norm": 1.0, "optimizer": HEAVY
    },
    "label smoothing": {"label_smoothing": 0.2},
    "class weights": {"class_weights": "balanced", "label_smoothing": 0.1},
    "mixup": {"mixup": 0.4},
    "mixup, class weights": {"mixup": 0.4, "class_weights": "balanced", "label_smoothing": 0.1},
    "input noise": {"input_noise": 0.3, "input_dropout": 0.1, "mixup": 1.0, "optimizer": HEAVY},
    "ema": {"averaging": EMA(decay=0.9), "epochs": 2},
    "swa, batch norm": {"averaging": SWA(start=0.3), "normalization": "batch", "epochs": 3, "optimizer": HEAVY},
    "ema, batch norm": {"averaging": EMA(), "normalization": "batch", "optimizer": HEAVY},
    "one cycle": {"schedule": OneCycleLR(), "epochs": 2},
    "cosine": {"schedule": CosineLR(), "epochs": 3},
    "early stopping": {"early_stopping": EarlyStopping(patience=1, min_delta=0.3), "epochs": 9},
    "one row a batch": {"batch_size": 1, "lr": 1e-3, "optimizer": HEAVY},
    "one batch": {"batch_size": 4096, "epochs": 5},
    "one row left": {"batch_size": 54, "epochs": 2},
}  # fmt: skip


def assert_agreement(found: RunResult, expected: RunResult, tolerance: float = 2e-5) -> None:
    """Weights, outputs and curves equal up to rounding; everything counted, exactly."""
    assert found.engine == "native"
    for name in ("identity", "status", "epoch", "epochs_run", "steps", "message"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("train_loss", "validation_loss", "metric"):
        assert np.allclose(getattr(found.curves, name), getattr(expected.curves, name), rtol=tolerance), name
    for name in KEEP:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert list(ours) == list(theirs)
        for part, values in theirs.items():
            assert ours[part].dtype == values.dtype
            assert ours[part].shape == values.shape
            assert np.max(np.abs(ours[part] - values)) <= tolerance * np.max(np.abs(values)), (name, part)


def compare(run: Run, tolerance: float = 2e-5) -> None:
    assert why_not(run) is None
    (found,) = train([run], engine="native", processes=1, keep=KEEP)
    assert_agreement(found, train_one(run, keep=KEEP), tolerance)


@pytest.mark.parametrize("change", CHANGES)
def test_every_technique_agrees_with_the_reference(engine: str, make_run: MakeRun, change: str) -> None:
    compare(make_run(**CHANGES[change]))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "gelu", "silu", "sigmoid"])
def test_every_activation_agrees_with_the_reference(engine: str, make_run: MakeRun, activation: Any) -> None:
    compare(make_run(model=MLP(hidden=(37, 16), activation=activation), dropout=0.25))


@pytest.mark.parametrize("hidden", [(), (1,), (16,), (17,), (64, 1, 31), (5, 5, 5, 5, 5), (256, 128)])
def test_every_width_and_depth_agrees_with_the_reference(
    engine: str, make_run: MakeRun, hidden: tuple[int, ...]
) -> None:
    compare(make_run(model=MLP(hidden=hidden), optimizer=HEAVY))


@pytest.mark.parametrize("batch_size", [2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 100, 162, 163])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_every_batch_size_agrees_with_the_reference(
    engine: str, make_run: MakeRun, batch_size: int, normalization: Any
) -> None:
    if normalization == "batch" and batch_size == 2:
        pytest.skip("of two rows batch norm leaves only signs, and gradients that are rounding")
    compare(make_run(batch_size=batch_size, normalization=normalization, optimizer=SGD(), lr=1e-3), 1e-4)


@pytest.mark.parametrize("change", ["plain", "dropout", "layer norm", "mixup", "early stopping", "ema"])
@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_regression_agrees_with_the_reference(
    engine: str, make_run: MakeRun, regression: Table, change: str, metric: str
) -> None:
    compare(make_run(data=regression, metric=metric, **CHANGES[change]), 1e-4)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss"])
def test_every_metric_is_that_of_the_reference(engine: str, make_run: MakeRun, metric: str) -> None:
    compare(make_run(metric=metric, epochs=3, dropout=0.5))


def test_the_table_may_be_larger_than_one_chunk_of_the_weight_gradient(best_kernels: object, make_run: MakeRun) -> None:
    source = np.random.default_rng(3)
    from regimen.data import Split, from_arrays

    x = source.normal(size=(2300, 7))
    table = from_arrays(x, (x[:, 0] > 0).astype(int), task="classification", name="long")
    rows = np.arange(2300)
    split = Split(train=rows[:1500], validation=rows[1500:1900], test=rows[1900:])
    run = make_run(data=table, batch_size=1100, epochs=4, dropout=0.1)
    compare(Run(recipe=run.recipe, model=run.model, data=table, split=split, key=1, metric="accuracy"))


def test_of_equal_outputs_the_first_class_is_predicted_as_by_argmax(kernels: Kernels, make_run: MakeRun) -> None:
    # All weights zero, and a rate that changes none: subnormal, and flushed.
    run = make_run(optimizer=SGD(), lr=1e-44)
    training = NativeTraining(run, (), tag=0)
    training.parameters[:] = 0.0
    pool = kernels.functions.regimen_open(1)
    training.submit(kernels, pool)
    assert kernels.functions.regimen_wait(pool, 60_000) == 0
    kernels.functions.regimen_close(pool)
    assert training.accuracies is not None
    assert training.accuracies[0] == np.mean(run.data.y[run.split.validation] == 0)
