"""Recipes of every kind, a small made table to train them on, and their scripts run on torch alone."""

import builtins
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from regimen.data import Column, Data, Split, Table
from regimen.models import MLP
from regimen.records import Task
from regimen.run import Recipe, Run, recipe_from_dict
from regimen.run.code import plain_pytorch
from regimen.techniques import (
    CATALOGUE,
    EMA,
    SGD,
    SWA,
    Adagrad,
    Adam,
    AdamW,
    CosineLR,
    EarlyStopping,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    RMSprop,
    StepLR,
)

KEY = 20_260_801
CLASSES, FEATURES, TRAIN, VALIDATION = 3, 5, 41, 20
# Smooth units: at a kink of ReLU the rounding of two correct programs may fall on different sides.
MODEL = MLP(hidden=(7, 6), activation="tanh")
# 41 rows in batches of 8: the last row joins the batch before it.
BASE = Recipe(epochs=6, batch_size=8, lr=0.01)
FOR_CLASSES = ("label_smoothing", "class_weights")
TASKS: tuple[Task, ...] = ("classification", "regression")

STRONG = {
    "sgd": {"optimizer": SGD(momentum=0.5, dampening=0.2), "lr": 0.1},
    "adam amsgrad": {"optimizer": Adam(betas=(0.8, 0.9), eps=1e-4, amsgrad=True)},
    "adamw without decay": {"optimizer": AdamW(eps=1e-6)},
    "rmsprop": {"optimizer": RMSprop(alpha=0.9, centered=True, momentum=0.5, eps=1e-4)},
    "adagrad": {"optimizer": Adagrad(lr_decay=0.1, initial_accumulator_value=0.1), "lr": 0.1},
    "step": {"schedule": StepLR(step_size=2, gamma=0.5)},
    "multistep": {"schedule": MultiStepLR(milestones=(1, 4), gamma=0.3)},
    "exponential": {"schedule": ExponentialLR(gamma=0.6)},
    "cosine with floor": {"schedule": CosineLR(end=0.1)},
    "onecycle": {"schedule": OneCycleLR(pct_start=0.4, div_factor=5.0, final_div_factor=10.0), "lr": 0.05},
    "max_norm": {"max_norm": 0.4},
    "clipping with l1": {"clip_norm": 0.05, "l1": 0.01, "optimizer": SGD(), "lr": 0.1},
    "proximal with schedule": {"l1": 0.02, "l1_step": "proximal", "schedule": CosineLR(), "max_norm": 0.6},
    "l2 on everything": {"weight_decay": 0.1, "decay_bias_and_norm": True, "normalization": "layer"},
    "decoupled on everything": {"decoupled_weight_decay": 2.0, "decay_bias_and_norm": True},
    "both decays": {"weight_decay": 0.1, "decoupled_weight_decay": 2.0, "schedule": OneCycleLR()},
    "decoupled sgd": {"optimizer": SGD(momentum=0.9, nesterov=True), "decoupled_weight_decay": 1.0},
    "decoupled sgd everywhere": {"optimizer": SGD(), "decoupled_weight_decay": 1.0, "decay_bias_and_norm": True},
    "a rate for each layer": {"dropout": (0.4, 0.0), "input_dropout": 0.2},
    "mixup and noise": {"mixup": 0.5, "input_noise": 0.3, "label_smoothing": 0.1},
    "one row at a time": {"batch_size": 1, "epochs": 2},
    "one batch": {"batch_size": 1000},
    "stops early": {"early_stopping": EarlyStopping(patience=1, min_delta=0.01), "lr": 0.1, "epochs": 30},
    "stops early on the plain loss": {
        "early_stopping": EarlyStopping(patience=2), "label_smoothing": 0.3, "class_weights": "balanced", "lr": 0.1,
    },
    "stops early along a cycle": {"early_stopping": EarlyStopping(patience=3), "schedule": OneCycleLR(), "lr": 0.1},
    "ema, norm, dropout": {"averaging": EMA(decay=0.9), "normalization": "batch", "dropout": 0.3},
    "swa, norm, dropout": {"averaging": SWA(start=0.5), "normalization": "batch", "dropout": 0.3},
    "swa from the first epoch": {"averaging": SWA(start=0.0)},
    "swa that stops early": {
        "averaging": SWA(start=0.5), "early_stopping": EarlyStopping(patience=4), "normalization": "batch", "lr": 0.1,
    },
    "ema that stops early": {
        "averaging": EMA(decay=0.9), "early_stopping": EarlyStopping(patience=2), "normalization": "batch",
        "dropout": 0.3, "lr": 0.1, "epochs": 20,
    },
    "norm that stops early": {"early_stopping": EarlyStopping(patience=2), "normalization": "batch", "dropout": 0.3},
    "weights and smoothing": {"class_weights": "balanced", "label_smoothing": 0.2},
    "much at once": {
        "dropout": 0.2, "normalization": "batch", "weight_decay": 0.01, "mixup": 0.4, "schedule": CosineLR(),
        "clip_norm": 0.5, "input_scaling": "robust", "averaging": EMA(decay=0.9), "initialization": "he_normal",
    },
}  # fmt: skip


