"""Written reports, once for all tests, and the browser that opens them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regimen.report import write_report

from .browser import Browser, Page, find_chromium
from .cases import STUDIES


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the path of the report of a study, by its name."""
    folder = tmp_path_factory.mktemp("reports")

    def written(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            write_report(STUDIES[name](), path)
        return path

    return written


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium or Chrome is installed: the report was not looked at in a browser")
    running = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.new_page()
