"""`regimen summary MODEL`: layers, output shapes, parameters, sizes, and what a recipe changes."""

from typing import Any

import click

from regimen.cli.options import DATA, InputShape, Text, Whole


@click.command(short_help="Show a network's layers and what a recipe changes.")
@click.argument("model", metavar="MODEL", type=Text("a model, FILE.py:FUNCTION or the folder of a saved one"))
@click.option("--recipe", type=Text("RECIPE.toml"), help="Show the network and its training with this recipe.")
@click.option("--data", type=DATA, help="Table or images that give inputs and outputs.")
@click.option("--target", type=Text("COL"), help="Target of --data; bundled tables know theirs.")
@click.option("--inputs", type=InputShape(), help="Number of inputs, or shape of an image; instead of --data.")
@click.option("--model", "own", type=Text("FILE.py:FUNCTION"), help="Your own module whose weights the folder holds.")
@click.option("--outputs", type=Whole(low=1), help="Number of outputs: of classes, or 1 for regression.")
def summary(**values: Any) -> None:
    """Show the layers of a network, their output shapes, parameters and sizes, and what a recipe changes.

    MODEL is mlp, mlp:256x256, cnn, cnn:16,32p:100, … with the sizes of --data or of --inputs and --outputs; or the
    folder of a study or of `regimen train`; or FILE.py:FUNCTION, which returns a torch.nn.Module of your own. For such
    a module it also says what the recipe sets and inserts, and where.
    """
    from regimen.cli.network_summary import SummaryRequest, summary_text

    click.echo(summary_text(SummaryRequest(**values)))
