"""What is prepared once for many runs, and let go of as soon as nothing that trains is left."""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")


class Kept(Generic[Given, Made]):
    """A function whose latest results are shared by later calls with equal arguments, until all is let go of.

    Args:
        function: Its arguments are hashable.
        most: How many results are kept.
    """

    def __init__(self, function: Callable[Given, Made], most: int) -> None:
        self._cached: Any = lru_cache(maxsize=most)(function)
        update_wrapper(self, function)
        _all.add(self)

    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> Made:
        """Return what the function returns."""
        made: Made = self._cached(*args, **kwargs)
        return made

    def let_go(self) -> None:
        """Keep nothing of what was made so far."""
        self._cached.cache_clear()


_all: "weakref.WeakSet[Kept[Any, Any]]" = weakref.WeakSet()
_users: set[object] = set()
# Reentrant: a user may be forgotten in the middle of anything, here too.
_changing = threading.RLock()


def kept(most: int) -> Callable[[Callable[Given, Made]], Kept[Given, Made]]:
    """Return a decorator that keeps so many results of a function, see `Kept`.

    Example:
        >>> squares = kept(2)(lambda number: [number**2])
        >>> with keeping():
        ...     first = squares(3)
        ...     squares(3) is first
        True
        >>> squares(3) is first
        False
    """
    return lambda function: Kept(function, most)


def keep_for(user: object) -> "weakref.finalize[..., Any]":
    """Let what is kept live until a user is gone, or calls what is returned; the last one to go takes all with it.

    What is made while there is no user lives until the next one is gone.
    """
    return weakref.finalize(user, _gone, _enter())


@contextmanager
def keeping() -> Iterator[None]:
    """Keep what is made for all inside, and let go of it afterwards; also a decorator."""
    token = _enter()
    try:
        yield
    finally:
        _gone(token)


def _enter() -> object:
    token = object()
    with _changing:
        _users.add(token)
    return token


def _gone(token: object) -> None:
    with _changing:
        _users.discard(token)
        if _users:
            return
    for one in list(_all):
        one.let_go()
