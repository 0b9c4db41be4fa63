"""Up to which width the native engine pays: against the better of eager PyTorch on two threads and in two processes.

Networks of four hidden layers, ReLU, dropout 0.5, Adam, on random rows; the loss on training and validation rows after
each epoch, for everybody. About 3 minutes on two cores; 20 s with --quick.

    python benchmarks/bench_widths.py
    python benchmarks/bench_widths.py --quick --shapes 64-32x4

The figure is wall-clock microseconds per step and run, over both cores: the native engine and the two processes train
two runs side by side, eager one after the other. A training of one epoch is subtracted from a longer one, so that
making the network, which takes as long as some steps of a wide one, is in no figure.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import rivals
import torch
from measure import Record, arguments, chosen, interleaved, names, ratio, rounded, seconds_of, sgemm_rate, summary
from rivals import Job, sweep
from two_processes import Workers

from regimen.data import Split, Table, from_arrays
from regimen.engine import Trainer, why_not
from regimen.models import MLP
from regimen.run import Recipe, Run

CONTESTANTS = ("native", "eager_two_threads", "two_processes")
# Inputs-widths, batch: the table of the first measurements of a native engine.
SHAPES = ("64-32x4", "64-100x4", "64-256x4", "784-100x4:100", "64-512x4", "784-512x4", "784-1024x4")
CLASSES, STEPS, VALIDATION_ROWS = 10, 20, 64
# What one sample should cost: floating-point operations of the native engine, seconds of the others.
NATIVE_FLOPS, RIVAL_SECONDS = 3e10, 0.5
# Of an eager step: calls cost this much whatever the width, and products run at about this rate.
EAGER_SECONDS, EAGER_RATE = 1.5e-3, 6e10


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A network and its batch."""

    inputs: int
    hidden: tuple[int, ...]
    batch: int

    @classmethod
    def read(cls, text: str) -> "Shape":
        """Return the shape of `64-32x4` (inputs, width x layers), with `:batch` if that is not 32."""
        network, _, batch = text.partition(":")
        inputs, _, hidden = network.partition("-")
        width, _, layers = hidden.partition("x")
        return cls(inputs=int(inputs), hidden=(int(width),) * int(layers), batch=int(batch or 32))

    @property
    def rows(self) -> int:
        """Training rows."""
        return STEPS * self.batch


@functools.lru_cache(maxsize=1)
def table(shape: Shape) -> tuple[Table, Split]:
    """Return random rows, the same for all contestants."""
    source = np.random.default_rng(1)
    rows = shape.rows + VALIDATION_ROWS
    x = source.normal(size=(rows, shape.inputs)).astype(np.float32)
    y = np.arange(rows) % CLASSES
    places = np.arange(rows)
    split = Split(train=places[: shape.rows], validation=places[shape.rows :], test=places[:0])
    return from_arrays(x, y, task="classification", name="random"), split


def job(shape: Shape, epochs: int) -> Job:
    """Return the job for rivals."""
    data, split = table(shape)
    x, y = torch.tensor(data.numbers, dtype=torch.float32), torch.tensor(data.y)
    return Job(
        x=x[split.train], y=y[split.train], x_validation=x[split.validation], y_validation=y[split.validation],
        hidden=shape.hidden, classes=CLASSES, batch=shape.batch, epochs=epochs,
    )  # fmt: skip


def runs(shape: Shape, epochs: int) -> list[Run]:
    """Return two runs for the native engine."""
    data, split = table(shape)
    return [
        Run(
            recipe=Recipe(epochs=epochs, batch_size=shape.batch, lr=s.lr, weight_decay=s.weight_decay, dropout=s.p),
            model=MLP(hidden=shape.hidden),
            data=data,
            split=split,
            key=s.seed,
            metric="accuracy",
        )
        for s in sweep(2)
    ]


def per_step(train: Callable[[int], object], *, epochs: int, trained: int) -> float:
    """Return microseconds per step and run of the epochs after the first."""
    short = seconds_of(lambda: train(1))
    return (seconds_of(lambda: train(1 + epochs)) - short) / (epochs * STEPS * trained) * 1e6


def samples(
    shape: Shape, wanted: Sequence[str], workers: Workers | None, *, quick: bool
) -> dict[str, Callable[[], float]]:
    """Return the contestants for a shape."""
    one = job(shape, 1)
    epoch_flops = one.flops_per_step * STEPS
    native_epochs = int(min(max(NATIVE_FLOPS / (2 * epoch_flops), 1), 200))
    rival_epochs = 1 if quick else max(1, round(RIVAL_SECONDS / (STEPS * EAGER_SECONDS + epoch_flops / EAGER_RATE)))

    def native(epochs: int) -> None:
        with Trainer([table(shape)[0]], engine="native", processes=2) as trainer:
            trainer.train(runs(shape, epochs))

    def eager(epochs: int) -> None:
        torch.set_num_threads(2)
        rivals.lean(one.lasting(epochs), sweep(1))

    def pair(epochs: int) -> None:
        assert workers is not None
        workers.train(rivals.lean, one.lasting(epochs), sweep(2))

    every = {
        "native": lambda: per_step(native, epochs=native_epochs, trained=2),
        "eager_two_threads": lambda: per_step(eager, epochs=rival_epochs, trained=1),
        "two_processes": lambda: per_step(pair, epochs=rival_epochs, trained=2),
    }
    return {name: every[name] for name in wanted}


def measured(record: Record, text: str, workers: Workers | None, options: argparse.Namespace) -> None:
    """Measure one shape, and add its row."""
    wanted, quick = options.contestants, options.quick
    shape = Shape.read(text)
    flops = job(shape, 1).flops_per_step
    weights = sum(a * b + b for a, b in job(shape, 1).layers)
    refused = why_not(runs(shape, 1)[0])
    if refused is not None and "native" in wanted:
        print(f"{text}: native {refused}")
        wanted = [name for name in wanted if name != "native"]
    found = interleaved(
        samples(shape, wanted, workers, quick=quick) | {"sgemm": sgemm_rate(2, quick=quick)}, repeats=options.repeats
    )
    eager = [min(values) for values in zip(*(found[name] for name in CONTESTANTS[1:] if name in found), strict=True)]
    row = {name: summary(found[name]) for name in wanted}
    if "native" in found:
        shares = [flops / us / 1e3 / rate for us, rate in zip(found["native"], found["sgemm"], strict=True)]
        row["share_of_sgemm"] = summary(shares)
    record.add(
        shape=text,
        parameters=weights,
        batch=shape.batch,
        mflop_per_step=rounded(flops / 1e6),
        **row,
        **({"times_the_better_rival": ratio(eager, found["native"])} if eager and "native" in found else {}),
        sgemm_gflops=summary(found["sgemm"]),
        refused=refused or "",
    )


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    parser = arguments(__doc__ or "", CONTESTANTS, repeats=7)
    parser.add_argument("--shapes", type=names, help=f"default {','.join(SHAPES)}; with --quick the first two")
    options = chosen(parser, given)
    record = Record("widths", "wall-clock microseconds per optimizer step and run, over both cores", options)
    with ExitStack() as stack:
        workers = stack.enter_context(Workers(2)) if "two_processes" in options.contestants else None
        for text in options.shapes or (SHAPES[:2] if options.quick else SHAPES):
            measured(record, text, workers, options)
    record.store(steps_per_epoch=STEPS, validation_rows=VALIDATION_ROWS)


if __name__ == "__main__":
    main()
