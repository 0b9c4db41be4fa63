"""A recipe refuses what cannot be, by the name of the field, with what was expected and what came."""

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import RecipeError
from regimen.run import Recipe
from regimen.techniques import EMA, SGD, AdamW, CosineLR, EarlyStopping

NOT_NUMBERS = ("0.1", None, True, (0.1,), math.nan, math.inf, -math.inf, 10**400)

# Field, what its message expects, values of the right type that are out of range.
NUMBERS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("lr", "a number in (0, inf)", (0, -1e-3)),
    ("epochs", "a whole number in [1, 1e+06]", (0, -1, 1_000_001, 2.0)),
    ("batch_size", "a whole number in [1, 2.14748e+09]", (0, -1, 2**31 + 1, 32.0)),
    ("dropout", "a number in [0, 1)", (-0.1, 1, 1.0, 1.5)),
    ("dropout_scale", "a number in [0, inf)", (-0.1,)),
    ("input_dropout", "a number in [0, 1)", (-0.1, 1, 1.5)),
    ("drop_path", "a number in [0, 1)", (-0.1, 1, 1.5)),
    ("initialization_std", "a number in (0, inf)", (0, -0.1)),
    ("weight_decay", "a number in [0, inf)", (-1e-9,)),
    ("decoupled_weight_decay", "a number in [0, inf)", (-1e-9,)),
    ("l1", "a number in [0, inf)", (-1e-9,)),
    ("max_norm", "a number in (0, inf)", (0, -1)),
    ("label_smoothing", "a number in [0, 1)", (-0.1, 1)),
    ("mixup", "a number in [0, inf)", (-0.1,)),
    ("cutmix", "a number in [0, inf)", (-0.1,)),
    ("input_noise", "a number in [0, inf)", (-0.1,)),
    ("clip_norm", "a number in (0, inf)", (0, -1)),
]
OPTIONAL = ("max_norm", "clip_norm")
OUT_OF_RANGE = [(field, expected, value) for field, expected, values in NUMBERS for value in values]
OF_NO_NUMBER = [
    (field, expected, value)
    for field, expected, _ in NUMBERS
    for value in NOT_NUMBERS
    if not (value is None and field in OPTIONAL) and not (isinstance(value, tuple) and field == "dropout")
]
CHOICES = {
    "dropout_kind": "chanel",
    "normalization": "btach",
    "initialization": "he_norml",
    "l1_step": "proximl",
    "input_scaling": "standrd",
    "class_weights": "balancd",
}
NEAREST = {
    "dropout_kind": "channel",
    "normalization": "batch",
    "initialization": "he_normal",
    "l1_step": "proximal",
    "input_scaling": "standard",
    "class_weights": "balanced",
}
OBJECTS: dict[str, tuple[Any, ...]] = {
    "optimizer": (None, "adam", SGD, CosineLR()),
    "schedule": ("cosine", SGD(), CosineLR),
    "augmentation": (None, "rotation", [EMA()], (EMA(),), ("rotation",)),
    "averaging": ("ema", 0.99, CosineLR()),
    "early_stopping": (10, True, EMA()),
    "decay_bias_and_norm": (0, 1, None, "false"),
}


def test_every_field_has_impossible_values_in_this_file() -> None:
    covered = {field for field, _, _ in NUMBERS} | set(CHOICES) | set(OBJECTS)
    assert covered == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize(("field", "expected", "value"), OUT_OF_RANGE + OF_NO_NUMBER, ids=lambda v: repr(v)[:40])
def test_an_impossible_number_is_refused_by_name_with_the_interval(field: str, expected: str, value: object) -> None:
    with pytest.raises(RecipeError, match="^" + re.escape(f"{field}: expected {expected}, got {value!r}") + "$"):
        Recipe(**{field: value})


@pytest.mark.parametrize("rates", [(0.5, 1.0), (0.5, "0.5"), (math.nan,), [0.5], (0.5, (0.5,))], ids=str)
def test_one_impossible_rate_among_several_is_refused(rates: object) -> None:
    with pytest.raises(RecipeError, match=r"^dropout: expected a number in \[0, 1\), got "):
        Recipe(dropout=rates)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", CHOICES)
def test_a_mistyped_choice_is_refused_with_the_nearest(field: str) -> None:
    mistyped = CHOICES[field]
    with pytest.raises(RecipeError, match=f"^{field}: no such value '{mistyped}'; did you mean '{NEAREST[field]}'"):
        Recipe(**{field: mistyped})


@pytest.mark.parametrize("value", [None, 1, True, ("none",)], ids=str)
@pytest.mark.parametrize("field", CHOICES)
def test_a_choice_that_is_no_text_is_refused_with_all_names(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"^{field}: expected one of .*{NEAREST[field]}.*, got "):
        Recipe(**{field: value})


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in OBJECTS.items() for v in values], ids=str)
def test_an_object_of_another_kind_is_refused_with_an_example(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"^{field}: expected something like .*, got "):
        Recipe(**{field: value})


def test_l2_with_adamw_is_refused_with_both_repairs() -> None:
    with pytest.raises(RecipeError, match=r"weight_decay: .*decoupled; set decoupled_weight_decay, or optimizer adam"):
        Recipe(optimizer=AdamW(), weight_decay=0.01)
    assert Recipe(optimizer=AdamW(), decoupled_weight_decay=0.01).decoupled_weight_decay == 0.01


def test_batch_norm_with_batches_of_one_row_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"batch_size: batch normalization .* at least 2 rows, got 1"):
        Recipe(normalization="batch", batch_size=1)
    assert Recipe(normalization="layer", batch_size=1).batch_size == 1
    assert Recipe(normalization="batch", batch_size=2).batch_size == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [(0.5, (0.5,)), (0.0, ()), ((0.0, 0.0), ()), (0, ()), ((0, 0.5), (0.0, 0.5))],
    ids=str,
)
def test_two_ways_to_write_the_same_rates_are_equal_and_hash_equal(one: Any, other: Any) -> None:
    assert Recipe(dropout=one) == Recipe(dropout=other)
    assert hash(Recipe(dropout=one)) == hash(Recipe(dropout=other))
    assert Recipe(dropout=one).rates == other


def test_the_default_is_adam_without_regularization() -> None:
    recipe = Recipe()
    assert (recipe.optimizer.name, recipe.lr, recipe.rates, recipe.mixup, recipe.l1) == ("adam", 1e-3, (), 0.0, 0.0)
    assert recipe.early_stopping is recipe.averaging is recipe.schedule is recipe.max_norm is recipe.clip_norm is None


def test_a_recipe_is_frozen_and_its_copies_are_checked_again() -> None:
    recipe = Recipe(early_stopping=EarlyStopping())
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.lr = 0.1  # type: ignore[misc]
    with pytest.raises(RecipeError, match="lr"):
        recipe.replace(lr=-1.0)
    assert recipe.replace(lr=0.1).early_stopping == EarlyStopping()
    assert recipe.lr == 1e-3


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_every_rate_from_zero_to_below_one_is_taken(hidden: float, inputs: float) -> None:
    recipe = Recipe(dropout=(hidden, 0.5), input_dropout=inputs)
    assert recipe.rates == (hidden, 0.5)
    assert recipe.input_dropout == inputs
