"""Engines get the rows of the split as tensors, and their outputs come back in the target's unit."""

import gc
import weakref

import numpy as np
import pytest
import torch

from regimen.data import from_images, hold_out, load, pair_split, prepare


def test_prepared_parts_are_the_rows_of_the_split() -> None:
    table = load("wine")
    parts = hold_out(table)
    split = pair_split(table, parts.development, 1, test=parts.test)
    prepared = prepare(table, split, "minmax")
    for part, rows in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        np.testing.assert_array_equal(prepared.x[part], prepared.preparation.apply(table)[rows])
        assert prepared.y[part].tolist() == table.y[rows].tolist()
        assert prepared.y[part].dtype == torch.int64
    assert (prepared.features, prepared.outputs) == (13, 3)
    assert prepare(load("wine"), split, "minmax") is prepared
    assert prepare(table, split, "standard") is not prepared


def test_parts_without_rows_are_absent() -> None:
    table = load("wine")
    assert set(prepare(table, pair_split(table, np.arange(table.n), 1)).x) == {"train", "validation"}


def test_regression_targets_are_standardized_and_predictions_come_back_in_their_unit() -> None:
    table = load("diabetes")
    split = pair_split(table, hold_out(table).development, 1)
    prepared = prepare(table, split)
    train = prepared.y["train"].double()
    assert prepared.y["train"].shape == (len(split.train),)
    assert float(train.mean()) == pytest.approx(0, abs=1e-6)
    assert float(train.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert prepared.target_mean == table.y[split.train].mean()
    outputs = prepared.y["validation"].numpy()[:, None]
    np.testing.assert_allclose(prepared.predictions(outputs)[:, 0], table.y[split.validation], rtol=1e-5)
    assert prepared.outputs == 1


def test_logits_are_predictions_as_they_are() -> None:
    table = load("wine")
    prepared = prepare(table, pair_split(table, np.arange(table.n), 1))
    logits = np.array([[0.1, 0.2, 0.3]], dtype=np.float32)
    np.testing.assert_array_equal(prepared.predictions(logits), logits.astype(np.float64))


def test_of_images_one_pair_is_kept_and_all_scalings_share_its_pixels() -> None:
    images = from_images(np.random.default_rng(1).integers(0, 256, (60, 4, 4), dtype=np.uint8), [0, 1] * 30)
    splits = [pair_split(images, np.arange(60), key) for key in (1, 2)]
    first = prepare(images, splits[0])
    assert prepare(images, splits[0], "minmax").x["train"].data_ptr() == first.x["train"].data_ptr()
    assert prepare(images, splits[0]) is first
    gone = weakref.ref(first.x["train"])
    del first
    prepare(images, splits[1])
    gc.collect()
    assert gone() is None
