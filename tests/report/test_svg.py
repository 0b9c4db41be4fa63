"""The pieces of the charts: scales, ticks, escaped elements, text that fits."""

import itertools
import math
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markupsafe import Markup

from regimen.report.intervals import effect_domain
from regimen.report.svg import Scale, band, fitted, marker, nice_ticks, path, tag, text_width, tick_texts

values = st.floats(min_value=-1e6, max_value=1e6)
spans = st.floats(min_value=1e-4, max_value=1e6)


@given(start=st.floats(-100, 100), span=spans, count=st.integers(3, 8))
def test_ticks_are_round_evenly_spaced_and_inside(start: float, span: float, count: int) -> None:
    low = start * span  # an axis far from zero for its width would print ticks that floats cannot tell apart
    ticks = nice_ticks(low, low + span, count)
    step = ticks[1] - ticks[0]
    assert max(3, count / 2) <= len(ticks) <= 2 * count + 1
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert all(math.isclose(b - a, step, rel_tol=1e-6) for a, b in itertools.pairwise(ticks))
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-4


def test_a_range_without_width_has_one_tick() -> None:
    assert nice_ticks(3.0, 3.0) == [3.0]


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e3, 1e9])
def test_ticks_of_any_size_read_back_as_their_values(scale: float) -> None:
    ticks = nice_ticks(0, 7 * scale)
    assert [float(text.replace(",", "")) for text in tick_texts(ticks)] == pytest.approx(ticks)


@given(low=values, span=spans, sign=st.booleans())
def test_different_ticks_have_different_texts(low: float, span: float, sign: bool) -> None:
    ticks = nice_ticks(low, low + span)
    assume(max(map(abs, ticks)) < 1e6 * span)
    texts = tick_texts(ticks, sign=sign)
    assert len(set(texts)) == len(ticks)


def test_zero_has_no_sign_and_no_decimals() -> None:
    assert tick_texts([-0.05, 0.0, 0.05], sign=True) == ["−0.05", "0", "+0.05"]


@given(lo=values, span=spans, share=st.floats(0, 1))
def test_a_scale_maps_the_ends_to_the_ends_and_keeps_order(lo: float, span: float, share: float) -> None:
    scale = Scale(lo=lo, hi=lo + span, start=10, end=110)
    assert scale(lo) == 10
    assert math.isclose(scale(lo + span), 110, rel_tol=1e-6)
    assert 10 - 1e-3 <= scale(lo + share * span) <= 110 + 1e-3


def test_what_lies_beyond_a_scale_is_clamped_to_its_end() -> None:
    scale = Scale(lo=0, hi=1, start=100, end=0)
    assert (scale.clamped(7), scale.clamped(-7), scale(2)) == (0, 100, -100)


def test_a_scale_of_one_value_puts_it_in_the_middle() -> None:
    assert Scale(lo=4, hi=4, start=0, end=10)(4) == 5


@given(text=st.text())
def test_any_text_comes_back_from_an_element_unharmed_by_markup(text: str) -> None:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append(name)

    Reader().feed(tag("text", text, aria_label=text))
    assert found == ["text"]


def test_markup_inside_markup_is_not_escaped_twice() -> None:
    assert tag("g", tag("title", "a & b")) == Markup("<g><title>a &amp; b</title></g>")


def test_a_line_breaks_where_a_value_is_missing() -> None:
    drawn = path([(0, 0), (1, 1), (2, math.nan), (3, 3), (4, 4)], "line")
    assert 'd="M0.0 0.0 L1.0 1.0 M3.0 3.0 L4.0 4.0"' in drawn


def test_a_band_without_any_finite_point_is_not_drawn() -> None:
    assert band([(0, math.nan)], [(0, 1)], "spread") == ""


def test_every_verdict_has_a_shape_of_its_own() -> None:
    shapes = {verdict: marker(verdict, 0, 0) for verdict in ("helps", "hurts", "equivalent", "unclear")}
    assert [shapes[verdict].split()[0] for verdict in shapes] == ["<circle", "<polygon", "<rect", "<circle"]
    assert 'class="mark unclear"' in shapes["unclear"]  # told from `helps` by its open middle


@given(text=st.text(min_size=1, max_size=80), width=st.floats(20, 300))
def test_a_fitted_text_fits_and_keeps_its_ends(text: str, width: float) -> None:
    short = fitted(text, width)
    assert short == text or text_width(short) <= width
    if short not in (text, "…"):
        assert short[0] == text[0] or text[0].isspace()


def test_a_shortened_name_still_tells_strengths_apart() -> None:
    names = [fitted(f"a technique with quite a long descriptive name {strength}", 180) for strength in (0.1, 0.2)]
    assert names[0] != names[1] and all("…" in name for name in names)


@pytest.mark.parametrize(
    ("effects", "intervals"),
    [([0.01, -0.7], [(0.0, 0.02), (-0.9, -0.5)]), ([0.01], [(-5.0, 5.0)]), ([], []), ([0.0], [None])],
)
def test_one_ruinous_arm_does_not_squash_the_axis(
    effects: list[float], intervals: list[tuple[float, float] | None]
) -> None:
    low, high = effect_domain(effects, intervals, 0.005)
    assert low <= -0.005 and high >= 0.005
    assert -low <= 4 * high <= 0.2


@given(effects=st.lists(st.floats(-1, 1), max_size=8), smallest=st.floats(1e-6, 0.1))
def test_an_effects_axis_holds_zero_its_band_and_every_gain(effects: list[float], smallest: float) -> None:
    low, high = effect_domain(effects, [], smallest)
    assert low < -smallest and high > smallest
    assert all(effect <= high for effect in effects)
