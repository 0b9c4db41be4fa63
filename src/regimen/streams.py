"""Counter-based randomness: every random number of a run is a pure function of its key and of what it is for.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405) maps a
64-bit key and a 128-bit counter (c0, c1, c2, c3) to four 32-bit words. The counter holds logical indices only (feature,
row, step, site, call, purpose), so neither threads nor bundles nor batch layout can change a number. The layout is
frozen: changing any of it changes every result ever stored (`tests/test_streams.py` holds known answers).
"""

import enum
import math

import torch
from torch import Tensor

from regimen.errors import OptionError

MASK32 = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


class Purpose(enum.IntEnum):
    """What a number is drawn for: the top byte of c3, so that no two uses ever share a counter."""

    MASK = 1
    MONTE_CARLO_MASK = 2
    INITIALIZATION = 3
    SHUFFLE = 4
    SPLIT = 5
    AUGMENTATION = 6
    MIXUP = 7
    NOISE = 8
    DROP_CONNECT = 9
    DROP_PATH = 10
    GAUSSIAN = 11
    KEY = 12


def check_key(key: int, name: str = "seed") -> int:
    """Return `key` if it fits in 64 bits.

    Raises:
        OptionError: It is no whole number or outside 0 <= key < 2^64.
    """
    if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < 1 << 64:
        raise OptionError(f"{name}: expected a whole number from 0 to 2^64 - 1, got {key!r}")
    return key


def counter3(purpose: Purpose, *, site: int = 0, call: int = 0) -> int:
    """Return c3 = purpose << 24 | call << 16 | site.

    Args:
        purpose: What the number is for.
        site: Weight layers before the place of use (0 is the input); below 65,536.
        call: How many times that module was already used in this forward; below 256.

    Raises:
        OptionError: `site` or `call` does not fit.
    """
    if not 0 <= site < 1 << 16 or not 0 <= call < 1 << 8:
        raise OptionError(f"random stream exhausted: expected site < 65536 and call < 256, got {site} and {call}")
    return purpose << 24 | call << 16 | site


