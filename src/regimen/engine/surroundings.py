"""What engines compute under, whatever the caller has set in PyTorch, and how that is put back."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


class _Threads:
    """The number of intra-op threads: one for all threads of Python, several of which may want it changed at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = self._before = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._lock:
            found = torch.get_num_threads()
            if not self._inside:
                self._before = found
            self._inside += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                # The last one out may have found the 1 of another, who has left since.
                torch.set_num_threads(found if self._inside else self._before)


_threads = _Threads()
# Where bundles are trained.
_DEVICES = ("cpu", "cuda")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one intra-op thread inside, which makes results exactly repeatable."""
    with _threads.one():
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute as engines are written inside: with one thread, on the processor, with gradients and without autocast.

    So the caller's `torch.set_default_device`, `torch.no_grad`, `torch.inference_mode` and `torch.autocast` do not
    enter a run.
    """
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in _DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        # Only then: it costs each call some microseconds, which the caller's own device does already.
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield
