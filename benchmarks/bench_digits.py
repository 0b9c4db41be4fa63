"""How long a step of the digits job takes for 1 to 128 runs: plain PyTorch and its faster forms, sklearn, JAX, regimen.

32 runs, medians of n = 7: native 66 us a step and run, plain script 24.9 times that, two processes of the lean loop
9.6, JAX 4.9; torch's sgemm rate reached. One run alone: plain 12.0 times native. 2 cores, AMD EPYC (AVX-512),
neighbours busy, 2026-11-22. In a quieter hour the day before, at an earlier commit: 62 us, 20.9, 10.1, 5.7, 83 % of the
sgemm rate, 10.8 (`results/digits_quiet.json`).

Job: 64-100-100-100-100-10, ReLU, dropout after each, batch 32, Adam, 1,078 training rows, and after each epoch the
loss on the training and 360 validation rows, and the accuracy on these, in eval mode. Every run has its own drop
probability, learning rate and weight decay (scikit-learn: no dropout). About 6 minutes on two cores; 1 minute with
--quick.

    python benchmarks/bench_digits.py
    python benchmarks/bench_digits.py --quick --contestants native,lean

The figure is wall-clock microseconds per step and run, over all cores: wall time / (steps · runs). A step's cost does
not depend on the epoch, so contestants train fewer epochs than the 100 of the job, and those that work through runs in
turn or in bundles train no more runs than show that; rows say how many of each were trained.
"""

import functools
import importlib.util
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import rivals
import torch
from measure import Record, arguments, chosen, interleaved, numbers, ratio, seconds_of, sgemm_rate, summary
from rivals import Job, Outcome, Setting, sweep
from threadpoolctl import threadpool_limits
from two_processes import Workers

from regimen.data import Split, Table, hold_out, load, pair_split, prepare
from regimen.engine import Trainer
from regimen.kernels.native import find_kernels, load_kernels, why_no_kernels
from regimen.models import MLP
from regimen.run import Recipe, Run

CONTESTANTS = (
    "plain", "lean", "two_processes", "stacked", "sklearn", "jax", "reference", "native", "native_avx2",
)  # fmt: skip
HIDDEN = (100, 100, 100, 100)
RUNS = (1, 2, 8, 32, 128)


def why_absent(name: str) -> str | None:
    """Return why a contestant cannot take part here, None if it can."""
    if name == "jax" and importlib.util.find_spec("jax") is None:
        return "it is not installed; pip install jax"
    if name == "native" and find_kernels() is None:
        return why_no_kernels()
    if name == "native_avx2":
        kernels = load_kernels("avx2")
        if kernels is None or not kernels.functions.regimen_supported():
            return "its kernels are not built, or this processor lacks AVX2"
    return None


@functools.cache
def digits() -> tuple[Table, Split]:
    """Return the table and the rows of one pair of a study."""
    table = load("digits")
    return table, pair_split(table, hold_out(table).development, key=1)


def digits_job(epochs: int) -> Job:
    """Return the job for rivals, on the same scaled rows."""
    table, split = digits()
    data = prepare(table, split, "standard")
    return Job(
        x=data.x["train"], y=data.y["train"], x_validation=data.x["validation"], y_validation=data.y["validation"],
        hidden=HIDDEN, classes=data.outputs, batch=32, epochs=epochs,
    )  # fmt: skip


def digits_runs(settings: Sequence[Setting], epochs: int) -> list[Run]:
    """Return the same runs for regimen."""
    table, split = digits()
    return [
        Run(
            recipe=Recipe(epochs=epochs, batch_size=32, lr=s.lr, weight_decay=s.weight_decay, dropout=s.p),
            model=MLP(hidden=HIDDEN), data=table, split=split, key=s.seed, metric="accuracy",
        )
        for s in settings
    ]  # fmt: skip


