"""The verdict in one sentence: every case says what is known, on this table, and no more."""

import math
from dataclasses import replace
from typing import Any

import pytest

from regimen.records import Results
from regimen.report import qualifiers as qualifying
from regimen.report import sentence, verdict_sentence
from regimen.report.qualifiers import cautions, qualifiers
from regimen.report.sentence import Standing, overfitting, recipe_label, standing
from regimen.stats import gaps, permutation

from .cases import STUDIES, all_equivalent, empty, letters, one_pair, pilot
from .studies import digits, regression


def confirmed(delta: float, low: float, high: float, promised: float = 0.018) -> Results:
    base = digits()
    found = replace(base.confirmation, delta=delta, ci=(low, high), search_delta=promised)
    return replace(base, confirmation=found)


def test_a_confirmed_recipe_is_answered_with_what_how_strong_and_how_sure() -> None:
    assert verdict_sentence(digits()) == (
        "On this table your network needs dropout 0.3 with label smoothing 0.1, which improves accuracy by 1.5 points, "
        "from 95.9 % to 97.4 % (95 % interval 1.0 to 2.0, confirmed on 10 new pairs)."
    )


def test_target_units_name_the_target_and_a_falling_rmse_is_an_improvement() -> None:
    assert verdict_sentence(regression()) == (
        "On this table your network needs L2 0.01, which improves RMSE by 2.6 units of progression, from 54.6 to 52.0 "
        "(95 % interval 1.5 to 3.7, confirmed on 10 new pairs)."
    )


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (digits(), "confirmed"),
        (confirmed(0.008, 0.003, 0.013), "weaker"),  # below half of the promise
        (confirmed(0.012, 0.007, 0.017), "weaker"),  # the promise lies above the interval
        (confirmed(0.012, 0.002, 0.022), "confirmed"),
        (confirmed(0.004, 0.0, 0.008), "unproven"),
        (confirmed(-0.01, -0.02, -0.001), "worse"),
        (confirmed(math.nan, math.nan, math.nan), "promised"),
        (pilot(), "pilot"),
        (empty(), "empty"),
        (all_equivalent(), "none"),
    ],
)
def test_the_standing_follows_the_confirmation(results: Results, expected: Standing) -> None:
    assert standing(results) == expected


def test_a_weaker_confirmation_prints_what_was_promised_beside_what_came() -> None:
    assert verdict_sentence(confirmed(0.008, 0.003, 0.013)) == (
        "On this table your network needs dropout 0.3 with label smoothing 0.1, though it helps less than the search "
        "promised: it improves accuracy by 0.8 points (95 % interval 0.3 to 1.3, 10 new pairs), not by 1.8."
    )


def test_an_interval_with_zero_is_never_called_a_need() -> None:
    said = verdict_sentence(confirmed(0.004, -0.003, 0.011))
    assert "not proven" in said and "do not count on it" in said and "needs" not in said
    assert "95 % interval -0.3 to 1.1" in said


def test_a_recipe_that_lost_says_keep_the_baseline() -> None:
    said = verdict_sentence(confirmed(-0.01, -0.02, -0.001))
    assert said.startswith("On this table keep the baseline") and "-1.0 points" in said


def test_a_gain_below_the_smallest_effect_of_interest_is_said_to_be_small() -> None:
    said = verdict_sentence(confirmed(0.003, 0.001, 0.005, promised=0.004))
    assert said.endswith("a gain below the smallest effect of interest of 0.5 points.")


def test_a_pilot_gives_no_verdict_and_asks_for_eight_pairs() -> None:
    said = verdict_sentence(pilot())
    assert "pilot of 4 pairs is too small for a verdict on this table" in said
    assert "dropout 0.3 looks best, at +1.4 points" in said and said.endswith("run at least 8 pairs to know.")


def test_a_pilot_in_which_nothing_does_better_names_no_technique() -> None:
    base = pilot()
    lost = replace(base, techniques=tuple(replace(one, delta=-0.01) for one in base.techniques))
    assert "no setting does better than the baseline" in verdict_sentence(lost)


def test_one_pair_leaves_out_intervals_that_do_not_exist() -> None:
    said = verdict_sentence(one_pair())
    assert "interval" not in said and "pilot of 1 pair is" in said


def test_nothing_helps_and_no_overfitting_means_none_is_needed() -> None:
    assert verdict_sentence(all_equivalent()) == (
        "On this table your network does not overfit and none of the 13 settings tried is shown to improve accuracy, "
        "so it needs none of them: all 13 make no difference beyond 0.5 points."
    )


def test_nothing_helps_although_it_overfits_says_both() -> None:
    said = verdict_sentence(all_equivalent(overfits=True))
    assert "your network overfits (validation loss 0.227 above training loss), but none of the 13 settings" in said
    assert "needs none" not in said


def test_unclear_arms_are_not_counted_as_evidence_that_none_is_needed() -> None:
    base = all_equivalent()
    arms = tuple(
        replace(one, verdict=("unclear", "hurts", "unclear")[index % 3]) if index < 3 else one
        for index, one in enumerate(base.techniques)
    )
    said = verdict_sentence(replace(base, techniques=arms))
    assert "nothing here speaks for regularization" in said
    assert said.endswith("10 make no difference beyond 0.5 points, 1 hurts and 2 stay unclear after 10 pairs.")


def test_one_setting_that_never_trained_is_counted_as_such() -> None:
    base = all_equivalent()
    only = replace(base.techniques[0], delta=math.nan, verdict="unclear")
    said = verdict_sentence(replace(base, techniques=(only,)))
    assert "not the one setting tried" in said and said.endswith("1 did not train.")


def test_a_gain_without_overfitting_is_not_called_a_need() -> None:
    said = verdict_sentence(replace(digits(), baseline=all_equivalent().baseline))
    assert said.startswith("On this table your network does not overfit, yet it gains from dropout 0.3")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "does not overfit"),
        ({"gap_ci": (-0.01, 0.0107)}, "does not overfit"),
        ({"gap_ci": (-0.3, 0.4)}, "is not shown to overfit"),
        ({"late_loss_ci": (-0.3, 0.06)}, "is not shown to overfit"),
        ({"late_loss_ci": None}, "does not overfit"),
        ({"gap_ci": (math.nan, math.nan)}, "is not shown to overfit"),
        ({"overfits": True, "gap_ci": (0.02, 0.4)}, "overfits"),
    ],
)
def test_a_gap_that_may_be_large_is_not_denied(changes: dict[str, Any], expected: str) -> None:
    base = all_equivalent()
    results = replace(base, baseline=replace(base.baseline, **changes))
    assert overfitting(results) == expected
    assert f"your network {expected}" in verdict_sentence(results)
    assert qualifiers(results)[0].startswith(f"The baseline {expected}: its validation loss is")


def test_the_limits_of_the_words_are_those_of_the_statistics() -> None:
    assert qualifying.NEW_ROWS_P == permutation.FAMILY_ERROR
    assert (sentence.RELATIVE_GAP, sentence.LATE_EXCESS) == (gaps.RELATIVE_GAP, gaps.LATE_EXCESS)


def test_without_techniques_the_sentence_claims_nothing_about_regularization() -> None:
    assert "nothing can be said about regularization on this table" in verdict_sentence(empty())


@pytest.mark.parametrize("name", STUDIES)
def test_the_verdict_is_one_sentence_worded_on_this_table(name: str) -> None:
    said = verdict_sentence(STUDIES[name]())
    assert "this table" in said and said.endswith(".") and "\n" not in said
    assert ". " not in said and "nan" not in said.lower() and "None" not in said


@pytest.mark.parametrize(
    ("fresh", "arms", "p", "expected"),
    [
        ("rows", ("dropout=0.3",), 0.9, "rows that the search never saw"),
        ("seeds", ("dropout=0.3",), 0.049, "excludes zero even when adjusted over 13 settings, so the gain holds"),
        ("seeds", ("dropout=0.3",), 0.05, "too is open, because the confirmation split the same rows again and the"),
        ("seeds", ("dropout=0.3",), None, "too is open, because the confirmation split the same rows again."),
        ("seeds", ("dropout=0.3", "mixup=0.2"), 0.001, "on new data too is open"),
    ],
)
def test_new_data_is_covered_only_by_fresh_rows_or_the_wider_interval_of_the_family(
    fresh: str, arms: tuple[str, ...], p: float | None, expected: str
) -> None:
    base = digits()
    results = replace(
        base,
        design=replace(base.design, fresh=fresh),
        recipe=replace(base.recipe, arms=arms),
        techniques=tuple(replace(one, ci_new_rows=(0.001, 0.02), p_new_rows=p) for one in base.techniques),
    )
    assert expected in qualifiers(results)[-1]


