"""Samples that are in memory, as arrays or tensors of any shape, under the same rules as files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.data.columns import LARGEST
from regimen.data.part_notes import notes_on_parts, require_rows
from regimen.data.row_weights_arrays import BesideArrays
from regimen.data.sample_targets import as_array, floats_as_labels, sample_targets
from regimen.data.samples import Inputs, SampleFeatures, Samples
from regimen.data.structure_reading import structure_of_values
from regimen.errors import DataError
from regimen.records import Task


def from_samples(
    x: Any,
    y: Any,
    *,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    name: str = "samples",
    test: tuple[Any, ...] | None = None,
    validation: tuple[Any, ...] | None = None,
    group: Any = None,
    time: Any = None,
    sample_weight: Any = None,
) -> Samples:
    """Make data of samples of any shape, which the network is fed as they are: nothing is scaled or filled in.

    For what is neither a table nor images: sequences, signals, tokens, images scaled already, features of another
    network.

    Args:
        x: Array or tensor `[rows, ...]`. Floats are fed as float32; integers as int64, as an embedding takes them,
            but for bytes and booleans, which are fed as float32.
        y: Targets `[rows]`: whole numbers, booleans and text are classes. Floats are amounts, unless they are whole
            numbers of which few are different (at most 20, and one for ten rows): then they are classes, and a note
            says so, as for tables.
        task: `classification` or `regression`; None reads it from the type of `y`.
        classes: Label of each code; None takes the different values of `y` in their order.
        name: What the samples are called in messages and reports.
        test: Samples and targets of the test part, in the same form, and beside `sample_weight` their weights too; None
            draws it from the rows.
        validation: The same that validate every run; None draws them anew for each.
        group: Group of each row, `[rows]`; rows of one group are never in two parts.
        time: Time of each row, `[rows]`, numbers or dates; what is scored is later than what is trained on.
        sample_weight: Weight of each row, `[rows]`, >= 0: how much it counts, in training and in every score.

    Raises:
        DataError: The arrays cannot be studied as they are.
        OptionError: There is no such task, group or time are given beside each other or beside given parts, or weights
            of some parts alone.

    Example:
        >>> tokens = np.random.default_rng(1).integers(0, 50, (40, 12))
        >>> samples = from_samples(tokens, ["good", "bad"] * 20)
        >>> samples.shape, samples.x.dtype, samples.classes
        ((12,), dtype('int64'), ('bad', 'good'))
    """
    inputs, notes = as_inputs(x, name)
    weighed = BesideArrays.of(sample_weight, len(inputs), name)
    inputs, y = weighed.kept(inputs, y)
    y, read = floats_as_labels(y, task=task, classes=classes)
    found, targets, labels = sample_targets(y, len(inputs), where=name, task=task, classes=classes)
    require_rows(name, targets, labels, what="sample")
    beside = [part for part, given in (("test", test), ("validation", validation)) if given is not None]
    structure, said = structure_of_values(group, time, weighed.rows, name, given=beside)
    structure = weighed.structure(structure)
    parts: dict[str, npt.NDArray[np.int64]] = {}
    all_inputs: list[npt.NDArray[Any]] = [inputs]
    all_targets = [targets]
    end = len(inputs)
    for part, given in (("test", test), ("validation", validation)):
        if given is None:
            continue
        more, told = _further(
            weighed.part(given, part),
            f"{name}: {part}",
            like=inputs,
            task=found,
            classes=labels,
            coded=classes is not None,
        )
        parts[part] = np.arange(end, end + len(more))
        end += len(more)
        all_inputs.append(more)
        all_targets.append(told)
    joined: Inputs = np.concatenate(all_inputs) if parts else inputs
    samples = Samples(
        name=name,
        x=joined,
        task=found,
        y=np.concatenate(all_targets),
        classes=labels,
        test_rows=parts.get("test"),
        validation_rows=parts.get("validation"),
        structure=structure,
        weights=weighed.weights(),
    )
    return replace(samples, notes=(*notes, *read, *weighed.notes, *said, *notes_on_parts(samples)))


def sample_features(x: Any, *, name: str = "samples") -> SampleFeatures:
    """Return samples to predict.

    Args:
        x: As for `from_samples`.
        name: What they are called in messages.

    Raises:
        DataError: They are no numbers, or not all are finite.

    Example:
        >>> sample_features([[0.5, 1.0]]).shape
        (2,)
    """
    inputs, notes = as_inputs(x, name)
    return SampleFeatures(name=name, x=inputs, notes=notes)


def as_inputs(x: Any, where: str) -> tuple[Inputs, tuple[str, ...]]:
    """Return samples as float32 or int64 `[rows, ...]` in memory of their own, and what was decided in words.

    Raises:
        DataError: They are no numbers, have no shape, or not all are finite.
    """
    array = as_array(x)
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(
            f"{where}: expected samples [rows, ...] with at least one number each, got an array of shape "
            f"{list(array.shape)}; one number each is x[:, None]"
        )
    if array.dtype.kind not in "iubf":
        raise DataError(f"{where}: expected samples as numbers, got elements of type {array.dtype}; convert them")
    if array.dtype.kind == "b" or array.dtype == np.uint8:
        return array.astype(np.float32), (f"{where}: fed as float32, unscaled: they were {array.dtype}",)
    if array.dtype.kind in "iu":
        return np.array(array, dtype=np.int64, order="C"), ()
    outside = ~(np.abs(array) <= LARGEST)
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        raise DataError(
            f"{where}: expected finite numbers below {LARGEST:.1e}, got {array[outside][0]} in row {row + 1}; samples "
            "are fed as they are, so fill in what is missing or leave such rows out"
        )
    # A copy, which later changes of the caller's array cannot reach.
    return np.array(array, dtype=np.float32, order="C"), ()


def _further(
    given: tuple[Any, Any], where: str, *, like: Inputs, task: Task, classes: tuple[str, ...], coded: bool
) -> tuple[Inputs, npt.NDArray[Any]]:
    """Return samples and targets of another part, in the form and the classes of the main one."""
    more, _ = as_inputs(given[0], where)
    if more.shape[1:] != like.shape[1:] or more.dtype != like.dtype:
        raise DataError(
            f"{where}: expected samples {list(like.shape[1:])} of {like.dtype} as the others, got "
            f"{list(more.shape[1:])} of {more.dtype}; reshape or convert them"
        )
    told = as_array(given[1])
    if task == "classification" and not coded:
        # By label: codes of its own would be others where a class is absent.
        told, _ = floats_as_labels(told, task=task)
        told = told if told.dtype.kind == "f" else told.astype(str)
    return more, sample_targets(told, len(more), where=where, task=task, classes=classes or None)[1]
