"""Bad input ends in one message that says what was expected, what came, and what to do."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regimen.data import from_arrays, load
from regimen.errors import DataError, InputError, OptionError

GOOD = "a,b,y\n" + "".join(f"{i * 1.5},{'uvw'[i % 3]},{'pq'[i % 2]}\n" for i in range(40))


def column(values: list[Any], name: str = "y") -> str:
    """Return a table with a usable column and one of the given values."""
    return f"a,{name}\n" + "".join(f"{i * 1.5},{value}\n" for i, value in enumerate(values))


def npz(**arrays: Any) -> bytes:
    """Return an .npz file as bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a Parquet file as bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


X, Y = np.random.default_rng(3).normal(size=(40, 3)), np.arange(40) % 2

FILES = {
    "an empty file": ("t.csv", "", {}, "got an empty file"),
    "a file of blanks": ("t.csv", " \n\n", {}, "got an empty file"),
    "a header only": ("t.csv", "a,b,y\n", {}, "got the header line only"),
    "a table without a header": ("t.csv", "1.5,2\n2.5,3\n", {}, "expected a header line .* got numbers"),
    "duplicate column names": ("t.csv", GOOD.replace("a,b,y", "a,a,y", 1), {}, "got 'a' more than once; rename"),
    "a long line": ("t.csv", GOOD + "1,u,p,9\n", {}, "expected 3 cells .* got 4 in line 42"),
    "a short line": ("t.csv", GOOD.replace("3.0,w,p", "3.0,w"), {}, "expected 3 cells .* got 2 in line 4"),
    "a file cut off inside a line": ("t.csv", GOOD[:-4], {}, "got 2 in line 41 .* cut off"),
    "a quote that is never closed": (
        "t.csv",
        GOOD + '1,"u\n2,v\n3,w\n',
        {},
        "got 'unexpected end of data' in line 44 of the row that begins in line 42",
    ),
    "a file cut off inside quotes": ("t.csv", GOOD + '1,"u', {}, "double quotes .* line 42"),
    "a stray quote": ("t.csv", GOOD.replace("3.0,w,", '3.0,"w"w,'), {}, "in line 4; .* quote inside a cell"),
    "Latin-1 text": ("t.csv", GOOD.replace("3.0,w", "3.0,é").encode("latin1"), {}, "UTF-8, got byte 0xe9 in line 4"),
    "UTF-16 text": ("t.csv", GOOD.encode("utf-16"), {}, "got UTF-16"),
    "a spreadsheet named .csv": ("t.csv", b"PK\x03\x04 and more", {}, "binary file; export"),
    "zeros in the text": ("t.csv", GOOD.encode() + b"\0\0\0", {}, "binary file"),
    "an unsupported extension": ("t.xlsx", "x", {}, "ending in .csv, .* got .xlsx; export"),
    "no extension": ("table", GOOD, {}, "got no extension"),
    "no target": ("t.csv", GOOD, {"target": None}, "name of the target column, got none; .* 'a', 'b', 'y'"),
    "a missing target column": ("t.csv", GOOD.replace("y", "Label", 1), {"target": "labl"}, "did you mean 'Label'"),
    "a target in other case": ("t.csv", GOOD, {"target": "Y"}, r"got 'Y', .*did you mean 'y'\?"),
    "a target without values": ("t.csv", column(["", "NA", "?", "NaN"] * 10), {}, "got missing cells only"),
    "one class": ("t.csv", column(["p"] * 40), {}, "two different values in target 'y', got 'p' in every row"),
    "one class beside missing": ("t.csv", column(["p", ""] * 20), {}, "got 'p' in every row"),
    "one amount": ("t.csv", column([2.5] * 40), {}, "got 2.5 in every row"),
    "classes of hardly any rows": ("t.csv", column(["p"] * 38 + ["q"] * 2), {}, "classes with 5 or more rows, got 1"),
    "an infinite target": ("t.csv", column([i + 0.5 for i in range(39)] + ["inf"]), {}, "finite .* got inf in row 40"),
    "a target beyond float32": ("t.csv", column([*range(39), "1e300"]), {}, "got 1e300 in row 40"),
    "an infinite class": ("t.csv", column([1, 0] * 20 + ["-inf"]), {"task": "classification"}, "got -inf in row 41"),
    "text to regress on": (
        "t.csv",
        column([*range(16), "n.k.", *range(16)]),
        {"task": "regression"},
        "expected numbers in target 'y' for regression, got 'n.k.' in row 17; correct",
    ),
    "names as target": ("t.csv", column([f"name {i}" for i in range(40)]), {}, "got 40 different texts .*'name 0'"),
    "amounts as classes": (
        "t.csv",
        column([i + 0.5 for i in range(40)]),
        {"task": "classification"},
        "expected classes that repeat in target 'y', got 40 different values in 40 rows",
    ),
    "19 rows": ("t.csv", column(["p", "q"] * 9 + ["p"]), {}, "at least 20 rows with a target, got 19"),
    "19 rows with a target": ("t.csv", column(["p", "q"] * 9 + ["p"] + [""] * 30), {}, "got 19"),
    "an unknown column to ignore": ("t.csv", GOOD, {"ignore": ["bb"]}, r"got 'bb'; did you mean 'b'\? \(columns: 'a'"),
    "ignoring the target": ("t.csv", GOOD, {"ignore": ["y"]}, "other than the target"),
    "nothing to learn from": ("t.csv", GOOD, {"ignore": "a,b"}, "one column to learn from"),
    "only a target": ("t.csv", "y\n" + "p\nq\n" * 20, {}, "one column to learn from"),
    "constant columns only": ("t.csv", "a,y\n" + "1,p\n1,q\n" * 20, {}, "left out column 'a': it is constant"),
    "no Parquet": ("t.parquet", "PAR1 no", {}, "expected a Parquet file"),
    "a cut Parquet file": ("t.parquet", parquet(pl.DataFrame({"a": [1, 2], "y": [1, 2]}))[:-30], {}, "cannot be read"),
    "Parquet without rows": ("t.parquet", parquet(pl.DataFrame({"a": [], "y": []})), {}, "0 rows"),
    "nested targets": ("t.parquet", parquet(pl.DataFrame({"a": [1, 2], "y": [[1], [2]]})), {}, "type List"),
    "no NPZ": ("t.npz", "PK no", {}, "plain arrays, got one that cannot be read"),
    "a cut NPZ file": ("t.npz", npz(X=X, y=Y)[:-200], {}, "cannot be read"),
    "pickled objects": ("t.npz", npz(X=np.array([{}, "a"], dtype=object), y=Y), {}, "hold pickled objects"),
    "NPZ without X": ("t.npz", npz(images=X, y=Y), {}, "arrays named X and y, got 'images', 'y'"),
    "NPZ without y": ("t.npz", npz(X=X), {"target": None}, "name of the target column, got none"),
    "y of another length": ("t.npz", npz(X=X, y=Y[:-1]), {}, r"y of shape \[40\].* got \[39\]"),
    "y with two columns": ("t.npz", npz(X=X, y=np.stack([Y, Y], axis=1)), {}, r"got \[40, 2\]"),
    "flat X": ("t.npz", npz(X=Y, y=Y), {}, r"X of shape \[rows, columns\], got \[40\]"),
    "X of three sides with a gap": ("t.npz", npz(X=np.full((40, 2, 2), np.nan), y=Y), {}, "got nan in row 1; samples"),
    "complex X": ("t.npz", npz(X=X + 1j, y=Y), {}, "elements of type complex128"),
    "constant X": ("t.npz", npz(X=np.ones((40, 2)), y=Y), {}, "columns that differ between rows"),
    "too few names of columns": ("t.npz", npz(X=X, y=Y, columns=np.array(["a"])), {}, "3 names of columns .* got 1"),
    "twice the same name": ("t.npz", npz(X=X, y=Y, columns=np.array(["a", "b", "a"])), {}, "'a' more than once"),
}


