"""Progress: how fast, how long still, and in lines where no terminal is."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from regimen.cli.progress import INTERVAL, WARM, WINDOW, Meter, Pace, StudyProgress
from regimen.records import RunResult

RESULT = RunResult(
    identity="",
    status="finished",
    metric=1.0,
    train_loss=0.0,
    validation_loss=0.0,
    epoch=1,
    epochs_run=1,
    steps=1,
    seconds=1.0,
)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def study_progress(clock: Callable[[], float], *, terminal: bool = False) -> tuple[StudyProgress, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, soft_wrap=not terminal)
    return StudyProgress(Meter("runs", console=console, clock=clock)), stream


def test_the_rate_forgets_how_long_the_start_took() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now = 100.0  # worker processes come up
    for _ in range(WARM):
        clock.now += 0.5
        pace.tick()
    assert pace.rate == 2.0


def test_the_rate_follows_a_change_of_speed() -> None:
    clock = Clock()
    pace = Pace(clock)
    for seconds in [1.0] * WINDOW + [4.0] * WINDOW:
        clock.now += seconds
        pace.tick()
    assert pace.rate == 0.25


def test_nothing_is_said_about_time_before_anything_is_known() -> None:
    watch, _ = study_progress(Clock())
    watch.planned(10)
    assert watch.meter.state == "0 of 10 runs"


def test_plain_lines_come_at_intervals_and_say_runs_rate_and_time_left() -> None:
    clock = Clock()
    watch, stream = study_progress(clock)
    watch.planned(100)
    watch.phase("search", 60)
    for _ in range(30):
        clock.now += 1.0
        watch.finished(RESULT, stored=False)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 30 / INTERVAL
    assert lines[-1] == "search: 30 of 100 runs, 1.0 runs/s, 1 min 10 s left"


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(12.0, "1 of 100 runs, 12.0 s a run"), (90.0, "1 of 100 runs, 90.0 s a run, 2 h 28 min left")],
)
def test_a_first_run_with_the_start_of_the_workers_says_nothing_of_the_time_left(seconds: float, state: str) -> None:
    clock = Clock()
    watch, _ = study_progress(clock)
    watch.planned(100)
    clock.now += seconds
    watch.finished(RESULT, stored=False)
    assert watch.meter.state == state


def test_runs_that_were_stored_do_not_count_for_the_rate() -> None:
    clock = Clock()
    watch, _ = study_progress(clock)
    watch.planned(100)
    for _ in range(50):
        watch.finished(RESULT, stored=True)
    assert watch.meter.state == "50 of 100 runs"
    assert watch.stored == 50
    for _ in range(WARM):
        clock.now += 2.0
        watch.finished(RESULT, stored=False)
    assert watch.meter.state == f"{50 + WARM} of 100 runs, 2.0 s a run, 1 min 32 s left"


def test_the_end_is_known_when_the_confirmation_begins() -> None:
    watch, _ = study_progress(Clock())
    watch.planned(100)
    watch.phase("search", 40)
    for _ in range(40):
        watch.finished(RESULT, stored=False)
    watch.phase("combine", 10)
    assert watch.meter.total == 100
    watch.phase("confirm", 10)
    assert watch.meter.total == 51
    for _ in range(10):
        watch.finished(RESULT, stored=False)
    watch.phase("final", 1)
    assert watch.meter.total == 51


def test_notes_stay_and_hold_no_escape_sequences() -> None:
    watch, stream = study_progress(Clock())
    watch.note("dropout [red] \x1b[31m")
    assert "\x1b" not in stream.getvalue()
    assert "dropout [red]" in stream.getvalue()


@pytest.mark.parametrize("arm", ["dropout=0.3", "[red]odd[/red]"])
def test_on_a_terminal_phase_arm_and_runs_are_shown_and_then_wiped(arm: str) -> None:
    clock = Clock()
    watch, stream = study_progress(clock, terminal=True)
    with watch.meter:
        watch.planned(8)
        watch.phase("search", 4)
        clock.now = 1.0
        watch.finished(RESULT, stored=False, arm=arm)
        assert watch.meter._bar is not None
        watch.meter._bar.refresh()
        shown = stream.getvalue()
    assert f"search {arm}" in shown
    assert "1 of 8 runs" in shown
    # The last thing written moves up and erases the line.
    assert stream.getvalue().endswith("\x1b[1A\x1b[2K")
