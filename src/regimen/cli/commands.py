"""The command `regimen`: finds the command that is meant, turns what goes wrong into one message and an exit code."""

import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from regimen import __version__
from regimen.cli.wording import printable, usage_message
from regimen.errors import RegimenError, nearest

# In the order of `regimen --help`; each lives in the module of its name, imported when it is asked for.
COMMANDS = ("study", "train", "predict", "reproduce", "report", "summary", "info")
WRONG_INPUT, INTERRUPTED = 2, 130
# The backspace keeps click from joining the lines.
EXAMPLES = """\b
Examples:
  regimen study digits                        a bundled table
  regimen study data.csv --target y           your own
  regimen predict runs/data-1 new-rows.csv    with the model it found
"""


class Commands(click.Group):
    """The group of all commands, and the one place where errors become messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"regimen.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first argument, or offer the nearest."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"no such command {name!r}{nearest(name, COMMANDS)}", ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and leave with its exit code: 0 done, 1 failed, 2 wrong input, 130 interrupted.

        Errors that nobody raised on purpose pass through with their traceback: they are bugs, and shall be seen.
        """
        extra |= {"complete_var": complete_var, "windows_expand_args": windows_expand_args, "standalone_mode": False}
        if not standalone_mode:
            return super().main(args, prog_name, **extra)
        try:
            code = super().main(args, "regimen", **extra)
        except click.UsageError as error:
            fail(usage_message(error), WRONG_INPUT)
        except click.Abort:
            click.echo("regimen: interrupted; nothing was begun that could be resumed", err=True)
            sys.exit(INTERRUPTED)
        except RegimenError as error:
            fail(str(error), error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> NoReturn:
    """Print the one message of a command that ends here, and end it."""
    click.echo(f"regimen: error: {printable(message)}", err=True)
    sys.exit(code)


@click.group(
    cls=Commands,
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="regimen %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """Which regularization does your network need, how strong, and how sure is that?"""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> NoReturn:
    """Run `regimen` with the arguments of the process and leave with its exit code."""
    try:
        app.main()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED and threading.current_thread() is threading.main_thread():
            # Everything is said and kept: another Ctrl-C must not tear at the interpreter's own end.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            # CPython remembers an interrupt that passed through executed text (importing dataclasses does that), even
            # if it was caught, and would end by signal instead of by this code. Executed text that ends well clears it.
            exec("")
        raise
    raise AssertionError("unreachable: `app.main` leaves")
