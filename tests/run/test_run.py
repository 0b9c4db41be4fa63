"""A run's identity: another for whatever changes the result, the same in every process and for equal descriptions."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regimen.data import from_images, hold_out, load
from regimen.errors import OptionError, RecipeError
from regimen.models import MLP, ConvNet, own_module
from regimen.run import Recipe, Run
from regimen.techniques import (
    EMA,
    SGD,
    CosineLR,
    EarlyStopping,
    HorizontalFlip,
    OneCycleLR,
    RandomCrop,
    Resize,
    Rotation,
)

# A run asks its table and split for their digests and the task only.
TABLE: Any = SimpleNamespace(digest="a1" * 32, task="classification", name="table")
IMAGES = from_images(np.arange(20 * 3 * 8 * 8, dtype=np.uint8).reshape(20, 3, 8, 8), np.arange(20) % 2)
FOR_IMAGES = ("augmentation", "cutmix")
OWN = own_module(lambda: nn.Linear(3, 2))
FOR_OWN_MODULES = ("dropout_scale", "drop_path")
SPLIT: Any = SimpleNamespace(digest="b2" * 32)

OTHER_VALUES: dict[str, Any] = {
    "optimizer": SGD(),
    "lr": 2e-3,
    "schedule": CosineLR(),
    "epochs": 41,
    "batch_size": 33,
    "dropout": (0.5,),
    "dropout_scale": 2.0,
    "dropout_kind": "channel",
    "input_dropout": 0.1,
    "drop_path": 0.1,
    "normalization": "layer",
    "initialization": "he_normal",
    "initialization_std": 0.03,
    "weight_decay": 1e-4,
    "decoupled_weight_decay": 1e-4,
    "decay_bias_and_norm": True,
    "l1": 1e-4,
    "l1_step": "proximal",
    "max_norm": 3.0,
    "input_scaling": "minmax",
    "augmentation": (Rotation(degrees=15.0),),
    "label_smoothing": 0.1,
    "mixup": 0.2,
    "cutmix": 1.0,
    "input_noise": 0.1,
    "clip_norm": 1.0,
    "class_weights": "balanced",
    "averaging": EMA(),
    "early_stopping": EarlyStopping(),
}


def run_of(recipe: Recipe | None = None, **changes: Any) -> Run:
    fields = {"model": MLP(), "data": TABLE, "split": SPLIT, "key": 5, "metric": "accuracy"} | changes
    return Run(recipe=recipe or Recipe(), **fields)


def test_the_identity_is_frozen() -> None:
    """Another value means that nothing stored so far is found again: raise NUMERICS instead, or know why."""
    assert run_of().identity == "7d46a0b12ae52e41ef75df91381dbf6a21e15c62f7e36ea27ee69cd23c9d7861"
    recipe = Recipe(
        dropout=(0.1, 0.2), schedule=OneCycleLR(), optimizer=SGD(momentum=0.9), early_stopping=EarlyStopping()
    )
    assert (
        run_of(recipe, key=(1 << 64) - 1).identity == "37e038017d2a619c0ee1f525578c120ff66a7406c093d9d79cf3eaef19c43aee"
    )


def test_techniques_for_classes_are_refused_where_there_are_none() -> None:
    amounts = SimpleNamespace(digest="a1" * 32, task="regression", name="amounts")
    for recipe in (Recipe(label_smoothing=0.1), Recipe(class_weights="balanced")):
        with pytest.raises(RecipeError, match="needs classes, and amounts is regression"):
            run_of(recipe, data=amounts, metric="rmse")
    assert run_of(data=amounts, metric="rmse").metric == "rmse"


@pytest.mark.parametrize("metric", ["rmse", "acuracy"])
def test_a_metric_that_does_not_fit_is_refused(metric: str) -> None:
    with pytest.raises(OptionError, match="metric"):
        run_of(metric=metric)


def test_making_a_network_leaves_the_default_generator_alone() -> None:
    state = torch.get_rng_state()
    run_of().network(3, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_field_of_a_recipe_has_another_value_in_this_file() -> None:
    assert set(OTHER_VALUES) == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_another_value_of_any_field_of_the_recipe_is_another_run(field: str) -> None:
    data = IMAGES if field in FOR_IMAGES else TABLE
    model = OWN if field in FOR_OWN_MODULES else MLP()
    changed = run_of(Recipe(**{field: OTHER_VALUES[field]}), data=data, model=model)
    assert changed.identity != run_of(data=data, model=model).identity


@pytest.mark.parametrize(
    "recipe", [Recipe(optimizer=SGD(momentum=0.9)), Recipe(schedule=CosineLR(end=0.1))], ids=["optimizer", "schedule"]
)
def test_another_parameter_of_optimizer_or_schedule_is_another_run(recipe: Recipe) -> None:
    plain = recipe.replace(optimizer=type(recipe.optimizer)(), schedule=recipe.schedule and CosineLR())
    assert run_of(recipe).identity != run_of(plain).identity


@pytest.mark.parametrize(
    "changes",
    [
        {"model": MLP(hidden=(128,))},
        {"model": MLP(activation="tanh")},
        {"model": OWN},
        {"data": SimpleNamespace(digest="c3" * 32, task="classification", name="table")},
        {"split": SimpleNamespace(digest="c3" * 32)},
        {"key": 6},
        {"metric": "log_loss"},
    ],
    ids=str,
)
def test_another_model_table_split_key_or_metric_is_another_run(changes: dict[str, Any]) -> None:
    assert run_of(**changes).identity != run_of().identity


def test_a_new_numerics_version_makes_every_run_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_of().identity
    monkeypatch.setattr("regimen.run.run.NUMERICS", 10**6)
    assert run_of().identity != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Recipe(lr=1), Recipe(lr=1.0)),
        (Recipe(max_norm=2), Recipe(max_norm=2.0)),
        (Recipe(dropout=0.5), Recipe(dropout=(0.5,))),
        (Recipe(optimizer=SGD(momentum=0)), Recipe(optimizer=SGD(momentum=-0.0))),
        (Recipe(averaging=EMA(decay=0)), Recipe(averaging=EMA(decay=0.0))),
    ],
    ids=["whole rate", "whole norm", "rates", "negative zero", "nested"],
)
def test_equal_recipes_are_the_same_run(one: Recipe, other: Recipe) -> None:
    assert one == other
    assert run_of(one).identity == run_of(other).identity


def test_modules_of_ones_own_are_told_apart_by_their_source() -> None:
    modules = [own_module(lambda: nn.Linear(3, 2)), own_module(lambda: nn.Linear(3, 2, bias=False))]
    assert modules[0].name == modules[1].name
    assert run_of(model=modules[0]).identity != run_of(model=modules[1]).identity
    with pytest.raises(OptionError, match="expected a described network such as mlp:8, got the module lambda"):
        run_of(model=modules[0]).layers(3, 2)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(dropout_scale=0.5), "dropout_scale: scales the rates that a module of one's own has, and mlp:128x128"),
        (Recipe(drop_path=0.1), "drop_path: needs residual branches, and mlp:128x128 has none; leave it out"),
    ],
    ids=FOR_OWN_MODULES,
)
def test_what_only_modules_of_ones_own_have_is_refused_for_described_ones(recipe: Recipe, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        run_of(recipe)


@pytest.mark.parametrize("key", [-1, 1 << 64, 0.5, None])
def test_an_impossible_key_is_refused(key: object) -> None:
    with pytest.raises(OptionError, match="key: expected a whole number from 0"):
        run_of(key=key)


def test_rates_that_do_not_fit_the_model_are_refused_when_the_run_is_described() -> None:
    with pytest.raises(OptionError, match="dropout: expected one rate or 2"):
        run_of(Recipe(dropout=(0.1, 0.2, 0.3)))


@pytest.mark.parametrize("recipe", [Recipe(augmentation=(HorizontalFlip(),)), Recipe(cutmix=1.0)], ids=str)
def test_what_is_done_to_images_is_refused_on_a_table(recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match=r"(augmentation|cutmix): needs images, and table is a table; leave it out"):
        run_of(recipe)


def test_augmentation_must_leave_images_as_large_as_those_of_the_test() -> None:
    smaller = Recipe(augmentation=(RandomCrop(size=6, padding=0),))
    with pytest.raises(RecipeError, match=r"expected images as large as before, 8x8, .* got 6x6; end with a Resize"):
        run_of(smaller, data=IMAGES)
    whole = smaller.replace(augmentation=(*smaller.augmentation, Resize(size=8)))
    assert run_of(whole, data=IMAGES).recipe == whole


def test_given_numbers_for_scaling_must_be_as_many_as_channels_or_columns() -> None:
    given = Recipe(input_scaling=((0.5,) * 3, (0.25,) * 3))
    assert run_of(given, data=IMAGES).identity != run_of(data=IMAGES).identity
    with pytest.raises(OptionError, match="a finite center and a finite scale above 0 for each of 4"):
        run_of(given, data=load("iris"))


def test_a_convolutional_network_needs_images() -> None:
    with pytest.raises(
        OptionError, match="cnn:16,32p,64p:100 needs images, got the columns of a table; take --model mlp"
    ):
        run_of(model=ConvNet())
    assert run_of(model=ConvNet(), data=IMAGES).layers(IMAGES.shape, 2)


def test_the_rates_of_a_recipe_must_fit_the_convolutions_and_hidden_layers() -> None:
    message = r"expected one rate or 4 \(one for each convolution and hidden layer of cnn:16,32p,64p:100\), got 3"
    with pytest.raises(OptionError, match=message):
        run_of(Recipe(dropout=(0.1, 0.2, 0.3)), model=ConvNet(), data=IMAGES)


def test_a_run_is_frozen_and_hashes_by_its_fields() -> None:
    table = load("iris")
    split = hold_out(table)
    runs = [run_of(data=table, split=split, key=key) for key in (5, 5, 6)]
    assert len(set(runs)) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        runs[0].key = 7  # type: ignore[misc]


def test_the_network_of_a_run_is_a_function_of_its_key() -> None:
    recipe = Recipe(normalization="batch", dropout=0.5, initialization="he_normal")
    first, again, other = (run_of(recipe, key=key).network(4, 3) for key in (5, 5, 6))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first[0].weight, other[0].weight)
    # Dropout and normalization change no initial weight.
    plain = run_of(Recipe(initialization="he_normal")).network(4, 3)
    assert torch.equal(plain[0].weight, first[0].weight)
    assert torch.equal(plain[-1].weight, first[-1].weight)
