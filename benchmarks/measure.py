"""What the benchmarks share: interleaved repeats, medians and quartiles, the machine and its sgemm rate, the JSON."""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from regimen.kernels.native import find_kernels
from regimen.study.environment import environment as study_environment

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
# Rows and columns of the square matrices by which torch's sgemm is judged: 6.4 GFLOP, 48 MB, some 40 ms on two cores.
SGEMM_SIZE, QUICK_SGEMM_SIZE = 1472, 384


def arguments(description: str, contestants: Sequence[str], *, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has; `repeats` is that of a full run."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and smaller measurements, seconds instead of minutes"
    )
    parser.add_argument("--contestants", type=names, help=f"only these: {','.join(contestants)}")
    parser.add_argument("--repeats", type=int, help=f"default {repeats}, 3 with --quick")
    parser.add_argument("--out", type=Path, help="file to write; default in benchmarks/results/, see README.md there")
    parser.set_defaults(every_contestant=tuple(contestants), full_repeats=repeats)
    return parser


def chosen(parser: argparse.ArgumentParser, given: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, with `repeats` and `contestants` filled in and checked."""
    options = parser.parse_args(given)
    options.partial = options.contestants is not None
    options.contestants = options.contestants or options.every_contestant
    if unknown := set(options.contestants) - set(options.every_contestant):
        parser.error(
            f"--contestants: no such {', '.join(sorted(unknown))}; there are {','.join(options.every_contestant)}"
        )
    options.repeats = options.repeats or (3 if options.quick else options.full_repeats)
    if options.repeats < 1:
        parser.error(f"--repeats: expected at least 1, got {options.repeats}")
    return options


def names(text: str) -> tuple[str, ...]:
    """Return the parts of a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str) -> tuple[int, ...]:
    """Return the whole numbers of a list with commas."""
    return tuple(int(part) for part in names(text))


def interleaved(
    contestants: Mapping[str, Callable[[], float]], *, repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Return what each contestant returned in each of its repeats (seconds, or a rate).

    One repeat of each follows the other, and every round begins with another one: what slows the machine for a while
    slows all, and nobody always runs after the same neighbour. The warm-up's figures are dropped.
    """
    order = list(contestants)
    if warm_up:
        for name in order:
            contestants[name]()
    found: dict[str, list[float]] = {name: [] for name in order}
    for repeat in range(repeats):
        first = repeat % max(len(order), 1)
        for name in order[first:] + order[:first]:
            found[name].append(contestants[name]())
    return found


def seconds_of(action: Callable[[], object], *, calls: int = 1) -> float:
    """Return the wall-clock seconds of one call, over `calls` in a row."""
    started = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - started) / calls


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, quartiles, least and number of repeats, to four digits."""
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {
        "median": rounded(statistics.median(values)),
        "quartile_1": rounded(lower),
        "quartile_3": rounded(upper),
        "min": rounded(min(values)),
        "n": len(values),
    }


def rounded(value: float) -> float:
    """Return four significant digits: more than any measurement here has."""
    return float(f"{value:.4g}")


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over rounds of value / base of the same round: what slows a whole round cancels."""
    return rounded(statistics.median(a / b for a, b in zip(values, base, strict=True)))


def sgemm_rate(threads: int, *, quick: bool) -> Callable[[], float]:
    """Return a contestant that gives the GFLOP/s of torch's matrix product of square float32 matrices."""
    size = QUICK_SGEMM_SIZE if quick else SGEMM_SIZE
    a, b = torch.rand(2, size, size)
    product = torch.empty(size, size)

    def rate() -> float:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        # The best of three: threads that have slept for a while need a call to wake up.
        best = min(seconds_of(lambda: torch.mm(a, b, out=product)) for _ in range(3))
        torch.set_num_threads(before)
        return 2 * size**3 / best / 1e9

    return rate


def commit() -> str:
    """Return the commit that is measured, with `+changes` if the code differs from it; `unknown` outside of git."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "src", "csrc", "benchmarks/*.py"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip() + ("+changes" if changed.stdout else "")


def environment(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return processor, instruction sets, cores, threads, versions, commit, date and load average before the start."""
    kernels = find_kernels()
    return study_environment() | {name: _version(name) for name in packages} | {
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "kernels": kernels.isa if kernels else "none",
        "torch_threads": torch.get_num_threads(),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "load_average": list(os.getloadavg()),
        "machine": platform.machine(),
    }  # fmt: skip


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


class Record:
    """What a benchmark stores: settings, machine, rows of figures; the clock of the whole runs from its making.

    Args:
        name: Of the benchmark, as its file is called without `bench_`.
        what: One sentence of what the figures are.
        options: Of the command line.
        packages: Whose versions matter beside those of a study.
    """

    def __init__(self, name: str, what: str, options: argparse.Namespace, packages: Sequence[str] = ()) -> None:
        self.name, self.what, self.options = name, what, options
        self.environment = environment(packages)
        self.rows: list[dict[str, Any]] = []
        self.started = time.perf_counter()

    def add(self, **row: Any) -> None:
        """Add a row of figures and print it."""
        self.rows.append(row)
        print(line(row), flush=True)

    def store(self, **more: Any) -> Path:
        """Write the JSON and return where it is.

        A quick run or one of few contestants never overwrites the full one.
        """
        tail = "_quick" if self.options.quick else "_part" if self.options.partial else ""
        path: Path = self.options.out or RESULTS / f"{self.name}{tail}.json"
        content = {
            "benchmark": self.name,
            "what": self.what,
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "quick": self.options.quick,
            "contestants": list(self.options.contestants),
            "repeats": self.options.repeats,
            "environment": self.environment,
            "load_average_after": list(os.getloadavg()),
            "seconds": rounded(time.perf_counter() - self.started),
            **more,
            "rows": self.rows,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
        print(f"{content['seconds']:.0f} s -> {path}")
        return path


def line(row: Mapping[str, Any]) -> str:
    """Return a row as one line; of summaries, median and quartiles."""
    parts = []
    for name, value in row.items():
        if isinstance(value, dict) and "median" in value:
            value = f"{value['median']:g} ({value['quartile_1']:g} to {value['quartile_3']:g})"
        parts.append(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)
