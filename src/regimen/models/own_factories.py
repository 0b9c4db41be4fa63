"""Functions of the user's own that make modules, in a form that worker processes get: by file, or pickled by value."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle
from torch import nn

from regimen.errors import EngineError
from regimen.models.own_neighbours import Neighbours
from regimen.models.own_source import UserCode, run_file, sha256, text_of_file

Factory = Callable[[], nn.Module]


@dataclass(frozen=True, kw_only=True, slots=True)
class InFile:
    """A function in a file, found again in any process.

    Attributes:
        path: The file.
        function: Name of the function.
        seal: SHA-256 of the source.
        shown: The file as the user wrote it.
    """

    path: Path
    function: str
    seal: str
    shown: str

    def __call__(self) -> nn.Module:
        """Return what the function returns."""
        factory = loaded(self)
        # It may import a neighbour only now.
        with _beside(self).importable():
            return factory()


@lru_cache(maxsize=32)
def _beside(place: InFile) -> Neighbours:
    return Neighbours(place.path)


@lru_cache(maxsize=32)
def loaded(place: InFile) -> Factory:
    """Return the function of a file, which is run once in each process.

    Not as the place is unpickled: an error there would end a worker process without a message.

    Raises:
        EngineError: The file has changed, or is gone.
        OptionError: It raises, or has no such function.
    """
    if not place.path.is_file() or sha256(text_of_file(place.path)) != place.seal:
        raise EngineError(
            f"{place.shown} has changed, or is gone, since the study or training began: restore it and go on with "
            "--resume, or start a new one"
        )
    return run_file(place.path, place.function, place.shown, _beside(place))


class ByValue:
    """A function that is pickled with its code, as one of a script or notebook must be.

    Args:
        pickled: The function, by cloudpickle.
        factory: The function itself, where it is at hand.
    """

    __slots__ = ("_factory", "pickled")

    def __init__(self, pickled: bytes, factory: Factory | None = None) -> None:
        self.pickled, self._factory = pickled, factory

    @classmethod
    def of(cls, factory: Factory) -> "ByValue":
        """Return the function in a form that worker processes can get.

        Raises:
            OptionError: It holds on to something that cannot be pickled.
        """
        repair = "let it make all that it needs itself, or put it into a file and name FILE.py:FUNCTION"
        with UserCode(f"pickling {named(factory)} for worker processes", None, repair=repair):
            return cls(cloudpickle.dumps(factory), factory)

    def __call__(self) -> nn.Module:
        """Return what the function returns."""
        if self._factory is None:
            self._factory = _unpickled(self.pickled)
        return self._factory()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what is pickled: the bytes alone, which are read at the first call."""
        return ByValue, (self.pickled,)


# One for all runs of a worker: classes that are unpickled anew each time are other classes.
@lru_cache(maxsize=32)
def _unpickled(pickled: bytes) -> Factory:
    factory: Factory = cloudpickle.loads(pickled)
    return factory


def named(factory: Any) -> str:
    """Return what a function is called: lambdas and partial calls by their kind.

    Example:
        >>> named(nn.Linear), named(lambda: 1)
        ('Linear', 'lambda')
    """
    inner = getattr(factory, "func", factory)
    name = getattr(inner, "__name__", None) or type(factory).__name__
    return str(name).strip("<>")