def trained_by(trainer: Trainer, job: Job, settings: Sequence[Setting]) -> list[Outcome]:
    """Train the runs with regimen."""
    return [
        Outcome(train_loss=result.train_loss, validation_loss=result.validation_loss, validation_accuracy=result.metric)
        for result in trainer.train(digits_runs(settings, job.epochs))
    ]


def native(job: Job, settings: Sequence[Setting]) -> list[Outcome]:
    """Train the runs with the native engine, one on each core at a time."""
    with Trainer([digits()[0]], engine="native") as trainer:
        return trained_by(trainer, job, settings)


@dataclass(kw_only=True, slots=True)
class Entry:
    """A contestant with what one repeat of it trains.

    Attributes:
        train: Trains runs.
        job: With the number of epochs.
        settings: Of the runs.
        threads: Of PyTorch and BLAS in this process.
        outcomes: Of the last repeat.
    """

    train: rivals.Contestant
    job: Job
    settings: list[Setting]
    threads: int = 1
    outcomes: list[Outcome] = field(default_factory=list)

    def microseconds(self) -> float:
        """Train once and return the wall-clock microseconds per step and run."""
        torch.set_num_threads(self.threads)
        with threadpool_limits(self.threads):
            seconds = seconds_of(self._train)
        return seconds / (self.job.steps * len(self.settings)) * 1e6

    def _train(self) -> None:
        self.outcomes = self.train(self.job, self.settings)

    def described(self) -> dict[str, Any]:
        """Return how much was trained, and what came of it: the same in every repeat but for PyTorch's own threads."""
        return {
            "runs_trained": len(self.settings),
            "epochs": self.job.epochs,
            "threads": self.threads,
            "train_loss": statistics.fmean(one.train_loss for one in self.outcomes),
            "validation_accuracy": statistics.fmean(one.validation_accuracy for one in self.outcomes),
        }


class Contest:
    """Everything that contestants need: worker processes, compiled functions, and the better number of threads.

    Args:
        names: Of those who take part.
        quick: Fewer epochs.
        jax_bundle: Runs in one vmap.
        stack: Closes the processes.
    """

    def __init__(self, names: Sequence[str], *, quick: bool, jax_bundle: int, stack: ExitStack) -> None:
        self.names, self.quick = names, quick
        table, _ = digits()
        if {"two_processes", "stacked", "sklearn"} & set(names):
            self.workers = stack.enter_context(Workers(2))
        if "native_avx2" in names:
            self.avx2 = stack.enter_context(Workers(1, "avx2"))
        if "reference" in names:
            self.reference = stack.enter_context(Trainer([table], engine="reference", processes=2))
        if "jax" in names:
            from rival_jax import compiled

            self.jax = compiled(digits_job(2 if quick else 4), jax_bundle)
        alone = [name for name in ("plain", "lean") if name in names]
        self.threads = {name: 1 if quick else self._better_threads(getattr(rivals, name)) for name in alone}

    def _better_threads(self, train: rivals.Contestant) -> int:
        """Return 1 or 2, whichever trains one run in less time; small products often lose by a second thread."""
        entries = {
            str(threads): Entry(train=train, job=digits_job(1), settings=sweep(1), threads=threads)
            for threads in (1, 2)
        }
        found = interleaved({name: entry.microseconds for name, entry in entries.items()}, repeats=2)
        return int(min(found, key=lambda name: min(found[name])))

    def entries(self, runs: int) -> dict[str, Entry]:
        """Return the contestants for a number of runs."""
        # Two processes have nothing to share with one run: they are `lean` then.
        return {name: self._entry(name, runs) for name in self.names if runs > 1 or name != "two_processes"}

    def _entry(self, name: str, runs: int) -> Entry:
        # Epochs, and how many runs show the cost of each: one or two if trained in turn or in pairs, 32 in bundles.
        few = 2 if self.quick else 4
        native_epochs = 10 if self.quick else 100 if runs <= 8 else 50 if runs <= 32 else 20
        in_processes, pair = runs > 1, min(runs, 2)
        train: Callable[[Job, Sequence[Setting]], list[Outcome]]
        match name:
            case "plain" | "lean":
                train, epochs, most = getattr(rivals, name), few, 1
            case "two_processes":
                train, epochs, most = rivals.lean, few, pair
            case "stacked":
                train, epochs, most = rivals.stacked, few, min(runs, 2 * rivals.BUNDLE)
            case "sklearn":
                train, epochs, most = rivals.sklearn, few, pair
            case "jax":
                train, epochs, most = lambda job, settings: self.jax(settings), few, min(runs, 32)
            case "reference":
                train, epochs, most = functools.partial(trained_by, self.reference), 2 * few, pair
            case "native":
                train, epochs, most = native, native_epochs, runs
            case _:
                train, epochs, most = functools.partial(self.avx2.train, native), native_epochs, runs
        if in_processes and name in ("two_processes", "stacked", "sklearn"):
            train = functools.partial(self.workers.train, train)
        return Entry(
            train=train, job=digits_job(epochs), settings=sweep(runs)[:most], threads=self.threads.get(name, 1)
        )


