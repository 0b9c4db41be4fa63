"""What tells one search from another, in words: only what differs, with both values."""

from typing import Any

import pytest

from regimen.run import Recipe, recipe_to_dict
from regimen.search.settings import differences
from regimen.techniques import SGD, Adam, StepLR


def between(stored: Recipe, wanted: Recipe) -> list[str]:
    return differences({"baseline": recipe_to_dict(stored)}, {"baseline": recipe_to_dict(wanted)})


@pytest.mark.parametrize(
    ("stored", "wanted", "said"),
    [
        ({"epochs": 40}, {"epochs": 60}, ["epochs = 40, not 60"]),
        ({"dropout": 0.5}, {}, ["dropout = 0.5, not none"]),
        ({}, {"dropout": 0.5}, ["dropout = none, not 0.5"]),
        ({"lr": 0.1, "mixup": 0.2}, {"lr": 0.3, "mixup": 0.2}, ["lr = 0.1, not 0.3"]),
        ({"optimizer": Adam(eps=1e-7)}, {}, ["optimizer.eps = 1e-07, not 1e-08"]),
        ({"schedule": StepLR(step_size=3)}, {}, ["schedule = step step_size=3 gamma=0.1, not none"]),
        (
            {"optimizer": SGD(momentum=0.9)},
            {"batch_size": 8},
            [
                "optimizer = sgd momentum=0.9 dampening=0.0 nesterov=False, not "
                "adam betas=[0.9, 0.999] eps=1e-08 amsgrad=False",
                "batch_size = 32, not 8",
            ],
        ),
        ({}, {}, []),
    ],
)
def test_of_two_baselines_only_the_fields_that_differ_are_named(
    stored: dict[str, Any], wanted: dict[str, Any], said: list[str]
) -> None:
    assert between(Recipe(**stored), Recipe(**wanted)) == [f"its baseline has {one}" for one in said]


def test_of_long_values_the_stretch_where_they_differ_is_shown() -> None:
    names = ",".join(f"technique_{number}" for number in range(30))
    [said] = differences({"space": f"{names} (abc)"}, {"space": f"{names} (def)"})
    assert said.startswith("its space is technique_0,techniqu…")
    assert "(abc), not technique_0" in said and said.endswith("(def)")
    assert len(said) < 150


def test_a_value_that_was_not_stored_differs() -> None:
    assert differences({}, {"numerics": "2"}) == ["its numerics is none, not 2"]
