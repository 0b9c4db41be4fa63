"""Attributes of a network's layers that are plain values, and which of them a forward changed: counters and flags."""

from typing import Any

from torch import nn

from regimen.nn import StreamLayer

Attributes = dict[tuple[str, str], str]
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_OF_TORCH = frozenset(vars(nn.Module()))


def plain_attributes(network: nn.Module) -> Attributes:
    """Return the numbers, texts, flags, and lists and dicts of them, that the layers of a network have, as texts.

    Noisy layers are left out, which count their calls, and so is what says that a layer is in train mode.

    Args:
        network: The network.

    Returns:
        Values by the name of the layer and that of the attribute.

    Example:
        >>> plain_attributes(nn.Sequential(nn.LeakyReLU(0.1)))
        {('0', 'negative_slope'): '0.1', ('0', 'inplace'): 'False'}
    """
    return {
        (name, key): repr(value)
        for name, layer in network.named_modules()
        if not isinstance(layer, StreamLayer)
        for key, value in vars(layer).items()
        if key not in _OF_TORCH and _is_plain(value)
    }


def changed_attributes(before: Attributes, after: Attributes) -> list[str]:
    """Return the names of attributes that were changed, set or removed.

    Example:
        >>> changed_attributes({("", "calls"): "0"}, {("", "calls"): "1", ("0", "seen"): "True"})
        ['calls', '0.seen']
    """
    names = [*before, *(name for name in after if name not in before)]
    return [f"{layer}.{key}".lstrip(".") for layer, key in names if before.get((layer, key)) != after.get((layer, key))]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    if isinstance(value, dict):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    return isinstance(value, _PLAIN)
