"""Folders and files that appear whole or not at all."""

import os
import re
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from regimen.errors import OptionError, StoreError

RUNS = Path("runs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder to write into.

    Attributes:
        path: The folder.
        made: Folders that were made for it, outermost first; empty if it was there.
    """

    path: Path
    made: tuple[Path, ...] = field(default=())

    def withdraw(self, *files: str) -> None:
        """Remove the named files, which were written into it, and then what was made, as far as that is empty."""
        for name in files:
            (self.path / name).unlink(missing_ok=True)
        for path in reversed(self.made):
            try:
                path.rmdir()
            except OSError:
                return  # it holds something of somebody else


def claim(out: str | None, data: str, *, resumable: bool = False) -> Folder:
    """Return an empty folder that no other process has claimed by its default name.

    Args:
        out: As given; None makes `runs/<data>-<n>` with the next free n.
        data: Name of the table.
        resumable: Whether the command could go on with what a used folder holds.

    Raises:
        OptionError: The folder is used, or cannot be made.
    """
    refuse_used(out, resumable=resumable)
    if out is None:
        return _next_free(data)
    path = Path(out)
    return Folder(path=path) if path.is_dir() else Folder(path=path, made=_make(path))


def refuse_used(out: str | None, *, resumable: bool = False) -> None:
    """Refuse a folder that holds something, as `claim` does: to be told before the data are read.

    Raises:
        OptionError: The folder is used, or cannot be read.
    """
    if out is None or not Path(out).is_dir():
        return
    try:
        used = any(Path(out).iterdir())
    except OSError as error:
        raise OptionError(f"--out: cannot read the folder {out}: {error.strerror}; name another") from error
    if used:
        repair = "add --resume or name another" if resumable else "name another"
        raise OptionError(f"--out: expected a new or empty folder, {out} is used; {repair}")


def _next_free(data: str) -> Folder:
    made = () if RUNS.is_dir() else _make(RUNS)
    for n in count(1):
        path = RUNS / f"{folder_name(data)}-{n}"
        try:
            # mkdir is atomic: of two studies that start at once, one gets the next number.
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise OptionError(f"--out: cannot make the folder {path}: {error.strerror}; name another") from error
        return Folder(path=path, made=(*made, path))
    raise AssertionError("unreachable")


def _make(path: Path) -> tuple[Path, ...]:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise OptionError(f"--out: cannot make the folder {path}: {error.strerror}; name another") from error
    return tuple(reversed(missing))


def folder_name(data: str) -> str:
    """Return the part of a folder's name that says which data: letters, digits, dots, dashes, underscores.

    Example:
        >>> folder_name("my data: 2024/5")
        'my_data_2024_5'
    """
    return re.sub(r"[^\w.-]+", "_", data).strip("._-")[:80] or "data"


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that no reader ever sees half of it: beside it first, then renamed.

    Raises:
        StoreError: The file cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_text(text, encoding="utf-8")  # a device or pipe, which cannot be renamed to
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8", newline="")
        os.replace(draft, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; choose another place") from error
    finally:
        draft.unlink(missing_ok=True)
