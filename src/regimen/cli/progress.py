"""Progress of long work: a live line on a terminal, plain lines now and then elsewhere."""

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from regimen.records import RunResult
from regimen.report.quantities import clean, duration
from regimen.study import Watch

Clock = Callable[[], float]
# Seconds between two lines where no terminal is.
INTERVAL = 10.0
# Steps from which the rate is taken: enough to even out, few enough to follow a change of phase.
WINDOW = 40
# From so many steps on, the start is no longer counted: worker processes take seconds to come up. Before that nothing
# is said of the time left, unless the steps take minutes themselves.
WARM = 4
LONG = 60.0


class Pace:
    """Steps per second, from the last few.

    Args:
        clock: Seconds that only ever rise.

    Example:
        >>> pace = Pace(iter([0.0, 1.0, 2.0]).__next__)
        >>> pace.tick(), pace.tick()
        (None, None)
        >>> pace.rate
        1.0
    """

    def __init__(self, clock: Clock) -> None:
        self.clock, self.started = clock, clock()
        self.times: deque[float] = deque(maxlen=WINDOW)

    def tick(self) -> None:
        """Count a step."""
        self.times.append(self.clock())

    @property
    def rate(self) -> float | None:
        """Steps per second, None as long as nothing is known."""
        times = [self.started, *self.times] if len(self.times) < WARM else list(self.times)
        passed = times[-1] - times[0]
        return (len(times) - 1) / passed if passed > 0 else None

    @property
    def is_known(self) -> bool:
        """Whether the rate is that of steps rather than of the start."""
        return len(self.times) >= WARM or (bool(self.times) and self.times[-1] - self.started >= LONG)


class Meter:
    """How far some work is: what is done, steps of how many, rate, time left.

    Args:
        noun: What the steps are: runs, epochs.
        console: Where to; standard error by default.
        clock: Seconds that only ever rise.
    """

    def __init__(self, noun: str, *, console: Console | None = None, clock: Clock = time.monotonic) -> None:
        self.noun, self.clock = noun, clock
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self.pace = Pace(clock)
        self.name = ""
        self.total = self.done = 0
        self._last_line = clock()
        self._bar: Progress | None = None
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[state]}"))
            # Markup would read brackets in the names of arms as styles; `clean` keeps escapes out.
            for column in columns:
                if isinstance(column, TextColumn):
                    column.markup = False
            self._bar = Progress(*columns, console=self.console, transient=True, expand=True)
            self._task = self._bar.add_task("", total=None, state="")

    def begin(self, name: str, total: int) -> None:
        """Take what is done from now on, and how many steps there are in all, the finished ones included."""
        self.name, self.total = name, total
        self._draw(name)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(Text(clean(text)))

    def step(self, name: str = "", *, counts: bool = True) -> None:
        """Take a finished step; one that took no time (found, not trained) does not count for the rate."""
        self.done += 1
        if counts:
            self.pace.tick()
        self._draw(f"{self.name} {name}".rstrip())

    @property
    def state(self) -> str:
        """Return steps, rate and time left, in words."""
        parts = [f"{self.done} of {self.total} {self.noun}"]
        rate = self.pace.rate
        if rate is not None:
            unit = self.noun.removesuffix("s")
            parts.append(f"{rate:.1f} {self.noun}/s" if rate >= 0.95 else f"{1 / rate:.1f} s a {unit}")
            # Epochs follow each other in one process; the first runs wait until all processes are up.
            if self.noun != "runs" or self.pace.is_known:
                parts.append(f"{duration(max(self.total - self.done, 0) / rate)} left")
        return ", ".join(parts)

    def _draw(self, name: str) -> None:
        if self._bar is not None:
            self._bar.update(
                self._task, description=clean(name), total=self.total or None, completed=self.done, state=self.state
            )
        elif self.clock() - self._last_line >= INTERVAL:
            self._last_line = self.clock()
            self.say(f"{name}: {self.state}")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class StudyProgress(Watch):
    """Tells a meter how far a study is.

    Args:
        meter: Counts runs.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.stored = 0

    def planned(self, runs: int) -> None:
        """Take the largest number of runs that there can be."""
        self.meter.begin("", runs)

    def phase(self, name: str, runs: int) -> None:
        """Take the start of a phase; the last two say how many runs are really left."""
        left = {"confirm": runs + 1, "final": runs}.get(name)
        self.meter.begin(name, self.meter.total if left is None else self.meter.done + left)

    def finished(self, result: RunResult, *, stored: bool, arm: str = "") -> None:
        """Take a finished run."""
        self.stored += stored
        self.meter.step(arm, counts=not stored)

    def note(self, text: str) -> None:
        """Take a decision or an intermediate finding, which stays visible."""
        self.meter.say(text)
