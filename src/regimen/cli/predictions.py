"""Predictions of a saved model as CSV."""

import contextlib
import csv
import io
import sys
import warnings
from pathlib import Path

import click
import numpy as np

from regimen.cli.folders import write_whole
from regimen.cli.wording import printable
from regimen.data import Features, ImageFeatures, SampleFeatures, read_features
from regimen.errors import OptionError
from regimen.models import parse_model
from regimen.run import SavedModel


def write_predictions(directory: str, data: str, out: str | None, *, model: str | None = None) -> None:
    """Predict the rows of `data` with the model in `directory` and write them, whole or not at all.

    Args:
        directory: Folder of a saved model.
        data: A bundled table, a file, or a folder of images.
        out: A file; None or `-` is standard output.
        model: `FILE.py:FUNCTION` where the weights are those of a module of the user's own.

    Raises:
        StoreError: There is no readable model, or the file cannot be written.
        DataError: The rows do not fit the model.
        OptionError: `out` is a folder, or the file that is read.
    """
    _check_out(out, data)
    # What a module of the user's own prints must not stand among the predictions.
    with contextlib.redirect_stdout(sys.stderr):
        saved, said = load_model(directory, model)
        features = read_features(data, saved.preparation)
        text = as_csv(saved, features)
    for note in (*said, *features.notes):
        click.echo(printable(f"note: {note}"), err=True)
    if out is None or out == "-":
        click.echo(text, nl=False)
    else:
        write_whole(Path(out), text)


def load_model(directory: str | Path, model: str | None) -> tuple[SavedModel, list[str]]:
    """Return the saved model in a folder, and in words what is to be known of it.

    Raises:
        StoreError: There is no readable model, or it is a module of the user's own that is not named.
        OptionError: The named module cannot be made.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        saved = SavedModel.load(directory, None if model is None else parse_model(model))
    return saved, [str(warning.message) for warning in caught]


def _check_out(out: str | None, data: str) -> None:
    if out is None or out == "-":
        return
    path = Path(out)
    if path.is_dir():
        raise OptionError(f"--out: expected a file, got the folder {out}; name a file in it")
    if not path.parent.is_dir():
        raise OptionError(f"--out: expected a file in a folder that is there, got {out}; make {path.parent} first")
    if path.exists() and Path(data).exists() and path.samefile(data):
        raise OptionError(f"--out: {out} is the file that is read; name another")


def as_csv(model: SavedModel, features: Features | ImageFeatures | SampleFeatures) -> str:
    """Return the predictions of the rows, in their order, as CSV with a header line; image files are named first.

    Nine digits tell any two float32 numbers apart.
    """
    outputs = model.predict_outputs(features)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if model.task == "regression":
        writer.writerow(["prediction"])
        writer.writerows([f"{value:.9g}"] for value in outputs[:, 0])
        return stream.getvalue()
    shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    named = isinstance(features, ImageFeatures) and features.row_names
    names = [[name] for name in named] if named else [[]] * features.n
    writer.writerow([*(["image"] if named else []), "prediction", *(f"p_{label}" for label in model.classes)])
    for name, best, row in zip(names, outputs.argmax(axis=1).tolist(), shares.tolist(), strict=True):
        writer.writerow([*name, model.classes[best], *(f"{share:.9g}" for share in row)])
    return stream.getvalue()
