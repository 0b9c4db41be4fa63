"""Samples of any shape are studied as they are: by content, in their type, with targets that fit."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from regimen.data import (
    Parts,
    SamplePreparation,
    Samples,
    default_metric,
    from_arrays,
    from_samples,
    hold_out,
    load,
    near_duplicates,
    pair_split,
    prepare,
    read_features,
    sample_features,
)
from regimen.errors import DataError, OptionError, StoreError

X = np.random.default_rng(1).normal(size=(60, 4, 5)).astype(np.float32)
Y = np.arange(60) % 3


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (X, np.float32),
        (X.astype(np.float64), np.float32),
        (torch.from_numpy(X).bfloat16(), np.float32),
        (torch.from_numpy(X).requires_grad_(), np.float32),
        (X > 0, np.float32),
        ((X > 0).astype(np.uint8), np.float32),
        ((X * 9).astype(np.int16), np.int64),
        (torch.arange(1200).reshape(60, 20), np.int64),
    ],
    ids=["float32", "float64", "bfloat16", "gradient", "bool", "bytes", "int16", "tokens"],
)
def test_inputs_are_fed_as_floats_or_as_whole_numbers(x: Any, kind: type) -> None:
    samples = from_samples(x, Y)
    assert samples.x.dtype == kind
    np.testing.assert_array_equal(samples.x, np.asarray(x.detach().float() if hasattr(x, "detach") else x).astype(kind))
    assert samples.whole == (kind is np.int64)


def test_nothing_is_scaled_whatever_the_recipe_says() -> None:
    samples = from_samples(X, Y)
    split = pair_split(samples, hold_out(samples).development, 1)
    for scaling in ("standard", "none", ((1.0,), (2.0,))):
        prepared = prepare(samples, split, scaling)  # type: ignore[arg-type]
        np.testing.assert_array_equal(prepared.x["train"], X[split.train])
        assert prepared.inputs == (4, 5) and prepared.features == 20 and prepared.outputs == 3
        assert prepared.scaled(prepared.x["train"]) is prepared.x["train"]
        np.testing.assert_array_equal(prepared.y["validation"], Y[split.validation])


def test_amounts_are_standardized_on_the_training_rows_and_come_back_in_their_unit() -> None:
    samples = from_samples(X, 100.0 + 7.0 * X[:, 0, 0])
    split = pair_split(samples, hold_out(samples).development, 1)
    prepared = prepare(samples, split)
    assert default_metric(samples).name == "rmse" and prepared.outputs == 1
    assert abs(float(prepared.y["train"].mean())) < 1e-5
    back = prepared.predictions(prepared.y["train"].numpy()[:, None])
    np.testing.assert_allclose(back[:, 0], samples.y[split.train], rtol=1e-6)


def test_samples_are_equal_by_content_whatever_their_name() -> None:
    first, again = from_samples(X, Y), from_samples(X, Y, name="two")
    changed = X.copy()
    changed[7, 1, 2] += 1e-3
    assert first == again and hash(first) == hash(again)
    assert first != from_samples(changed, Y)
    assert first != from_samples(X.reshape(60, 20), Y)
    assert first != from_samples(X, Y, group=Y % 2 + np.arange(60) // 10)
    assert from_samples(np.where(X > 0, X, -0.0), Y) == from_samples(np.where(X > 0, X, 0.0), Y)
    assert pickle.loads(pickle.dumps(first)) == first


def test_later_changes_of_the_array_do_not_reach_the_samples() -> None:
    x = X.copy()
    samples = from_samples(x, Y)
    x[:] = 0
    assert np.abs(samples.x).max() > 0
    with pytest.raises(ValueError, match="read-only"):
        samples.x[0] = 0


@pytest.mark.parametrize(
    ("y", "task", "classes", "expected"),
    [
        (np.array([3, 7] * 30), None, None, ("classification", ("3", "7"))),
        (["dog", "cat"] * 30, None, None, ("classification", ("cat", "dog"))),
        (torch.tensor([True, False] * 30), None, None, ("classification", ("False", "True"))),
        ([0, 2] * 30, None, ["a", "b", "c"], ("classification", ("a", "b", "c"))),
        (["b", "a"] * 30, None, ["b", "a", "c"], ("classification", ("b", "a", "c"))),
        (np.array([0.0, 1.0] * 30), "classification", None, ("classification", ("0", "1"))),
        (np.arange(60) / 7, None, None, ("regression", ())),
        (np.arange(60), "regression", None, ("regression", ())),
        (np.array([0.0, 1.0] * 30), "regression", None, ("regression", ())),
        (np.arange(60.0)[:, None] / 7, None, None, ("regression", ())),
        (np.array([0.0, 1.0] * 30), None, None, ("classification", ("0", "1"))),
        (torch.tensor([[-1.0], [1.0]] * 30), None, None, ("classification", ("-1", "1"))),
        (np.arange(60.0) % 7, None, None, ("regression", ())),
    ],
)
def test_the_task_follows_from_the_targets(y: Any, task: Any, classes: Any, expected: tuple[str, tuple]) -> None:
    samples = from_samples(X, y, task=task, classes=classes)
    assert (samples.task, samples.classes) == expected
    assert samples.y.dtype == (np.int64 if expected[0] == "classification" else np.float64)
    if classes == ["b", "a", "c"]:
        assert samples.y[:2].tolist() == [0, 1]


@pytest.mark.parametrize("different", [2, 6, 7])
def test_floats_are_classes_for_samples_where_they_are_for_tables_and_a_note_says_so(different: int) -> None:
    y = np.arange(60.0) % different
    samples, table = from_samples(X, y), from_arrays(X[:, :, 0], y)
    assert (samples.task, samples.classes) == (table.task, table.classes)
    assert (samples.task == "classification") == (different < 7)
    [note] = samples.notes
    assert note.startswith(f"the targets are floats: their {different} different whole numbers are read as ")
    assert from_samples(X, y.astype(int)).notes == ()
    beside = from_samples(X[:40], y[:40], task="classification", test=(X[40:], y[40:]))
    np.testing.assert_array_equal(beside.y, y)


def test_given_parts_are_coded_like_the_main_one() -> None:
    samples = from_samples(X[:40], ["b", "a"] * 20, test=(X[40:50], ["b"] * 10), validation=(X[50:], ["a", "b"] * 5))
    assert hold_out(samples).test.tolist() == list(range(40, 50))
    assert samples.y[38:53].tolist() == [1, 0, *[1] * 10, 0, 1, 0]
    assert pair_split(samples, hold_out(samples).development, 1).validation.tolist() == list(range(50, 60))
    coded = from_samples(X[:40], [0, 1] * 20, classes=["a", "b", "c"], test=(X[40:50], [2] * 10))
    assert coded.y[40:].tolist() == [2] * 10


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "no shape": (np.zeros(60), Y, {}, r"one number each is x\[:, None\]"),
    "text": (np.full((60, 2), "x"), Y, {}, "samples as numbers"),
    "a gap": (np.where(X > 2, np.nan, X), Y, {}, "got nan in row"),
    "too large": (np.full((60, 2), 1e300), Y, {}, "finite numbers below 3.4e"),
    "one-hot": (X, np.eye(3)[Y], {}, r"got one-hot rows \[60, 3\]; give the classes themselves, y.argmax\(1\)"),
    "several targets": (X, np.zeros((60, 4)), {}, r"shape \[60, 4\]; a network for several targets"),
    "another length": (X, Y[:50], {}, r"each of 60 rows, got targets of shape \[50\]"),
    "broken labels": (X, Y + 0.5, {"task": "classification"}, "labels as whole numbers or text, got 0.5"),
    "a gap in the targets": (X, np.where(Y == 0, np.nan, 1.5), {}, "finite targets, got nan in row 1"),
    "equal amounts": (X, np.full(60, 1.5), {}, "targets that differ, got 1.5"),
    "classes that hardly repeat": (X, np.arange(60), {}, "classes that repeat, got 60 different"),
    "text for amounts": (X, ["a", "b"] * 30, {"task": "regression"}, "got text; set task to classification"),
    "few": (X[:10], Y[:10], {}, "at least 20 samples, got 10"),
    "a code too high": (X, Y, {"classes": ["a", "b"]}, "codes from 0 to 1, .* got 0 to 2"),
    "an unknown label": (X, ["a", "b"] * 30, {"classes": ["a", "c"]}, "got 'b'; name all"),
    "a class twice": (X, Y, {"classes": ["a", "a", "b"]}, "different classes"),
    "another test shape": (X, Y, {"test": (X[:, :2], Y)}, r"samples \[4, 5\] of float32 as the others, got \[2, 5\]"),
    "another test type": (X, Y, {"test": (np.ones((9, 4, 5), dtype=int), Y[:9])}, "got .* of int64"),
    "an unseen test class": (X, Y, {"test": (X[:2], [0, 7])}, "got '7'"),
    "a test class between two": (X, Y, {"test": (X[:2], [0.0, 0.5])}, "labels as whole numbers or text, got 0.5"),
}


@pytest.mark.parametrize(("x", "y", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_samples_are_refused_with_the_reason(x: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_samples(x, y, **options)


def test_groups_beside_a_given_part_are_refused_as_its_own_are_not_known() -> None:
    with pytest.raises(OptionError, match="test: expected no test rows of their own beside group"):
        from_samples(X, Y, group=np.arange(60) // 4, test=(X, Y))


def test_samples_made_by_hand_are_checked() -> None:
    with pytest.raises(DataError, match="float32 or int64, got float64"):
        Samples(name="x", x=np.zeros((20, 2)), y=Y[:20], classes=("a", "b", "c"), task="classification")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one target for each of 60 samples"):
        Samples(name="x", x=X, y=Y, classes=("a", "b"), task="classification")


def test_equal_samples_across_parts_are_counted_whatever_their_target() -> None:
    x = X.copy()
    x[5] = x[4]
    samples = from_samples(x, Y)
    assert near_duplicates(samples, Parts(development=np.array([0, 4]), test=np.array([5, 6]))) == 1


def test_the_preparation_survives_json_and_refuses_other_samples() -> None:
    preparation = SamplePreparation.fit(from_samples(X, Y), np.arange(30))
    assert SamplePreparation.from_json(preparation.to_json()) == preparation
    assert json.loads(preparation.to_json())["kind"] == "samples"
    with pytest.raises(StoreError, match="model of samples"):
        SamplePreparation.from_json("{}")
    with pytest.raises(DataError, match=r"samples \[4, 5\] of float32, .* got \[3\] of float32"):
        preparation.apply(sample_features(np.zeros((2, 3))))
    with pytest.raises(DataError, match="of int64"):
        preparation.apply(sample_features(np.zeros((2, 4, 5), dtype=int)))


def test_an_array_called_samples_is_fed_as_it_is_whatever_its_shape(tmp_path: Any) -> None:
    path = str(tmp_path / "words.npz")
    np.savez(path, samples=np.arange(120).reshape(60, 2), y=Y)
    found = load(path)
    assert isinstance(found, Samples) and found.whole and found.shape == (2,)
    preparation = SamplePreparation.fit(found, np.arange(60))
    assert read_features(path, preparation).n == 60
    with pytest.raises(DataError, match="the array X of a table, got samples"):
        load("iris", test=path)
    np.savez(path, X=np.arange(120).reshape(60, 2) ** 2 % 7, y=Y)
    assert not isinstance(load(path), Samples)
    with pytest.raises(DataError, match="expected targets in an array named y"):
        np.savez(path, samples=X)
        load(path)


def test_an_npz_file_of_more_than_two_sides_holds_samples(tmp_path: Any) -> None:
    path = str(tmp_path / "signals.npz")
    np.savez(path, X=X, y=Y, classes=np.array(["a", "b", "c"]), Patient=np.arange(60) // 5)
    samples = load(path, group="patient")
    assert isinstance(samples, Samples) and samples.structure is not None
    assert (samples.name, samples.shape, samples.classes) == ("signals", (4, 5), ("a", "b", "c"))
    assert (samples.structure.count, samples.structure.column) == (12, "patient")
    assert "rows are divided by 'patient': 12 groups of 5 rows, none of which is in two parts" in samples.notes
    days = np.datetime64("2024-01-01") + np.arange(60)
    np.savez(path, X=X, y=Y, day=days)
    assert any("by the time 'day' (60 times)" in note for note in load(path, time="day").notes)
    np.savez(path, X=X, y=Y, classes=np.array(["a", "b", "c"]), Patient=np.arange(60) // 5)
    with pytest.raises(DataError, match="none named 'patien'; did you mean 'patient'"):
        load(path, group="patien")
    with pytest.raises(OptionError, match="has arrays and no columns"):
        load(path, ignore=["x1"])
    with pytest.raises(OptionError, match=r"signals\.npz is samples"):
        load(path, image_size=8)
