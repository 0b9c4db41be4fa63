"""Lines of plain PyTorch that divide rows: the stop part, drawn at random, of whole groups, or the latest rows."""

from regimen.data import Structure
from regimen.techniques import STOP_FRACTION

# Letters of a column's name that a comment shows.
_LONGEST = 50


def division_lines(structure: Structure | None, *, stops: bool) -> list[str]:
    """Return comments on how rows were divided, and what the script therefore expects; none where they were drawn.

    Args:
        structure: Groups or times of the rows.
        stops: Whether the script divides off a stop part.

    Example:
        >>> import numpy as np
        >>> division_lines(Structure(by="time", column="day", values=np.arange(9)), stops=False)
        ["# Rows were divided by the time 'day': score the network on rows later than these."]
    """
    if structure is None:
        return []
    # As Python writes it: a name cannot end the comment.
    name = ascii(structure.column[:_LONGEST])
    if structure.by == "group":
        lines = [f"# Rows were divided by the groups of {name}: score the network on groups that are not here."]
        return [*lines, "# groups_train: int64 [rows], the group of each row."] if stops else lines
    lines = [f"# Rows were divided by the time {name}: score the network on rows later than these."]
    return [*lines, "# The rows of x_train and y_train stand in the order of that time."] if stops else lines


def stop_lines(structure: Structure | None) -> list[str]:
    """Return the lines that make `stop` and `train`, the rows of the stop part and all others.

    Example:
        >>> stop_lines(None)[1]
        'stop, train = order.tensor_split([math.ceil(0.15 * len(order))])'
    """
    share = f"{STOP_FRACTION:.0%}"
    if structure is None:
        return [
            f"order = torch.randperm(len(x_train))  # {share} of the rows choose the epoch",
            f"stop, train = order.tensor_split([math.ceil({STOP_FRACTION} * len(order))])",
        ]
    if structure.by == "time":
        return [
            f"count = math.ceil({STOP_FRACTION} * len(x_train))  # the latest {share} of the rows choose the epoch",
            "stop, train = slice(len(x_train) - count, None), slice(len(x_train) - count)",
        ]
    return [
        f"groups = groups_train.unique()  # {share} of the groups choose the epoch",
        f"chosen = groups[torch.randperm(len(groups))[: math.ceil({STOP_FRACTION} * len(groups))]]",
        "stop = torch.isin(groups_train, chosen)",
        "train = ~stop",
    ]
