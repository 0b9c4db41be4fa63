"""Samples of any shape and their targets as they are studied: fed to the network as they are."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.data.pixel_files import BLOCK
from regimen.data.row_weights import RowWeights
from regimen.data.structure import Structure
from regimen.data.tables import Rows, canonical_bytes, rows_of_no_part
from regimen.errors import DataError
from regimen.records import Task

# What a network is fed: numbers, or whole numbers that name something, such as words.
Inputs = npt.NDArray[np.float32] | npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleFeatures:
    """Samples to learn from or to predict, without targets.

    Attributes:
        name: What the samples are called in messages and reports.
        x: float32 or int64 `[rows, ...]`, what the network is fed; read-only.
        notes: Decisions taken about the user's samples, in plain words.
    """

    name: str
    x: Inputs
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x.shape[1:])

    @property
    def whole(self) -> bool:
        """Whether the inputs are whole numbers, to which nothing can be added and which cannot be mixed."""
        return self.x.dtype == np.int64


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Samples(SampleFeatures):
    """Samples with their targets; equal and hashed by content.

    Attributes:
        task: `classification` or `regression`.
        y: int64 class codes, or float64 targets in their own unit, `[rows]`.
        classes: Label of each code; empty for regression.
        target: What the targets are called.
        test_rows: Rows of a given test part, or None.
        validation_rows: Rows of a given validation part, or None.
        structure: Groups or times of the rows, or None.
        weights: How much each row counts, or None where all count alike.
        digest: SHA-256 of the content as hex; neither the name nor the notes enter.

    Raises:
        DataError: The inputs are neither float32 nor int64, or the targets do not fit them.

    Example:
        >>> from regimen.data import from_samples
        >>> samples = from_samples(np.zeros((40, 8, 8)), [0, 1] * 20)
        >>> samples.n, samples.shape, samples.classes
        (40, (8, 8), ('0', '1'))
    """

    task: Task
    y: npt.NDArray[Any]
    classes: tuple[str, ...] = ()
    target: str = "y"
    test_rows: Rows | None = None
    validation_rows: Rows | None = None
    structure: Structure | None = None
    weights: RowWeights | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if self.x.dtype not in (np.float32, np.int64) or self.x.ndim < 2 or 0 in self.x.shape:
            raise DataError(
                f"{self.name}: expected samples [rows, ...] of float32 or int64, got {self.x.dtype} "
                f"{list(self.x.shape)}; make them with from_samples"
            )
        coded = self.task == "classification"
        if self.y.shape != (self.n,) or (coded and (self.y.min() < 0 or self.y.max() >= len(self.classes))):
            raise DataError(
                f"{self.name}: expected one target for each of {self.n} samples, got {list(self.y.shape)} from "
                f"{self.y.min()} to {self.y.max()}; make them with from_samples"
            )
        parts = (self.test_rows, self.validation_rows)
        kind = self.x.dtype.newbyteorder("<")
        described = ("samples", self.task, self.classes, kind.str, self.x.shape, [rows is None for rows in parts])
        digest = hashlib.sha256(msgspec.json.encode(described))
        self.x.setflags(write=False)
        step = max(1, BLOCK // self.x[0].nbytes)
        for start in range(0, self.n, step):
            # Adding 0 leaves no negative zero.
            digest.update((self.x[start : start + step] + self.x.dtype.type(0)).astype(kind, order="C").data)
        for array in (self.y, *parts):
            if array is not None:
                array.setflags(write=False)
                digest.update(canonical_bytes(array))
        if self.structure is not None:
            digest.update(self.structure.content)
        if self.weights is not None:
            digest.update(self.weights.content)
        object.__setattr__(self, "digest", digest.hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Samples) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def drawn_rows(self) -> Rows:
        """Rows of the main part: those from which parts are drawn."""
        return rows_of_no_part(self.n, self.test_rows, self.validation_rows)
