"""The space of recipes: every technique at every strength, never two that exclude each other."""

from typing import Any

import optuna
import pytest
from optuna.trial import FixedTrial

from regimen.errors import OptionError, RecipeError
from regimen.run import Recipe, recipe_from_dict
from regimen.search.space import CATALOGUE, PARTS, RANGES, setting_at, technique_space, wanted_names
from regimen.study import Arm
from regimen.techniques import SGD, AdamW, MultiStepLR, fitted

ALL = list(CATALOGUE)
WITH_STRENGTHS = [name for name, technique in CATALOGUE.items() if technique.strengths]


@pytest.mark.parametrize("name", WITH_STRENGTHS)
def test_a_technique_at_a_strength_of_the_catalogue_is_its_setting(name: str) -> None:
    technique = CATALOGUE[name]
    assert [setting_at(technique, strength) for strength in technique.strengths] == list(technique.settings)


@pytest.mark.parametrize("name", WITH_STRENGTHS)
def test_the_range_of_a_technique_holds_its_strengths_and_only_possible_recipes(name: str) -> None:
    place = RANGES[name]
    assert place.low <= min(CATALOGUE[name].strengths) <= max(CATALOGUE[name].strengths) <= place.high
    ends = (int(place.low), int(place.high)) if place.whole else (place.low, place.high)
    first, second = (recipe_from_dict(setting_at(CATALOGUE[name], end)) for end in ends)
    assert first != second


def test_the_parts_name_techniques_of_the_catalogue_each_once() -> None:
    members = [name for part in PARTS.values() for name in part]
    assert set(members) <= set(CATALOGUE)
    assert len(members) == len(set(members))


@pytest.mark.parametrize(
    "baseline", [Recipe(), Recipe(optimizer=SGD(momentum=0.9), lr=0.1, epochs=3)], ids=["adam", "sgd"]
)
def test_no_trial_of_the_whole_space_contradicts_itself_and_every_technique_comes_up(baseline: Recipe) -> None:
    space = technique_space(None, ALL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    chosen: set[Any] = set()
    for _ in range(100):
        trial = study.ask()
        recipe = space(trial, baseline)
        assert recipe.epochs == baseline.epochs
        chosen |= {value for value in trial.params.values() if isinstance(value, str)}
    assert chosen == {"off", *CATALOGUE} - {"adamw"}


def test_a_space_starts_with_the_baseline_and_then_each_technique_alone_as_a_study_tries_it() -> None:
    baseline, space = Recipe(lr=0.002), technique_space(None, ALL)
    recipes = [space(FixedTrial(parameters), baseline) for parameters in space.starts(baseline)]
    arms = [
        Arm(name=t.name, technique=t.name, setting=dict(t.settings[0])) for part in space.parts.values() for t in part
    ]
    assert recipes == [baseline, *(arm.recipe(baseline) for arm in arms)]


def test_what_is_off_stays_as_in_the_baseline() -> None:
    baseline = Recipe(mixup=0.3, lr=0.01)
    space = technique_space("mixup,dropout", ALL)
    assert space(FixedTrial({"mixing": "off", "dropout": "off"}), baseline) == baseline


def test_an_optimizer_with_a_rate_of_its_own_is_searched_around_that() -> None:
    space = technique_space("lr,sgd", ALL)
    assert space(FixedTrial({"optimizer": "sgd", "lr_sgd": 0.3}), Recipe()).lr == 0.3
    assert space(FixedTrial({"optimizer": "off", "lr": 0.01}), Recipe()).lr == 0.01
    with pytest.raises(ValueError, match="lr"):
        space(FixedTrial({"optimizer": "sgd", "lr": 0.01}), Recipe())


def test_schedules_are_laid_out_over_the_epochs_of_the_baseline() -> None:
    space = technique_space("multistep_schedule", ALL)
    trial = FixedTrial({"schedule": "multistep_schedule"})
    assert space(trial, Recipe(epochs=200)).schedule == MultiStepLR(milestones=(100, 150))
    assert fitted({"schedule": {"name": "multistep", "milestones": [20, 30]}}, 1)["schedule"]["milestones"] == [1, 2]


def test_a_technique_is_offered_once_however_many_settings_a_study_would_try() -> None:
    space = technique_space(None, ["dropout", "l2", "dropout", "decoupled_decay", "l2", "dropout"])
    names = {part: [technique.name for technique in techniques] for part, techniques in space.parts.items()}
    assert names == {"dropout": ["dropout"], "decay": ["l2", "decoupled_decay"]}


def test_techniques_that_do_not_fit_are_left_out() -> None:
    space = technique_space("all", [name for name in ALL if not CATALOGUE[name].images_only])
    assert "cutmix" not in {technique.name for techniques in space.parts.values() for technique in techniques}
    with pytest.raises(OptionError, match="none of cutmix can be tried"):
        technique_space("cutmix", ["dropout"])


def test_adamw_is_searched_where_it_is_named_and_contradicts_l2() -> None:
    space = technique_space(["adamw", "l2"], ALL)
    parameters = {"optimizer": "adamw", "decay": "l2", "l2.strength": 0.01}
    with pytest.raises(RecipeError, match="AdamW is decoupled"):
        space(FixedTrial(parameters), Recipe())
    assert isinstance(space(FixedTrial(parameters | {"decay": "off"}), Recipe()).optimizer, AdamW)


@pytest.mark.parametrize("names", ["droput", ["lr", "dropouts"]])
def test_an_unknown_name_is_refused_with_the_nearest(names: str | list[str]) -> None:
    with pytest.raises(OptionError, match="did you mean 'dropout'"):
        wanted_names(names)


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(OptionError, match="expected all, or names"):
        wanted_names(" , ")
