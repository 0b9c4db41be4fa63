"""Lines of plain PyTorch that weigh rows: `w_train` holds how much each training row counts."""

from regimen.data.row_weights import RowWeights
from regimen.records import Task
from regimen.run.code_text import literal

# Letters of a column's name that a comment shows.
_LONGEST = 50


def weights_comment(weights: RowWeights | None) -> list[str]:
    """Return the comment that says what `w_train` is; none where all rows count alike.

    Example:
        >>> import numpy as np
        >>> weights_comment(RowWeights(column="w", values=np.array([1.0, 2.0])))
        ["# w_train: float32 [rows], how much each row counts: the column 'w'."]
    """
    if weights is None:
        return []
    # As Python writes it: a name cannot end the comment.
    return [f"# w_train: float32 [rows], how much each row counts: the column {weights.column[:_LONGEST]!a}."]


def weighted_criterion(task: Task, *, smoothing: float, balanced: bool) -> list[str]:
    """Return the lines of `criterion(output, y, w)`, the mean of losses that are multiplied by weights.

    Args:
        task: Chooses cross-entropy or the squared error.
        smoothing: Label smoothing.
        balanced: Whether classes have weights too, from the `counts` of a line before.
    """
    scaled = "w_train = w_train / w_train.mean()"
    head = "def criterion(output, y, w):"
    if task == "regression":
        return [scaled, head, "    return ((output - y) ** 2 * w).mean()"]
    arguments = ["output", "y", *(["weight=class_weights"] if balanced else [])]
    arguments += [f"label_smoothing={literal(smoothing)}"] if smoothing else []
    lines = [head, f'    losses = nn.functional.cross_entropy({", ".join(arguments)}, reduction="none")']
    if not balanced:
        return [scaled, *lines, "    return (losses * w).mean()"]
    by_class = "class_weights = len(y_train) / (len(counts) * counts)"
    return [scaled, by_class, *lines, "    return (losses * w).sum() / class_weights[y].sum()"]


def weighted_stop_loss(task: Task, outputs: str) -> list[str]:
    """Return the lines that measure the stop part: the weighted mean of the plain loss.

    Args:
        task: Chooses cross-entropy or the squared error.
        outputs: The outputs on `x_stop`, in code.
    """
    losses = f'nn.functional.cross_entropy({outputs}, y_stop, reduction="none")'
    if task == "regression":
        losses = f"({outputs} - y_stop) ** 2"
    return [f"losses = {losses}", "stop_loss = ((losses * w_stop).sum() / w_stop.sum()).item()"]
