"""Errors carry their exit code and a hint; numbers and names are refused in one form."""

import math
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen import errors
from regimen.errors import InputError, RecipeError, RegimenError, nearest
from regimen.limits import require_choice, require_number

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_descends_from_one_root_and_wrong_input_exits_with_two(kind: type[RegimenError]) -> None:
    assert issubclass(kind, RegimenError)
    assert kind.exit_code == (2 if issubclass(kind, InputError) else 1)
    assert kind.__doc__


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("droput", "; did you mean 'dropout'?"),
        ("DROPOUT", "; did you mean 'dropout'?"),
        ("mixpu", "; did you mean 'mixup'?"),
        ("zzz", "; valid: dropout, mixup"),
        ("", "; valid: dropout, mixup"),
    ],
)
def test_a_hint_names_the_nearest_or_all_in_order(name: str, hint: str) -> None:
    assert nearest(name, ["mixup", "dropout"]) == hint


@given(st.floats(0, 1))
def test_a_number_in_its_interval_is_taken(value: float) -> None:
    require_number("x", value, low=0, high=1)


@pytest.mark.parametrize(
    ("value", "options", "interval"),
    [
        (0, {"low": 0, "low_open": True}, "a number in (0, inf)"),
        (1, {"high": 1, "high_open": True}, "a number in (-inf, 1)"),
        (1.5, {"low": 0, "high": 1}, "a number in [0, 1]"),
        (2.0, {"low": 1, "integer": True}, "a whole number in [1, inf)"),
        (True, {"low": 0}, "a number in [0, inf)"),
        ("3", {"low": 0}, "a number in [0, inf)"),
        (None, {}, "a number in (-inf, inf)"),
        (math.nan, {}, "a number in (-inf, inf)"),
        (-math.inf, {}, "a number in (-inf, inf)"),
        (10**309, {}, "a number in (-inf, inf)"),
        (-(10**309), {"integer": True}, "a whole number in (-inf, inf)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_any_other_value_is_refused_with_the_interval(value: object, options: dict[str, float], interval: str) -> None:
    with pytest.raises(RecipeError, match="^" + re.escape(f"x: expected {interval}, got {value!r}") + "$"):
        require_number("x", value, **options)  # type: ignore[arg-type]


def test_a_choice_is_taken_as_it_is_written() -> None:
    require_choice("kind", "batch", ("none", "batch"))
    with pytest.raises(RecipeError, match="kind: no such value 'Batch'; did you mean 'batch'"):
        require_choice("kind", "Batch", ("none", "batch"))
    with pytest.raises(RecipeError, match="kind: expected one of none, batch, got 3"):
        require_choice("kind", 3, ("none", "batch"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_reaches_another_process(kind: type[RegimenError]) -> None:
    assert str(pickle.loads(pickle.dumps(kind("what happened")))) == "what happened"


def test_a_budget_that_is_too_small_reaches_another_process_with_its_figures() -> None:
    again = pickle.loads(pickle.dumps(errors.BudgetError("too small", least=2.0, room=1.0)))
    assert (str(again), again.least, again.room) == ("too small", 2.0, 1.0)
