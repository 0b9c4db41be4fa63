"""Pixels that would fill the memory lie in a file, with the same results, and the file goes when they do."""

import gc
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regimen.data import Images, hold_out, load, pair_split, pixel_files, prepare
from regimen.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty pictures in two folders of classes, one of them broken; the cache is beside them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for i in range(40):
        path = tmp_path / "pictures" / "ab"[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (6, 5, 3)).astype(np.uint8)).save(path)
    broken = tmp_path / "pictures/a/20.png"
    broken.write_bytes(broken.read_bytes()[:-40])
    return tmp_path / "pictures"


@pytest.fixture
def mapped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    """The pictures, read where no memory is free."""
    monkeypatch.setattr(pixel_files, "free_memory", lambda: 100)
    images = load(str(folder))
    assert isinstance(images, Images)
    return images


def test_pixels_in_a_file_are_those_in_memory(folder: Path, mapped: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(mapped.pixels, np.memmap)
    assert any("lie in a file" in note for note in mapped.notes)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    usual = load(str(folder))
    assert mapped == usual
    assert mapped.n == 39
    split = pair_split(mapped, hold_out(mapped).development, 3)
    ours, theirs = prepare(mapped, split), prepare(usual, split)
    for part in ours.x:
        np.testing.assert_array_equal(ours.scaled(ours.x[part]), theirs.scaled(theirs.x[part]))


def test_another_process_gets_the_place_instead_of_the_pixels(mapped: Images) -> None:
    content = pickle.dumps(mapped)
    assert mapped.pixels[7].tobytes() not in content
    again = pickle.loads(content)
    assert again == mapped
    np.testing.assert_array_equal(again.pixels, mapped.pixels)


def test_the_file_goes_when_nobody_needs_it(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    pixels = pixel_files.mapped((4, 3), place, shared=True)
    pixels[:] = 7
    part = pixels[1:]
    copied = pixel_files.gathered(pixels, np.array([2, 0]))
    assert len(list(place.iterdir())) == 1
    del pixels
    gc.collect()
    assert (part == 7).all() and (copied == 7).all()
    assert len(list(place.iterdir())) == 1
    del part
    gc.collect()
    assert list(place.iterdir()) == []


def test_a_full_disk_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected .* GiB for pixels that do not fit into memory, got .* image_size"):
        pixel_files.mapped((2**50,), tmp_path, shared=True)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"cannot write pixels .* set XDG_CACHE_HOME"):
        pixel_files.mapped((4,), tmp_path / "file" / "cache", shared=True)


@pytest.mark.parametrize(("cores", "free", "lies_in_a_file"), [(1, 2 * 4 * 60, False), (2, 2 * 4 * 60, True)])
def test_pixels_lie_in_a_file_where_the_copies_of_all_processes_would_fill_half_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, free: int, lies_in_a_file: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pixel_files, "available_cores", lambda: cores)
    monkeypatch.setattr(pixel_files, "free_memory", lambda: free)
    writer = pixel_files.PixelWriter(rows=5, shape=(3, 2, 2))
    for _ in range(5):
        writer.add(np.zeros((3, 2, 2), dtype=np.uint8))
    pixels = writer.finished()
    assert isinstance(pixels, np.memmap) == lies_in_a_file


def test_free_memory_is_a_number_of_bytes_that_a_machine_can_have() -> None:
    assert 2**20 < pixel_files.free_memory() < 2**50
