"""Does experiments one after the other for the command line: says how long, shows figures, writes, survives Ctrl-C."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from regimen.cli.wording import printable
from regimen.cli.workers import stop_workers, undisturbed
from regimen.errors import OptionError, RegimenError
from regimen.experiments.catalogue import Entry, find_entries
from regimen.experiments.context import Context, Outcome, Size
from regimen.experiments.wording import MISSING, VARIANTS, measured_text, posted_text
from regimen.report.quantities import clean, duration, plural

if TYPE_CHECKING:
    from regimen.cli.experiment_meter import ExperimentMeter

FAILED, INTERRUPTED = 1, 130
DEFAULT_FOLDER = "runs/reproduce"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReproduceRequest:
    """What `regimen reproduce` was asked; None is what was not given."""

    names: tuple[str, ...] = ()
    list_only: bool = False
    quick: bool = False
    full: bool = False
    out: str | None = None
    processes: int | None = None

    @property
    def size(self) -> Size:
        """Return how much is done."""
        return "quick" if self.quick else "full" if self.full else "standard"

    def command_line(self, entries: Sequence[Entry]) -> str:
        """Return the command line that does these entries in the same way."""
        options = [f"--{name}" for name in ("quick", "full") if getattr(self, name)]
        for name in ("out", "processes"):
            if getattr(self, name) is not None:
                options += [f"--{name}", str(getattr(self, name))]
        return shlex.join(["regimen", "reproduce", *(entry.name for entry in entries), *options])


def conduct(request: ReproduceRequest) -> None:
    """Do what `regimen reproduce` was asked.

    Raises:
        OptionError: A name means nothing, the options contradict each other, or the folder cannot be made.
    """
    entries = find_entries(request.names)
    if request.quick and request.full:
        raise OptionError("--quick, --full: expected one of the two, got both; leave one out")
    console = Console(highlight=False)
    if request.list_only:
        console.print(_list(entries))
        return
    # Here, not above: the list and refusals are to come without torch and matplotlib, which take seconds.
    from regimen.cli.experiment_meter import ExperimentMeter

    out = _folder(request.out or DEFAULT_FOLDER)
    expected = sum(entry.expected_seconds(request.size) for entry in entries)
    click.echo(
        f"{plural(len(entries), 'experiment')}, about {duration(expected)} on two quiet cores; "
        "Ctrl-C keeps what is finished",
        err=True,
    )
    meter = ExperimentMeter([entry.expected_seconds(request.size) for entry in entries])
    failed: list[Entry] = []
    for index, entry in enumerate(entries):
        try:
            outcome = _outcome(entry, request, out, meter)
        except KeyboardInterrupt:
            with undisturbed():
                stop_workers()
                _say_how_to_go_on(request, [*failed, *entries[index:]], index - len(failed), out)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except RegimenError as error:
            failed.append(entry)
            click.echo(printable(f"regimen: {entry.name}: {error}"), err=True)
        else:
            _show(console, entry, outcome)
    if len(failed) < len(entries):
        click.echo(printable(f"pictures and numbers: {out / 'index.html'}"))
    if failed:
        click.echo(printable(f"regimen: not done; again with: {request.command_line(failed)}"), err=True)
        raise click.exceptions.Exit(FAILED)


def _outcome(entry: Entry, request: ReproduceRequest, out: Path, meter: "ExperimentMeter") -> Outcome:
    from regimen.experiments.writing import write_outcome, write_overview

    folder = out / entry.name
    context = Context(size=request.size, processes=request.processes, folder=folder, on_progress=meter.advance)
    with meter.experiment(entry.name):
        outcome = entry.run(context)
    with undisturbed():
        write_outcome(entry, outcome, folder, size=request.size)
        write_overview(out)
    return outcome


def _folder(name: str) -> Path:
    path = Path(name)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"--out: cannot make the folder {name}: {error.strerror}; name another") from error
    return path


def _list(entries: Sequence[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("part")
    table.add_column("name", no_wrap=True)
    table.add_column("what it shows")
    table.add_column("--quick", justify="right", no_wrap=True)
    table.add_column("as it is", justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(entry.part, entry.name, entry.title, _rounded(entry.seconds_quick), _rounded(entry.seconds))
    return table


def _rounded(seconds: float) -> str:
    return duration(round(seconds) if seconds < 60 else 30 * round(seconds / 30))


def _show(console: Console, entry: Entry, outcome: Outcome) -> None:
    """Print the figures of an entry, readable at 80 columns, and what they mean."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column("", no_wrap=True)
    # The only column that may wrap: a long name takes two lines before a figure loses a digit.
    table.add_column("", overflow="fold", min_width=20)
    for name in ("posted", "measured", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    before = None
    for row in outcome.rows:
        part = Text(row.part if before is None or before.part != row.part else "")
        if before is None or before.variant != row.variant:
            table.add_row(Text(row.part), Text(VARIANTS[row.variant], style="bold"))
            part = Text("")
        posted, measured = posted_text(row), measured_text(row)
        style = "dim" if posted == MISSING else ""
        table.add_row(part, Text(clean(row.quantity)), Text(posted, style=style), Text(clean(measured)), str(row.n))
        before = row
    console.print(Text(f"\n{entry.name}: {entry.title}", style="bold"))
    console.print(table)
    for remark in outcome.remarks:
        console.print(Padding(Text(clean(remark)), (0, 0, 0, 2)))


def _say_how_to_go_on(request: ReproduceRequest, left: Sequence[Entry], kept: int, out: Path) -> None:
    finished = f"{plural(kept, 'finished experiment')} kept in {out}" if kept else "no experiment is finished yet"
    click.echo(printable(f"regimen: interrupted; {finished}; go on with:"), err=True)
    click.echo(f"  {printable(request.command_line(left))}", err=True)
