"""Folders of class folders give images of one size and form; what does not fit is changed or left out, and named."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from regimen.data import Images, hold_out, image_folders, load, pair_split
from regimen.data.image_decoding import decode, fitted, read_header, resized
from regimen.data.image_folders import read_class_folders, threads_for
from regimen.errors import DataError, OptionError

Save = Callable[..., Path]


def picture(seed: int, size: tuple[int, int] = (6, 5), mode: str = "RGB") -> Image.Image:
    """Return random pixels; `size` is height and width."""
    bands = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, *bands)).astype(np.uint8))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that saves a picture below the test's folder."""

    def save_picture(name: str, image: Image.Image | None = None, **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (image or picture(len(name))).save(path, **options)
        return path

    return save_picture


@pytest.fixture
def classes(save: Save, tmp_path: Path) -> str:
    """Thirty PNG pictures of 6 x 5 pixels in two folders of classes."""
    for i in range(30):
        save(f"{'cat' if i % 2 else 'dog'}/{i:02d}.png", picture(i))
    return str(tmp_path)


def row_of(images: Images, name: str) -> np.ndarray:
    """Return the pixels of the row with that name, `[height, width, channels]`."""
    return images.pixels[images.row_names.index(name)].transpose(1, 2, 0)


def test_class_folders_give_the_pixels_of_their_files(classes: str, tmp_path: Path) -> None:
    images = load(classes)
    assert (images.n, images.shape, images.classes, images.name) == (30, (3, 6, 5), ("cat", "dog"), tmp_path.name)
    assert images.notes == ()
    for i in range(30):
        name = f"{'cat' if i % 2 else 'dog'}/{i:02d}.png"
        np.testing.assert_array_equal(row_of(images, name), np.asarray(picture(i)))
        assert images.y[images.row_names.index(name)] == (i + 1) % 2


def test_train_test_and_validation_folders_are_the_parts(save: Save, tmp_path: Path) -> None:
    for part, rows in (("train", 24), ("test", 6), ("val", 4)):
        for i in range(rows):
            save(f"{part}/{'ab'[i % 2]}/{i}.png", picture(100 * rows + i))
    images = load(str(tmp_path))
    assert images.drawn_rows.tolist() == list(range(24))
    assert hold_out(images).test.tolist() == list(range(24, 30))
    assert pair_split(images, hold_out(images).development, 1).validation.tolist() == list(range(30, 34))
    assert {images.row_names[row].split("/")[0] for row in range(24, 30)} == {"test"}
    other = load(str(tmp_path), test=str(tmp_path / "val"))
    assert (other.n, len(hold_out(other).test)) == (32, 4)
    assert {other.row_names[row].split("/")[0] for row in hold_out(other).test} <= {"a", "b"}


@pytest.mark.parametrize(
    ("train", "test", "validation"),
    [("Train", "Test", "Valid"), ("training", "Testing", "VAL"), ("TRAINING", "test", "Validation")],
)
def test_parts_are_found_whatever_the_case_of_their_names(
    save: Save, tmp_path: Path, train: str, test: str, validation: str
) -> None:
    for part, rows in ((train, 24), (test, 6), (validation, 4)):
        for i in range(rows):
            save(f"{part}/{'ab'[i % 2]}/{i}.png", picture(100 * rows + i))
    images = load(str(tmp_path))
    assert images.classes == ("a", "b")
    assert [len(rows) for rows in (images.test_rows, images.validation_rows) if rows is not None] == [6, 4]
    assert images.notes == load(str(tmp_path)).notes
    assert not any("not read" in note for note in images.notes)


def test_what_lies_beside_the_parts_and_is_not_read_is_named(save: Save, tmp_path: Path) -> None:
    for part, rows in (("train", 24), ("Test", 6), ("testing", 4), ("holdout", 2), (".hidden", 2)):
        for i in range(rows):
            save(f"{part}/{'ab'[i % 2]}/{i}.png", picture(100 * rows + i))
    (tmp_path / "labels.csv").write_text("x")
    images = load(str(tmp_path))
    assert (images.n, images.test_rows.tolist()) == (30, list(range(24, 30)))
    assert images.notes[0].startswith("not read, ")
    assert images.notes[0].endswith(": 'holdout', 'labels.csv', 'testing'")


def test_a_class_of_trains_is_no_part(save: Save, tmp_path: Path) -> None:
    for i in range(30):
        save(f"{('Train', 'bus', 'car')[i % 3]}/{i}.png")
    assert load(str(tmp_path)).classes == ("Train", "bus", "car")


def test_parts_without_class_folders_are_not_taken_for_classes(save: Save, tmp_path: Path) -> None:
    for i in range(30):
        save(f"{('train', 'test')[i % 2]}/{i}.png")
    with pytest.raises(DataError, match=r"got 15 images directly in .*train; sort them into folders named by class"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "options"),
    [("x.bmp", {}), ("x.webp", {"lossless": True}), ("x.PNG", {}), ("x.gif", {}), ("x.jpeg", {"quality": 95})],
)
def test_every_format_is_read(classes: str, save: Save, name: str, options: dict) -> None:
    colour = Image.new("RGB", (5, 6), (200, 100, 50))
    save(f"cat/{name}", colour, **options)
    found = row_of(load(classes), f"cat/{name}").astype(int)
    assert np.abs(found - (200, 100, 50)).max() <= 3


