"""The page in a real browser: drawn, legible in every width and colour scheme, silent, and off the network."""

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from regimen.report import write_report

from .browser import Page
from .cases import STUDIES
from .studies import CODE, curve, digits

Report = Callable[[str], Path]

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Charts that a reader can see, and how many of their shapes have a width or a height.
CHARTS = """[...document.querySelectorAll("svg.chart")].filter(chart => chart.checkVisibility()).map(chart => ({
  kind: chart.classList[1],
  width: chart.getBoundingClientRect().width,
  height: chart.getBoundingClientRect().height,
  shapes: [...chart.querySelectorAll("path, line, rect, circle, polygon")].filter(shape => {
    const box = shape.getBBox();
    return box.width > 0 || box.height > 0;
  }).length,
}))"""
# Texts of a chart that leave it, and pairs that lie on each other, in units of the screen.
TEXTS = """[...document.querySelectorAll("svg.chart")].filter(chart => chart.checkVisibility()).flatMap(chart => {
  const frame = chart.getBoundingClientRect();
  const texts = [...chart.querySelectorAll("text")].map(
    text => ({text: text.textContent, box: text.getBoundingClientRect()}));
  const clipped = texts.filter(({box}) => box.left < frame.left - 1 || box.right > frame.right + 1
    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1).map(({text}) => "clipped: " + text);
  const meeting = texts.flatMap((one, index) => texts.slice(index + 1).filter(({box}) =>
    Math.min(one.box.right, box.right) - Math.max(one.box.left, box.left) > 1
    && Math.min(one.box.bottom, box.bottom) - Math.max(one.box.top, box.top) > 4
  ).map(({text}) => `overlap: ${one.text} | ${text}`));
  return [...clipped, ...meeting];
})"""
WIDTHS = (320, 360, 768, 1200)


@pytest.mark.parametrize("name", STUDIES)
def test_the_console_stays_silent_and_nothing_is_requested(name: str, page: Page, report: Report) -> None:
    page.look(width=1200)
    page.open(report(name))
    assert page.console == []
    assert page.requests == [report(name).resolve().as_uri()]


def test_the_policy_stops_a_script_that_slipped_in(page: Page, report: Report, tmp_path: Path) -> None:
    text = report("digits").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(text.replace("</h1>", "</h1><script>document.title = 'run'</script>"))
    page.open(tmp_path / "page.html")
    assert page.ask("document.title") != "run"
    assert any("Content Security Policy" in line for line in page.console)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", STUDIES)
def test_no_page_is_wider_than_its_screen(name: str, width: int, page: Page, report: Report) -> None:
    page.look(width=width)
    page.open(report(name))
    assert page.ask(OVERFLOW) <= 0


@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("name", STUDIES)
def test_charts_are_drawn_and_no_label_is_clipped_or_covered(name: str, width: int, page: Page, report: Report) -> None:
    page.look(width=width)
    page.open(report(name))
    charts = page.ask(CHARTS)
    assert charts
    assert all(chart["width"] > 100 and chart["height"] > 60 and chart["shapes"] > 4 for chart in charts)
    assert page.ask(TEXTS) == []


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.1), (0.0, 0.0), (0.1, 0.105), (5.0, 0.0)])
def test_labels_of_lines_that_end_together_are_pushed_apart(
    first: float, second: float, page: Page, tmp_path: Path
) -> None:
    base = digits()
    curves = {"baseline": curve(30, first, second), "recipe": curve(30, second, first)}
    write_report(replace(base, curves=base.curves | curves), tmp_path / "page.html")
    page.look(width=1200)
    page.open(tmp_path / "page.html")
    assert page.ask(TEXTS) == []


@pytest.mark.parametrize("width", [320, 1200])
def test_a_full_study_shows_all_five_kinds_of_charts_once_per_width(width: int, page: Page, report: Report) -> None:
    page.look(width=width)
    page.open(report("digits"))
    kinds = [chart["kind"] for chart in page.ask(CHARTS)]
    assert [kinds.count(kind) for kind in ("curves", "panel", "forest", "response", "promised")] == [1, 13, 1, 3, 1]


def test_text_is_large_enough_to_read_on_a_phone(page: Page, report: Report) -> None:
    page.look(width=320)
    page.open(report("digits"))
    heights = page.ask(
        '[...document.querySelectorAll("svg.chart text")].filter(text => text.checkVisibility())'
        ".map(text => text.getBoundingClientRect().height)"
    )
    assert min(heights) > 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_out_from_the_paper_in_both_schemes(scheme: str, page: Page, report: Report) -> None:
    page.look(width=1200, scheme=scheme)
    page.open(report("digits"))
    names = ["paper", "ink", "soft", "base", "best", "helps", "hurts", "equivalent", "unclear"]
    found = page.ask(
        f"{names}.map(name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim())"
    )
    light = [luminance(colour) for colour in found]
    assert (light[0] > 0.5) == (scheme == "light")
    for name, value in zip(names[1:], light[1:], strict=True):
        contrast = (max(value, light[0]) + 0.05) / (min(value, light[0]) + 0.05)
        assert contrast >= 4.5, f"{name} has a contrast of {contrast:.1f} (WCAG 2.2, 1.4.3 asks for 4.5)"


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_colour_has_a_dark_and_a_printed_twin() -> None:
    style = resources.files("regimen.report").joinpath("page.css").read_text(encoding="utf-8")
    light, dark, printed = re.findall(r":root\s*{([^}]*)}", style)
    fonts = {"--sans", "--mono"}
    names = [set(re.findall(r"(--[a-z]+):", block)) - fonts for block in (light, dark, printed)]
    assert names[0] == names[1] == names[2] | {"--hover"}


def test_printed_pages_are_light_complete_and_without_controls(page: Page, report: Report) -> None:
    page.look(width=700, scheme="dark", media="print")
    page.open(report("letters"))
    assert luminance(page.ask("getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()")) == 1
    assert page.ask('[...document.querySelectorAll("nav, button")].some(one => one.checkVisibility())') is False
    assert page.ask('document.querySelector("details .panels").getBoundingClientRect().height') > 500
    assert page.pdf().startswith(b"%PDF")


def test_the_copy_button_copies_the_code(page: Page, report: Report) -> None:
    page.open(report("digits"))
    copied = page.ask(
        """(async () => {
          let copied = "";
          Object.defineProperty(navigator, "clipboard", {value: {writeText: async text => { copied = text; }}});
          document.querySelector("button[data-copy=recipe-code]").click();
          await new Promise(resolve => setTimeout(resolve));
          return [copied, document.querySelector("button[data-copy=recipe-code]").textContent];
        })()"""
    )
    assert copied == [CODE, "Copied"]


def test_without_a_clipboard_the_code_is_selected_and_copied(page: Page, report: Report) -> None:
    page.open(report("digits"))
    selected = page.ask(
        """(async () => {
          Object.defineProperty(navigator, "clipboard", {value: undefined});
          let command = "";
          document.execCommand = name => { command = name; };
          document.querySelector("button[data-copy=recipe-toml]").click();
          await new Promise(resolve => setTimeout(resolve));
          return [command, getSelection().toString()];
        })()"""
    )
    assert selected[0] == "copy" and "label_smoothing = 0.1" in selected[1]


def test_without_scripts_the_page_is_whole_and_shows_no_dead_buttons(page: Page, report: Report) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.look(width=1200)
    page.open(report("digits"))
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node.get("role", {}).get("value") for node in tree if not node.get("ignored")]
    assert "button" not in roles and "heading" in roles and "table" in roles
