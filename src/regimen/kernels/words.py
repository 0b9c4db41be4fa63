"""Words of the random streams from the C++ kernels where they are installed, else from the reference."""

import numpy as np
import torch
from torch import Tensor

from regimen import streams
from regimen.kernels.native import find_kernels
from regimen.kernels.native_types import pointer


def words(key: int, count: int, c1: int, c2: int, c3: int) -> Tensor:
    """Return the first `count` words of the counters c0 = 0, 1, 2, …, as int64; see `regimen.streams.words`.

    Example:
        >>> torch.equal(words(7, 5, 0, 0, 0), streams.words(7, 5, 0, 0, 0))
        True
    """
    kernels = find_kernels()
    fits = 0 < count < 1 << 34 and all(0 <= word <= streams.MASK32 for word in (c1, c2, c3))
    if kernels is None or not fits:
        return streams.words(key, count, c1, c2, c3)
    drawn = np.empty(count, np.uint32)
    kernels.functions.regimen_words(streams.check_key(key, "key"), c1, c2, c3, count, pointer(drawn))
    return torch.from_numpy(drawn.astype(np.int64))
