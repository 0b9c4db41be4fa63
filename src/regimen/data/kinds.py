"""The kinds of data that can be split, prepared and trained on."""

from regimen.data.images import Images
from regimen.data.samples import Samples
from regimen.data.tables import Table

Data = Table | Images | Samples


def row_word(data: Data) -> str:
    """Return what one row is called.

    Example:
        >>> from regimen.data import load
        >>> row_word(load("iris"))
        'row'
    """
    return "image" if isinstance(data, Images) else "sample" if isinstance(data, Samples) else "row"


def shape_of_rows(data: Data) -> tuple[int, ...] | None:
    """Return the shape of one input of the network; None for a table, whose inputs the preparation makes."""
    return data.shape if isinstance(data, Images | Samples) else None
