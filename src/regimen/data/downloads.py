"""Downloads files of known content: checked by hash, gone on with where they broke off, from several mirrors."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen.errors import DataError

# Connections that break off are tried again on the same mirror, so often and as long as each try brings something.
_TRIES = 20
# Of a piece that breaks off nothing is kept.
_CHUNK = 1 << 13
# Seconds for the connection, and between two pieces.
_PATIENCE = (10.0, 60.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A file on the net.

    Attributes:
        name: What it is called in the folder it goes to.
        mirrors: Addresses, the preferred first.
        known_hash: `algorithm:hexadecimal`.
    """

    name: str
    mirrors: tuple[str, ...]
    known_hash: str


def fetch(remote: Remote, folder: Path) -> Path:
    """Download a file unless it is in the folder already; what broke off in an earlier call is gone on with.

    Args:
        remote: The file.
        folder: Where it goes; made if need be.

    Raises:
        DataError: No mirror gave the file; the message ends with why the last did not.
    """
    import pooch  # type: ignore[import-untyped]
    import requests

    pooch.get_logger().setLevel("ERROR")
    reasons: list[str] = []
    for url in remote.mirrors:
        part = _Part(folder / f"{remote.name}.part", remote.name)
        for _ in range(_TRIES):
            before, resumed = part.size, part.size > 0
            try:
                return Path(pooch.retrieve(url, remote.known_hash, fname=remote.name, path=folder, downloader=part))
            except requests.RequestException as error:
                reasons.append(f"{url}: {_reason(error)}")
                if part.size > before:
                    continue
            except ValueError:  # the hash
                reasons.append(f"{url}: its content is not that of {remote.name} (another {remote.known_hash[:6]})")
                if resumed:
                    continue  # the first half may have been that of another file: once more from the start
            except OSError as error:
                reasons.append(f"cannot write to {folder}: {error.strerror}")
            break
    raise DataError("; ".join(dict.fromkeys(reasons)))


class _Part:
    """Downloads into a file that outlives a broken connection; called by pooch."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Complete the part and move it to where pooch wants it."""
        import requests

        have = self.size
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_PATIENCE) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # Whole already, or longer than the file: the hash tells.
                self.path.replace(output_file)
                return
            response.raise_for_status()
            start = _start(response.headers.get("Content-Range", "")) if response.status_code == 206 else 0
            if start not in (0, have):
                raise requests.ConnectionError(f"expected the file from byte {have} on, got it from {start}")
            length = response.headers.get("Content-Length")
            total = None if length is None else start + int(length)
            with self.path.open("ab" if start else "wb") as file, _shown(self.name, start, total) as show:
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    show(len(chunk))
        if total is not None and self.size < total:
            raise requests.ConnectionError(f"the connection broke off after {self.size:,} of {total:,} bytes")
        self.path.replace(output_file)


def _start(content_range: str) -> int:
    found = re.match(r"bytes (\d+)-", content_range)
    return int(found[1]) if found else 0


@contextmanager
def _shown(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the progress on a terminal; yield what is to be called with the bytes of each piece."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"downloading {name}", total=total, completed=start)
        yield lambda size: progress.update(task, advance=size)


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    return "cannot be reached" if isinstance(error, requests.ConnectionError) and "broke off" not in text else text


def remotes(names: Sequence[tuple[str, str]], places: Sequence[str]) -> tuple[Remote, ...]:
    """Return files that lie together in several places.

    Args:
        names: Name and hash of each.
        places: Addresses of the folders, each ending in a slash.

    Example:
        >>> remotes([("a.gz", "md5:00")], ["https://one/", "https://two/"])[0].mirrors
        ('https://one/a.gz', 'https://two/a.gz')
    """
    return tuple(
        Remote(name=name, mirrors=tuple(place + name for place in places), known_hash=known_hash)
        for name, known_hash in names
    )
