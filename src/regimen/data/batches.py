"""Reads what gives samples one by one or in batches, once, into memory: datasets, loaders and callables of PyTorch."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.data.image_arrays import from_images
from regimen.data.images import Images
from regimen.data.machine import free_memory
from regimen.data.naming import counted
from regimen.data.sample_arrays import from_samples
from regimen.data.sample_targets import as_array, floats_as_labels
from regimen.data.samples import Samples
from regimen.errors import DataError, OptionError
from regimen.records import Task

Array = npt.NDArray[Any]
# Rows that are read from what does not say how many it has. Beyond, it is taken to have no end.
MOST_ROWS = 2_000_000
# All rows and the copy that is fed may take so much of the memory that is free.
MOST_MEMORY = 1 / 3
# Rows of a dataset that are read twice, to see whether they come out the same.
_LOOKED_AT = 16
# Rows of a batch where it is ours to choose.
_BATCH = 256
_FROZEN = (
    "reading a row twice gave two results: what was drawn at random is frozen as it was read first; leave random "
    "transforms out, and name them as the recipe's augmentation"
)


def from_dataset(
    dataset: Any,
    *,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    name: str = "dataset",
    test: Any = None,
    group: Any = None,
    time: Any = None,
    sample_weight: Any = None,
) -> Samples | Images:
    """Read a `torch.utils.data.Dataset`, or anything with a length and items that are pairs of input and target.

    Inputs that are pixels, bytes or floats from 0 to 1 of shape `[1, height, width]` or `[3, height, width]`, become
    images, so that they can be augmented; all others become samples, which are fed as they are.

    Args:
        dataset: What to read; every item once, in order.
        task: `classification` or `regression`; None reads it from the type of the targets.
        classes: Label of each code; None takes the different targets in their order.
        name: What the data are called in messages and reports.
        test: Another dataset for the test part; None draws it from the rows.
        group: Group of each row, `[rows]`; rows of one group are never in two parts.
        time: Time of each row, `[rows]`, numbers or dates; what is scored is later than what is trained on.
        sample_weight: Weight of each row, `[rows]`, >= 0: how much it counts, in training and in every score. It
            does not go with `test`, whose weights would not be known.

    Raises:
        DataError: There is no length, an item is no pair, or the items do not fit each other.

    Example:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> samples = from_dataset(TensorDataset(torch.randn(40, 7), torch.arange(40) % 2))
        >>> samples.n, samples.shape
        (40, (7,))
    """
    x, y, notes = _read_dataset(dataset, name)
    tested = None if test is None else _read_dataset(test, f"{name}: test")[:2]
    return of_arrays(
        x,
        y,
        task=task,
        classes=classes,
        name=name,
        test=tested,
        group=group,
        time=time,
        sample_weight=sample_weight,
        notes=notes,
    )


def from_batches(
    batches: Any,
    *,
    rows: int | None = None,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    name: str = "batches",
    test: Any = None,
    group: Any = None,
    time: Any = None,
    sample_weight: Any = None,
) -> Samples | Images:
    """Read a `torch.utils.data.DataLoader`, any iterable of batches, or a function that returns one.

    A batch is a pair of inputs `[batch, ...]` and targets `[batch]`. A loader that shuffles is read in the order of its
    dataset, so that the same rows are the same data the next time. What inputs become, see `from_dataset`.

    Args:
        batches: What to read, once.
        rows: Read only the first so many rows; needed for what has no end.
        task: `classification` or `regression`; None reads it from the type of the targets.
        classes: Label of each code; None takes the different targets in their order.
        name: What the data are called in messages and reports.
        test: The same for the test part; None draws it from the rows.
        group: Group of each row, `[rows]`; rows of one group are never in two parts.
        time: Time of each row, `[rows]`, numbers or dates; what is scored is later than what is trained on.
        sample_weight: Weight of each row, `[rows]`, >= 0: how much it counts, in training and in every score. It
            does not go with `test`, whose weights would not be known.

    Raises:
        DataError: A batch is no pair, batches do not fit each other, or they do not end.

    Example:
        >>> x, y = np.zeros((40, 3)), np.arange(40) % 2
        >>> from_batches(lambda: ((x[i : i + 8], y[i : i + 8]) for i in range(0, 40, 8))).n
        40
    """
    x, y, notes = _read_batches(batches, name, rows)
    tested = None if test is None else _read_batches(test, f"{name}: test", None)[:2]
    return of_arrays(
        x,
        y,
        task=task,
        classes=classes,
        name=name,
        test=tested,
        group=group,
        time=time,
        sample_weight=sample_weight,
        notes=notes,
    )


def of_arrays(
    x: Any,
    y: Any,
    *,
    task: Task | None,
    classes: Sequence[str] | None,
    name: str,
    test: tuple[Any, Any] | None,
    group: Any,
    time: Any,
    sample_weight: Any = None,
    notes: Sequence[str] = (),
) -> Samples | Images:
    """Return inputs and targets as images where the inputs are pixels, else as samples.

    Raises:
        OptionError: There are weights beside test rows, whose weights are not known.
    """
    if sample_weight is not None and test is not None:
        raise OptionError(
            "test: expected no test rows of their own beside sample_weight, whose weights would not be known; leave "
            "one of them out, or give from_samples test=(x, y, weights)"
        )
    x = as_array(x)
    if task != "regression" and are_pixels(x):
        targets, read = floats_as_labels(y, task=task, classes=classes)
        tested = None if test is None else (test[0], floats_as_labels(test[1], task="classification")[0])
        kinds = {"classes": classes, "name": name, "test": tested, "group": group, "time": time}
        if targets.dtype.kind != "f":
            images = from_images(x, targets, **kinds)
            return replace(images, notes=(*notes, *read, *images.notes))
    samples = from_samples(
        x,
        y,
        task=task,
        classes=classes,
        name=name,
        test=test,
        group=group,
        time=time,
        sample_weight=sample_weight,
    )
    return replace(samples, notes=(*notes, *samples.notes))


def are_pixels(x: Array) -> bool:
    """Tell whether an array is pixels: `[rows, 1 or 3, height, width]` of bytes, or of floats from 0 to 1.

    Example:
        >>> are_pixels(np.ones((2, 3, 8, 8))), are_pixels(np.full((2, 3, 8, 8), -1.0)), are_pixels(np.ones((2, 8, 8)))
        (True, False, False)
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or min(x.shape) < 1 or x.shape[2:] == (1, 1):
        return False
    return x.dtype == np.uint8 or (x.dtype.kind == "f" and bool(x.min() >= 0 and x.max() <= 1))


