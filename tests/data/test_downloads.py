"""Downloads arrive whole or not at all: gone on with where they broke off, checked, from one mirror after another."""

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from regimen.data import load
from regimen.data.downloads import Remote, fetch
from regimen.data.known_images import KNOWN, VARIABLE
from regimen.data.sources import IMAGES
from regimen.errors import DataError

CONTENT = np.random.default_rng(8).integers(0, 256, 200_000).astype(np.uint8).tobytes()
HASH = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@dataclass
class Site:
    """A server on this machine; `cut` ends an answer after so many bytes, once for each entry."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return a running server."""
    monkeypatch.setenv("NO_PROXY", "*")
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            found.asked.append((self.path, wanted))
            content = found.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and found.ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            self.wfile.write(content[start : start + found.cut.pop(0)] if found.cut else content[start:])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def remote(site: Site, *paths: str, known_hash: str = HASH) -> Remote:
    return Remote(name="file.bin", mirrors=tuple(site.address + path for path in paths), known_hash=known_hash)


def test_a_file_is_downloaded_once(site: Site, tmp_path: Path) -> None:
    site.files["/a"] = CONTENT
    for _ in range(2):
        assert fetch(remote(site, "/a"), tmp_path / "new").read_bytes() == CONTENT
    assert site.asked == [("/a", None)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.bin"]


def test_a_broken_connection_is_gone_on_with_at_its_end(site: Site, tmp_path: Path) -> None:
    site.files["/a"] = CONTENT
    site.cut = [70_000, 50_000]
    assert fetch(remote(site, "/a"), tmp_path).read_bytes() == CONTENT
    starts = [int(wanted[6:-1]) for _, wanted in site.asked if wanted]
    # Of the piece of 8 KiB that broke off nothing is kept.
    assert [start // 8192 for start in starts] == [70_000 // 8192, (starts[0] + 50_000) // 8192]
    assert len(site.asked) == 3


def test_what_an_earlier_call_left_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:150_000])
    site.files["/a"] = CONTENT
    assert fetch(remote(site, "/a"), tmp_path).read_bytes() == CONTENT
    assert site.asked == [("/a", "bytes=150000-")]


def test_a_part_that_is_whole_already_is_taken(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    site.files["/a"] = CONTENT
    assert fetch(remote(site, "/a"), tmp_path).read_bytes() == CONTENT
    assert site.asked == [("/a", f"bytes={len(CONTENT)}-")]


def test_a_server_that_knows_no_ranges_is_asked_for_all(site: Site, tmp_path: Path) -> None:
    site.files["/a"], site.ranges, site.cut = CONTENT, False, [90_000]
    assert fetch(remote(site, "/a"), tmp_path).read_bytes() == CONTENT


def test_the_begin_of_another_file_does_no_lasting_harm(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    site.files["/a"] = CONTENT
    assert fetch(remote(site, "/a"), tmp_path).read_bytes() == CONTENT
    assert site.asked == [("/a", "bytes=1000-"), ("/a", None)]


def test_the_second_mirror_is_asked_where_the_first_has_nothing_or_something_else(site: Site, tmp_path: Path) -> None:
    site.files |= {"/wrong": CONTENT[::-1], "/right": CONTENT}
    assert fetch(remote(site, "/absent", "/wrong", "/right"), tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in site.asked] == ["/absent", "/wrong", "/right"]


def test_no_mirror_with_the_content_leaves_no_file_and_says_why(site: Site, tmp_path: Path) -> None:
    site.files["/wrong"] = CONTENT[::-1]
    with pytest.raises(DataError, match=r"/absent: answers 404 .*; .*/wrong: its content is not that of file\.bin"):
        fetch(remote(site, "/absent", "/wrong"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/a: cannot be reached"):
        fetch(Remote(name="file.bin", mirrors=("http://127.0.0.1:9/a",), known_hash=HASH), tmp_path)


def batches() -> dict[str, bytes]:
    """Return the six files of a small CIFAR-10."""
    records = np.random.default_rng(3).integers(0, 256, (6, 10, 3073)).astype(np.uint8)
    records[:, :, 0] = np.arange(10)
    return {name: records[i].tobytes() for i, name in enumerate(KNOWN["cifar10"].files)}


@pytest.fixture
def cifar(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an archive of a small CIFAR-10 on the server and return where it will be unpacked."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in ({"../../escaped.bin": b"x"} | batches()).items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    site.files["/cifar.tar.gz"] = buffer.getvalue()
    known = KNOWN["cifar10"]
    own = replace(
        known.remotes[0],
        mirrors=(f"{site.address}/none.tar.gz", f"{site.address}/cifar.tar.gz"),
        known_hash=f"md5:{hashlib.md5(buffer.getvalue()).hexdigest()}",
    )
    monkeypatch.setitem(KNOWN, "cifar10", replace(known, remotes=(own,)))
    return tmp_path / "regimen" / known.folders[0]


def test_a_known_name_is_downloaded_into_the_cache_and_unpacked(site: Site, cifar: Path, tmp_path: Path) -> None:
    images = load("cifar10")
    assert (images.n, images.name) == (60, "cifar10")
    assert images.test_rows is not None and images.test_rows.tolist() == list(range(50, 60))
    assert sorted(path.name for path in cifar.iterdir()) == sorted(batches())
    assert not list(tmp_path.rglob("escaped.bin"))
    asked = len(site.asked)
    assert load("cifar10") == images
    assert len(site.asked) == asked


def test_files_that_are_there_are_used_where_the_others_can_not_be_had(site: Site, cifar: Path) -> None:
    cifar.mkdir(parents=True)
    (cifar / "data_batch_2.bin").write_bytes(batches()["data_batch_2.bin"] * 6)
    del site.files["/cifar.tar.gz"]
    images = load("cifar10")
    assert images.n == 60
    assert "has 1 of 5 batches" in images.notes[0]


def test_without_network_the_message_says_where_to_put_which_files(site: Site, cifar: Path) -> None:
    del site.files["/cifar.tar.gz"]
    with pytest.raises(DataError) as caught:
        load("cifar10")
    message = str(caught.value)
    assert f"cifar10: expected its files in {cifar}" in message
    assert VARIABLE in message
    assert "put data_batch_1.bin, data_batch_2.bin" in message and "test_batch.bin or cifar-10-binary.tar.gz" in message


@pytest.mark.parametrize("name", IMAGES)
def test_every_known_name_has_several_mirrors_and_a_hash(name: str) -> None:
    assert set(IMAGES) == set(KNOWN)
    for file in KNOWN[name].remotes:
        assert len(set(file.mirrors)) >= 2
        assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.known_hash)
