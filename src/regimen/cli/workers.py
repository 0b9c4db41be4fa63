"""What Ctrl-C leaves to do: end the worker processes, undisturbed by a second one."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def stop_workers() -> None:
    """End the worker processes now: their runs in progress may take minutes, and are trained again on resume."""
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(timeout=1.0)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore further Ctrl-C inside, so that nobody's second press cuts off the message."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