@pytest.mark.parametrize(
    ("division", "fresh", "expected"),
    [
        ("group", "rows", "used groups that the search never saw, so the gain holds on new groups of this kind too"),
        ("group", "seeds", "so the gain holds on new groups of this kind too"),
        ("time", "rows", "used later rows that the search never saw, so the gain holds on later rows too"),
        ("time", "seeds", "Whether the gain holds on later rows too is open"),
    ],
)
def test_what_a_verdict_reaches_is_said_in_the_words_of_the_division(division: str, fresh: str, expected: str) -> None:
    base = digits()
    results = replace(
        base,
        design=replace(base.design, fresh=fresh, division=division, division_column="day"),
        recipe=replace(base.recipe, arms=("dropout=0.3",)),
        techniques=tuple(replace(one, ci_new_rows=(0.001, 0.02), p_new_rows=0.01) for one in base.techniques),
    )
    assert expected in qualifiers(results)[-1]


def test_given_validation_rows_never_speak_for_new_data_nor_are_said_to_be_split_again() -> None:
    base = digits()
    results = replace(
        base,
        plan={**base.plan, "given_validation": True},
        recipe=replace(base.recipe, arms=("dropout=0.3",)),
        techniques=tuple(replace(one, ci_new_rows=(0.001, 0.02), p_new_rows=0.01) for one in base.techniques),
    )
    said = qualifiers(results)[-1]
    assert "on new data too is open" in said and "given validation part" in said
    assert "split the same rows" not in said and "too." not in said


def test_three_arms_are_joined_as_a_person_would() -> None:
    base = digits()
    arms = ("dropout=0.3", "label_smoothing=0.1", "early_stopping=10")
    label = recipe_label(replace(base, recipe=replace(base.recipe, arms=arms)))
    assert label == "dropout 0.3 with label smoothing 0.1 and early stopping (patience 10)"


def test_arms_that_the_family_does_not_hold_are_left_out() -> None:
    base = letters()
    assert recipe_label(replace(base, recipe=replace(base.recipe, arms=("gone",)))) == ""


@pytest.mark.parametrize(("ci", "said"), [((-0.031, -0.0004), True), ((-0.031, 0.001), False), ((0.001, 0.02), False)])
def test_a_test_part_that_speaks_against_the_recipe_is_told_beside_the_verdict(
    ci: tuple[float, float], said: bool
) -> None:
    base = digits()
    test = replace(base.confirmation.test, delta=sum(ci) / 2, ci=ci)
    results = replace(base, confirmation=replace(base.confirmation, test=test))
    against = [one for one in cautions(results) if "the recipe is worse" in one]
    assert bool(against) == said
    if said:
        expected = "by 1.6 points of accuracy (95 % interval 0.04 to 3.10, 360 rows)"
        assert expected in against[0] and against[0] in qualifiers(results)
        assert not any("worse" in one for one in cautions(replace(results, recipe=replace(base.recipe, arms=()))))


@pytest.mark.parametrize(
    ("late", "said"), [(0.004, "within 1 % of that"), (-0.004, "within 1 % of that"), (0.2, "20 % above that")]
)
def test_late_epochs_are_told_by_how_much_they_cost(late: float, said: str) -> None:
    base = digits()
    told = qualifiers(replace(base, baseline=replace(base.baseline, late_loss=late)))
    assert any(f"that loss is {said} of runs that stop early" in one for one in told)


@pytest.mark.parametrize(("loss", "said"), [(0.5, True), (0.201, False)])
def test_a_recipe_with_worse_probabilities_is_told_beside_its_accuracy(loss: float, said: bool) -> None:
    base = digits()
    run = replace(base.runs[0], phase="confirm", status="finished", validation_loss=0.2)
    runs = (replace(run, arm="baseline"), replace(run, arm="recipe", validation_loss=loss))
    results = replace(base, runs=runs)
    assert any("less sure of its answers" in one for one in cautions(results)) == said
    by_loss = replace(results, design=replace(base.design, metric="log_loss"))
    assert not cautions(by_loss)


@pytest.mark.parametrize(("loss", "said"), [(2.2, False), (2.31, True)])
def test_a_baseline_no_better_than_a_guess_among_ten_classes_is_told(loss: float, said: bool) -> None:
    base = digits()
    results = replace(base, runs=(), baseline=replace(base.baseline, train_loss=loss))
    assert any("did not learn" in one for one in cautions(results)) == said
