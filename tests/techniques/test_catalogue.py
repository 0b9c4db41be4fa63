"""One contract for every technique of the catalogue at every setting, and the choice of techniques by name."""

import dataclasses
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regimen.data import Images, Split, Table, from_arrays, from_images
from regimen.engine import train_one
from regimen.errors import OptionError
from regimen.models import MLP, ConvNet, Convolution, own_module
from regimen.nn import step as dropout_step
from regimen.records import RunResult
from regimen.run import Recipe, Run, recipe_from_dict, recipe_from_toml, recipe_to_toml
from regimen.techniques import AVERAGINGS, CATALOGUE, OPTIMIZERS, SCHEDULES, Technique, choose_techniques

ARMS = [
    pytest.param(technique, setting, task, id=f"{technique.name}-{number}-{task}")
    for technique in CATALOGUE.values()
    for number, setting in enumerate(technique.settings)
    for task in technique.tasks
]
every_arm = pytest.mark.parametrize(("technique", "setting", "task"), ARMS)
every_technique = pytest.mark.parametrize("technique", [pytest.param(t, id=t.name) for t in CATALOGUE.values()])


@lru_cache(maxsize=2)
def table(task: str) -> Table:
    """Return 36 rows of three unequal classes, or of a curve; limits and weights have something to bite on."""
    source = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [18, 12, 6])
    x = source.normal(size=(36, 5)) + 0.5 * y[:, None]
    mixed = source.permutation(36)
    if task == "regression":
        return from_arrays(x[mixed], np.sin(x[mixed, 0]) * 7 + x[mixed, 1], task="regression")
    return from_arrays(x[mixed], y[mixed], task="classification")


@lru_cache(maxsize=1)
def images() -> Images:
    """Return 36 grey images of 20x20 pixels: larger than every square that is cut out."""
    source = np.random.default_rng(0)
    pixels = source.integers(0, 256, (36, 1, 20, 20)).astype(np.uint8)
    return from_images(pixels, source.permutation(np.repeat([0, 1, 2], [18, 12, 6])))


PERCEPTRON = MLP(hidden=(8, 6))
# A large stride, which makes it as fast as a perceptron.
CONVOLUTIONAL = ConvNet(convolutions=(Convolution(channels=3, stride=3, pool=2),), hidden=(6,))