@pytest.mark.parametrize(("name", "content", "options", "message"), FILES.values(), ids=FILES)
def test_a_bad_file_is_refused(
    write: Callable[..., str], name: str, content: str | bytes, options: dict[str, Any], message: str
) -> None:
    path = write(content, name)
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        load(path, **({"target": "y"} | options))
    assert path in str(caught.value), "the message must name the file"
    assert "expected" in str(caught.value)


FURTHER = {
    "a missing column": ("a,y\n1,p\n2,q\n", "columns of .*train.csv in the test file, got none named 'b'"),
    "a mistyped column": ("a,B2,y\n1,u,p\n", "none named 'b'; did you mean 'B2'"),
    "a missing target": ("a,b\n1,u\n2,v\n", "none named 'y'"),
    "an unseen class": (
        "a,b,y\n1,u,p\n2,v,r\n",
        "only classes of the training file in target 'y' \\('p', 'q'\\), got 'r'",
    ),
    "missing targets only": ("a,b,y\n1,u,\n2,v,NA\n", "got missing cells only"),
    "text where numbers belong": (
        "a,b,y\n1,u,p\nx7,v,q\n",
        "expected numbers in column 'a', got 'x7' in row 2; correct",
    ),
}


@pytest.mark.parametrize(("content", "message"), FURTHER.values(), ids=FURTHER)
@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_further_file_that_does_not_fit_is_refused(
    write: Callable[..., str], content: str, message: str, part: str
) -> None:
    path = write(content, "further.csv")
    with pytest.raises(DataError, match=message.replace("test file", f"{part} file")) as caught:
        load(write(GOOD, "train.csv"), target="y", **{part: path})
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digit", "got none of them; did you mean 'digits'"),
        ("breast-cancer", "did you mean 'breast_cancer'"),
        ("fashionmnist", "did you mean 'fashion-mnist'"),
        ("zzz", "got none of them; valid: breast_cancer, cifar10, diabetes, digits, fashion-mnist, iris, mnist, wine"),
        ("", "expected a bundled table, .* got none of them"),
        ("https://example.org/t.csv", "got an address; download the file first"),
    ],
)
def test_a_source_that_is_no_table_is_refused(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(source, target="y")


def test_a_missing_file_is_refused_with_the_nearest_one_beside_it(write: Callable[..., str], tmp_path: Path) -> None:
    write(GOOD, "Patients.csv")
    with pytest.raises(DataError, match=r"got none there; did you mean 'Patients\.csv'\?"):
        load(str(tmp_path / "patient.csv"), target="y")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nor a folder .*nowhere"):
        load(str(tmp_path / "nowhere" / "t.csv"), target="y")


def test_a_folder_of_tables_is_refused(write: Callable[..., str], tmp_path: Path) -> None:
    write(GOOD)
    with pytest.raises(DataError, match="got a folder; name the file in it"):
        load(str(tmp_path), target="y")


def test_images_are_no_part_of_a_table(write: Callable[..., str]) -> None:
    with pytest.raises(DataError, match="mnist: expected a table as the others, got images"):
        load(write(GOOD), target="y", test="mnist")


def test_a_size_of_images_is_refused_for_a_table() -> None:
    with pytest.raises(OptionError, match="image_size: iris is a table; leave it out"):
        load("iris", image_size=32)


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean 'classification'"):
        load("iris", task="clasification")  # type: ignore[arg-type]


def test_arrays_are_refused_by_the_same_rules() -> None:
    with pytest.raises(DataError, match="patients: expected at least 20 rows"):
        from_arrays(X[:10], Y[:10], name="patients")


def test_an_archive_with_unknown_compression_is_refused(write: Callable[..., str]) -> None:
    content = bytearray(npz(X=X, y=Y))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.find(signature)
        content[start + offset] = 99
    assert zipfile.is_zipfile(io.BytesIO(content))
    with pytest.raises(DataError, match="cannot be read"):
        load(write(bytes(content), "t.npz"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("name", ["t.csv", "t.npz", "t.parquet"])
def test_damaged_bytes_are_read_or_refused_but_never_raise_anything_else(
    write: Callable[..., str], name: str, data: st.DataObject
) -> None:
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": Y})
    good = {"t.csv": GOOD.encode(), "t.npz": npz(X=X, y=Y), "t.parquet": parquet(frame)}[name]
    content = bytearray(good[: data.draw(st.integers(0, len(good)))] if data.draw(st.booleans()) else good)
    # Flipped bytes inside a Parquet file can abort the process inside polars; only files cut off are tried.
    for _ in range(data.draw(st.integers(0, 0 if name == "t.parquet" else 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = load(write(bytes(content), name), target="y")
    except InputError as error:
        assert "expected" in str(error)
    else:
        assert table.n >= 20
