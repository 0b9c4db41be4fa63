"""What a function of the user's own depends on: its source, and all that it reads from outside."""

import dataclasses
import dis
import functools
import inspect
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

# A bool is an int: the first that fits counts.
PLAIN: tuple[Any, ...] = (bool, int, float, complex, str, bytes, types.NoneType, torch.dtype)
FOREIGN = ("torch", "regimen", "torchvision")
HEAP_TYPE = 1 << 9  # set for each class that is written in Python
INSTALLED = (
    *(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    *(str(Path(file).parent) for file in (torch.__file__, Path(__file__).parent)),
    "<frozen",
)


def reach(roots: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return what functions and classes say and read: sources, globals, closures, defaults and what is bound.

    Followed are functions and classes of the user's own, and plain values with lists, tuples, sets and dictionaries
    of them. Libraries count by name; tensors, modules and other objects do not count.

    Args:
        roots: Functions, classes and values, each with the name of its place.

    Returns:
        A text for each place, equal in each process.

    Example:
        >>> reach([("net", functools.partial(torch.nn.LeakyReLU, 0.1))])["net.args[0]"]
        '0.1'
    """
    walk = _Walk()
    for place, root in roots:
        walk.visit(place, root, root=True)
    return walk.found


def is_own(kind: type) -> bool:
    """Return whether a class is neither PyTorch's nor of this package.

    Example:
        >>> is_own(torch.nn.Linear)
        False
    """
    return kind.__module__.partition(".")[0] not in FOREIGN


class _Walk:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        # Where each was met first; with the objects, so that no number is given twice.
        self.seen: dict[int, tuple[Any, str]] = {}

    def visit(self, place: str, value: Any, *, root: bool = False) -> None:
        text = _plain(value)
        if text is not None:
            self.found[place] = text
        elif isinstance(value, functools.partial):
            for name in ("func", "args", "keywords"):
                self.visit(f"{place}.{name}", getattr(value, name), root=root)
        elif inspect.ismethod(value):
            self.visit(place, value.__func__, root=root)
        elif isinstance(value, list | tuple | dict | set | frozenset):
            self._container(place, value, value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [entry.name for entry in dataclasses.fields(value)]
            self._container(place, value, {name: getattr(value, name, None) for name in names})
        elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            self._code(place, value, root=root)
        elif root:
            self.visit(place, type(value), root=root)  # an object that is called

    def _container(self, place: str, owner: Any, values: Any) -> None:
        if id(owner) in self.seen:
            return  # it holds itself
        self.seen[id(owner)] = owner, place
        if isinstance(values, set | frozenset):
            self.found[place] = f"set {sorted(filter(None, map(_plain, values)))}"
        else:
            self.found[place] = f"{type(values).__name__} of {len(values)}"
            pairs = [(_plain(key), held) for key, held in values.items()] if isinstance(values, dict) else None
            for key, held in enumerate(values) if pairs is None else pairs:
                self.visit(f"{place}[{key}]", held)
        del self.seen[id(owner)]

    def _code(self, place: str, value: Any, *, root: bool) -> None:
        if not root and _of_library(value):
            self.found[place] = f"{value.__module__}.{value.__qualname__}"
        elif id(value) in self.seen:
            self.found[place] = f"as {self.seen[id(value)][1]}"
        else:
            self.seen[id(value)] = value, place
            if isinstance(value, type):
                self._class(place, value)
            elif isinstance(value, types.FunctionType):
                self.found[place] = _source(value)
                for name, held in sorted(_held(value), key=lambda pair: pair[0]):
                    self.visit(f"{place}.{name}", held)

    def _class(self, place: str, kind: type) -> None:
        self.found[place] = kind.__qualname__
        for base in kind.__bases__:
            if is_own(base) and base.__flags__ & HEAP_TYPE:
                self.visit(f"{place}<{base.__qualname__}", base, root=True)
        for name, held in sorted(vars(kind).items()) if is_own(kind) and kind.__flags__ & HEAP_TYPE else ():
            inner = held.fget if isinstance(held, property) else getattr(held, "__func__", held)
            if not name.startswith("__") or isinstance(inner, types.FunctionType):
                # Also of a library: its version counts.
                self.visit(f"{place}.{name}", inner, root=isinstance(inner, types.FunctionType))


def _plain(value: Any) -> str | None:
    for kind in PLAIN:
        if isinstance(value, kind):
            return str(kind.__repr__(value))
    return None


def _of_library(value: Any) -> bool:
    if isinstance(value, types.FunctionType):
        return value.__code__.co_filename.startswith(INSTALLED)
    if isinstance(value, type) and is_own(value) and value.__flags__ & HEAP_TYPE:
        return str(getattr(sys.modules.get(value.__module__), "__file__", "")).startswith(INSTALLED)
    return True


def _held(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function closes over, its defaults, and the globals that it reads, unless it is a library's."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        if _filled(cell):
            yield f"closed {name}", cell.cell_contents
    yield "defaults", function.__defaults__
    yield "keywords", function.__kwdefaults__
    if not function.__code__.co_filename.startswith(INSTALLED):
        for name in _globals_read(function.__code__) & function.__globals__.keys():
            yield f"global {name}", function.__globals__[name]


def _globals_read(code: types.CodeType) -> set[str]:
    reads = ("LOAD_GLOBAL", "LOAD_NAME")
    names = {step.argval for step in dis.get_instructions(code) if step.opname in reads} - {"__name__"}
    return names.union(*(_globals_read(inner) for inner in code.co_consts if isinstance(inner, types.CodeType)))


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is the only way to know
    except ValueError:
        return False
    return True


def _source(function: types.FunctionType) -> str:
    """Return the source of a function, else its byte code without file names and lines."""
    # The source of a lambda is that of the whole statement around it.
    if function.__name__ != "<lambda>":
        try:
            return inspect.getsource(function.__code__)
        except (OSError, TypeError):
            pass
    return repr(_byte_code(function.__code__))


def _byte_code(code: types.CodeType) -> tuple[Any, ...]:
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, tuple(map(_constant, code.co_consts))


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _byte_code(value)
    # A set is written in another order in each process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value
