"""Which device trains: the processor, or a graphics card that runs the bundles of the stacked engine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from regimen.data.machine import free_memory
from regimen.errors import OptionError, nearest

CPU = torch.device("cpu")
DEVICES = ("auto", "cpu", "cuda")
# PyTorch's switches are those of all threads: two that train bundles would put back what the other has set.
switches = threading.RLock()


def training_device(name: str | None = None) -> torch.device:
    """Return the device that a name means.

    Args:
        name: `auto`, `cpu` or `cuda`; `auto` and None are the processor.

    Raises:
        OptionError: There is no such device, or PyTorch finds none of that kind.

    Example:
        >>> training_device("auto")
        device(type='cpu')
    """
    if name not in (None, *DEVICES):
        raise OptionError(f"--device: no such device {name!r}{nearest(str(name), DEVICES)}")
    if name != "cuda":
        return CPU
    if not torch.cuda.is_available():
        raise OptionError(
            f"--device: cuda was asked for, but PyTorch {torch.__version__} finds no CUDA device; leave --device out"
        )
    return torch.device("cuda", torch.cuda.current_device())


def device_name(device: torch.device) -> str:
    """Return what the maker calls a CUDA device, the type of any other.

    Example:
        >>> device_name(CPU)
        'cpu'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def free_memory_of(device: torch.device) -> int:
    """Return how many bytes of a device's memory are free."""
    if device.type != "cuda":
        return free_memory()
    free: int = torch.cuda.mem_get_info(device)[0]
    return free


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Let a graphics card multiply float32 with all its digits inside, as the processor does; convolutions else do not.

    TensorFloat-32, PyTorch's default for convolutions, rounds factors to 11 bits: more than the engines may differ by.
    """
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    products: Any = torch.backends.cuda.matmul
    recent = hasattr(cudnn, "conv")  # from PyTorch 2.9 on
    places = [cudnn.conv, cudnn.rnn, products] if recent else [cudnn, products]
    name, exact = ("fp32_precision", "ieee") if recent else ("allow_tf32", False)
    with switches:
        before = [getattr(place, name) for place in places]
        for place in places:
            setattr(place, name, exact)
        try:
            yield
        finally:
            for place, value in zip(places, before, strict=True):
                setattr(place, name, value)
