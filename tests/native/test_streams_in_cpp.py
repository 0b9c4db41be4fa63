"""The C++ draws what streams.py and kernels/dropout.py specify: integers and masks to the bit, normals to 4 ulp."""

import numpy as np
import pytest

from regimen import streams
from regimen.kernels import dropout_mask, keep_scale, keep_threshold
from regimen.kernels.native import Kernels
from regimen.kernels.native_types import aligned, pointer
from regimen.streams import Purpose, counter3
from regimen.techniques import input_noise, mixup_partners

KEYS = [0, 1, 0xDEADBEEF_12345678, (1 << 64) - 1]
# Vector widths and one beside them, primes, and the eight features of one counter.
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61, 64, 65, 131]


def padded(n: int) -> int:
    return -(-n // 16) * 16


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 31, 32, 33, 100])
def test_words_are_those_of_the_reference(kernels: Kernels, key: int, count: int) -> None:
    found = np.empty(count, np.uint32)
    kernels.functions.regimen_words(key, 0xFFFFFFFF, 7, 0x03010002, count, pointer(found))
    expected = streams.words(key, count, 0xFFFFFFFF, 7, 0x03010002)
    assert np.array_equal(found, expected.numpy())


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.731, 0.9999999])
@pytest.mark.parametrize("rows", [1, 5, 16, 33])
@pytest.mark.parametrize("features", SIZES)
def test_masks_of_both_layouts_are_those_of_the_reference(kernels: Kernels, p: float, rows: int, features: int) -> None:
    key, step, site = KEYS[2], 4_000_000_000, 3
    expected = dropout_mask(key, p, rows=rows, features=features, step=step, site=site)[0].numpy()
    c3 = counter3(Purpose.MASK, site=site)
    by_rows = np.full((rows, features), np.nan, np.float32)
    kernels.functions.regimen_mask(key, step, c3, keep_threshold(p), keep_scale(p), features, 0, rows, pointer(by_rows))
    assert np.array_equal(by_rows, expected)
    by_features = aligned((-(-features // 8) * 8, padded(rows)))
    kernels.functions.regimen_engine_mask(
        key, step, c3, keep_threshold(p), keep_scale(p), features, rows, pointer(by_features), padded(rows)
    )
    assert np.array_equal(by_features[:features, :rows].T, expected)


@pytest.mark.parametrize("feature", [0, 1, 6, 7, 8, 127, 130])
def test_a_value_equal_to_the_threshold_is_kept_in_both_layouts(kernels: Kernels, feature: int) -> None:
    # One value in 65,536 is: masks of ordinary size seldom hold one.
    key, step, row, features, c3 = KEYS[2], 3, 5, 131, counter3(Purpose.MASK)
    word = int(streams.words(key, 68, row, step, c3)[feature // 2])
    value = word >> 16 if feature % 2 else word & 0xFFFF
    for threshold, expected in ((value, 2.0), (value + 1, 0.0)):
        by_rows = np.empty((1, features), np.float32)
        kernels.functions.regimen_mask(key, step, c3, threshold, 2.0, features, row, 1, pointer(by_rows))
        by_features = aligned((136, 16))
        kernels.functions.regimen_engine_mask(key, step, c3, threshold, 2.0, features, 6, pointer(by_features), 16)
        assert (by_rows[0, feature], by_features[feature, row]) == (expected, expected)


@pytest.mark.parametrize("first", [1, 16, 1000])
def test_masks_may_begin_at_any_row(kernels: Kernels, first: int) -> None:
    expected = dropout_mask(3, 0.5, rows=first + 4, features=19, step=0)[0, first:].numpy()
    found = np.empty((4, 19), np.float32)
    kernels.functions.regimen_mask(3, 0, counter3(Purpose.MASK), 32768, 2.0, 19, first, 4, pointer(found))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 17, 100, 4099])
@pytest.mark.parametrize("epoch", [0, 9])
def test_orders_are_those_of_the_reference(kernels: Kernels, count: int, epoch: int) -> None:
    found = np.empty(count, np.int32)
    kernels.functions.regimen_order(KEYS[3], epoch, counter3(Purpose.SHUFFLE), count, pointer(found))
    assert np.array_equal(found, streams.permutation(KEYS[3], count, epoch=epoch).numpy())
    kernels.functions.regimen_order(KEYS[1], epoch, counter3(Purpose.MIXUP, call=1), count, pointer(found))
    assert np.array_equal(found, mixup_partners(KEYS[1], count, step=epoch).numpy())


@pytest.mark.parametrize("rows", [1, 16, 200])
@pytest.mark.parametrize("features", [1, 4, 63])
def test_normals_are_those_of_the_reference_to_four_ulp(kernels: Kernels, rows: int, features: int) -> None:
    found = aligned((-(-features // 4) * 4, padded(rows)))
    kernels.functions.regimen_normals(9, 2, counter3(Purpose.NOISE), 0.3, features, rows, pointer(found), padded(rows))
    expected = input_noise(9, 0.3, rows=rows, features=features, step=2).numpy()
    ulp = np.spacing(np.abs(expected))
    assert np.max(np.abs(found[:features, :rows].T - expected) / ulp) <= 4
    assert not found[:, rows:].any()