def _read_dataset(dataset: Any, where: str) -> tuple[Array, Array, list[str]]:
    try:
        count = len(dataset)
    except TypeError as error:
        raise DataError(
            f"{where}: expected a dataset with a length, got {type(dataset).__name__}, which has none; give "
            "from_batches a DataLoader of it, with rows if it has no end"
        ) from error
    if not hasattr(dataset, "__getitem__"):
        raise DataError(
            f"{where}: expected a dataset whose items can be taken by their number, got {type(dataset).__name__}"
        )
    with _seeded():
        items = _stacked((_one(dataset[row], f"{where}: item {row}") for row in range(count)), where, limit=count)
        return *items, [_FROZEN] if _random(dataset, where) else []


def _one(item: Any, where: str) -> tuple[Array, Array]:
    """Return an item as a batch of one."""
    x, y = _pair(item, where)
    return as_array(x)[None], as_array(y)[None]


def _random(dataset: Any, where: str) -> bool:
    """Return whether some of the first items are others when they are read again."""
    for row in range(min(_LOOKED_AT, len(dataset))):
        first, again = (as_array(_pair(dataset[row], where)[0]) for _ in range(2))
        if not np.array_equal(first, again, equal_nan=first.dtype.kind == "f"):
            return True
    return False


def _read_batches(batches: Any, where: str, rows: int | None) -> tuple[Array, Array, list[str]]:
    source, notes = _in_order(batches)
    found = source() if callable(source) and not hasattr(source, "__iter__") else source
    if not isinstance(found, Iterable):
        raise DataError(
            f"{where}: expected batches, an iterable of pairs of inputs and targets or a function that returns one, "
            f"got {type(found).__name__}"
        )
    with _seeded():
        pairs = (_batch(batch, f"{where}: batch {number}") for number, batch in enumerate(found))
        x, y = _stacked(pairs, where, limit=rows)
    dataset = getattr(source, "dataset", None)
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        with _seeded():
            notes += [_FROZEN] if _random(dataset, where) else []
    return x, y, notes