def measured(record: Record, contest: Contest, runs: int, repeats: int) -> None:
    """Measure all contestants for a number of runs, and add their rows."""
    entries = contest.entries(runs)
    rates = {"sgemm": sgemm_rate(2, quick=contest.quick), "sgemm_one_thread": sgemm_rate(1, quick=contest.quick)}
    found = interleaved({name: entry.microseconds for name, entry in entries.items()} | rates, repeats=repeats)
    for name, entry in entries.items():
        flops = entry.job.flops_per_step
        shares = [flops / us / 1e3 / rate for us, rate in zip(found[name], found["sgemm"], strict=True)]
        record.add(
            runs=runs,
            contestant=name,
            microseconds=summary(found[name]),
            **({"ratio_to_native": ratio(found[name], found["native"])} if "native" in found else {}),
            share_of_sgemm=summary(shares),
            **entry.described(),
        )
    record.add(runs=runs, contestant="sgemm", gflops={name: summary(found[name]) for name in rates})


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    parser = arguments(__doc__ or "", CONTESTANTS, repeats=7)
    parser.add_argument("--runs", type=numbers, help="numbers of runs; default 1,2,8,32,128, with --quick 1,8")
    parser.add_argument("--jax-bundle", type=int, default=8, help="runs in one vmap; default 8, the fastest found")
    options = chosen(parser, given)
    names = [name for name in options.contestants if why_absent(name) is None]
    for name in sorted(set(options.contestants) - set(names)):
        print(f"{name} is left out: {why_absent(name)}")
    if options.quick and not options.partial and "jax" in names:
        names.remove("jax")
        print("jax is left out of a quick run: it compiles for longer than all others train; name it in --contestants")
    record = Record(
        "digits", "wall-clock microseconds per optimizer step and run, over both cores", options,
        packages=("jax", "jaxlib"),
    )  # fmt: skip
    with ExitStack() as stack:
        contest = Contest(names, quick=options.quick, jax_bundle=options.jax_bundle, stack=stack)
        for runs in options.runs or ((1, 8) if options.quick else RUNS):
            measured(record, contest, runs, options.repeats)
    job = digits_job(1)
    record.store(
        job={
            "layers": job.layers,
            "rows": len(job.x),
            "validation_rows": len(job.x_validation),
            "batch": job.batch,
            "epochs_of_the_job": 100,
            "flops_per_step": job.flops_per_step,
            "flops": "2 n W forward, 2 n W weight gradients, 2 n (W - first layer's) input gradients, 2 n W evaluation",
        },
        bundles={"stacked": rivals.BUNDLE, "jax": options.jax_bundle},
        excluded="compilation of jax, start of processes, imports; all in the warm-up",
    )


if __name__ == "__main__":
    main()
