"""The store: what is saved comes back, one process at a time, and damaged files are refused."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regimen.errors import StoreError
from regimen.records import Curves, RunResult
from regimen.store import FILE, Store

RESULT = RunResult(
    identity="a" * 64,
    status="finished",
    metric=0.1 + 0.2,
    train_loss=float("nan"),
    validation_loss=1.0,
    epoch=2,
    epochs_run=2,
    steps=10,
    seconds=0.5,
    curves=Curves(train_loss=(1.0, 0.5), validation_loss=(float("nan"), 2.0), metric=(0.1, 0.2)),
)


def test_a_result_comes_back_exactly(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.save(RESULT, "reference")
    with Store(tmp_path, create=False) as store:
        found = store.load(RESULT.identity, "reference")
    assert repr(found) == repr(RESULT)  # repr, because NaN equals nothing


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.array(7, dtype=np.int64),
        np.zeros((0, 3), dtype=np.float32),
        np.arange(8, dtype=np.float64)[::2],
    ],
    ids=["transposed", "scalar", "empty", "strided"],
)
def test_arrays_come_back_with_their_shape_type_and_values(tmp_path: Path, array: np.ndarray) -> None:
    with Store(tmp_path, create=True) as store:
        store.save(RunResult(**{**_fields(), "weights": {"w": array}, "outputs": {}}), "reference")
        found = store.load(RESULT.identity, "reference")
    assert found is not None and found.weights is not None and found.outputs == {}
    assert found.weights["w"].dtype == array.dtype
    assert found.weights["w"].shape == array.shape
    np.testing.assert_array_equal(found.weights["w"], array)


def _fields() -> dict[str, object]:
    return {name: getattr(RESULT, name) for name in RunResult.__dataclass_fields__}


def test_a_store_knows_how_long_it_took_until_the_last_run_that_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("regimen.store.time.perf_counter", lambda: now[0])
    for before, identity in ((0.0, "a"), (7.5, "b"), (15.0, "c")):
        with Store(tmp_path, create=not before) as store:
            assert store.seconds == before
            now[0] += 7.5
            store.save(replace(RESULT, identity=identity), "reference")
            now[0] += 1000  # killed before the next run was done


def test_work_of_one_engine_is_not_taken_for_that_of_another(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.save(RESULT, "reference")
        assert store.load(RESULT.identity, "native") is None
        assert store.load("b" * 64, "reference") is None


def test_a_plan_is_written_once(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        assert store.plan() is None
        store.save_plan({"pairs": 10})
        with pytest.raises(StoreError, match="already holds a plan"):
            store.save_plan({"pairs": 11})
        assert store.plan() == {"pairs": 10}


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    with Store(tmp_path, create=True), pytest.raises(StoreError, match="in use by another process"):
        Store(tmp_path, create=False)
    Store(tmp_path, create=False).close()


def test_an_existing_store_is_not_created_again_and_a_missing_one_not_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="start it without --resume"):
        Store(tmp_path, create=False)
    Store(tmp_path, create=True).close()
    with pytest.raises(StoreError, match="go on with --resume"):
        Store(tmp_path, create=True)


def test_of_two_that_create_a_store_at_once_the_second_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path, create=True).close()
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as the second saw it before the first was done
    with pytest.raises(StoreError, match="already holds a study; go on with --resume"):
        Store(tmp_path, create=True)


@pytest.mark.parametrize("create", [True, False])
def test_a_place_where_no_store_can_be_is_told(tmp_path: Path, create: bool) -> None:
    folder = tmp_path / "missing"
    if not create:
        (folder / FILE).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"study\.sqlite cannot be opened: unable to open .*; choose another --out"):
        Store(folder, create=create)


@pytest.mark.parametrize("content", [b"no database at all", b"", b"SQLite format 3\x00" + b"\x00" * 200])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StoreError, match="no study of regimen, or damaged"):
        Store(tmp_path, create=False)


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    Store(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    database.close()
    with pytest.raises(StoreError, match="format 99"):
        Store(tmp_path, create=False)


def test_what_is_not_closed_is_there_after_a_kill(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    store.save(RESULT, "reference")
    copied = tmp_path / "copy"
    copied.mkdir()
    (copied / FILE).write_bytes((tmp_path / FILE).read_bytes())  # what a kill would leave on disk
    store.close()
    with Store(copied, create=False) as found:
        assert len(found) == 1


@pytest.mark.parametrize("column", ["result", "outputs"])
def test_a_damaged_run_is_told_not_returned(tmp_path: Path, column: str) -> None:
    with Store(tmp_path, create=True) as store:
        store.save(RESULT, "reference")
    database = sqlite3.connect(tmp_path / FILE)
    with database:
        database.execute(f"UPDATE runs SET {column} = ?", (b"\xc1garbage",))
    database.close()
    with Store(tmp_path, create=False) as store, pytest.raises(StoreError, match="damaged"):
        store.load(RESULT.identity, "reference")


def test_a_damaged_plan_is_told(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.save_plan({"pairs": 10})
    database = sqlite3.connect(tmp_path / FILE)
    with database:
        database.execute("UPDATE meta SET value = '{' WHERE key = 'plan'")
    database.close()
    with Store(tmp_path, create=False) as store, pytest.raises(StoreError, match="damaged"):
        store.plan()