def _in_order(batches: Any) -> tuple[Any, list[str]]:
    """Return a loader that shuffles as one that does not; else what was given, and what is to be said of its order."""
    from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

    if isinstance(batches, IterableDataset):
        return DataLoader(batches, batch_size=_BATCH), []
    if not isinstance(batches, DataLoader) or not hasattr(batches.dataset, "__len__"):
        return batches, []
    if isinstance(batches.sampler, SequentialSampler) and not batches.drop_last:
        return batches, []
    if isinstance(batches.sampler, RandomSampler | SequentialSampler) and batches.batch_size is not None:
        whole: DataLoader[Any] = DataLoader(
            batches.dataset, batch_size=batches.batch_size, collate_fn=batches.collate_fn, shuffle=False
        )
        what = "shuffles" if isinstance(batches.sampler, RandomSampler) else "drops the last rows"
        return whole, [
            f"the loader {what}: all rows were read once, in the order of its dataset; runs shuffle themselves"
        ]
    return batches, [
        f"the loader draws its rows ({type(batches.sampler).__name__}): they were read once, as they came; in another "
        "order they are other data, with which no stored study goes on"
    ]


def _pair(item: Any, where: str) -> tuple[Any, Any]:
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    found = f"{type(item).__name__}"
    if isinstance(item, tuple | list):
        found += f" of {len(item)}"
    elif isinstance(item, dict):
        found += f" with {', '.join(map(repr, item))}"
    raise DataError(f"{where}: expected a pair of input and target, got a {found}; return (x, y)")


def _batch(batch: Any, where: str) -> tuple[Array, Array]:
    x, y = (as_array(part) for part in _pair(batch, where))
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise DataError(
            f"{where}: expected as many inputs as targets, got inputs {list(x.shape)} and targets {list(y.shape)}"
        )
    return x, y


def _stacked(pairs: Iterator[tuple[Array, Array]], where: str, *, limit: int | None) -> tuple[Array, Array]:
    """Put batches below each other, at most `limit` rows.

    Raises:
        DataError: They differ in shape or type, do not end, do not fit the memory, or there is none.
    """
    inputs: list[Array] = []
    targets: list[Array] = []
    found, taken = 0, 0
    room = MOST_MEMORY * free_memory()
    for x, y in pairs:
        if inputs:
            _check_alike(inputs[0], x, where, found, "inputs")
            _check_alike(targets[0], y, where, found, "targets")
        left = math.inf if limit is None else limit - found
        inputs.append(np.array(x[: int(min(left, len(x)))]))
        targets.append(np.array(y[: int(min(left, len(y)))]))
        found += len(inputs[-1])
        taken += inputs[-1].nbytes
        if limit is not None and found >= limit:
            break
        if limit is None and found > MOST_ROWS:
            raise DataError(
                f"{where}: expected rows that end, got over {MOST_ROWS:,}; say how many to read, such as rows=50_000"
            )
        if taken > room:
            raise DataError(
                f"{where}: expected rows that fit into a third of the free memory, {room / 2**30:.1f} GiB, got more "
                f"with {counted(found, 'row')}; give rows=, or smaller inputs"
            )
    if not found:
        raise DataError(f"{where}: expected rows, got none; a generator that was read before is empty, give a function")
    return np.concatenate(inputs), np.concatenate(targets)


def _check_alike(first: Array, other: Array, where: str, row: int, what: str) -> None:
    if first.shape[1:] != other.shape[1:]:
        raise DataError(
            f"{where}: expected {what} of one shape, got {list(first.shape[1:])} first and {list(other.shape[1:])} "
            f"from row {row + 1} on; pad or crop them"
        )
    if first.dtype.kind != other.dtype.kind:
        raise DataError(
            f"{where}: expected {what} of one type, got {first.dtype} first and {other.dtype} from row {row + 1} on; "
            "convert them"
        )


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw the same numbers from PyTorch's generator whenever data are read, and leave the caller's as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