def test_the_most_frequent_size_is_taken_and_others_are_resized(classes: str, save: Save) -> None:
    save("cat/big.png", Image.new("RGB", (50, 60), (9, 8, 7)))
    save("cat/wide.png", Image.new("RGB", (90, 6), (1, 2, 3)))
    images = load(classes)
    assert images.shape == (3, 6, 5)
    assert (row_of(images, "cat/big.png") == (9, 8, 7)).all()
    assert images.notes == (
        "resized to 6 x 5 (height x width), the most frequent size, cropped in the middle where proportions differ: "
        "2 of 32 images, of 6 x 90 to 60 x 50",
    )


@pytest.mark.parametrize(("size", "expected"), [(8, (8, 8)), ((3, 9), (3, 9))])
def test_a_size_can_be_asked_for(classes: str, size: object, expected: tuple[int, int]) -> None:
    images = load(classes, image_size=size)  # type: ignore[arg-type]
    assert images.shape == (3, *expected)
    assert images.notes[0].startswith(f"resized to {expected[0]} x {expected[1]} (height x width), cropped")


@pytest.mark.parametrize("size", [0, (4, 0), 5000])
def test_an_impossible_size_is_refused(classes: str, size: object) -> None:
    with pytest.raises(OptionError, match="image_size: expected height and width from 1 to 4096"):
        load(classes, image_size=size)  # type: ignore[arg-type]


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tall=st.integers(1, 20),
    wide=st.integers(1, 20),
    value=st.integers(0, 255),
)
def test_resizing_keeps_a_plain_colour_and_gives_the_size(
    height: int, width: int, tall: int, wide: int, value: int
) -> None:
    found = np.asarray(fitted(Image.new("L", (width, height), value), (tall, wide)))
    assert found.shape == (tall, wide)
    assert (found == value).all()


def test_resizing_crops_the_middle_and_keeps_proportions() -> None:
    stripes = np.zeros((10, 30), dtype=np.uint8)
    stripes[:, 10:20] = 255  # the middle third is all that a square sees
    assert np.asarray(fitted(Image.fromarray(stripes), (5, 5)))[:, 1:4].min() > 250


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    chess = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = resized(chess[None, None], 1, (8, 8))[0, 0, 2:6, 2:6].astype(int)
    assert np.abs(found - 127).max() <= 4


def test_images_in_memory_are_resized_as_files_are(save: Save) -> None:
    image = picture(3, (17, 23))
    header = read_header(save("a.png", image))
    found = resized(np.asarray(image).transpose(2, 0, 1)[None], 3, (6, 6))[0]
    np.testing.assert_array_equal(found, decode(header, 3, (6, 6)))


def test_grey_images_alone_have_one_channel(save: Save, tmp_path: Path) -> None:
    for i in range(24):
        save(f"{'ab'[i % 2]}/{i}.png", picture(i, mode="L"))
    images = load(str(tmp_path))
    assert images.shape == (1, 6, 5)
    np.testing.assert_array_equal(row_of(images, "a/4.png")[..., 0], np.asarray(picture(4, mode="L")))


