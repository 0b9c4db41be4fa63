"""The command itself: help that imports little, names that are nearly right, exit codes."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from regimen import __version__
from regimen.cli import app
from regimen.cli.commands import COMMANDS
from regimen.cli.wording import printable

from .conftest import Regimen

HEAVY = ("torch", "numpy", "scipy", "sklearn", "polars", "safetensors", "jinja2", "rich", "matplotlib", "msgspec")


@pytest.mark.parametrize("arguments", [["--help"], ["study", "--help"], ["--version"], ["stdy"], ["study", "--pairs"]])
def test_help_and_mistyped_commands_import_nothing_heavy(arguments: list[str], environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom regimen.cli import app\n"
        f"try: app.main({arguments!r})\nexcept SystemExit: pass\n"
        f"print('imported:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_python_dash_m_is_the_command(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "regimen", "--version"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"regimen {__version__}\n"


def test_without_a_command_the_help_is_shown(regimen: Regimen) -> None:
    result = regimen()
    assert result.exit_code == 0
    assert all(command in result.output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(regimen: Regimen, command: str) -> None:
    result = regimen(command, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: regimen {command}")
    assert "..." not in next(line for line in regimen("--help").output.splitlines() if line.startswith(f"  {command} "))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command: str) -> None:
    found = app.get_command(click.Context(app), command)
    assert found is not None
    assert all(option.help for option in found.params if isinstance(option, click.Option))


def test_embedding_programs_get_the_exceptions_of_click() -> None:
    with pytest.raises(click.UsageError):
        app.main(["stdy"], standalone_mode=False)


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\x07", "\udcff", "\u202e"])
def test_what_a_terminal_might_obey_is_printed_as_an_escape(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text).encode()


def test_letters_of_any_language_print_as_they_are() -> None:
    assert printable("Größe 体重 “ok”") == "Größe 体重 “ok”"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command: str) -> None:
    page = (Path(__file__).parents[2] / "docs/command-line.md").read_text(encoding="utf-8")
    found = app.get_command(click.Context(app), command)
    assert found is not None
    assert f"## regimen {command}\n" in page
    for option in found.params:
        if isinstance(option, click.Option):
            assert f"`{option.opts[-1]}" in page
