"""`regimen predict DIR DATA`: the predictions of a saved model as CSV."""

import click

from regimen.cli.options import DATA, Text


@click.command(short_help="Predict rows of a table, or images, with a saved model.")
@click.argument("directory", metavar="DIR", type=Text("the folder of a study or of `regimen train`"))
@click.argument("data", metavar="DATA", type=DATA)
@click.option("--model", type=Text("FILE.py:FUNCTION"), help="Your own module whose weights DIR holds.")
@click.option("--out", type=Text("FILE"), help="Where to write; - is standard output. [default: -]")
def predict(directory: str, data: str, model: str | None, out: str | None) -> None:
    """Predict the rows of DATA with the model in DIR.

    Writes CSV: `prediction` in the labels of the training table, then `p_<class>`, the probability of each class; for
    regression `prediction` alone. DATA needs the columns that the model was trained on, in any order; other columns are
    ignored. For a model of images DATA is a folder of images, in folders of classes or not, one image or an IDX file; a
    column `image` in front names the files.

    DIR holds no code, and no code is run because of it: a module of your own has to be named again.
    """
    from regimen.cli.predictions import write_predictions

    write_predictions(directory, data, out, model=model)
