"""Numbers, names and texts as they are printed."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.report.names import labels, setting_note, strength_key
from regimen.report.quantities import MINUS, MetricFormat, clean, duration, finite_interval, fixed, loss, probability

from .cases import letters
from .studies import digits, regression, technique


@given(value=st.floats(-1e9, 1e9), decimals=st.integers(0, 6))
def test_a_printed_number_is_the_rounded_one_and_zero_has_no_sign(value: float, decimals: int) -> None:
    written = fixed(value, decimals)
    assert float(written.replace(",", "")) == round(value, decimals)
    assert not (written.startswith("-") and float(written.replace(",", "")) == 0)


@given(text=st.text(st.characters(codec="utf-16", categories=("Cc", "Cs", "Cf", "L", "P"))))
def test_cleaned_text_holds_no_control_characters_and_can_be_written(text: str) -> None:
    found = clean(text + "\ud800\x1b\x00\u202e")
    found.encode("utf-8")
    assert not any(ord(letter) < 32 and letter not in "\t\n" for letter in found)
    assert "\u202e" not in found and "\x7f" not in found


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    text = "größe 温度 température\t서울"
    assert clean(text) == text


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_missing_numbers_print_as_a_dash(missing: float | None) -> None:
    form = MetricFormat.of(digits())
    said = [form.level(missing), form.effect(missing), loss(missing), probability(missing), duration(missing)]
    assert said == ["–"] * 5


def test_an_interval_with_one_missing_end_is_missing() -> None:
    assert finite_interval((0.0, math.nan)) is None
    assert MetricFormat.of(digits()).interval((math.nan, 0.1)) == "–"


@pytest.mark.parametrize(
    ("p", "written"),
    [(51 / 1024, "0.0498"), (5000 / 100_001, "<0.05"), (0.0496, "0.0496"), (0.05, "0.050"), (52 / 1024, "0.051"),
     (0.0494, "0.049"), (0.05004, "0.050")],
)  # fmt: skip
def test_a_p_value_that_decides_a_verdict_never_rounds_to_the_limit(p: float, written: str) -> None:
    assert probability(p) == written


@pytest.mark.parametrize(
    ("interval", "written"),
    [
        ((0.0003, 0.0081), "+0.03 to +0.81"),
        ((-0.0081, -0.00004), "-0.810 to -0.004"),
        ((-0.0003, 0.0081), "0.0 to +0.8"),
        ((0.0, 0.0081), "0.0 to +0.8"),
        ((0.006, 0.0081), "+0.6 to +0.8"),
        ((1e-9, 0.0081), "0.0 to +0.8"),
    ],
)
def test_an_interval_that_excludes_zero_does_not_print_as_if_it_touched_it(
    interval: tuple[float, float], written: str
) -> None:
    assert MetricFormat.of(digits()).interval(interval) == written


def test_points_print_times_a_hundred_and_target_units_as_they_are() -> None:
    assert MetricFormat.of(digits()).effect(0.0147, unit=True) == "+1.5 points"
    assert MetricFormat.of(digits()).level(0.958) == "95.8 %"
    assert MetricFormat.of(regression()).effect(-2.61, unit=True) == "-2.6 units of progression"
    assert MetricFormat.of(regression()).level(54.2) == "54.2"


def test_a_page_prints_a_true_minus_sign_and_a_terminal_a_hyphen() -> None:
    assert MetricFormat.of(digits(), minus=MINUS).interval((-0.01, 0.02)) == "−1.0 to +2.0"
    assert MetricFormat.of(digits()).interval((-0.01, 0.02)) == "-1.0 to +2.0"


@pytest.mark.parametrize(("smallest", "expected"), [(1.08, "+0.3"), (0.0108, "+0.345"), (120.0, "+0.3")])
def test_decimals_follow_the_smallest_effect_of_interest(smallest: float, expected: str) -> None:
    base = regression()
    results = replace(base, design=replace(base.design, smallest_effect=smallest))
    assert MetricFormat.of(results).effect(0.345).startswith(expected)


def test_targets_in_tiny_units_print_as_powers_of_ten_not_as_zeros() -> None:
    base = regression()
    form = MetricFormat.of(replace(base, design=replace(base.design, smallest_effect=1.08e-11)))
    assert (form.level(5.42e-10), form.effect(2.6e-11), form.effect(-2.6e-11)) == ("5.42e-10", "+2.60e-11", "-2.60e-11")
    assert form.interval((0.0, 3e-11)) == "0.00000000 to +3.00e-11"
    assert form.level(54.2) == "54.20000000"  # a smallest effect that is far too small changes no level


@pytest.mark.parametrize("smallest", [0.0, math.nan])
def test_no_smallest_effect_still_gives_a_format(smallest: float) -> None:
    base = digits()
    results = replace(base, design=replace(base.design, smallest_effect=smallest))
    assert MetricFormat.of(results).effect(0.0147) == "+1.5"


def test_log_loss_is_in_nats_and_unknown_metrics_keep_their_name() -> None:
    base = digits()
    nats = replace(base, design=replace(base.design, metric="log_loss", metric_unit="plain", smallest_effect=0.01))
    assert MetricFormat.of(nats).effect(0.05, unit=True) == "+0.050 nats"
    own = replace(base, design=replace(base.design, metric="matthews_corrcoef"))
    assert MetricFormat.of(own).name == "matthews corrcoef"


def test_every_arm_has_a_label_of_its_own() -> None:
    found = labels(letters().techniques)
    assert len(set(found.values())) == len(found) == 40


def test_arms_with_the_same_strength_are_told_apart_by_their_setting() -> None:
    arms = (
        technique("dropout", {"dropout": 0.5, "kind": "unit"}, 0.5, 0, 1, arm="a"),
        technique("dropout", {"dropout": 0.5, "kind": "channel"}, 0.5, 0, 1, arm="b"),
        technique("mixup", {"mixup": 0.5}, 0.5, 0, 1, arm="c"),
    )
    assert labels(arms) == {
        "a": "dropout (dropout = 0.5, kind = unit)",
        "b": "dropout (dropout = 0.5, kind = channel)",
        "c": "mixup 0.5",
    }


def test_arms_that_nothing_else_tells_apart_go_by_their_names() -> None:
    arms = tuple(technique("mixup", {"mixup": 0.5}, 0.5, 0, 1, arm=arm) for arm in ("one", "two"))
    assert labels(arms) == {"one": "one", "two": "two"}


def test_a_kind_without_strength_is_named_by_its_word() -> None:
    arm = technique("normalization", {"normalization": "batch"}, None, 0, 1)
    assert labels((arm,)) == {"normalization": "normalization batch"}


@pytest.mark.parametrize(
    ("setting", "strength", "key", "note"),
    [
        ({"mixup": 0.2}, 0.2, "mixup", ""),
        ({"schedule": {"name": "step", "gamma": 0.2}}, 0.2, "gamma", "name = step, gamma = 0.2"),
        ({"a": 0.2, "b": 0.2}, 0.2, "", "a = 0.2, b = 0.2"),
    ],
)
def test_the_strength_is_found_in_the_setting(setting: dict[str, object], strength: float, key: str, note: str) -> None:
    arm = technique("mixup", setting, strength, 0, 1)
    assert (strength_key(arm), setting_note(arm)) == (key, note)
