"""How far a list of experiments is, and how long the rest takes, by what the finished part took."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from regimen.cli.progress import Clock, Meter
from regimen.report.quantities import duration

# Seconds of expected work after which this machine's own speed counts instead of the expected one.
KNOWN = 1.0
# Steps of the bar in a second of expected work.
FINE = 1000


class ExperimentMeter(Meter):
    """Progress over experiments of known expected length; they tell the share of themselves that is done.

    Args:
        expected: Seconds of each experiment, in order, > 0.
        console: Where to; standard error by default.
        clock: Seconds that only ever rise.

    Example:
        >>> from itertools import chain, repeat
        >>> times = chain([0.0] * 3, repeat(20.0))
        >>> meter = ExperimentMeter([10.0, 30.0], clock=lambda: next(times))
        >>> with meter.experiment("first"):
        ...     meter.advance(1.0)
        >>> meter.state
        '1 of 2 experiments, 1 min left'
    """

    def __init__(
        self, expected: Sequence[float], *, console: Console | None = None, clock: Clock = time.monotonic
    ) -> None:
        super().__init__("experiments", console=console, clock=clock)
        self.expected = list(expected)
        self.finished = 0
        self.share = 0.0
        self.begun = clock()
        self.total = round(FINE * sum(self.expected))

    @contextmanager
    def experiment(self, name: str) -> Iterator[None]:
        """Show progress during the next experiment; afterwards it is finished, however it ended."""
        self.name, self.share = name, 0.0
        try:
            with self:
                self.advance(0.0)
                yield
        finally:
            self.finished, self.share = self.finished + 1, 0.0

    def advance(self, share: float) -> None:
        """Take another share, of 1, of the experiment under way."""
        self.share = min(1.0, self.share + share)
        self.done = round(FINE * self._worked)
        self._draw(self.name)

    @property
    def _worked(self) -> float:
        under_way = self.share * self.expected[self.finished] if self.finished < len(self.expected) else 0.0
        return sum(self.expected[: self.finished]) + under_way

    @property
    def state(self) -> str:
        """Return how many experiments are finished, and the time left, in words."""
        worked = self._worked
        pace = (self.clock() - self.begun) / worked if worked > KNOWN else 1.0
        left = duration(pace * (sum(self.expected) - worked))
        return f"{self.finished} of {len(self.expected)} {self.noun}, {left} left"
