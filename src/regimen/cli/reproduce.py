"""`regimen reproduce NAME`: the experiments of the posts, what they printed beside what is measured now."""

from typing import Any

import click

from regimen.cli.options import Text, Whole


@click.command(short_help="Do the experiments of the posts again.")
@click.argument("names", metavar="[NAME…|all]", nargs=-1, type=Text("NAME"))
@click.option("--list", "list_only", is_flag=True, help="Show the names, and how long each takes.")
@click.option("--quick", is_flag=True, help="Show the idea in seconds: fewer runs, epochs or rows.")
@click.option("--full", is_flag=True, help="More than the posts did: the fair comparison on all 60,000 images.")
@click.option("--out", type=Text("DIR"), help="Where to write. [default: runs/reproduce]")
@click.option("--processes", type=Whole(low=1), help="Runs trained at a time. [default: one for each core]")
def reproduce(**values: Any) -> None:
    """Do the experiments of the five posts that regimen grew from: as posted and corrected.

    NAME is one that --list shows, a part (A, E.4) or a group (techniques); several may be given. The default is all.
    Writes DIR/NAME/numbers.json, the figures as SVG and PNG, and index.html, which shows them. Ctrl-C keeps what is
    finished.
    """
    from regimen.cli.reproduce_session import ReproduceRequest, conduct

    conduct(ReproduceRequest(**values))
