"""Synthetic results of two studies, plausible in every number, for the tests of the report."""

from dataclasses import replace
from typing import Any

import numpy as np

from regimen.records import (
    BaselineRecord,
    ConfirmationRecord,
    CurveRecord,
    DataRecord,
    DesignRecord,
    ModelRecord,
    RecipeRecord,
    Results,
    Rows,
    RunRecord,
    TechniqueRecord,
    TestRecord,
)

TOML = """lr = 0.001
epochs = 60
batch_size = 32
label_smoothing = 0.1

[dropout]
rate = 0.3
"""
CODE = """import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(64, 100), nn.ReLU(), nn.Dropout(0.3), nn.Linear(100, 10),
)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(60):
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
"""
PLAIN_CODE = CODE.replace(", nn.Dropout(0.3)", "").replace("label_smoothing=0.1", "")
# Technique, setting, strength, effect in points, its standard error, verdict, adjusted p, cost.
DIGITS_ARMS: list[tuple[str, dict[str, Any], float | None, float, float, str, float, float]] = [
    ("dropout", {"dropout": 0.1}, 0.1, 0.7, 0.18, "helps", 0.031, 1.03),
    ("dropout", {"dropout": 0.3}, 0.3, 1.4, 0.21, "helps", 0.002, 1.04),
    ("dropout", {"dropout": 0.5}, 0.5, 1.1, 0.24, "helps", 0.006, 1.04),
    ("dropout", {"dropout": 0.8}, 0.8, -2.6, 0.46, "hurts", 0.004, 1.05),
    ("l2", {"weight_decay": 1e-5}, 1e-5, 0.02, 0.08, "equivalent", 1.0, 1.01),
    ("l2", {"weight_decay": 1e-4}, 1e-4, 0.1, 0.14, "equivalent", 0.98, 1.01),
    ("l2", {"weight_decay": 1e-3}, 1e-3, 0.6, 0.32, "unclear", 0.21, 1.01),
    ("l2", {"weight_decay": 1e-2}, 1e-2, -1.4, 0.28, "hurts", 0.008, 1.01),
    ("label_smoothing", {"label_smoothing": 0.1}, 0.1, 0.9, 0.22, "helps", 0.012, 1.02),
    ("label_smoothing", {"label_smoothing": 0.2}, 0.2, 0.8, 0.27, "unclear", 0.062, 1.02),
    ("mixup", {"mixup": 0.2}, 0.2, 0.5, 0.3, "unclear", 0.41, 1.21),
    ("batch_norm", {"normalization": "batch"}, None, 0.4, 0.25, "unclear", 0.55, 1.34),
    ("early_stopping", {"early_stopping": {"patience": 10}}, 10.0, -0.3, 0.35, "unclear", 0.97, 0.42),
]


def technique(
    name: str,
    setting: dict[str, Any],
    strength: float | None,
    effect: float,
    error: float,
    verdict: Any = "unclear",
    p_adjusted: float = 0.5,
    cost: float = 1.0,
    *,
    mean: float = 0.0,
    gap: float = 0.2,
    arm: str = "",
) -> TechniqueRecord:
    """An arm whose intervals follow from its effect and standard error at ten pairs."""
    reach, wide = 2.26 * error, 2.26 * error * 2.08
    return TechniqueRecord(
        arm=arm or (name if strength is None else f"{name}={strength:g}"),
        name=name,
        setting=setting,
        mean=mean + effect,
        delta=effect,
        ci=(effect - reach, effect + reach),
        ci_new_rows=(effect - wide, effect + wide),
        p=min(1.0, p_adjusted / 3),
        p_adjusted=p_adjusted,
        probability_of_improvement=float(np.clip(0.5 + effect / error / 8, 0, 1)),
        gap=gap,
        verdict=verdict,
        pairs_needed=12 if error < 0.4 else None,
        strength=strength,
        cost=cost,
    )


def curve(epochs: int, floor: float, final: float, *, late: float = 0.0, start: float = 1.9) -> CurveRecord:
    """Losses that fall from `start`: training to `final`, validation to `floor`, from where it climbs by `late`."""
    epoch = np.arange(1, epochs + 1)
    train = final + (start - final) * np.exp(-epoch / 3.2)
    validation = floor + (start - floor) * np.exp(-epoch / 2.6) + late * (epoch / epochs) ** 1.5
    spread = 0.07 * validation + 0.012
    return CurveRecord(
        epoch=tuple(int(each) for each in epoch),
        train=tuple(train.tolist()),
        validation=tuple(validation.tolist()),
        lo=tuple((validation - spread).tolist()),
        hi=tuple((validation + spread).tolist()),
    )


def digits(*, pairs: int = 10) -> Results:
    """A study of an overfitting net on digits: thirteen arms, a recipe of two, confirmed on ten new pairs."""
    arms = tuple(
        technique(
            name, setting, strength, effect / 100, error / 100, verdict, p, cost, mean=0.958, gap=0.2 - effect / 12
        )
        for name, setting, strength, effect, error, verdict, p, cost in DIGITS_ARMS
    )
    curves = {"baseline": curve(60, 0.15, 0.0004, late=0.08), "recipe": curve(60, 0.098, 0.031, late=0.004)}
    curves |= {
        one.arm: curve(60, 0.16 - 3 * one.delta, max(2e-4, 0.16 - 0.75 * one.gap), late=max(0.0, one.gap - 0.12))
        for one in arms
    }
    runs = tuple(
        RunRecord(
            arm=arm,
            phase="search",
            pair=pair,
            seed=1000 + pair,
            status="finished",
            metric=0.96,
            train_loss=0.001,
            validation_loss=0.2,
            epoch=60,
            seconds=0.9,
        )
        for arm in ("baseline", *(one.arm for one in arms))
        for pair in range(pairs)
    )
    return Results(
        regimen="0.1.0",
        data=DataRecord(
            name="digits",
            task="classification",
            rows=Rows(train=1077, validation=360, test=360),
            features=64,
            classes=tuple("0123456789"),
            notes=(
                "3 constant columns carry no information and were left out.",
                "No near-duplicate rows across parts.",
            ),
        ),
        model=ModelRecord(name="mlp:100x100x100x100", parameters=37810),
        design=DesignRecord(
            pairs=pairs,
            epochs=60,
            runs=180,
            steps=367_200,
            engine="native",
            seconds=148.3,
            metric="accuracy",
            smallest_effect=0.005,
            pilot=pairs < 8,
            fresh="seeds",
        ),
        plan={
            "command": "regimen study digits --model mlp:100x100x100x100 --epochs 60 --seed 0",
            "arms": [{"name": one.arm, "technique": one.name, "setting": one.setting} for one in arms],
            "seed": 0,
            "notes": ["max_norm=2 is left out: the baseline has it already"],
            "reasons": {"native": "used: a fully connected network on a CPU", "stacked": "not needed"},
        },
        baseline=BaselineRecord(
            mean=0.958,
            sd=0.0061,
            train_loss=0.0004,
            validation_loss=0.227,
            gap=0.2266,
            gap_ci=(0.192, 0.261),
            overfits=True,
            late_loss=0.31,
            late_loss_ci=(0.22, 0.41),
        ),
        techniques=arms,
        recipe=RecipeRecord(toml=TOML, code=CODE, arms=("dropout=0.3", "label_smoothing=0.1")),
        confirmation=ConfirmationRecord(
            pairs=10,
            baseline=0.9588,
            recipe=0.9735,
            delta=0.0147,
            ci=(0.0098, 0.0196),
            search_delta=0.0182,
            test=TestRecord(rows=360, baseline=0.9572, recipe=0.9703, delta=0.0131, ci=(0.0012, 0.0250), model=0.9722),
        ),
        runs=runs,
        curves=curves,
        environment={
            "python": "3.11.9",
            "torch": "2.13.0",
            "instruction_set": "avx2",
            "threads": 2,
            "processor": "x86_64",
        },
    )


def regression() -> Results:
    """A study in target units, lower is better, confirmed on set-aside rows, at five times the wanted strength."""
    base = digits()
    arms = tuple(
        technique("l2", {"weight_decay": strength}, strength, effect, error, verdict, p, mean=-54.2)
        for strength, effect, error, verdict, p in (
            (1e-4, 0.2, 0.3, "equivalent", 0.9),
            (1e-3, 1.1, 0.5, "unclear", 0.12),
            (1e-2, 2.9, 0.55, "helps", 0.002),
            (1e-1, -4.6, 1.2, "hurts", 0.009),
        )
    )
    arms = tuple(replace(one, mean=54.2 - one.delta) for one in arms)
    return replace(
        base,
        data=replace(base.data, name="diabetes", task="regression", classes=(), features=10, target="progression"),
        design=replace(
            base.design,
            metric="rmse",
            metric_unit="target",
            smallest_effect=1.08,
            higher_is_better=False,
            fresh="rows",
            set_aside=442,
        ),
        baseline=replace(base.baseline, mean=54.2, sd=2.3),
        techniques=arms,
        recipe=replace(base.recipe, arms=("l2=0.01",)),
        confirmation=ConfirmationRecord(
            pairs=10,
            baseline=54.6,
            recipe=52.0,
            delta=2.6,
            ci=(1.5, 3.7),
            search_delta=2.9,
            test=TestRecord(rows=88, baseline=55.0, recipe=53.1, delta=1.9, ci=(-0.4, 4.2)),
        ),
        curves={
            "baseline": curve(40, 0.47, 0.11, late=0.12, start=1.1),
            **{one.arm: curve(40, 0.5 - one.delta / 40, 0.3, start=1.1) for one in arms},
        },
    )