class Residual(nn.Module):
    """Has all that a described network has not: rates of its own, and a branch beside a path that goes straight on."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first, self.branch, self.drop = nn.Linear(5, 8), nn.Linear(8, 8), nn.Dropout(0.2)
        self.out = nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        output: Tensor = self.out(hidden + self.drop(self.branch(hidden).relu()))
        return output


OWN = {"classification": own_module(lambda: Residual(3)), "regression": own_module(lambda: Residual(1))}


def place(technique: Technique) -> str:
    return "own" if technique.own_only else "images" if technique.images_only else "table"


def run_of(recipe: Recipe, task: str, *, key: int = 3, on: str = "table") -> Run:
    rows, on_images = np.arange(36), on == "images"
    model = OWN[task] if on == "own" else CONVOLUTIONAL if on_images else PERCEPTRON
    return Run(
        recipe=recipe, model=model, data=images() if on_images else table(task),
        split=Split(train=rows[:26], validation=rows[26:], test=rows[:0]), key=key,
        metric="accuracy" if task == "classification" else "rmse",
    )  # fmt: skip


def trained(recipe: Recipe, task: str, *, key: int = 3, on: str = "table") -> RunResult:
    return train_one(run_of(recipe, task, key=key, on=on), keep=("weights",))


def bits(result: RunResult) -> Any:
    assert result.weights is not None
    return result.curves, {name: value.tobytes() for name, value in result.weights.items()}


@lru_cache(maxsize=5)
def baseline(task: str, on: str) -> RunResult:
    return trained(LIVELY, task, on=on)


TWO_EPOCHS = Recipe(epochs=2, batch_size=8)
# Long enough for the latest milestone, and with steps so large that every bound on weights and gradients is reached.
LIVELY = Recipe(epochs=32, batch_size=26, lr=0.5)


# --- the contract -----------------------------------------------------------------------------------------------------


@every_arm
def test_each_setting_is_a_valid_recipe_that_reads_back_from_toml(
    technique: Technique, setting: dict[str, Any], task: str
) -> None:
    recipe = recipe_from_dict(setting)
    assert recipe != Recipe()
    assert recipe_from_toml(recipe_to_toml(recipe)) == recipe


@every_arm
def test_each_setting_trains_and_repeats_to_the_bit_under_its_key(
    technique: Technique, setting: dict[str, Any], task: str
) -> None:
    recipe = recipe_from_dict(setting, base=TWO_EPOCHS)
    first = trained(recipe, task, on=place(technique))
    assert first.status == "finished"
    assert first.epochs_run == 2
    curves = dataclasses.asdict(first.curves)
    assert all(math.isfinite(value) for values in curves.values() for value in values)
    assert bits(first) == bits(trained(recipe, task, on=place(technique)))
    assert bits(first) != bits(trained(recipe, task, key=4, on=place(technique)))


@every_arm
def test_each_setting_changes_the_training(technique: Technique, setting: dict[str, Any], task: str) -> None:
    # A setting's own rate would be a change on its own: a technique must do more than that.
    rate = {"lr": setting["lr"]} if "lr" in setting else {}
    on = place(technique)
    plain = trained(LIVELY.replace(**rate), task) if rate else baseline(task, on)
    assert bits(trained(recipe_from_dict(setting, base=LIVELY), task, on=on)) != bits(plain)


@every_arm
def test_each_setting_has_a_deterministic_eval_mode(technique: Technique, setting: dict[str, Any], task: str) -> None:
    recipe = recipe_from_dict(setting)
    inputs = images().shape if technique.images_only else (5,)
    network = run_of(recipe, task, on=place(technique)).network(inputs, 3)
    x = torch.randn(7, *inputs, generator=torch.Generator().manual_seed(0))
    with dropout_step(network, 0):
        network.train()(x)
    network.eval()
    with torch.no_grad():
        first = network(x)
        assert torch.equal(network(x), first)
        # Each row on its own: nothing of a batch leaks into another row.
        assert torch.allclose(torch.cat([network(row[None]) for row in x]), first, atol=1e-6)


@every_technique
def test_each_technique_is_documented(technique: Technique) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", technique.name)
    assert 10 <= len(technique.summary) <= 60
    assert not technique.summary.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b|^torch\.optim\.", technique.reference), technique.reference
    assert Recipe.__doc__ is not None
    for setting in technique.settings:
        for key in setting:
            assert f"        {key}: " in Recipe.__doc__


@every_technique
def test_each_technique_has_settings_in_one_order_with_one_strength_each(technique: Technique) -> None:
    assert technique.settings
    assert len({str(setting) for setting in technique.settings}) == len(technique.settings)
    if technique.strengths:
        assert len(technique.strengths) == len(technique.settings)
        # The strength is a number of its setting, so that a response curve shows what was set.
        for setting, strength in zip(technique.settings, technique.strengths, strict=True):
            assert strength in numbers_in(setting)
        assert [technique.strength(i) for i in range(len(technique.settings))] == list(technique.strengths)
    else:
        assert technique.strength(0) is None


def numbers_in(value: Any) -> set[float]:
    if isinstance(value, dict):
        return {number for part in value.values() for number in numbers_in(part)}
    if isinstance(value, list):
        return {number for part in value for number in numbers_in(part)}
    return {float(value)} if isinstance(value, int | float) else set()


def test_the_catalogue_has_every_named_optimizer_schedule_and_averaging() -> None:
    used: dict[str, set[str]] = {"optimizer": {"adam"}, "schedule": set(), "averaging": set()}  # Adam is the baseline
    for technique in CATALOGUE.values():
        for setting in technique.settings:
            for field in used:
                if field in setting:
                    used[field].add(setting[field]["name"])
    assert used == {"optimizer": set(OPTIMIZERS), "schedule": set(SCHEDULES), "averaging": set(AVERAGINGS)}


# --- choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["all", " all ", ["all"], "dropout,all"])
def test_all_are_those_that_apply_to_the_task_in_the_order_of_the_catalogue(names: str | Iterable[str]) -> None:
    assert choose_techniques(names, "classification", images=True, own=True) == tuple(CATALOGUE.values())
    described = [technique for technique in CATALOGUE.values() if not technique.own_only]
    assert list(choose_techniques(names, "classification", images=True)) == described
    of_tables = [technique for technique in described if not technique.images_only]
    assert list(choose_techniques(names, "classification")) == of_tables
    chosen = [technique.name for technique in choose_techniques(names, "regression")]
    assert chosen == [t.name for t in of_tables if t.name not in ("label_smoothing", "class_weights")]


@pytest.mark.parametrize(
    "names", ["mixup,dropout", " mixup , dropout ,", ["mixup", "dropout"], "dropout,mixup,dropout"]
)
def test_a_list_is_taken_in_the_order_of_the_catalogue_once_each(names: str | Iterable[str]) -> None:
    assert [technique.name for technique in choose_techniques(names, "classification")] == ["dropout", "mixup"]


def test_a_mistyped_technique_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="--techniques: no such technique 'droput'; did you mean 'dropout'"):
        choose_techniques("mixup,droput", "classification")


@pytest.mark.parametrize("names", ["", " , ", []])
def test_an_empty_list_is_refused(names: str | Iterable[str]) -> None:
    with pytest.raises(OptionError, match="--techniques: expected all or names from: dropout, dropout_scale, drop_"):
        choose_techniques(names, "classification")


def test_a_list_of_which_nothing_applies_is_refused() -> None:
    with pytest.raises(OptionError, match="none of label_smoothing applies to regression"):
        choose_techniques("label_smoothing", "regression")
    with pytest.raises(OptionError, match="none of rotation, cutmix applies to classification without images"):
        choose_techniques("rotation,cutmix", "classification")
    with pytest.raises(OptionError, match="none of drop_path applies to classification without a module of your own"):
        choose_techniques("drop_path", "classification")


def test_images_have_techniques_of_their_own_among_the_first_ten() -> None:
    chosen = [technique.name for technique in choose_techniques("all", "classification", images=True)]
    assert chosen[:10] == [
        "dropout", "channel_dropout", "mixup", "label_smoothing", "batch_norm", "l2", "shift", "flip", "rotation",
        "decoupled_decay",
    ]  # fmt: skip
    of_tables = [technique.name for technique in choose_techniques("all", "classification")]
    assert of_tables[:10] == [
        "dropout", "mixup", "label_smoothing", "batch_norm", "l2", "decoupled_decay", "input_dropout",
        "early_stopping", "input_noise", "ema",
    ]  # fmt: skip
