"""Files beside a file of the user's own: which of them it imports, and how it finds them while its code runs."""

import ast
import builtins
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

# Never set aside for a neighbour of the same name.
LIBRARIES = frozenset({"torch", "torchvision", "numpy", "regimen", "__main__"})
# What is imported is the same for all threads.
_changing = threading.RLock()


class Neighbours:
    """Modules beside a file: importable for its code and theirs, and hidden from the code of other folders.

    Functions that import only as they are called, a `forward` say, are called long after the file was run: the import
    statement of all these modules is `import_beside`, so that Python's own search path is changed only meanwhile.

    Args:
        path: The file.
    """

    __slots__ = ("_depth", "_folder", "_modules")

    def __init__(self, path: Path) -> None:
        self._folder = path.resolve().parent
        self._modules: dict[str, ModuleType] = {}
        self._depth = 0

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let code import what lies beside the file, as `python FILE.py` would, each time the same modules."""
        with _changing:
            self._depth += 1
            try:
                if self._depth > 1:
                    yield
                else:
                    with self._changed():
                        yield
            finally:
                self._depth -= 1

    def import_beside(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
    ) -> ModuleType:
        """Import as the built-in `__import__` does, whose arguments these are, what lies beside the file too."""
        known = None if level else self._modules.get(name)
        if known is not None and all(hasattr(known, part) for part in fromlist or ()):
            return known if fromlist else self._modules[_top(name)]
        if not level and not self._lies_here(_top(name)):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        with self.importable():
            return builtins.__import__(name, globals, locals, fromlist or (), level)

    def prepare(self, module: ModuleType) -> None:
        """Give a module that is not run yet the import statement of this folder."""
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": self.import_beside}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """Return how Python loads a source file of the folder, see `importlib.abc.MetaPathFinder`; None for others."""
        within = [str(self._folder)] if path is None else [p for p in path if Path(p).is_relative_to(self._folder)]
        spec: ModuleSpec | None = PathFinder.find_spec(name, within, target) if within else None
        if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
            return None
        spec.loader = _Loader(name, spec.origin, self)
        return spec

    @contextmanager
    def _changed(self) -> Iterator[None]:
        before, path = dict(sys.modules), list(sys.path)
        hidden = self._namesakes() | {_top(name) for name in self._modules}
        aside = {name: module for name, module in before.items() if _top(name) in hidden}
        for name in aside:
            del sys.modules[name]
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self._folder))
        finders: list[Any] = sys.meta_path
        finders.insert(finders.index(PathFinder) if PathFinder in finders else len(finders), self)
        try:
            yield
        except BaseException:
            sys.path[:] = path
            raise
        else:
            with suppress(ValueError):  # the file may have taken it out itself
                sys.path.remove(str(self._folder))
        finally:
            finders.remove(self)
            new = {_top(name) for name in list(sys.modules) if name in aside or name not in before}
            beside = {top for top in new if (top in aside or top not in before) and self._holds(sys.modules.get(top))}
            for name in [name for name in list(sys.modules) if _top(name) in beside]:
                self._modules[name] = sys.modules.pop(name)
            sys.modules.update(aside)

    def _namesakes(self) -> set[str]:
        """Return which modules of other folders of the user's own have the name of a neighbour."""
        names = {file.stem for file in self._folder.glob("*.py")}
        names |= {file.parent.name for file in self._folder.glob("*/__init__.py")}
        names = (names & sys.modules.keys()) - sys.stdlib_module_names - LIBRARIES
        return {name for name in names if not self._holds(sys.modules[name]) and not _installed(sys.modules[name])}

    def _lies_here(self, top: str) -> bool:
        return (self._folder / f"{top}.py").is_file() or (self._folder / top).is_dir()

    def _holds(self, module: ModuleType | None) -> bool:
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            place = Path(file)
            return (place.parent if place.name == "__init__.py" else place).parent == self._folder
        # A folder without __init__.py.
        return any(Path(place).parent == self._folder for place in getattr(module, "__path__", ()))


class _Loader(SourceFileLoader):
    """Runs a neighbour, whose functions may import further ones when they are called."""

    def __init__(self, name: str, path: str, beside: Neighbours) -> None:
        super().__init__(name, path)
        self._beside = beside

    def exec_module(self, module: ModuleType) -> None:
        self._beside.prepare(module)
        super().exec_module(module)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return not isinstance(file, str) or bool({"site-packages", "dist-packages"} & set(Path(file).parts))


def imported_beside(text: str, file: Path, folder: Path) -> list[Path]:
    """Return the files in a folder that a source imports, with the packages that they lie in.

    Args:
        text: The source.
        file: Where it stands, in the folder or in a package of it; relative imports start there.
        folder: Folder from which the others start.
    """
    try:
        statements = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return []  # running it says where
    starts = [(folder, alias.name) for node in statements if isinstance(node, ast.Import) for alias in node.names]
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            above = (folder, *file.parents)
            start = above[node.level] if node.level < len(above) else folder
            module = f"{node.module}." if node.module else ""
            starts += [(start, f"{module}{alias.name}") for alias in node.names]
    files = []
    for start, name in starts:
        if start.is_relative_to(folder):
            parts = name.split(".")
            places = [start.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
            files += [found for place in places for found in (place.with_suffix(".py"), place / "__init__.py")]
    return [found for found in files if found.is_file()]
