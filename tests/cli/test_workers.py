"""What is left of worker processes after Ctrl-C."""

import threading
from concurrent.futures import Future

import pytest

from regimen.cli.workers import stop_workers


def test_a_thread_that_ends_by_a_cancelled_future_is_not_told_and_any_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda what: told.append(what.exc_type))

    def fail(future: Future[None]) -> None:
        future.cancel()
        future.set_exception(ValueError())

    def ended(*arguments: Future[None]) -> None:
        thread = threading.Thread(target=fail, args=arguments)
        thread.start()
        thread.join()

    ended(Future())
    assert len(told) == 1
    stop_workers()
    ended(Future())
    assert len(told) == 1
    ended()  # without its argument: a TypeError
    assert told[1:] == [TypeError]
