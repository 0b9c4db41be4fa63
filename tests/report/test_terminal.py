"""The results in a terminal: everything readable at 80 columns, nothing that could steer the terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from regimen.records import Results
from regimen.report import results_table, verdict_sentence

from .cases import STUDIES, diverged, letters
from .studies import digits


def shown(results: Results, *, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(results_table(results))
    return stream.getvalue()


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_fits_into_eighty_columns(name: str) -> None:
    lines = shown(STUDIES[name]()).splitlines()
    assert lines and max(map(len, lines)) <= 80


def test_the_verdict_comes_first_and_the_best_technique_on_top() -> None:
    text = shown(digits())
    assert " ".join(text.split()).startswith(verdict_sentence(digits()))
    rows = [line for line in text.splitlines() if line.endswith("x")]
    assert rows[0].split() == ["dropout", "0.3", "+1.4", "+0.9", "to", "+1.9", "0.002", "helps", "1.04x"]
    effects = [float(row.split(" to ")[0].split()[-2]) for row in rows]
    assert len(effects) == 13 and effects == sorted(effects, reverse=True)


def test_an_arm_that_never_trained_is_last_and_has_no_numbers() -> None:
    row = next(line for line in shown(diverged()).splitlines() if line.startswith("LR 10"))
    assert row.split() == ["LR", "10", "-", "-", "-", "did", "not", "train", "-"]
    assert shown(diverged()).index("LR 10") > shown(diverged()).index("LR 1 ")


def test_columns_that_tell_the_verdict_survive_long_names() -> None:
    text = shown(letters())
    rows = [line for line in text.splitlines() if line.startswith("stochastic")]
    assert len(rows) == 39
    assert all(row.endswith("1.00x") and " to " in row and " 0.010 " in row for row in rows)
    assert "…" not in text and "<script>" in text


def test_names_are_neither_markup_nor_escape_sequences() -> None:
    base = digits()
    name = "[bold red]x[/] \x1b[31m[link=file:///]"
    results = replace(base, techniques=(replace(base.techniques[0], name=name),))
    text = shown(results, width=200)
    assert "\x1b" not in text and "[bold red]x[/]" in text


def test_without_techniques_only_the_verdict_is_printed() -> None:
    assert " ".join(shown(STUDIES["empty"]()).split()) == verdict_sentence(STUDIES["empty"]())
