"""`regimen train DATA --recipe FILE`: trains one recipe, or several networks of it, and saves the model."""

from typing import Any

import click

from regimen.cli.options import Text, Whole, data_options, machine_options
from regimen.cli.request import TrainRequest


@click.command(short_help="Train a recipe and save the model.")
@data_options
@click.option("--recipe", type=Text("RECIPE.toml"), required=True, help="What to train, such as a study's recipe.toml.")
@click.option(
    "--model",
    type=Text("MODEL"),
    help="mlp:256x256, cnn:16,32p, FILE.py:FUNCTION, … [default: mlp:128x128, cnn for images]",
)
@click.option("--networks", type=Whole(low=1), help="Networks to train, whose predictions are averaged. [default: 1]")
@click.option("--epochs", type=Whole("E", low=1), help="Epochs, instead of those of the recipe.")
@click.option("--metric", type=Text("NAME"), help="What is printed for the test part. [default: by the data]")
@machine_options
@click.option("--out", type=Text("DIR"), help="Where to write. [default: runs/<data>-<n>, the next free n]")
def train(**values: Any) -> None:
    """Train a recipe on DATA and save the model.

    The test part is the one that a study holds out; all other rows are trained on. A recipe with early stopping takes
    15 % of them to choose the epoch.
    """
    from regimen.cli.train_session import train_recipe

    train_recipe(TrainRequest(**values))
