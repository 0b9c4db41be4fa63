"""What was found, in words: with its number, its interval, and no claim that the numbers do not carry."""

import math

import pytest

from regimen.experiments.findings import change_text, highest_text, mean_text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([97.0, 98.0], "97.5 ± 0.7 % (n = 2 keys)"),
        ([97.0], "97.0 % (n = 1 key)"),
        ([97.0, math.nan, math.inf], "not finite in 2 of 3 keys"),
    ],
)
def test_a_mean_comes_with_its_spread_and_number(values: list[float], words: str) -> None:
    assert mean_text(values, "%", over="keys") == words


@pytest.mark.parametrize(
    ("differences", "end"),
    [
        ([1.0, 1.1, 0.9], "n = 3 splits: settled)"),
        ([-1.0, -1.1, -0.9], "n = 3 splits: settled)"),
        ([1.0, -1.0, 0.5], "n = 3 splits: not settled)"),
        ([5.0], "(n = 1 split, no interval: not settled)"),
        ([0.0, 0.0], "n = 2 splits: not settled)"),
        ([1.0, math.nan], "not finite in 1 of 2 splits"),
    ],
)
def test_a_change_is_settled_only_if_its_interval_leaves_out_zero(differences: list[float], end: str) -> None:
    assert change_text(differences, "points", over="splits").endswith(end)


def test_the_highest_is_told_with_its_paired_lead_over_the_next() -> None:
    arms = {"low": [1.0, 2.0, 3.0], "high": [9.0, 1.0, 5.0], "diverged": [math.nan] * 3, "next": [8.9, 0.9, 4.9]}
    told = highest_text(arms, "points", over="splits")
    # The arms spread by points, and yet the lead is the same on every split.
    assert told == "highest for high, before next by +0.1 points (95 % interval +0.1 to +0.1, n = 3 splits: settled)"