def cases() -> Iterator[Any]:
    for task in TASKS:
        for technique in CATALOGUE.values():
            if task in technique.tasks and not technique.images_only and not technique.own_only:
                for i, setting in enumerate(technique.settings):
                    yield pytest.param(recipe_from_dict(setting, base=BASE), task, id=f"{technique.name}-{i}-{task}")
        for name, changes in STRONG.items():
            fitting = {
                key: value for key, value in changes.items() if task == "classification" or key not in FOR_CLASSES
            }
            yield pytest.param(BASE.replace(**fitting), task, id=f"{name}-{task}")


every_recipe = pytest.mark.parametrize(("recipe", "task"), list(cases()))


def script(
    recipe: Recipe, task: Task, *, model: MLP = MODEL, features: int = FEATURES, data: Data | None = None
) -> str:
    outputs = CLASSES if task == "classification" else 1
    return plain_pytorch(recipe, model, inputs=features, outputs=outputs, task=task, data=data)


def table(task: Task) -> Table:
    rng = np.random.default_rng(5)
    numbers = rng.normal(size=(TRAIN + VALIDATION, FEATURES))
    score = numbers @ rng.normal(size=FEATURES) + 0.3 * rng.normal(size=len(numbers))
    columns = tuple(Column(name=f"x{i}", kind="number") for i in range(FEATURES))
    codes = np.empty((len(numbers), 0), dtype=np.int32)
    y = np.digitize(score, [-1.0, 2.0]) if task == "classification" else 10.0 + 4.0 * score
    classes = ("a", "b", "c") if task == "classification" else ()
    return Table(
        name="made", columns=columns, numbers=numbers, codes=codes, task=task, target="y", y=y, classes=classes
    )


def run_of(recipe: Recipe, task: Task) -> Run:
    made, rows = table(task), np.arange(TRAIN + VALIDATION)
    split = Split(train=rows[:TRAIN], validation=rows[TRAIN:], test=rows[:0])
    metric = "accuracy" if task == "classification" else "rmse"
    return Run(recipe=recipe, model=MODEL, data=made, split=split, key=KEY, metric=metric)


def only_torch(name: str, *rest: Any) -> Any:
    if name.partition(".")[0] not in ("torch", "copy", "math"):
        raise ImportError(f"the script imports {name}")
    return builtins.__import__(name, *rest)


def execute(code: str, rows: int = 23, *, features: int = FEATURES) -> dict[str, Any]:
    """Run a script where nothing but torch can be imported, on a few random rows, and return its variables."""
    torch.manual_seed(3)
    codes = "CrossEntropyLoss" in code
    names: dict[str, Any] = {
        "__builtins__": vars(builtins) | {"__import__": only_torch},
        "x_train": torch.randn(rows, features),
        "y_train": torch.arange(rows) % CLASSES if codes else torch.randn(rows),
    }
    exec(compile(code, "<script>", "exec"), names)
    return names


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    exponents = np.exp(logits.astype(np.float64))
    return exponents / exponents.sum(axis=1, keepdims=True)
