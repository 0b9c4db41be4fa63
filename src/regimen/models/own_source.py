"""Source of the user's own: files that are run, what they raise as one message, and the text that tells files apart."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

from regimen.errors import OptionError, RegimenError, nearest
from regimen.models.own_neighbours import Neighbours, imported_beside

FORM = "FILE.py:FUNCTION, a function without arguments that returns a torch.nn.Module"


class UserCode:
    """Turns whatever the user's own code raises inside into one message that says where.

    Args:
        what: What was being done, such as `running net.py`.
        path: The user's file, whose lines are named; None where there is none.
        repair: What the user can do about it.
        kind: Type of the error that is raised.

    Example:
        >>> with UserCode("Net()", None):
        ...     1 / 0
        Traceback (most recent call last):
        ...
        regimen.errors.OptionError: Net() raised ZeroDivisionError: division by zero; correct it
    """

    def __init__(
        self, what: str, path: Path | None, *, repair: str = "correct it", kind: type[RegimenError] = OptionError
    ) -> None:
        self.what, self.path, self.repair, self.kind = what, path, repair, kind

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Code that is not ours may raise anything, and may leave; Ctrl-C and our own messages pass.
        if isinstance(error, Exception | SystemExit) and not isinstance(error, RegimenError):
            place = _last_place(traceback, self.path)
            # The first line: PyTorch appends whole traces of C++ to some messages.
            said = (str(error).strip().splitlines() or [""])[0].rstrip(".")
            words = f"{type(error).__name__}: {said}" if said else type(error).__name__
            raise self.kind(f"{self.what} raised {words}{place}; {self.repair}") from error


def _last_place(traceback: TracebackType | None, path: Path | None) -> str:
    """Return the last line of a file that was reached, in words; empty where none was."""
    line = 0
    while traceback is not None and path is not None:
        if Path(traceback.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f" (line {line})" if line else ""


def names_own_module(text: str) -> bool:
    """Return whether a text means a function in a file of the user's own.

    Example:
        >>> names_own_module("nets/mine.py:small"), names_own_module("mlp:8")
        (True, False)
    """
    return text.endswith(".py") or text.rpartition(":")[0].endswith(".py")


def split_name(text: str) -> tuple[Path, str]:
    """Return the file and the function that `FILE.py:FUNCTION` names.

    Raises:
        OptionError: There is no function in it, or no such file.
    """
    file, _, function = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
    if not function:
        raise OptionError(f"expected {FORM}, got {text}; add :FUNCTION")
    if not Path(file).is_file():
        raise OptionError(f"expected {FORM}, got {text}: there is no file {file}")
    return Path(file), function


def run_file(path: Path, function: str, shown: str, beside: Neighbours) -> Callable[[], nn.Module]:
    """Run a file and return a function that it defines; a class that needs no arguments is a function too.

    PyTorch's default generator and number of threads are afterwards what they were.

    Args:
        path: The file.
        function: Name of the function.
        shown: The file as the user wrote it.
        beside: The modules beside the file, which it may import.

    Raises:
        OptionError: There is no such function, or the file raises.
    """
    # One name for each file: those of two folders may have the same stem.
    name = f"regimen_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OptionError(f"expected a Python file, got {shown}")
    loaded = importlib.util.module_from_spec(spec)
    beside.prepare(loaded)
    threads, earlier = torch.get_num_threads(), sys.modules.get(name)
    importlib.invalidate_caches()
    try:
        with torch.random.fork_rng(devices=[]), beside.importable(), UserCode(f"running {shown}", path):
            # Dataclasses look their module up by name.
            sys.modules[name] = loaded
            spec.loader.exec_module(loaded)
    except BaseException:
        sys.modules.pop(name, None)
        if earlier is not None:
            sys.modules[name] = earlier
        raise
    finally:
        torch.set_num_threads(threads)
    factory = getattr(loaded, function, None)
    if not callable(factory):
        own = [key for key, value in vars(loaded).items() if callable(value) and not key.startswith("_")]
        found = "there is none of that name" if factory is None else f"{function} is {type(factory).__name__}"
        raise OptionError(f"expected a function {function} in {shown}, {found}{nearest(function, own) if own else ''}")
    return factory  # type: ignore[no-any-return]


def text_of_file(path: Path) -> str:
    """Return the source of a file and of the neighbours that it imports, by name, each with what it imports in turn.

    Raises:
        OptionError: The file cannot be read.
    """
    texts: dict[str, str] = {}
    start = path.resolve()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(start.parent).as_posix()
        if name not in texts:
            try:
                texts[name] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise OptionError(f"expected {FORM}, got {path}, which cannot be read: {error}") from error
            waiting += imported_beside(texts[name], file, start.parent)
    return repr(sorted(texts.items()))


def sha256(text: str) -> str:
    """Return the SHA-256 of a text as hex."""
    return hashlib.sha256(text.encode()).hexdigest()
