"""A network of the user's own: a function that makes a `torch.nn.Module`, described so that runs can be told apart."""

import hashlib
import inspect
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from regimen.errors import OptionError
from regimen.models.own_factories import ByValue, Factory, InFile, loaded, named
from regimen.models.own_reach import is_own, reach
from regimen.models.own_source import UserCode, sha256, split_name, text_of_file

WRAPPED = "give a function that makes a new one each time, such as def net(): return Net(64, 10)"


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnModule:
    """A network of the user's own, made anew for each run by a function without arguments.

    Equal and hashed by name and digest. Worker processes find the function in its file again, or get it pickled by
    value where it comes from a script, a notebook or an interpreter.

    Attributes:
        name: `net.py:Net`, or `Net` for a function that was handed over in Python.
        factory: Makes the module.
        digest: SHA-256, as hex, of the source, of the module's layers and shapes, and of weights that are not drawn.
        path: The file; None for a function that was handed over.

    Example:
        >>> own = own_module(lambda: nn.Linear(4, 3))
        >>> own.make()
        Linear(in_features=4, out_features=3, bias=True)
    """

    name: str
    factory: Factory = field(compare=False, repr=False)
    digest: str
    path: Path | None = field(compare=False, default=None)

    def make(self) -> nn.Module:
        """Return a new module, with weights drawn from PyTorch's default generator.

        Raises:
            OptionError: The function raises, or returns something else.
        """
        with self.guard(_called(self)):
            made = self.factory()
        if not isinstance(made, nn.Module):
            raise OptionError(f"expected {_called(self)} to return a torch.nn.Module, got {_kind(made)}")
        return made

    def guard(self, what: str, **options: Any) -> UserCode:
        """Return a context in which what the user's code raises becomes one message, see `UserCode`."""
        return UserCode(what, self.path or _file_of(self.factory), **options)


def own_module(source: str | Factory) -> OwnModule:
    """Return the description of a network of the user's own.

    The module is made twice, to see that it is a new one each time and to describe its layers.

    Args:
        source: `FILE.py:FUNCTION`, or a function or class that needs no arguments.

    Raises:
        OptionError: There is no such file or function, it needs arguments, raises, returns no module or the same one
            twice, or cannot be pickled.

    Example:
        >>> own_module(nn.Identity).name
        'Identity'
    """
    if isinstance(source, str):
        file, function = split_name(source)
        path, text = file.resolve(), text_of_file(file)
        place = InFile(path=path, function=function, seal=sha256(text), shown=str(file))
        _check_factory(loaded(place), f"{function} of {file}")
        drafted = OwnModule(name=f"{path.name}:{function}", factory=place, digest="", path=path)
    else:
        _check_factory(source, named(source))
        text = ""
        drafted = OwnModule(name=named(source), factory=ByValue.of(source), digest="")
    return replace(drafted, digest=_digest(drafted, text, source))


def _check_factory(factory: Any, name: str) -> None:
    if isinstance(factory, nn.Module):
        raise OptionError(
            f"model: expected a function or class that makes a torch.nn.Module, got one that is made already "
            f"({name}): every run needs fresh weights; {WRAPPED}"
        )
    if not callable(factory):
        raise OptionError(f"model: expected a function that makes a torch.nn.Module, got {_kind(factory)}")
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise OptionError(f"model: {name} needs arguments ({error}); {WRAPPED}") from error
    except ValueError:
        return  # it has no signature; calling it tells


def _digest(own: OwnModule, text: str, source: str | Factory) -> str:
    """Return the digest of a source, of what it reads, and of the module that it makes.

    Raises:
        OptionError: It makes no module, or the same one each time.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        first = own.make()
        before = _reached(first, source)
        torch.default_generator.manual_seed(1)
        second = own.make()
    shared = {id(value) for value in first.parameters()} & {id(value) for value in second.parameters()}
    if first is second or shared:
        raise OptionError(
            f"model: {own.name} returns the same {'module' if first is second else 'parameters'} each time, and one "
            f"run would go on with the weights of another; {WRAPPED}"
        )
    # What differs is state, such as a counter, or the time.
    reached = sorted(before.items() & _reached(second, source).items())
    return sha256("\0".join([text, repr(reached), _portrait(first), *_given_values(first, second)]))


def _reached(made: nn.Module, source: str | Factory) -> dict[str, str]:
    """Return what the function, the classes of the module's layers, and their attributes depend on, see `reach`."""
    kinds, ordinary = dict.fromkeys(map(type, made.modules())), vars(nn.Module()).keys()
    roots = [] if isinstance(source, str) else [("function", source)]
    roots += [(f"class {place}", kind) for place, kind in enumerate(kinds) if is_own(kind)]
    return reach(roots) | reach(
        (f"attribute {name}.{key}", value)
        for name, module in made.named_modules()
        for key, value in vars(module).items()
        if key not in ordinary
    )


def _given_values(first: nn.Module, second: nn.Module) -> list[str]:
    """Return the SHA-256 of each parameter and buffer that no generator draws: such values stand in no source."""
    ones, others = ([*made.named_parameters(), *made.named_buffers()] for made in (first, second))
    found = []
    for (name, one), (_, other) in zip(ones, others, strict=False):
        if not is_lazy(one) and not is_lazy(other) and torch.equal(one, other):
            content = one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            found.append(f"{name} {hashlib.sha256(content).hexdigest()}")
    return found


def _portrait(module: nn.Module) -> str:
    """Return the layers as PyTorch prints them and the shapes of all parameters and buffers."""
    layers = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(module))
    tensors = [(name, value) for name, value in module.state_dict().items() if isinstance(value, Tensor)]
    shapes = [(name, "lazy" if is_lazy(value) else list(value.shape), str(value.dtype)) for name, value in tensors]
    return f"{layers}\n{shapes}"


def _called(own: OwnModule) -> str:
    """Return the call in words: `net() of net.py`, or `Net()`."""
    file, _, function = own.name.rpartition(":")
    return f"{function}() of {file}" if file else f"{function}()"


def _kind(value: Any) -> str:
    return "None; let it end in `return`" if value is None else type(value).__name__


def _file_of(factory: Any) -> Path | None:
    """Return the file that defines a function, None where there is none."""
    inner = getattr(factory, "_factory", None) or factory
    try:
        found = inspect.getsourcefile(getattr(inner, "func", inner))
    except (TypeError, OSError):  # typed into an interpreter
        return None
    return Path(found) if found else None
