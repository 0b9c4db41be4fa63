"""`regimen study DATA`: which regularization helps, how strong, and how sure is that?"""

import shlex
from typing import Any

import click

from regimen.cli.options import Names, Positive, Text, Whole, data_options, machine_options
from regimen.cli.request import StudyRequest


@click.command(short_help="Find out which regularization helps, and train the network.")
@data_options
@click.option(
    "--model",
    type=Text("MODEL"),
    help="mlp:256x256, cnn:16,32p, FILE.py:FUNCTION, … [default: mlp:128x128, cnn for images]",
)
@click.option(
    "--baseline", type=Text("RECIPE.toml"), help="Recipe to compare with. [default: Adam without regularization]"
)
@click.option("--lr", type=Positive(), help="Learning rate of the baseline. [default: 0.001]")
@click.option(
    "--batch-size", type=Whole("B", low=1), help="Rows of a step. [default: 32 to 512, by the number of rows]"
)
@click.option("--epochs", type=Whole("E", low=1), help="Passes over the training rows. [default: 40]")
@click.option(
    "--techniques",
    type=Text("all|a,b,c"),
    help="What to try, at all settings. [default: the first ten; at one setting each if not trained in C++]",
)
@click.option("--pairs", type=Whole(low=2), help="Pairs that all settings share; below 8 no verdict. [default: 10]")
@click.option("--folds", type=Whole("K", low=2), help="Make pairs the folds of repeated cross-validation.")
@click.option("--budget", type=Text("300runs|60s"), help="How many runs to train, or for how long (s, min, h).")
@click.option(
    "--metric", type=Text("NAME"), help="What is compared: accuracy, log_loss, rmse, … [default: by the data]"
)
@click.option(
    "--smallest-effect",
    type=Positive(),
    help="Smallest difference that matters; 0.01 is one point of accuracy. [default: half a point or one validation "
    "row, at most 2 points; 2 % of an error or loss]",
)
@machine_options
@click.option("--out", type=Text("DIR"), help="Where to write. [default: runs/<data>-<n>, the next free n]")
@click.option(
    "--track",
    type=Names("csv|tensorboard|mlflow,…"),
    help="Also write the curves of all runs, into the study's folder.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted study: that in --out, or the newest of DATA.")
def study(**values: Any) -> None:
    """Find out which regularization helps on DATA, and train a network with the recipe found.

    DATA is a bundled table (digits, iris, wine, breast_cancer, diabetes), a .csv, .tsv, .parquet or .npz file (an array
    `samples`, or an X of more than two dimensions, is fed as it is), a table of OpenML (openml:NAME), a known set of
    images (mnist, fashion-mnist, cifar10), a folder with a folder of images for each class, or an IDX file.

    Writes report.html, results.json, recipe.toml and the trained model. Ctrl-C keeps what is finished, --resume goes
    on from there.
    """
    from regimen.cli.study_session import conduct

    conduct(StudyRequest(**values))


def read_command_line(command: str) -> StudyRequest | None:
    """Return the request behind a stored command line, None where it holds none (a study started from Python).

    Example:
        >>> read_command_line("regimen study iris --pairs 8").pairs
        8
    """
    words = shlex.split(command)
    if words[:2] != ["regimen", "study"]:
        return None
    try:
        return StudyRequest(**study.make_context("study", words[2:]).params)
    except click.UsageError:
        return None
