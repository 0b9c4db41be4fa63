"""The study's store: one SQLite file with one writer, to which every finished run is committed at once."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from regimen.errors import StoreError
from regimen.records import RunResult

FILE = "study.sqlite"
FORMAT = "1"
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    identity TEXT NOT NULL, engine TEXT NOT NULL, result BLOB NOT NULL, outputs BLOB, weights BLOB,
    PRIMARY KEY (identity, engine)
) WITHOUT ROWID;
"""


class Store:
    """Finished runs and the plan they belong to. A second process that opens the same file is refused.

    Args:
        directory: Folder of the study; it must exist.
        create: Make a new store; otherwise open one that is there.

    Attributes:
        seconds: How long those who opened it before had it, each until the last run that it saved.

    Raises:
        StoreError: The store exists (`create`), is missing, in use by another process, no store of this format, or
            cannot be opened there.
    """

    def __init__(self, directory: Path, *, create: bool) -> None:
        self.path = directory / FILE
        taken = f"{directory} already holds a study; go on with --resume, or choose another --out"
        if create and self.path.exists():
            raise StoreError(taken)
        if not create and not self.path.exists():
            raise StoreError(f"expected a study to resume in {directory}, found no {FILE}; start it without --resume")
        try:
            self._database = sqlite3.connect(self.path, timeout=0.5, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path} cannot be opened: {error}; choose another --out") from error
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
            if create:
                for statement in filter(str.strip, TABLES.split(";")):
                    self._database.execute(statement)
                self._database.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
            self._database.execute("COMMIT")
            found, before = self._read("format"), self._read("seconds")
        except sqlite3.DatabaseError as error:
            self._database.close()
            if "locked" in str(error):
                raise StoreError(
                    f"{self.path} is in use by another process; wait for it or choose another --out"
                ) from None
            if "already exists" in str(error):  # another process has made it since
                raise StoreError(taken) from None
            raise StoreError(
                f"{self.path} is no study of regimen, or damaged ({error}); choose another --out"
            ) from error
        if found != FORMAT:
            self._database.close()
            raise StoreError(f"{self.path} has format {found}; this version of regimen reads format {FORMAT}")
        self.seconds, self._opened = float(before or 0), time.perf_counter()

    def _read(self, key: str) -> str | None:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def save_plan(self, plan: Mapping[str, Any]) -> None:
        """Write the plan, once, before the first run.

        Raises:
            StoreError: There is a plan already.
        """
        if self.plan() is not None:
            raise StoreError(f"{self.path} already holds a plan")
        self._database.execute("INSERT INTO meta VALUES ('plan', ?)", (msgspec.json.encode(plan).decode(),))

    def plan(self) -> dict[str, Any] | None:
        """Return the plan, or None before it was written."""
        with self._undamaged():
            text = self._read("plan")
            return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

    def save(self, result: RunResult, engine: str) -> None:
        """Commit one finished run; a kill right after this call loses nothing.

        Raises:
            StoreError: The disk refuses (full, say).
        """
        row = (
            result.identity,
            engine,
            msgspec.msgpack.encode(replace(result, outputs=None, weights=None)),
            _pack(result.outputs),
            _pack(result.weights),
        )
        seconds = str(self.seconds + time.perf_counter() - self._opened)
        try:
            with self._database:
                self._database.execute("BEGIN")
                self._database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", row)
                self._database.execute("INSERT OR REPLACE INTO meta VALUES ('seconds', ?)", (seconds,))
        except sqlite3.DatabaseError as error:
            raise StoreError(f"could not write to {self.path}: {error}; what was stored before is kept") from error

    def load(self, identity: str, engine: str) -> RunResult | None:
        """Return a finished run with whatever arrays were kept, or None.

        Raises:
            StoreError: The file is damaged there.
        """
        with self._undamaged():
            row = self._database.execute(
                "SELECT result, outputs, weights FROM runs WHERE identity = ? AND engine = ?", (identity, engine)
            ).fetchone()
            if row is None:
                return None
            result = msgspec.msgpack.decode(row[0], type=RunResult)
            return replace(result, outputs=_unpack(row[1]), weights=_unpack(row[2]))

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, msgspec.MsgspecError, safetensors.SafetensorError) as error:
            raise StoreError(f"{self.path} is damaged ({error}); start a new study without --resume") from error

    def __len__(self) -> int:
        """Return the number of finished runs."""
        return int(self._database.execute("SELECT COUNT(*) FROM runs").fetchone()[0])

    def close(self) -> None:
        """Close the file and let others have it."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _pack(arrays: Mapping[str, npt.NDArray[Any]] | None) -> bytes | None:
    # safetensors writes the memory as it lies: a transposed array would come back scrambled.
    # (np.ascontiguousarray would also turn a scalar into a vector.)
    return None if arrays is None else safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in arrays.items()})


def _unpack(blob: bytes | None) -> dict[str, npt.NDArray[Any]] | None:
    return None if blob is None else safetensors.numpy.load(blob)
