"""A small client of Chromium's DevTools protocol over a pipe, so that tests see a page as a reader's browser does."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
)
SECONDS = 60  # for any one answer: a busy machine may take long, a dead browser is noticed at once


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Page:
    """One open tab: what it said on its console and what it asked from the network."""

    browser: "Browser"
    session: str
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **params)

    def look(self, *, width: int, height: int = 900, scheme: str = "light", media: str = "screen") -> None:
        """Show the page at this width, as a phone does when it is narrow."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 640
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def open(self, path: Path) -> None:
        """Open a file and wait until it has loaded."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.browser.wait(
            lambda event: event.get("method") == "Page.loadEventFired" and event.get("sessionId") == self.session
        )

    def ask(self, expression: str) -> Any:
        """Return the JSON value of a JavaScript expression, evaluated in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """Return the page as it prints."""
        return base64.b64decode(
            self.call("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)["data"]
        )


class Browser:
    """A running Chromium; messages are JSON with a zero byte behind each."""

    def __init__(self, executable: str, profile: Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; high numbers first, so that neither overwrites the other.
        theirs = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20) for descriptor in (to_browser, from_browser)]
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}',
                "bash",
                executable,
                *FLAGS,
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (to_browser, from_browser, *theirs):
            os.close(descriptor)
        self._buffer = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    def close(self) -> None:
        """End the browser and wait for it."""
        self.call("Browser.close")
        self._process.wait(SECONDS)
        os.close(self._out)
        os.close(self._in)

    def new_page(self) -> Page:
        """Open an empty tab and listen to its console and to its network."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self.wait(lambda event: event.get("id") == number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next message that is `wanted`, and note what others say about the pages."""
        while True:
            message = self._receive()
            self._note(message)
            if wanted(message):
                return message

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], SECONDS)
            chunk = os.read(self._in, 1 << 20) if ready else b""
            assert chunk, f"Chromium said nothing for {SECONDS} s or has ended ({self._process.poll()})"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, message: dict[str, Any]) -> None:
        page, params = self._pages.get(message.get("sessionId", "")), message.get("params", {})
        if page is None:
            return
        match message.get("method"):
            case "Runtime.consoleAPICalled":
                page.console.append(str(params["args"]))
            case "Runtime.exceptionThrown":
                page.console.append(str(params["exceptionDetails"]))
            case "Log.entryAdded":
                page.console.append(str(params["entry"]["text"]))
            case "Network.requestWillBeSent":
                page.requests.append(params["request"]["url"])
