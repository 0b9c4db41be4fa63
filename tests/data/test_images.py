"""Images are split, counted and prepared like tables: by content, per channel, from training rows alone."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from regimen.data import (
    ImagePreparation,
    Images,
    Parts,
    default_metric,
    from_images,
    hold_out,
    near_duplicates,
    pair_split,
    prepare,
    set_aside,
)
from regimen.data.image_preparation import _quantile
from regimen.errors import DataError, OptionError, StoreError

CONSTANTS = ((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))


def bytes_of(rows: int, channels: int = 3, height: int = 5, width: int = 4, seed: int = 1) -> np.ndarray:
    """Return random pixels, the channels of different brightness."""
    draws = np.random.default_rng(seed).integers(0, 200, (rows, channels, height, width))
    return (draws + 20 * np.arange(channels)[:, None, None]).astype(np.uint8)


@pytest.fixture(scope="module")
def images() -> Images:
    return from_images(bytes_of(120), np.arange(120) % 3)


def test_floats_are_rounded_to_bytes_and_a_note_says_so() -> None:
    values = np.linspace(0, 1, 40 * 6).reshape(40, 2, 3)
    images = from_images(values, np.arange(40) % 2)
    np.testing.assert_array_equal(images.pixels[:, 0], np.rint(255 * values))
    assert "rounded to the nearest of 256" in images.notes[0]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, torch.tensor], ids=["int64", "uint8", "tensor"])
def test_bytes_are_taken_from_arrays_and_tensors_as_they_are(kind: object) -> None:
    pixels = bytes_of(40)
    images = from_images(kind(pixels), kind(np.arange(40) % 2))  # type: ignore[operator]
    np.testing.assert_array_equal(images.pixels, pixels)
    assert not any("rounded" in note for note in images.notes)


def test_later_changes_of_the_array_do_not_reach_the_images() -> None:
    pixels = bytes_of(40)
    images = from_images(pixels, np.arange(40) % 2)
    pixels[:] = 0
    assert images.pixels.max() > 0
    with pytest.raises(ValueError, match="read-only"):
        images.pixels[0] = 0


@pytest.mark.parametrize(
    ("y", "classes", "labels", "codes"),
    [
        ([3, 7] * 20, None, ("3", "7"), [0, 1]),
        (["dog", "cat"] * 20, None, ("cat", "dog"), [1, 0]),
        ([1, 0] * 20, ["no", "yes"], ("no", "yes"), [1, 0]),
        ([0, 2] * 20, ["a", "b", "c"], ("a", "b", "c"), [0, 2]),
    ],
)
def test_labels_become_codes(y: list[object], classes: list[str] | None, labels: tuple[str, ...], codes: list) -> None:
    images = from_images(bytes_of(40), y, classes=classes)
    assert images.classes == labels
    assert images.y[:2].tolist() == codes


def test_given_test_images_are_the_test_part() -> None:
    pixels = bytes_of(60)
    images = from_images(pixels[:40], ["b", "a"] * 20, test=(pixels[40:], ["a", "b"] * 10))
    assert hold_out(images).test.tolist() == list(range(40, 60))
    assert images.drawn_rows.tolist() == list(range(40))
    assert images.y[38:42].tolist() == [1, 0, 0, 1]


REFUSED = {
    "flat rows": (np.zeros((40, 9)), np.arange(40) % 2, {}, r"\[rows, height, width\] .* got \[40, 9\]"),
    "channels last": (
        np.zeros((40, 8, 8, 3)),
        np.arange(40) % 2,
        {},
        r"channels before height .* move them with pixels\.transpose",
    ),
    "too bright": (np.full((40, 2, 2), 1.5), np.arange(40) % 2, {}, "floats from 0 to 1, got float64 from 1.5 to 1.5"),
    "standardized": (np.full((40, 2, 2), -0.5), np.arange(40) % 2, {}, "from -0.5"),
    "not a number": (np.full((40, 2, 2), np.nan), np.arange(40) % 2, {}, "from nan"),
    "text": (np.full((40, 2, 2), "x"), np.arange(40) % 2, {}, "pixels as numbers"),
    "few": (bytes_of(10), np.arange(10) % 2, {}, "at least 20 images, got 10"),
    "one class": (bytes_of(40), np.zeros(40, dtype=int), {}, "two classes with 5 or more images, got 1 .*'0' with 40"),
    "no labels": (bytes_of(40), np.arange(39) % 2, {}, r"one label for each of 40 images, got \[39\]"),
    "amounts": (bytes_of(40), np.arange(40) / 2, {}, "labels as whole numbers or text, got float64"),
    "a code too high": (
        bytes_of(40),
        np.arange(40) % 2 + 1,
        {"classes": ["a", "b"]},
        "codes from 0 to 1, .* got 1 to 2",
    ),
    "text with classes": (bytes_of(40), ["a", "b"] * 20, {"classes": ["a", "b"]}, "leave classes out"),
    "a class twice": (bytes_of(40), np.arange(40) % 2, {"classes": ["a", "a"]}, "different classes"),
    "another test size": (
        bytes_of(40),
        np.arange(40) % 2,
        {"test": (bytes_of(5, width=6), np.arange(5) % 2)},
        r"test images of \[3, 5, 4\] as the others, got \[3, 5, 6\]",
    ),
    "an unseen test class": (
        bytes_of(40),
        ["a", "b"] * 20,
        {"test": (bytes_of(2), ["a", "c"])},
        "got 'c'; name them all",
    ),
}


@pytest.mark.parametrize(("pixels", "y", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_images_in_memory_are_refused_with_the_reason(pixels: object, y: object, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_images(pixels, y, **options)


def test_images_made_by_hand_are_checked() -> None:
    with pytest.raises(DataError, match=r"pixels as bytes .* got float64"):
        Images(name="x", pixels=np.zeros((2, 1, 2, 2)), y=np.array([0, 1]), classes=("a", "b"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"one code below 1 for each of 2 images, .* from 0 to 1"):
        Images(name="x", pixels=bytes_of(2), y=np.array([0, 1]), classes=("a",))


def test_images_are_equal_by_content_whatever_their_name() -> None:
    first = from_images(bytes_of(40), np.arange(40) % 2, name="one")
    again = from_images(bytes_of(40), np.arange(40) % 2, name="two")
    changed = bytes_of(40)
    changed[7, 1, 2, 3] ^= 1
    assert first == again and hash(first) == hash(again)
    assert first != from_images(changed, np.arange(40) % 2)
    assert first != from_images(bytes_of(40), np.arange(40) % 2, classes=["a", "b"])
    assert pickle.loads(pickle.dumps(first)) == first


def test_equal_images_in_two_parts_are_counted_whatever_their_label() -> None:
    pixels = bytes_of(60)
    pixels[50] = pixels[3]
    pixels[51] = pixels[50]
    pixels[52] = pixels[4]
    pixels[52, -1, -1, -1] ^= 1
    images = from_images(pixels[:40], np.arange(40) % 2, test=(pixels[40:], np.arange(20) % 2))
    assert near_duplicates(images, Parts(development=np.arange(40), test=np.arange(40, 60))) == 2
    assert images.notes == ("2 of 20 test images also occur, pixel by pixel, among the others",)


def test_a_class_of_few_images_goes_to_training_only() -> None:
    images = from_images(bytes_of(63), np.array([0, 1] * 30 + [2] * 3))
    assert images.notes == ("class '2' has 3 images, too few to divide: they go to training only",)
    split = pair_split(images, hold_out(images).development, 5)
    assert (images.y[split.train] == 2).sum() == 3
    assert default_metric(images).name == "balanced_accuracy"


def test_rows_of_images_are_set_aside_from_two_thousand_on() -> None:
    images = from_images(np.random.default_rng(1).integers(0, 256, (2500, 1, 2)), np.arange(2500) % 2)
    search, aside = set_aside(images, hold_out(images).development)
    assert aside is not None
    assert (len(search), len(aside)) == (1600, 400)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust"])
def test_each_channel_is_scaled_as_scikit_learn_scales_a_column(images: Images, scaling: str) -> None:
    rows = np.arange(0, 120, 3)
    scaler = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}[scaling]()
    columns = images.pixels[rows].transpose(0, 2, 3, 1).reshape(-1, 3) / 255
    scaler.fit(columns)
    expected = scaler.transform(images.pixels.transpose(0, 2, 3, 1).reshape(-1, 3) / 255)
    found = ImagePreparation.fit(images, rows, scaling).apply(images)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1).reshape(-1, 3), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust", "none", CONSTANTS], ids=str)
def test_tensors_are_scaled_bit_by_bit_as_predictions_are(images: Images, scaling: object) -> None:
    split = pair_split(images, hold_out(images).development, 1, test=hold_out(images).test)
    prepared = prepare(images, split, scaling)  # type: ignore[arg-type]
    for part, rows in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        assert prepared.x[part].dtype == torch.uint8
        np.testing.assert_array_equal(prepared.x[part], images.pixels[rows])
        scaled = prepared.scaled(prepared.x[part])
        np.testing.assert_array_equal(scaled, prepared.preparation.apply(images, rows))  # type: ignore[arg-type]
        assert scaled.is_contiguous(memory_format=torch.channels_last)
        assert prepared.y[part].tolist() == images.y[rows].tolist()
    black = prepared.scaled(torch.zeros((1, *prepared.inputs), dtype=torch.uint8))
    np.testing.assert_allclose(black[0, :, 0, 0], prepared.black, rtol=1e-6)
    assert (prepared.inputs, prepared.features, prepared.outputs) == ((3, 5, 4), 60, 3)
    assert (prepared.target_mean, prepared.target_scale) == (0.0, 1.0)
    assert prepare(images, split, scaling) is prepared  # type: ignore[arg-type]


def test_scaling_changes_nothing_in_the_kept_bytes(images: Images) -> None:
    prepared = prepare(images, pair_split(images, np.arange(120), 2))
    before = prepared.x["train"].clone()
    prepared.scaled(prepared.x["train"]).fill_(9.0)
    assert torch.equal(prepared.x["train"], before)


def test_given_constants_scale_as_the_formula_says(images: Images) -> None:
    preparation = ImagePreparation.fit(images, np.arange(120), CONSTANTS)
    center, scale = (np.array(values)[:, None, None] for values in CONSTANTS)
    np.testing.assert_allclose(preparation.apply(images), (images.pixels / 255 - center) / scale, rtol=1e-5, atol=1e-6)
    assert preparation.scaling == "constants"


def test_digits_on_black_have_a_robust_scale_above_zero() -> None:
    pixels = np.zeros((40, 10, 10))
    pixels[:, 4, :8] = np.linspace(0.5, 1.0, 8)  # 8 % of the pixels
    preparation = ImagePreparation.fit(from_images(pixels, np.arange(40) % 2), np.arange(40), "robust")
    assert preparation.center == (0.0,)
    assert 0.5 < preparation.scale[0] < 1.0


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust", "none"])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_brightness_everywhere_is_scaled_without_dividing_by_zero(scaling: str, value: int) -> None:
    images = from_images(np.full((40, 3, 3), value), np.arange(40) % 2)
    preparation = ImagePreparation.fit(images, np.arange(40), scaling)  # type: ignore[arg-type]
    assert preparation.scale == (1.0,)
    assert np.isfinite(preparation.apply(images)).all()


@given(st.lists(st.integers(0, 255), min_size=1, max_size=50), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]))
def test_quantiles_from_counts_are_those_of_numpy(values: list[int], share: float) -> None:
    counts = np.bincount(values, minlength=256)
    assert _quantile(counts, share) == pytest.approx(np.quantile(values, share) / 255, abs=1e-12)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ("standart", "did you mean 'standard'"),
        (((0.5,), (1.0,)), "for each of 3"),
        (((0.5,) * 3, (1.0, 0.0, 1.0)), "scale above 0"),
        (((float("nan"),) * 3, (1.0,) * 3), "finite center"),
    ],
)
def test_impossible_scalings_are_refused(images: Images, scaling: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ImagePreparation.fit(images, np.arange(120), scaling)  # type: ignore[arg-type]


def test_the_preparation_comes_back_from_json_exactly(images: Images) -> None:
    preparation = ImagePreparation.fit(images, np.arange(0, 120, 7))
    assert ImagePreparation.from_json(preparation.to_json()) == preparation
    with pytest.raises(StoreError, match="expected the preparation of a saved model of images"):
        ImagePreparation.from_json(preparation.to_json().replace('"kind":"images"', '"kind":"table"'))


def test_images_of_another_size_are_not_prepared(images: Images) -> None:
    preparation = ImagePreparation.fit(images, np.arange(120))
    with pytest.raises(DataError, match=r"expected images \[3, 5, 4\] .* got \[3, 5, 6\]"):
        preparation.apply(from_images(bytes_of(40, width=6), np.arange(40) % 2))
