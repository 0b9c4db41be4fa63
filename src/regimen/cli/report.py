"""`regimen report DIR`: writes report.html again from the stored results."""

from pathlib import Path

import click

from regimen.cli.options import Text


@click.command(short_help="Write report.html again from the stored results.")
@click.argument("directory", metavar="DIR", type=Text("the folder of a study"))
def report(directory: str) -> None:
    """Write report.html in DIR again from its results.json, and print the findings."""
    from rich.console import Console

    from regimen.cli.wording import printable
    from regimen.errors import StoreError
    from regimen.records import Results
    from regimen.report import results_table, write_report

    folder = Path(directory)
    stored = folder / "results.json"
    if not stored.is_file():
        if (folder / "study.sqlite").is_file():
            raise StoreError(f"the study in {directory} is not finished; go on with it: regimen study … --resume")
        raise StoreError(f"expected the folder of a study, found no results.json in {directory}; check the path")
    results = Results.read(stored)
    write_report(results, folder / "report.html")
    Console(highlight=False).print(results_table(results))
    click.echo()
    click.echo(printable(f"report  {folder / 'report.html'}"))