def test_grey_images_beside_colours_become_rgb_and_a_note_counts_them(classes: str, save: Save) -> None:
    save("cat/grey.png", picture(9, mode="L"))
    images = load(classes)
    np.testing.assert_array_equal(
        row_of(images, "cat/grey.png"), np.asarray(picture(9, mode="L"))[..., None].repeat(3, 2)
    )
    assert images.notes == ("grey, read as RGB: 1 of 31 images",)


def test_palettes_bits_and_sixteen_bits_are_read_as_what_they_show(save: Save) -> None:
    ramp = np.arange(30, dtype=np.uint16).reshape(6, 5) * 257 * 8
    deep = read_header(save("deep.png", Image.fromarray(ramp)))
    assert deep.grey
    np.testing.assert_array_equal(decode(deep, 1, (6, 5))[0], np.arange(30).reshape(6, 5) * 8)
    bits = read_header(save("bits.png", picture(5, mode="L").convert("1")))
    assert bits.grey and set(np.unique(decode(bits, 1, (6, 5)))) == {0, 255}
    few = picture(6).quantize(8)
    colours = read_header(save("palette.png", few))
    assert not colours.grey
    np.testing.assert_array_equal(decode(colours, 3, (6, 5)).transpose(1, 2, 0), np.asarray(few.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparent_pixels_lie_on_white_and_a_note_counts_them(classes: str, save: Save, mode: str) -> None:
    image = Image.new("RGBA", (5, 6), (10, 10, 10, 255))
    image.putpixel((2, 3), (10, 10, 10, 0))
    if mode == "P":
        image = Image.new("P", (5, 6), 1)
        image.putpalette([0, 0, 0, 10, 10, 10])
        image.putpixel((2, 3), 0)
        image.info["transparency"] = 0
    save("cat/clear.png", image.convert("LA") if mode == "LA" else image)
    images = load(classes)
    found = row_of(images, "cat/clear.png")
    assert (found[3, 2] == 255).all()
    assert (np.delete(found.reshape(-1, 3), 3 * 5 + 2, axis=0) == 10).all()
    assert "partly transparent, laid on white: 1 of 31 images" in images.notes


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_images_stand_upright_as_their_camera_was_held(save: Save, orientation: int, suffix: str) -> None:
    upright = np.zeros((16, 32, 3), dtype=np.uint8)
    upright[:8, :8] = 255  # the upper left corner
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    header = read_header(save(f"x.{suffix}", Image.fromarray(np.ascontiguousarray(turned)), exif=exif))
    assert header.size == (16, 32)
    found = decode(header, 3, (16, 32)).transpose(1, 2, 0).astype(int)
    assert np.abs(found - upright).max() < 40


def test_unreadable_files_are_left_out_and_named(classes: str, save: Save, tmp_path: Path) -> None:
    whole = save("dog/cut.png", picture(1, (60, 50))).read_bytes()
    (tmp_path / "dog/cut.png").write_bytes(whole[:-400])
    photo = save("dog/half.jpg", picture(1, (60, 50))).read_bytes()
    (tmp_path / "dog/half.jpg").write_bytes(photo[: len(photo) // 2])
    (tmp_path / "cat/text.jpg").write_text("no image")
    (tmp_path / "cat/empty.gif").write_bytes(b"")
    images = load(classes)
    assert images.n == 30
    assert images.notes == (
        "left out 4 files, unreadable or cut off: 'cat/empty.gif', 'cat/text.jpg', 'dog/cut.png', 'dog/half.jpg'",
    )


def test_many_unreadable_files_are_counted(classes: str, tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"cat/bad{i}.png").write_bytes(b"x")
    (note,) = load(classes).notes
    assert note.startswith("left out 9 files") and note.endswith("'cat/bad4.png' and 4 more")


def test_a_class_of_which_nothing_is_left_is_refused(classes: str, tmp_path: Path) -> None:
    (tmp_path / "bird").mkdir()
    (tmp_path / "bird/one.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"got none of 'bird' \(left out 1 file, unreadable or cut off: 'bird/one.png'"):
        load(classes)


def test_a_folder_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bird").mkdir()
    (tmp_path / "bird/one.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"images that can be read, got none \(left out 1 file"):
        load(str(tmp_path))


def test_hidden_files_and_what_is_no_image_are_left_alone(classes: str, tmp_path: Path) -> None:
    for name in (".hidden.png", "Thumbs.db", "labels.txt"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    for name in (".git", "__MACOSX", "empty"):
        (tmp_path / name).mkdir()
    images = load(classes)
    assert images.n == 30
    assert images.notes == (
        "left out what is no image in a folder of a class: 'labels.txt'",
        "left out 1 folder without images: 'empty'",
    )


def test_images_without_class_folders_are_refused(save: Save, tmp_path: Path) -> None:
    save("a.png")
    save("b.png")
    with pytest.raises(DataError, match=r"got 2 images directly in .*; sort them into folders named by class"):
        load(str(tmp_path))


def test_images_of_another_kind_or_one_level_deeper_are_named(save: Save, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.tif").write_bytes(b"x")
    with pytest.raises(DataError, match=r"with images in it \(.*\), got files that end in '\.tif'; check the path"):
        load(str(tmp_path))
    save("all/cat/a.png")
    (tmp_path / "cat" / "a.tif").unlink()
    with pytest.raises(DataError, match=r"got images one level deeper, such as 'all/cat/a\.png'; check the path"):
        load(str(tmp_path))


def test_a_single_image_is_refused(save: Save) -> None:
    with pytest.raises(DataError, match="expected many images, got one"):
        load(str(save("a.png")))


def test_a_class_that_only_the_test_part_has_is_refused(save: Save, tmp_path: Path) -> None:
    for i in range(24):
        save(f"train/{'ab'[i % 2]}/{i}.png")
    save("test/c/1.png")
    with pytest.raises(DataError, match=r"in test only classes of train .* got 'c'"):
        load(str(tmp_path))


def test_an_image_that_would_unpack_to_gigabytes_is_refused(classes: str, tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb += chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    for width in (60_000, 1_600):  # Pillow refuses the one by itself and only warns of the other
        content = bomb.replace(struct.pack(">I", 60_000), struct.pack(">I", width), 1)
        header = content[12:29]
        (tmp_path / "cat/bomb.png").write_bytes(content[:29] + struct.pack(">I", zlib.crc32(header)) + content[33:])
        with pytest.raises(DataError, match=r"bomb\.png: expected an image of at most 89,478,485 pixels"):
            load(classes)


@pytest.mark.parametrize(("allowed", "limit"), [(None, "89,478,485"), (10**12, "89,478,485"), (20, "20")])
def test_our_limit_holds_whatever_the_program_allows_pillow(
    save: Save, monkeypatch: pytest.MonkeyPatch, allowed: int | None, limit: str
) -> None:
    path = save("wide.png", Image.new("1", (10_000, 9_000)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", allowed)
    with pytest.raises(DataError, match=rf"expected an image of at most {limit} pixels"):
        read_header(path)


@pytest.mark.parametrize(("free", "threads"), [(2**40, 4), (4 * 20 * 2 * 800, 2), (4 * 20 * 800 - 1, 1), (0, 1)])
def test_fewer_threads_decode_images_that_would_fill_the_memory(
    save: Save, monkeypatch: pytest.MonkeyPatch, free: int, threads: int
) -> None:
    headers = [read_header(save("small.png")), read_header(save("large.png", picture(1, (40, 20))))]
    monkeypatch.setattr(image_folders, "available_cores", lambda: 4)
    monkeypatch.setattr(image_folders, "free_memory", lambda: free)
    assert threads_for(headers) == threads


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    picture(2, (12, 9)).save(buffer, kind)
    return buffer.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "WEBP"]),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.floats(0, 1),
)
def test_no_damage_to_a_file_ends_in_a_traceback(kind: str, places: list, kept: float, tmp_path: Path) -> None:
    content = bytearray(encoded(kind))
    for place, byte in places:
        content[int(place * len(content))] = byte
    folder = tmp_path / "damaged"
    (folder / "a").mkdir(parents=True, exist_ok=True)
    (folder / f"a/x.{kind.lower()}").write_bytes(content[: int(kept * len(content)) + 1])
    for i in range(5):
        picture(i).save(folder / f"a/{i}.png")
    try:
        assert read_class_folders(folder).pixels.shape[0] in (5, 6)
    except DataError as error:
        assert "at most 89,478,485 pixels" in str(error)
    finally:
        for path in (folder / "a").iterdir():
            path.unlink()
