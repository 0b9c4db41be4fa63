"""`regimen summary MODEL_OR_DIR`: layers, output shapes, parameters, sizes, and what a recipe changes."""

from typing import Any

import click

from regimen.cli.options import DATA, Text, Whole


@click.command(short_help="Show a network's layers and what a recipe changes.")
@click.argument("model", metavar="MODEL_OR_DIR", type=Text("a model or the folder of a saved one"))
@click.option("--recipe", type=Text("RECIPE.toml"), help="Show the network and its training with this recipe.")
@click.option("--data", type=DATA, help="Table that gives inputs and outputs.")
@click.option("--target", type=Text("COL"), help="Target of --data; bundled tables know theirs.")
@click.option("--inputs", type=Whole(low=1), help="Inputs of the network, instead of --data.")
@click.option("--outputs", type=Whole(low=1), help="Outputs: one a class, or 1 for regression.")
def summary(**values: Any) -> None:
    """Show the layers of a network, their output shapes, parameters and sizes, and what a recipe changes.

    MODEL_OR_DIR is mlp, mlp:256x256, … with the sizes of --data or of --inputs and --outputs, or the folder of a study
    or of `regimen train`.
    """
    from regimen.cli.network_summary import SummaryRequest, summarize

    click.echo(summarize(SummaryRequest(**values)))
