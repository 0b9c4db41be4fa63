"""A module of the user's own, named as `FILE.py:FUNCTION`: the file is run, the function called without arguments."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType

from torch import nn

from regimen.errors import OptionError, RegimenError, nearest

FORM = "FILE.py:FUNCTION, a function without arguments that returns a torch.nn.Module"


class UserCode:
    """Turns whatever the user's own code raises inside into one message that says where.

    Args:
        what: What was being done, such as `running net.py`.
        path: The user's file, whose lines are named.
        repair: What the user can do about it.
    """

    def __init__(self, what: str, path: Path, *, repair: str = "correct it") -> None:
        self.what, self.path, self.repair = what, path, repair

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Code that is not ours may raise anything, and may leave; Ctrl-C and our own messages pass.
        if isinstance(error, Exception | SystemExit) and not isinstance(error, RegimenError):
            place = _last_place(traceback, self.path)
            raise OptionError(f"{self.what} raised {type(error).__name__}: {error}{place}; {self.repair}") from error


def _last_place(traceback: TracebackType | None, path: Path) -> str:
    """Return the last line of a file that was reached, in words; empty where none was."""
    line = 0
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f" (line {line})" if line else ""


def names_user_module(text: str) -> bool:
    """Return whether a text means a module of the user's own.

    Example:
        >>> names_user_module("nets/mine.py:small"), names_user_module("mlp:8")
        (True, False)
    """
    return text.endswith(".py") or text.rpartition(":")[0].endswith(".py")


def load_user_module(text: str) -> nn.Module:
    """Return the module that a function in a file of the user's returns.

    Args:
        text: `FILE.py:FUNCTION`; a class that needs no arguments is a function too.

    Raises:
        OptionError: There is no such file or function, it returns no module, or it raises.
    """
    file, _, name = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
    path = Path(file)
    if not name:
        raise OptionError(f"expected {FORM}, got {text}; add :FUNCTION")
    if not path.is_file():
        raise OptionError(f"expected {FORM}, got {text}: there is no file {file}")
    loaded = _run(path)
    factory = getattr(loaded, name, None)
    if not callable(factory):
        own = [key for key, value in vars(loaded).items() if callable(value) and not key.startswith("_")]
        found = "there is none of that name" if factory is None else f"{name} is {type(factory).__name__}"
        raise OptionError(f"expected a function {name} in {file}, {found}{nearest(name, own) if own else ''}")
    with UserCode(f"{name}() of {file}", path):
        made = factory()
    if not isinstance(made, nn.Module):
        raise OptionError(f"expected {name}() of {file} to return a torch.nn.Module, got {type(made).__name__}")
    return made


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"regimen_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise OptionError(f"expected a Python file, got {path}")
    loaded = importlib.util.module_from_spec(spec)
    with _importable_beside(path, loaded), UserCode(f"running {path}", path):
        spec.loader.exec_module(loaded)
    return loaded


@contextmanager
def _importable_beside(path: Path, loaded: ModuleType) -> Iterator[None]:
    """Let the file import its neighbours, and find itself, while it runs, as `python FILE.py` would."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    # Dataclasses look their module up by name.
    sys.modules[loaded.__name__] = loaded
    try:
        yield
    finally:
        sys.path.remove(folder)
