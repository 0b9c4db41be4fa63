"""Files beside a file of the user's own: which of them it imports, and how it finds them while its code runs."""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

# Never set aside for a neighbour of the same name.
LIBRARIES = frozenset({"torch", "torchvision", "numpy", "regimen", "__main__"})


class Neighbours:
    """Modules beside a file: importable while its code runs, and hidden from the code of other folders afterwards.

    Args:
        path: The file.
    """

    __slots__ = ("_folder", "_modules")

    def __init__(self, path: Path) -> None:
        self._folder = path.resolve().parent
        self._modules: dict[str, ModuleType] = {}

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let code import what lies beside the file, as `python FILE.py` would, each time the same modules."""
        before, path = dict(sys.modules), list(sys.path)
        hidden = self._namesakes() | {_top(name) for name in self._modules}
        aside = {name: module for name, module in before.items() if _top(name) in hidden}
        for name in aside:
            del sys.modules[name]
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self._folder))
        try:
            yield
        except BaseException:
            sys.path[:] = path
            raise
        else:
            with suppress(ValueError):  # the file may have taken it out itself
                sys.path.remove(str(self._folder))
        finally:
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

    def _holds(self, module: ModuleType | None) -> bool:
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            place = Path(file)
            return (place.parent if place.name == "__init__.py" else place).parent == self._folder
        # A folder without __init__.py.
        return any(Path(place).parent == self._folder for place in getattr(module, "__path__", ()))


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
