"""Models by name: what `--model`, plans and saved models say."""

import re
from typing import Any

from regimen.errors import OptionError, nearest
from regimen.models.convnet import ConvNet, Convolution
from regimen.models.layers import ACTIVATIONS
from regimen.models.mlp import MLP
from regimen.models.own import OwnModule, own_module
from regimen.models.own_factories import Factory
from regimen.models.own_source import names_own_module

Described = MLP | ConvNet
Model = Described | OwnModule
# A description, a name, or a function or class that makes a `torch.nn.Module`.
ModelSource = Model | str | Factory

EXPECTED = (
    "--model: expected mlp, mlp:WIDTHxWIDTH, mlp:WIDTH:ACTIVATION, cnn, cnn:CHANNELS,CHANNELSp:WIDTH or "
    "FILE.py:FUNCTION"
)
_CONVOLUTION = re.compile(r"(\d{1,6})(?:s(\d{1,3}))?(?:([pa])(\d{1,3})?)?", re.ASCII)
_FILTERS = re.compile(r"k(\d{1,3})p(\d{1,3})", re.ASCII)


def parse_model(text: str) -> Model:
    """Return the model that a name describes.

    `mlp`, `mlp:256x256`, `mlp:64:tanh`, `mlp:linear` are perceptrons. `cnn:16,32p,64p:100` has convolutions of 16, 32
    and 64 channels, a max pool of 2 (`p`; `p3` pools 3, `a` averages) after the last two, and 100 hidden units; strides
    stand before the pool (`32s2p`). An activation may follow, and `k5p2` for filters of 5 pixels with a padding of 2.
    `net.py:Net` is a module of the user's own: the file is run.

    Raises:
        OptionError: The name describes no model, or the user's file makes none.

    Example:
        >>> parse_model("mlp:256x128").hidden
        (256, 128)
        >>> parse_model("cnn:8p:linear:tanh").activation
        'tanh'
    """
    if names_own_module(text):
        return own_module(text)
    kind, *parts = text.split(":")
    if kind not in ("mlp", "cnn"):
        raise OptionError(f"{EXPECTED}, got {text!r}")
    if not parts:
        return MLP() if kind == "mlp" else ConvNet()
    if kind == "mlp":
        return MLP(hidden=_widths(parts[0], text), **_extras(parts[1:], text, filters=False))
    convolutions = tuple(_convolution(part, text) for part in parts[0].split(","))
    if len(parts) == 1:
        return ConvNet(convolutions=convolutions)
    return ConvNet(convolutions=convolutions, hidden=_widths(parts[1], text), **_extras(parts[2:], text, filters=True))


def model_of(source: ModelSource) -> Model:
    """Return the description of a network, in whatever form it is given.

    Raises:
        OptionError: It is no network.

    Example:
        >>> model_of("mlp:8").name
        'mlp:8'
    """
    if isinstance(source, MLP | ConvNet | OwnModule):
        return source
    return parse_model(source) if isinstance(source, str) else own_module(source)


def _widths(part: str, text: str) -> tuple[int, ...]:
    return () if part == "linear" else tuple(_width(width, text) for width in part.split("x"))


def _width(part: str, text: str) -> int:
    if not part.isdecimal() or not part.isascii():
        raise OptionError(f"--model: expected widths such as mlp:256x128, got {part!r} in {text!r}")
    return int(part)


def _convolution(part: str, text: str) -> Convolution:
    found = _CONVOLUTION.fullmatch(part)
    if found is None:
        raise OptionError(f"--model: expected convolutions such as cnn:16,32p:100, got {part!r} in {text!r}")
    channels, stride, pool, size = found.groups()
    side = int(size or 2) if pool else 1
    return Convolution(
        channels=int(channels), stride=int(stride or 1), pool=side, pooling="avg" if pool == "a" else "max"
    )


def _extras(parts: list[str], text: str, *, filters: bool) -> dict[str, Any]:
    """Return what stands behind the sizes: the activation, then the filters of a convolutional network."""
    found: dict[str, Any] = {}
    if filters and parts and (sizes := _FILTERS.fullmatch(parts[-1])):
        found = {"kernel": int(sizes[1]), "padding": int(sizes[2])}
        parts = parts[:-1]
    if len(parts) > 1:
        raise OptionError(f"{EXPECTED}, got {text!r}")
    if parts and parts[0] not in ACTIVATIONS:
        raise OptionError(f"--model: no such activation {parts[0]!r}{nearest(parts[0], ACTIVATIONS)}")
    return found | ({"activation": parts[0]} if parts else {})