def philox(
    key: int | Tensor, c0: Tensor | int, c1: Tensor | int, c2: Tensor | int, c3: Tensor | int
) -> tuple[Tensor, ...]:
    """Return the four output words of Philox4x32-10 for each counter.

    Args:
        key: 64-bit key; the low half is the first key word. As a tensor, the same bits as int64, which broadcasts with
            the counters.
        c0: First counter word, 0 <= c0 < 2^32, int64; the four broadcast against each other.
        c1: Second counter word.
        c2: Third counter word.
        c3: Fourth counter word, see `counter3`.

    Returns:
        Four int64 tensors of the broadcast shape with values in [0, 2^32).

    Raises:
        OptionError: A counter word does not fit in 32 bits, or the key not in 64. Words on another device than the
            processor are not looked at, which would have to wait for it.

    Example:
        >>> [f"{int(word):08x}" for word in philox(0, 0, 0, 0, 0)]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    if not isinstance(key, Tensor):
        check_key(key, "key")
    for word in (c0, c1, c2, c3):
        _check_word(word)
    # On their own devices: under `torch.set_default_device` as_tensor would move them.
    w0, w1, w2, w3 = (
        word.to(torch.int64) if isinstance(word, Tensor) else torch.tensor(word, dtype=torch.int64, device="cpu")
        for word in (c0, c1, c2, c3)
    )
    k0, k1 = key & MASK32, key >> 32 & MASK32
    for _ in range(ROUNDS):
        # The product of two 32-bit words may exceed int64; it wraps, which leaves all 64 bits right.
        p0, p1 = w0 * MULTIPLIERS[0], w2 * MULTIPLIERS[1]
        high0, high1 = (p0 >> 32) & MASK32, (p1 >> 32) & MASK32
        w0, w1, w2, w3 = high1 ^ w1 ^ k0, p1 & MASK32, high0 ^ w3 ^ k1, p0 & MASK32
        k0, k1 = (k0 + WEYL[0]) & MASK32, (k1 + WEYL[1]) & MASK32
    return w0, w1, w2, w3


def _check_word(word: Tensor | int) -> None:
    if isinstance(word, int):
        ends: tuple[int | Tensor, ...] = (word,)
    else:
        ends = tuple(word.aminmax()) if word.numel() and word.device.type == "cpu" else ()
    for end in map(int, ends):
        if not 0 <= end <= MASK32:
            raise OptionError(f"random stream exhausted: expected counter words from 0 to 2^32 - 1, got {end}")


def words(key: int, count: int, c1: Tensor | int, c2: Tensor | int, c3: int) -> Tensor:
    """Return the first `count` words of the counters c0 = 0, 1, 2, …, as int64 `[..., count]`.

    `c1` and `c2` must broadcast against a trailing axis of blocks (give them a last axis of length 1).
    """
    blocks = torch.arange(-(-count // 4), dtype=torch.int64, device="cpu")
    four = torch.stack(philox(key, blocks, c1, c2, c3), dim=-1)
    return four.flatten(-2)[..., :count]


def uniform(word: Tensor) -> Tensor:
    """Return (w >> 8) · 2^-24, a float64 uniform on [0, 1) with 24 bits, exact in float32 as well."""
    return (word >> 8).to(torch.float64) * 2.0**-24


def normal(word: Tensor) -> Tensor:
    """Return standard normals, float64, of the shape of `word`, whose last axis must be even.

    Words 2i and 2i + 1 give one pair (Box and Muller 1958): with u = ((w >> 8) + 1) · 2^-24 in (0, 1] and
    v = (w' >> 8) · 2^-24, the pair is sqrt(-2 ln u) · (cos 2πv, sin 2πv).
    """
    pairs = word.reshape(*word.shape[:-1], word.shape[-1] // 2, 2)
    radius = torch.sqrt(-2.0 * torch.log(uniform(pairs[..., 0]) + 2.0**-24))
    angle = 2.0 * math.pi * uniform(pairs[..., 1])
    return torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), dim=-1).flatten(-2)


def sort_keys(key: int, count: int, *, c1: int = 0, c2: int = 0, c3: int) -> Tensor:
    """Return `count` 64-bit keys as int64 in an order-preserving form: words (0, 1), then (2, 3), low word first."""
    pairs = words(key, 2 * count, c1, c2, c3).reshape(count, 2)
    # Flipping the top bit makes the signed comparison of int64 order the keys as unsigned numbers.
    return (pairs[..., 1] << 32 | pairs[..., 0]) ^ torch.iinfo(torch.int64).min


def permutation(key: int, count: int, *, epoch: int) -> Tensor:
    """Return the order in which the rows are visited in `epoch` (from 0): a stable argsort of 64-bit keys.

    Example:
        >>> sorted(permutation(7, 5, epoch=0).tolist())
        [0, 1, 2, 3, 4]
    """
    return torch.argsort(sort_keys(key, count, c2=epoch, c3=counter3(Purpose.SHUFFLE)), stable=True)


def split_seed(key: int, draw: int = 0) -> int:
    """Return the 32-bit seed that scikit-learn's splitters get; `draw` (c0) counts independent splits under one key."""
    return int(philox(key, draw, 0, 0, counter3(Purpose.SPLIT))[0])


def run_key(seed: int, *, pair: int, phase: int) -> int:
    """Return the 64-bit key of the runs of one pair: words 0 and 1 of Philox(seed; pair, phase, 0, purpose 12).

    Args:
        seed: Seed of the study, 0 <= seed < 2^64.
        pair: Index of the pair within its phase.
        phase: 0 search, 1 confirmation, 2 final training.
    """
    low, high, _, _ = philox(check_key(seed), pair, phase, 0, counter3(Purpose.KEY))
    return int(high) << 32 | int(low)
