"""The random streams are frozen: an independent Philox in Python integers, and known answers for all drawn from it.

A change of any number in this file changes the result of every run ever stored.
"""

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from regimen.errors import OptionError
from regimen.kernels import dropout_mask
from regimen.streams import (
    Purpose,
    check_key,
    counter3,
    normal,
    permutation,
    philox,
    run_key,
    sort_keys,
    split_seed,
    uniform,
    words,
)
from regimen.techniques import initialize, input_noise, mixup_partners, mixup_weights

KEY = 0x0123456789ABCDEF
ALL_ONES = 0xFFFFFFFF
word32 = st.integers(0, ALL_ONES)
key64 = st.integers(0, (1 << 64) - 1)


def philox_by_hand(key: int, c0: int, c1: int, c2: int, c3: int) -> list[int]:
    """Philox4x32-10 written from the paper, in Python's unbounded integers."""
    k0, k1 = key % 2**32, key // 2**32
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (b // 2**32) ^ c1 ^ k0, b % 2**32, (a // 2**32) ^ c3 ^ k1, a % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def words_by_hand(key: int, count: int, c1: int, c2: int, c3: int) -> list[int]:
    return [philox_by_hand(key, i // 4, c1, c2, c3)[i % 4] for i in range(count)]


def value16_by_hand(key: int, feature: int, row: int, step: int, c3: int) -> int:
    word = philox_by_hand(key, feature // 8, row, step, c3)[feature % 8 // 2]
    return word // 2**16 if feature % 2 else word % 2**16


def uniform_by_hand(word: int) -> float:
    return (word // 256) / 2**24


def normal_by_hand(pair: list[int], which: int) -> float:
    radius = math.sqrt(-2.0 * math.log((pair[0] // 256 + 1) / 2**24))
    angle = 2.0 * math.pi * uniform_by_hand(pair[1])
    return radius * (math.sin(angle) if which else math.cos(angle))


def digest(values: torch.Tensor) -> str:
    """Hash of the bytes: fails on a change of the last bit of any element."""
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()[:16]


# Published with Random123 (kat_vectors, "philox4x32 10"): counter, key, answer.
PUBLISHED = {
    "zeros": ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": ((ALL_ONES,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        0x299F31D0_A4093822,
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_philox_gives_the_published_answers(name: str) -> None:
    counter, key, answer = PUBLISHED[name]
    assert tuple(map(int, philox(key, *counter))) == answer
    assert tuple(philox_by_hand(key, *counter)) == answer


@given(key64, word32, word32, word32, word32)
def test_philox_equals_the_one_written_in_python_integers(key: int, c0: int, c1: int, c2: int, c3: int) -> None:
    assert [int(word) for word in philox(key, c0, c1, c2, c3)] == philox_by_hand(key, c0, c1, c2, c3)


def test_philox_of_tensors_equals_philox_of_each_element() -> None:
    c0 = torch.tensor([0, 5, ALL_ONES])
    c2 = torch.tensor([[1], [ALL_ONES - 1]])
    four = philox(KEY, c0, 3, c2, 9)
    assert {word.shape for word in four} == {torch.Size([2, 3])}
    for i in range(2):
        for j in range(3):
            assert [int(word[i, j]) for word in four] == philox_by_hand(KEY, int(c0[j]), 3, int(c2[i, 0]), 9)


@given(key64, st.integers(0, 40), word32)
def test_words_are_the_outputs_of_consecutive_counters(key: int, count: int, c2: int) -> None:
    assert words(key, count, 7, c2, 11).tolist() == words_by_hand(key, count, 7, c2, 11)


@given(st.integers(1, 60))
def test_the_first_words_do_not_depend_on_how_many_are_drawn(count: int) -> None:
    assert torch.equal(words(KEY, count, 1, 2, 3), words(KEY, 61, 1, 2, 3)[:count])


@pytest.mark.parametrize(
    ("purpose", "number"),
    [
        ("MASK", 1), ("MONTE_CARLO_MASK", 2), ("INITIALIZATION", 3), ("SHUFFLE", 4), ("SPLIT", 5), ("AUGMENTATION", 6),
        ("MIXUP", 7), ("NOISE", 8), ("DROP_CONNECT", 9), ("DROP_PATH", 10), ("GAUSSIAN", 11), ("KEY", 12),
    ],
)  # fmt: skip
def test_each_purpose_keeps_its_number(purpose: str, number: int) -> None:
    assert counter3(Purpose[purpose], site=0x1234, call=0x56) == number << 24 | 0x561234


def test_no_two_purposes_sites_or_calls_share_a_counter() -> None:
    counters = [counter3(p, site=s, call=c) for p in Purpose for s in (0, 1, 65535) for c in (0, 1, 255)]
    assert len(set(counters)) == len(counters)


# --- what is drawn from the words ---------------------------------------------------------------------------------


@given(word32)
def test_uniform_drops_the_low_byte_and_is_exact_in_float32(word: int) -> None:
    drawn = uniform(torch.tensor(word))
    assert drawn.dtype == torch.float64
    assert drawn.item() == uniform_by_hand(word) == drawn.float().item()
    assert 0.0 <= drawn.item() < 1.0


@given(word32, word32)
def test_normal_pairs_are_those_of_box_and_muller(first: int, second: int) -> None:
    drawn = normal(torch.tensor([first, second])).tolist()
    expected = [normal_by_hand([first, second], which) for which in (0, 1)]
    assert drawn == pytest.approx(expected, rel=1e-13, abs=1e-14)


def test_normal_is_finite_at_the_extreme_words() -> None:
    drawn = normal(torch.tensor([0, 0, ALL_ONES, ALL_ONES]))
    assert drawn.tolist() == pytest.approx([math.sqrt(48 * math.log(2)), 0, 0, 0], abs=1e-12)


@given(key64, st.integers(0, 30), word32)
def test_permutation_sorts_by_64_bit_keys_of_two_words_low_word_first(key: int, count: int, epoch: int) -> None:
    drawn = words_by_hand(key, 2 * count, 0, epoch, 4 << 24)
    keys = [drawn[2 * i] + 2**32 * drawn[2 * i + 1] for i in range(count)]
    assert permutation(key, count, epoch=epoch).tolist() == sorted(range(count), key=keys.__getitem__)


def test_sort_keys_order_as_the_unsigned_numbers_they_stand_for() -> None:
    drawn = words_by_hand(KEY, 64, 5, 6, 7)
    unsigned = [drawn[2 * i] + 2**32 * drawn[2 * i + 1] for i in range(32)]
    signed = sort_keys(KEY, 32, c1=5, c2=6, c3=7).tolist()
    assert signed == [value - 2**63 for value in unsigned]


@given(key64, st.integers(0, 9))
def test_split_seed_is_the_first_word_of_purpose_five(key: int, draw: int) -> None:
    assert split_seed(key, draw) == philox_by_hand(key, draw, 0, 0, 5 << 24)[0]


@given(key64, word32, st.integers(0, 2))
def test_run_key_is_words_zero_and_one_of_pair_and_phase(seed: int, pair: int, phase: int) -> None:
    low, high, _, _ = philox_by_hand(seed, pair, phase, 0, 12 << 24)
    assert run_key(seed, pair=pair, phase=phase) == low + 2**32 * high


@given(
    key64, st.integers(0, 65535), st.integers(0, 255), st.integers(0, ALL_ONES - 2), st.sampled_from([0.1, 0.5, 0.9])
)
def test_masks_keep_the_16_bit_values_from_the_threshold_on(
    key: int, site: int, call: int, step: int, p: float
) -> None:
    c3 = 1 << 24 | call << 16 | site
    mask = dropout_mask(key, p, rows=2, features=11, step=step, steps=2, site=site, call=call)
    threshold = math.floor(p * 65536 + 0.5)
    kept = [
        [[value16_by_hand(key, f, row, step + i, c3) >= threshold for f in range(11)] for row in range(2)]
        for i in range(2)
    ]
    assert (mask != 0).tolist() == kept
    assert set(mask.unique().tolist()) <= {0.0, np.float32(65536 / (65536 - threshold))}


def test_the_value_at_the_threshold_is_kept_and_the_one_below_is_dropped() -> None:
    """Among 2^20 values each of 65,536 levels occurs about 16 times."""
    four = torch.stack(philox(KEY, torch.arange(128), torch.arange(1024)[:, None], 0, 1 << 24), dim=-1)
    levels = torch.stack((four & 0xFFFF, four >> 16), dim=-1).reshape(1024, 1024)
    mask = dropout_mask(KEY, 0.3, rows=1024, features=1024, step=0)[0]
    for level, kept in ((19661, True), (19660, False)):  # 0.3 · 65536 = 19660.8
        places = (levels == level).nonzero().tolist()
        assert places
        for row, feature in places:
            assert value16_by_hand(KEY, feature, row, 0, 1 << 24) == level
            assert bool(mask[row, feature]) == kept


@pytest.mark.parametrize("kind", ["default", "he_uniform", "xavier_uniform"])
def test_uniform_initial_weights_are_the_words_scaled_to_the_bound(kind: str) -> None:
    net = nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2))
    initialize(net, kind, KEY)  # type: ignore[arg-type]
    bounds = {
        "default": (math.sqrt(1 / 5), math.sqrt(1 / 3)),
        "he_uniform": (math.sqrt(6 / 5), math.sqrt(6 / 3)),
        "xavier_uniform": (math.sqrt(6 / 8), math.sqrt(6 / 5)),
    }[kind]
    for site, (layer, bound) in enumerate(zip((net[0], net[2]), bounds, strict=True)):
        drawn = words_by_hand(KEY, layer.weight.numel(), 0, 0, 3 << 24 | site)
        expected = [(2 * uniform_by_hand(word) - 1) * bound for word in drawn]
        assert layer.weight.flatten().tolist() == pytest.approx(expected, rel=1e-6)
        if kind == "default":
            drawn = words_by_hand(KEY, len(layer.bias), 0, 0, 3 << 24 | 1 << 16 | site)
            expected = [(2 * uniform_by_hand(word) - 1) * bound for word in drawn]
            assert layer.bias.tolist() == pytest.approx(expected, rel=1e-6)
        else:
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("kind", "deviation"),
    [("normal", 0.25), ("he_normal", math.sqrt(2 / 3)), ("xavier_normal", math.sqrt(2 / 8))],
)
def test_normal_initial_weights_are_the_normals_scaled_to_the_deviation(kind: str, deviation: float) -> None:
    layer = nn.Linear(3, 5)
    initialize(layer, kind, KEY, std=0.25)  # type: ignore[arg-type]
    drawn = words_by_hand(KEY, 16, 0, 0, 3 << 24)
    expected = [deviation * normal_by_hand(drawn[i // 2 * 2 : i // 2 * 2 + 2], i % 2) for i in range(15)]
    assert layer.weight.flatten().tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_mixup_partners_sort_by_keys_of_call_one() -> None:
    drawn = words_by_hand(KEY, 14, 0, 3, 7 << 24 | 1 << 16)
    keys = [drawn[2 * i] + 2**32 * drawn[2 * i + 1] for i in range(7)]
    assert mixup_partners(KEY, 7, step=3).tolist() == sorted(range(7), key=keys.__getitem__)


@pytest.mark.parametrize("features", [1, 4, 5])
def test_input_noise_is_the_scaled_normals_of_row_and_step(features: int) -> None:
    noise = input_noise(KEY, 0.5, rows=3, features=features, step=9)
    for row in range(3):
        drawn = words_by_hand(KEY, features + 1, row, 9, 8 << 24)
        expected = [0.5 * normal_by_hand(drawn[f // 2 * 2 : f // 2 * 2 + 2], f % 2) for f in range(features)]
        assert noise[row].tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


# --- known answers, frozen ------------------------------------------------------------------------------------------


def test_words_are_frozen() -> None:
    assert words(KEY, 5, 1, 2, 3).tolist() == [0xD243FE52, 0x97493BD9, 0x33F15AC4, 0xBD986273, 0x5FD77276]


def test_dropout_masks_are_frozen() -> None:
    mask = dropout_mask(KEY, 0.5, rows=2, features=16, step=3, site=2, call=1)
    assert (mask[0] != 0).int().tolist() == [
        [1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0],
        [1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0],
    ]
    assert digest(dropout_mask(KEY, 0.3, rows=7, features=37, step=5, steps=3, site=1)) == "453337ef605d85b1"


def test_orders_are_frozen() -> None:
    assert permutation(KEY, 10, epoch=2).tolist() == [4, 7, 2, 8, 9, 6, 3, 5, 1, 0]
    assert digest(permutation(KEY, 1797, epoch=0)) == "ccc659b8804167d2"


def test_split_seeds_are_frozen() -> None:
    assert [split_seed(0), split_seed(KEY), split_seed(KEY, 1)] == [3558109717, 2997811607, 1387573932]


def test_run_keys_are_frozen() -> None:
    keys = [run_key(0, pair=pair, phase=phase) for pair, phase in ((0, 0), (1, 0), (0, 1), (9, 2))]
    assert keys == [0x53666235DFD95B11, 0xF7F78453AFDCE429, 0xE1325BBB2D3E3220, 0x3CCF368A69B692A4]


def test_uniforms_and_normals_are_frozen() -> None:
    assert uniform(words(KEY, 3, 0, 0, 0)).tolist() == [0.7199727296829224, 0.7716779708862305, 0.08068275451660156]
    expected = [0.1100690356654658, -0.8030993264051345, -2.223492178776956, 0.3009018176348993]
    assert normal(words(KEY, 4, 0, 0, 0)).tolist() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("kind", "first", "second", "bias"),
    [
        ("default", "52b9bb6c3b080b0c", "bc158a5db52685ea", [0.28283244371414185, -0.35307860374450684]),
        ("he_uniform", "10ef41812c4d010d", "746e5f724251c568", [0.0, 0.0]),
        ("xavier_uniform", "a2548aa78b25e14f", "2a18c602b91217ce", [0.0, 0.0]),
    ],
)
def test_uniform_initial_weights_are_frozen_to_the_bit(kind: str, first: str, second: str, bias: list[float]) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    initialize(net, kind, KEY)  # type: ignore[arg-type]
    assert [digest(net[0].weight.detach()), digest(net[1].weight.detach())] == [first, second]
    assert net[1].bias.tolist() == bias


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("normal", [0.020613333210349083, 0.014915762469172478, -0.021921783685684204]),
        ("he_normal", [0.8415358066558838, 0.6089334487915039, -0.8949530124664307]),
        ("xavier_normal", [0.5509145259857178, 0.398640513420105, -0.5858842730522156]),
    ],
)
def test_normal_initial_weights_are_frozen(kind: str, expected: list[float]) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    initialize(net, kind, KEY)  # type: ignore[arg-type]
    assert net[0].weight[0].tolist() == pytest.approx(expected, rel=2e-7)


def test_mixup_weights_and_partners_are_frozen() -> None:
    drawn = [*mixup_weights(KEY, 0.2, step=0, steps=3), *mixup_weights(KEY, 1.0, step=7, steps=2)]
    expected = [0.9751483522551272, 0.1996797295412182, 0.5114173432191, 0.10765489935874939, 0.54405876994133]
    assert drawn == pytest.approx(expected, rel=1e-12)
    assert [mixup_partners(KEY, 8, step=step).tolist() for step in (0, 1)] == [
        [6, 2, 0, 7, 5, 4, 3, 1],
        [3, 7, 4, 2, 1, 5, 6, 0],
    ]


def test_input_noise_is_frozen() -> None:
    noise = input_noise(KEY, 1.0, rows=2, features=3, step=4)
    assert noise.dtype == torch.float32
    expected = [-1.248610019683838, -0.9001158475875854, -0.7296175956726074]
    assert noise[0].tolist() == pytest.approx(expected, rel=2e-7)


# --- logical indices only ---------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 4), st.integers(0, 1000))
def test_a_mask_depends_on_its_indices_only(rows: int, features: int, steps: int, step: int) -> None:
    """Not on the batch size, on the number of features beside it, nor on how many steps are drawn at once."""
    large = dropout_mask(KEY, 0.4, rows=9, features=40, step=step, steps=4, site=3)
    small = dropout_mask(KEY, 0.4, rows=rows, features=features, step=step, steps=steps, site=3)
    assert torch.equal(small, large[:steps, :rows, :features])
    later = dropout_mask(KEY, 0.4, rows=rows, features=features, step=step + steps - 1, site=3)
    assert torch.equal(later[0], small[-1])


@given(st.integers(1, 9), st.integers(1, 13))
def test_input_noise_depends_on_its_indices_only(rows: int, features: int) -> None:
    large = input_noise(KEY, 1.0, rows=9, features=13, step=2)
    assert torch.equal(input_noise(KEY, 1.0, rows=rows, features=features, step=2), large[:rows, :features])


@given(st.integers(0, 20), st.integers(1, 5))
def test_a_mixup_weight_depends_on_its_step_only(step: int, steps: int) -> None:
    assert np.array_equal(
        mixup_weights(KEY, 0.3, step=step, steps=steps), mixup_weights(KEY, 0.3, step=0, steps=25)[step : step + steps]
    )


@pytest.mark.parametrize("kind", ["default", "he_normal"])
def test_the_weights_of_a_layer_do_not_depend_on_norms_put_between(kind: str) -> None:
    plain = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    normed = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    for net in (plain, normed):
        initialize(net, kind, KEY)  # type: ignore[arg-type]
    assert torch.equal(plain[2].weight, normed[3].weight)
    assert torch.equal(plain[2].bias, normed[3].bias)


def test_another_key_site_call_step_row_or_epoch_gives_other_numbers() -> None:
    def mask(key: int = 1, step: int = 0, site: int = 0, call: int = 0) -> torch.Tensor:
        return dropout_mask(key, 0.5, rows=2, features=64, step=step, site=site, call=call)

    masks = [mask(), mask(key=2), mask(key=1 + 2**32), mask(step=1), mask(site=1), mask(call=1)]
    rows = [row for m in masks for row in m[0]]
    assert len({digest(row) for row in rows}) == len(rows)
    assert not torch.equal(permutation(1, 50, epoch=0), permutation(1, 50, epoch=1))
    assert not torch.equal(mixup_partners(1, 50, step=0), mixup_partners(1, 50, step=1))


def test_the_streams_leave_the_generator_of_pytorch_alone() -> None:
    before = torch.get_rng_state()
    dropout_mask(1, 0.5, rows=2, features=8, step=0)
    permutation(1, 9, epoch=0)
    initialize(nn.Identity(), "default", 1)
    assert torch.equal(before, torch.get_rng_state())


# --- the end of the streams -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [-1, 1 << 64, 1.0, True, "1", None])
def test_a_key_that_is_no_64_bit_number_is_refused(key: object) -> None:
    with pytest.raises(OptionError, match=r"seed: expected a whole number from 0 to 2\^64 - 1, got"):
        check_key(key)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="key: expected"):
        philox(key, 0, 0, 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [0, (1 << 64) - 1])
def test_the_smallest_and_the_largest_key_are_taken(key: int) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("indices", [{"site": 65536}, {"site": -1}, {"call": 256}, {"call": -1}])
def test_a_site_or_call_that_does_not_fit_is_refused(indices: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="expected site < 65536 and call < 256"):
        counter3(Purpose.MASK, **indices)


@pytest.mark.parametrize("word", [-1, 1 << 32, torch.tensor([0, 1 << 32]), torch.tensor([-1, 0])])
@pytest.mark.parametrize("place", range(4))
def test_a_counter_word_that_does_not_fit_in_32_bits_is_refused(word: int | torch.Tensor, place: int) -> None:
    counter: list[int | torch.Tensor] = [0, 0, 0, 0]
    counter[place] = word
    with pytest.raises(OptionError, match="random stream exhausted"):
        philox(1, *counter)


@pytest.mark.parametrize(
    "indices",
    [{"features": 1 << 35}, {"rows": (1 << 32) + 1}, {"step": 1 << 32}, {"step": (1 << 32) - 1, "steps": 2}],
)
def test_a_mask_beyond_the_counter_is_refused_before_anything_is_drawn(indices: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="random stream exhausted"):
        dropout_mask(1, 0.5, **({"rows": 1, "features": 1, "step": 0} | indices))  # type: ignore[arg-type]


def test_the_last_step_of_the_stream_is_drawn() -> None:
    mask = dropout_mask(KEY, 0.5, rows=1, features=8, step=ALL_ONES)
    kept = [value16_by_hand(KEY, feature, 0, ALL_ONES, 1 << 24) >= 32768 for feature in range(8)]
    assert (mask[0, 0] != 0).tolist() == kept


def test_steps_epochs_and_draws_beyond_the_stream_are_refused() -> None:
    for draw in (
        lambda: dropout_mask(1, 0.5, rows=1, features=1, step=-1),
        lambda: permutation(1, 3, epoch=1 << 32),
        lambda: split_seed(1, 1 << 32),
        lambda: run_key(1, pair=1 << 32, phase=0),
        lambda: mixup_weights(1, 1.0, step=(1 << 32) - 1, steps=2),
        lambda: mixup_partners(1, 3, step=1 << 32),
        lambda: input_noise(1, 1.0, rows=1, features=1, step=1 << 32),
    ):
        with pytest.raises(OptionError, match="random stream exhausted"):
            draw()
