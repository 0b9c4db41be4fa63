"""Datasets, loaders and functions that give batches are read once, in a stated order, or refused with the reason."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

import regimen.data.batches
from regimen.data import Images, Samples, Table, as_data, from_batches, from_dataset, load
from regimen.errors import DataError, OptionError

X = torch.randn(60, 7, generator=torch.Generator().manual_seed(1))
Y = torch.arange(60) % 3


class Items(Dataset[Any]):
    """Forty items that a function makes of their number."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def __len__(self) -> int:
        return 40

    def __getitem__(self, row: int) -> Any:
        return self.make(row)


class Endless(IterableDataset[Any]):
    """Items without an end."""

    def __iter__(self) -> Iterator[Any]:
        yield from ((X[row % 60], row % 60 + 0.5) for row in count())


def noisy(row: int) -> tuple[Tensor, int]:
    """Return an item with random noise on it."""
    return X[row] + torch.randn(7), int(Y[row])


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all rows in batches of eight."""
    for start in range(0, 60, 8):
        yield X[start : start + 8], Y[start : start + 8]


@pytest.mark.parametrize(
    "source",
    [
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=7),
        DataLoader(TensorDataset(X, Y), batch_size=7, shuffle=True, drop_last=True),
        batches,
        list(batches()),
        batches(),
    ],
    ids=["dataset", "loader", "shuffled loader", "function", "list", "generator"],
)
def test_all_rows_are_read_in_the_order_of_their_source(source: Any) -> None:
    samples = as_data(source)
    assert isinstance(samples, Samples)
    np.testing.assert_array_equal(samples.x, X.numpy())
    np.testing.assert_array_equal(samples.y, Y.numpy())


def test_a_loader_that_shuffles_is_the_same_data_every_time() -> None:
    loader = DataLoader(TensorDataset(X, Y), batch_size=7, shuffle=True)
    first, again = from_batches(loader), from_batches(loader)
    assert first == again
    assert "shuffles" in first.notes[0] and "in the order of its dataset" in first.notes[0]


def test_a_loader_that_draws_its_rows_is_read_as_they_come_and_a_note_says_so() -> None:
    sampler = WeightedRandomSampler([1.0] * 60, 200)
    samples = from_batches(DataLoader(TensorDataset(X, Y), batch_size=7, sampler=sampler))
    assert samples.n == 200
    assert "WeightedRandomSampler" in samples.notes[0] and "other data" in samples.notes[0]


@pytest.mark.parametrize("source", [Items(noisy), DataLoader(Items(noisy), batch_size=8)], ids=["dataset", "loader"])
def test_random_transforms_are_frozen_once_and_alike_and_a_note_says_so(source: Any) -> None:
    before = torch.random.get_rng_state()
    first = as_data(source)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(7)
    assert as_data(source) == first
    assert "frozen" in first.notes[0]


def test_a_dataset_without_chance_has_no_such_note() -> None:
    assert not any("frozen" in note for note in from_dataset(Items(lambda row: (X[row], int(Y[row])))).notes)


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (torch.rand(60, 3, 8, 8), Images),
        (torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8), Images),
        (torch.randn(60, 3, 8, 8), Samples),
        (torch.rand(60, 2, 8, 8), Samples),
        (torch.rand(60, 8, 8), Samples),
        (torch.randint(0, 9, (60, 12)), Samples),
    ],
    ids=["floats from 0 to 1", "bytes", "standardized", "two channels", "sequences", "tokens"],
)
def test_pixels_become_images_and_all_else_samples(x: Tensor, kind: type) -> None:
    assert type(from_dataset(TensorDataset(x, Y))) is kind
    assert type(as_data((x, Y))) is (kind if x.dim() > 2 else Table)


def test_pixels_with_amounts_stay_samples() -> None:
    assert isinstance(from_dataset(TensorDataset(torch.rand(60, 3, 8, 8), torch.randn(60))), Samples)


def test_pixels_with_labels_as_floats_are_images() -> None:
    pixels, labels = torch.rand(60, 3, 8, 8), (torch.arange(60) % 2).float()
    images = as_data((pixels, labels))
    assert isinstance(images, Images) and images.classes == ("0", "1")
    assert "their 2 different whole numbers are read as classes" in images.notes[0]
    given = from_dataset(TensorDataset(pixels[:40], labels[:40]), test=TensorDataset(pixels[40:], labels[40:]))
    assert isinstance(given, Images)
    np.testing.assert_array_equal(given.y, labels)


def test_another_dataset_is_the_test_part_and_groups_go_beside() -> None:
    data = from_dataset(TensorDataset(X[:50], Y[:50]), test=TensorDataset(X[50:], Y[50:]))
    assert data.test_rows is not None and len(data.test_rows) == 10
    grouped = from_batches(batches, group=np.arange(60) // 6)
    assert grouped.structure is not None and grouped.structure.count == 10


def test_rows_are_read_up_to_a_number() -> None:
    samples = from_batches(DataLoader(Endless(), batch_size=16), rows=50)
    np.testing.assert_array_equal(samples.y, np.arange(50) + 0.5)


REFUSED: dict[str, tuple[Any, str]] = {
    "three in an item": (TensorDataset(X, Y, Y), r"item 0: expected a pair .* got a tuple of 3; return \(x, y\)"),
    "a dictionary": (Items(lambda row: {"image": X[row], "label": 1}), "got a dict with 'image', 'label'"),
    "inputs alone": (lambda: iter([X, X]), "batch 0: expected a pair .* got a Tensor"),
    "two shapes": (
        Items(lambda row: (X[row][: 5 + row % 2], 1)),
        r"one shape, got \[5\] first and \[6\] from row 2 on",
    ),
    "two types": (
        lambda: iter([(X, Y), (X.long(), Y)]),
        "inputs of one type, got float32 first and int64 from row 61 on",
    ),
    "more inputs than targets": (lambda: iter([(X, Y[:5])]), r"inputs \[60, 7\] and targets \[5\]"),
    "nothing": (iter([]), "expected rows, got none; a generator that was read before is empty"),
    "a function of nothing": (lambda: 3, "an iterable of pairs .* got int"),
    "no data": (3, "a Dataset or a DataLoader, got int"),
    "one-hot": (TensorDataset(X, torch.eye(3)[Y]), "one-hot"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_what_gives_no_rows_is_refused_with_the_reason(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_data(source)


def test_a_dataset_without_a_length_is_sent_to_a_loader() -> None:
    with pytest.raises(DataError, match="a dataset with a length, got Endless, which has none; give from_batches"):
        from_dataset(Endless())


@pytest.mark.parametrize("source", [Endless(), DataLoader(Endless(), batch_size=100)], ids=["dataset", "loader"])
def test_rows_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch, source: Any) -> None:
    monkeypatch.setattr(regimen.data.batches, "MOST_ROWS", 1000)
    with pytest.raises(DataError, match="expected rows that end, got over 1,000; say how many to read"):
        as_data(source)


def test_rows_that_do_not_fit_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regimen.data.batches, "free_memory", lambda: 1000)
    with pytest.raises(DataError, match="a third of the free memory"):
        as_data(batches)


def test_what_is_read_already_stays_what_it_is() -> None:
    samples = as_data(batches)
    assert as_data(samples) is samples
    with pytest.raises(OptionError, match="target: batches is read already"):
        as_data(samples, target="y")
    assert as_data("iris") == load("iris")


@pytest.mark.parametrize("beside", ["in the frame", "by name", "an array", "a series"])
def test_a_frame_and_its_target_are_a_table(beside: str) -> None:
    frame = pl.DataFrame({"size": [i / 3 for i in range(40)], "kind": ["x", "y"] * 20})
    label = pl.Series("label", ["no", "yes", "yes", "no"] * 10)
    whole = frame.with_columns(label)
    value: Any = {
        "in the frame": whole,
        "by name": (whole, "label"),
        "an array": (frame, label.to_list()),
        "a series": (frame, label),
    }[beside]
    table = as_data(value, target="label" if beside == "in the frame" else None)
    assert isinstance(table, Table)
    assert [column.name for column in table.columns] == ["size", "kind"]
    assert table.classes == ("no", "yes") and table.target == ("y" if beside == "an array" else "label")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((X, Y, Y), r"got a tuple of 3 \(Tensor \[60, 7\], Tensor \[60\], Tensor \[60\]\); give these two"),
        ([X, Y, Y], "got a list of 3"),
        ((X,), "got a tuple of 1"),
        ((X, Y, None), r"got a tuple of 3 \(Tensor \[60, 7\], Tensor \[60\], NoneType\)"),
    ],
)
def test_what_is_neither_two_arrays_nor_batches_is_described_as_it_was_given(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=r"data: expected \(x, y\), inputs and targets, " + message):
        as_data(value)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("several", [2, 3])
def test_batches_in_a_list_are_no_arrays(kind: type, several: int) -> None:
    assert as_data(kind((X[:20], Y[:20]) for _ in range(several))).n == 20 * several


def test_options_that_do_not_go_with_the_value_are_refused() -> None:
    with pytest.raises(OptionError, match="target: function has no columns"):
        as_data(batches, target="y")
    with pytest.raises(OptionError, match="group: expected the name of a column of frame, got ndarray"):
        as_data(pl.DataFrame({"a": [0.5, 1.0] * 20, "y": [0, 1] * 20}), target="y", group=np.arange(40))
    with pytest.raises(DataError, match="got a column 'y' in it too"):
        as_data((pl.DataFrame({"a": [0.5, 1.0] * 20, "y": [0, 1] * 20}), [0, 1] * 20))
