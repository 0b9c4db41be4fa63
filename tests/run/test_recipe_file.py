"""Recipes as TOML: what is written reads back equal, and what is no recipe is refused with the repair."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import RecipeError
from regimen.models import DROPOUT_KINDS, NORMALIZATIONS
from regimen.run import Recipe, read_recipe, recipe_from_dict, recipe_from_toml, recipe_to_dict, recipe_to_toml
from regimen.techniques import (
    EMA,
    INITIALIZATIONS,
    SGD,
    SWA,
    Adagrad,
    Adam,
    AdamW,
    Affine,
    CosineLR,
    Cutout,
    EarlyStopping,
    ExponentialLR,
    HorizontalFlip,
    MultiStepLR,
    OneCycleLR,
    RandomCrop,
    RMSprop,
    Rotation,
    StepLR,
    VerticalFlip,
)

share = st.floats(0, 1, exclude_max=True)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
number = st.floats(0, allow_infinity=False)
whole = st.integers(1, 10_000)

optimizers = st.one_of(
    st.builds(SGD, momentum=share, dampening=st.floats(0, 1)),
    st.builds(SGD, momentum=st.floats(0.1, 0.9), nesterov=st.just(True)),
    st.builds(Adam, betas=st.tuples(share, share), eps=positive, amsgrad=st.booleans()),
    st.builds(RMSprop, alpha=share, eps=positive, centered=st.booleans(), momentum=share),
    st.builds(Adagrad, lr_decay=number, initial_accumulator_value=number, eps=positive),
)
schedules = st.one_of(
    st.builds(StepLR, step_size=whole, gamma=positive),
    st.builds(MultiStepLR, milestones=st.sets(whole, min_size=1, max_size=4).map(sorted).map(tuple), gamma=positive),
    st.builds(ExponentialLR, gamma=positive),
    st.builds(CosineLR, end=st.floats(0, 1)),
    st.builds(OneCycleLR, pct_start=st.floats(0.01, 0.99), div_factor=st.floats(1, 100)),
)
averagings = st.one_of(st.builds(EMA, decay=share), st.builds(SWA, start=share))
operations = st.one_of(
    st.builds(HorizontalFlip, p=st.floats(0, 1)),
    st.builds(Rotation, degrees=st.floats(0, 180) | st.tuples(st.floats(-90, 0), st.floats(0, 90))),
    st.builds(RandomCrop, size=whole | st.tuples(whole, whole), padding=st.integers(0, 9)),
    st.builds(Affine, translate=st.tuples(st.floats(0, 1), st.floats(0, 1)), degrees=st.floats(0, 180)),
    st.builds(Cutout, size=whole),
)


def one_mixture(values: dict[str, Any]) -> Recipe:
    """Return the recipe of the values, without cutmix where there is mixup."""
    return Recipe(**values | ({"cutmix": 0.0} if values["mixup"] else {}))


recipes = st.fixed_dictionaries(
    dict(
        optimizer=optimizers,
        lr=positive,
        schedule=st.none() | schedules,
        epochs=whole,
        batch_size=st.integers(2, 10_000),
        dropout=share | st.lists(share, max_size=4).map(tuple),
        dropout_scale=st.floats(0, 10),
        dropout_kind=st.sampled_from(DROPOUT_KINDS),
        drop_path=st.floats(0, 0.9),
        input_dropout=share,
        normalization=st.sampled_from(NORMALIZATIONS),
        initialization=st.sampled_from(INITIALIZATIONS),
        initialization_std=positive,
        weight_decay=number,
        decoupled_weight_decay=number,
        decay_bias_and_norm=st.booleans(),
        l1=number,
        l1_step=st.sampled_from(["subgradient", "proximal"]),
        max_norm=st.none() | positive,
        input_scaling=st.sampled_from(["standard", "minmax", "robust", "none", ((0.5, -1.0), (2.0, 0.25))]),
        label_smoothing=share,
        augmentation=st.lists(operations, max_size=3).map(tuple),
        mixup=st.just(0.0) | number,
        cutmix=number,
        input_noise=number,
        clip_norm=st.none() | positive,
        class_weights=st.sampled_from(["none", "balanced"]),
        averaging=st.none() | averagings,
        early_stopping=st.none() | st.builds(EarlyStopping, patience=whole, min_delta=number),
    )
).map(one_mixture)


@given(recipes)
def test_every_recipe_reads_back_equal_from_its_toml(recipe: Recipe) -> None:
    assert recipe_from_toml(recipe_to_toml(recipe)) == recipe
    assert recipe_from_dict(recipe_to_dict(recipe)) == recipe


@given(recipes, recipes)
def test_different_recipes_have_different_toml(one: Recipe, other: Recipe) -> None:
    assert (recipe_to_toml(one) == recipe_to_toml(other)) == (one == other)


def test_the_toml_is_short_and_made_for_people() -> None:
    recipe = Recipe(dropout=0.5, schedule=MultiStepLR(milestones=(5, 8)), early_stopping=EarlyStopping(patience=3))
    assert recipe_to_toml(recipe) == (
        "lr = 0.001\n"
        "epochs = 40\n"
        "batch_size = 32\n"
        "dropout = 0.5\n\n"
        '[optimizer]\nname = "adam"\nbetas = [\n    0.9,\n    0.999,\n]\neps = 1e-08\namsgrad = false\n\n'
        '[schedule]\nname = "multistep"\nmilestones = [\n    5,\n    8,\n]\ngamma = 0.1\n\n'
        "[early_stopping]\npatience = 3\nmin_delta = 0.0\n"
    )


def test_augmentation_is_written_as_a_list_of_tables_in_its_order() -> None:
    recipe = Recipe(augmentation=(Rotation(degrees=15.0), HorizontalFlip()), dropout=0.5, dropout_kind="channel")
    text = recipe_to_toml(recipe)
    assert text.endswith(
        '[[augmentation]]\nname = "rotation"\ndegrees = 15.0\n\n[[augmentation]]\nname = "horizontal_flip"\np = 0.5\n'
    )
    assert 'dropout = 0.5\ndropout_kind = "channel"\n' in text
    assert recipe_from_toml(text) == recipe


def test_adamw_reads_back_as_adamw() -> None:
    recipe = Recipe(optimizer=AdamW(betas=(0.8, 0.9)), decoupled_weight_decay=0.1)
    assert type(recipe_from_toml(recipe_to_toml(recipe)).optimizer) is AdamW


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("", Recipe()),
        ("lr = 1", Recipe(lr=1.0)),
        ("dropout = [0.1, 0.2]", Recipe(dropout=(0.1, 0.2))),
        ('optimizer = "sgd"', Recipe(optimizer=SGD())),
        ("[optimizer]\nname = 'sgd'\nmomentum = 0.9", Recipe(optimizer=SGD(momentum=0.9))),
        ("early_stopping = {}", Recipe(early_stopping=EarlyStopping())),
        (
            "input_scaling = {center = [0.1307], scale = [0.3081]}",
            Recipe(input_scaling=((0.1307,), (0.3081,))),
        ),
        ("augmentation = ['horizontal_flip']", Recipe(augmentation=(HorizontalFlip(),))),
        (
            "augmentation = ['vertical_flip', {name = 'cutout', size = 3}]",
            Recipe(augmentation=(VerticalFlip(), Cutout(size=3))),
        ),
        ("[[augmentation]]\nname = 'rotation'\ndegrees = 15", Recipe(augmentation=(Rotation(degrees=15.0),))),
        ("averaging = {name = 'ema', decay = 0.5}", Recipe(averaging=EMA(decay=0.5))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_recipe_may_be_written_by_hand(text: str, recipe: Recipe) -> None:
    assert recipe_from_toml(text) == recipe


def test_a_dictionary_changes_only_what_it_names_in_the_base() -> None:
    base = Recipe(dropout=0.5, lr=0.1, averaging=EMA())
    assert recipe_from_dict({"mixup": 0.2}, base=base) == base.replace(mixup=0.2)
    assert recipe_from_dict({"averaging": None, "dropout": 0}, base=base) == Recipe(lr=0.1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"droput": 0.5}, "recipe: no such key 'droput'; did you mean 'dropout'?"),
        ({"zzz": 1}, "recipe: no such key 'zzz'; valid: augmentation, averaging,"),
        ({"optimizer": "adma"}, "optimizer.name: no such optimizer 'adma'; did you mean 'adam'?"),
        ({"optimizer": {"name": "lion"}}, "optimizer.name: no such optimizer 'lion'; valid: adagrad, adam,"),
        ({"optimizer": {"momentum": 0.9}}, 'optimizer: expected a table with a name, such as {name = "sgd"}, got'),
        ({"optimizer": 5}, "optimizer: expected a table with a name"),
        ({"optimizer": {"name": ["adam"]}}, "optimizer.name: no such optimizer ['adam']"),
        ({"optimizer": {"name": 3}}, "optimizer.name: no such optimizer 3"),
        ({"optimizer": None}, "optimizer: expected something like regimen.techniques.Adam(), got None"),
        (
            {"optimizer": {"name": "sgd", "momentm": 1}},
            "optimizer: SGD has no parameter 'momentm'; did you mean 'momentum'",
        ),
        ({"optimizer": {"name": "sgd", "lr": 1}}, "optimizer: SGD has no parameter 'lr'; valid: dampening, momentum"),
        ({"optimizer": {"name": "adam", "betas": [0.9]}}, "optimizer.betas: expected two numbers"),
        ({"schedule": {"name": "cosin"}}, "schedule.name: no such schedule 'cosin'; did you mean 'cosine'?"),
        ({"schedule": {"name": "step", "gama": 1}}, "schedule: StepLR has no parameter 'gama'; did you mean 'gamma'?"),
        ({"averaging": {"name": "ema", "decay": 2}}, "averaging.decay: expected a number in [0, 1), got 2"),
        ({"early_stopping": 10}, "early_stopping: expected a table such as {patience = 10}, got 10"),
        ({"early_stopping": {"patence": 3}}, "early_stopping: EarlyStopping has no parameter 'patence'; did you mean"),
        ({"augmentation": "rotation"}, "augmentation: expected [[augmentation]] tables such as name ="),
        ({"augmentation": {"name": "rotation"}}, "augmentation: expected [[augmentation]] tables such as name ="),
        ({"augmentation": [15]}, 'augmentation: expected a table with a name, such as {name = "rotation"}, got 15'),
        ({"augmentation": [{"degrees": 15}]}, "augmentation: expected a table with a name"),
        (
            {"augmentation": [{"name": "rotate"}]},
            "augmentation.name: no such augmentation 'rotate'; did you mean 'rotation'?",
        ),
        ({"augmentation": [{"name": ["rotation"]}]}, "augmentation.name: no such augmentation ['rotation']"),
        ({"augmentation": ["rotation"]}, "augmentation: Rotation needs degrees"),
        (
            {"augmentation": [{"name": "rotation", "degree": 1}]},
            "augmentation: Rotation has no parameter 'degree'; did you mean 'degrees'?",
        ),
        ({"augmentation": [{"name": "cutout", "size": 0}]}, "augmentation.size: expected a whole number in [1, "),
        ({"input_scaling": {"center": [0.1]}}, "input_scaling: expected a table {center = […], scale = […]}, got"),
        (
            {"input_scaling": {"center": [0.1], "scale": []}},
            "input_scaling: expected one of standard, minmax, robust, none, or as many centers as scales",
        ),
        (
            {"input_scaling": {"center": 0.1, "scale": 0.3}},
            "input_scaling: expected one of standard, minmax, robust, none, or as many centers as scales",
        ),
        ({"input_scaling": {"center": [0.1], "scale": [0]}}, "input_scaling.scale: expected a number in (0, inf)"),
        ({"input_scaling": {"center": ["a"], "scale": [1]}}, "input_scaling.center: expected a number"),
        ({"mixup": 0.2, "cutmix": 1.0}, "cutmix: both it and mixup mix the targets of a batch; leave one of them out"),
        ({"dropout_kind": "chanel"}, "dropout_kind: no such value 'chanel'; did you mean 'channel'?"),
        ({"lr": "fast"}, "lr: expected a number in (0, inf), got 'fast'"),
        ({"lr": [0.1]}, "lr: expected a number in (0, inf), got"),
        ({"mixup": {"alpha": 0.2}}, "mixup: expected a number in [0, inf), got {'alpha': 0.2}"),
        ({"dropout": [[0.5]]}, "dropout: expected a number in [0, 1), got [0.5]"),
        ({"normalization": ["batch"]}, "normalization: expected one of none, batch, layer, got"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
def test_what_a_dictionary_can_not_mean_is_refused_with_the_repair(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match="^" + re.escape(message)):
        recipe_from_dict(values)


@pytest.mark.parametrize("text", ["lr = ", "lr = 1\nlr = 2", "= 1", "lr = 1e-3 epochs = 3", "<html>"])
def test_a_text_that_is_no_toml_is_refused_with_its_source(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^mine\.toml: expected TOML: "):
        recipe_from_toml(text, source="mine.toml")


def test_an_impossible_value_in_a_text_names_the_source_too() -> None:
    with pytest.raises(RecipeError, match=r"^mine\.toml: dropout: expected a number in \[0, 1\), got 2$"):
        recipe_from_toml("dropout = 2", source="mine.toml")


def test_a_recipe_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("mixup = 0.2  # größer\n", encoding="utf-8")
    assert read_recipe(path) == read_recipe(str(path)) == Recipe(mixup=0.2)


def test_a_file_that_can_not_be_read_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"expected a recipe in TOML at .*none\.toml: No such file"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="Is a directory"):
        read_recipe(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"binary\.toml: it is no UTF-8 text"):
        read_recipe(tmp_path / "binary.toml")
