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
from regimen.models.own_source import UserCode, sha256, split_name, text_of_callable, text_of_file

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
            twice, or can not be pickled.

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
        text = text_of_callable(source)
        drafted = OwnModule(name=named(source), factory=ByValue.of(source), digest="")
    return replace(drafted, digest=_digest(drafted, text))


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


def _digest(own: OwnModule, text: str) -> str:
    """Return the digest of a source and of the module that it makes.

    Raises:
        OptionError: It makes no module, or the same one each time.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        first = own.make()
        torch.default_generator.manual_seed(1)
        second = own.make()
    shared = {id(value) for value in first.parameters()} & {id(value) for value in second.parameters()}
    if first is second or shared:
        raise OptionError(
            f"model: {own.name} returns the same {'module' if first is second else 'parameters'} each time, and one "
            f"run would go on with the weights of another; {WRAPPED}"
        )
    kinds = {kind.__qualname__: kind for kind in map(type, first.modules()) if _is_own(kind)}
    parts = [text, *(text_of_callable(kind) for _, kind in sorted(kinds.items()))]
    return sha256("\0".join([*parts, _portrait(first), *_given_weights(first, second)]))


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in ("torch", "regimen", "torchvision")


def _given_weights(first: nn.Module, second: nn.Module) -> list[str]:
    """Return the SHA-256 of each parameter that no generator draws: pretrained weights stand in no source."""
    found = []
    for (name, one), (_, other) in zip(first.named_parameters(), second.named_parameters(), strict=False):
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
    except TypeError:
        return None
    return Path(found) if found else None
