"""What dropout and Gaussian noise do to a tensor, as data."""

import enum
from typing import NamedTuple


class Form(enum.IntEnum):
    """What one random number belongs to; the first four are those of csrc/interface.h."""

    ELEMENTS = 0
    PLANES = 1  # elements [rows, channels, positions], numbered channels last; of the C++ alone
    CHANNELS = 2
    CHANNELS_LAST = 3  # of the C++ alone
    GAUSSIAN = 4
    ROWS = 5


class Noise(NamedTuple):
    """What a layer does to its input, apart from key and step: y = x · (scale or 0) + (kept or dropped shift).

    Attributes:
        form: Elements, channels or rows that are kept or dropped; or Gaussian: y = x · (1 + scale · normal).
        threshold: Kept is what has a 16-bit value >= this.
        scale: Factor of what is kept; standard deviation of Gaussian noise.
        kept_shift: Added to what is kept.
        dropped_shift: Added to what is dropped.
        third: Counter word c3: purpose, call and site.
        first_row: Number of the first row within the optimizer step.
        ahead: Whether more steps are sure to follow.
    """

    form: Form
    threshold: int
    scale: float
    kept_shift: float
    dropped_shift: float
    third: int
    first_row: int = 0
    ahead: bool = False

    def linear(self) -> "Noise":
        """Return the part that multiplies: its own derivative."""
        if self.kept_shift == 0.0 and self.dropped_shift == 0.0:
            return self
        return self._replace(kept_shift=0.0, dropped_shift=0.0)
