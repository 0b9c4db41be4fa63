"""32 runs of a small convolutional network, by the engine's own choice and by hand.

Network: that of part E, conv 1-16, ReLU, conv 16-32, ReLU, pool, conv 32-64, ReLU, pool, 3136-100, ReLU, 100-10;
2,000 pictures of 28 x 28 in batches of 64, plain SGD, losses and accuracy after every epoch, 500 pictures held out.
Some 20 minutes on two cores; under a minute with --quick.

    python benchmarks/bench_stacked.py
    python benchmarks/bench_stacked.py --quick --repeats 1

The figure is milliseconds of a step of one run: the whole time, evaluations included, over runs times steps. `auto` is
`regimen` as a study uses it: it probes, asks the clock, and trains all runs in bundles or in worker processes; that
question is part of its time in the first round, which is thrown away. `stacked` is told to stack. `eager` is a plain
loop, one network after the other, with all threads; `two_processes` the same loop in two processes of one thread each;
`vmap` the ensemble of the guide to `torch.func`, all runs at once. What works through its runs in turn trains a few of
them (`runs_trained`). `ratio_to_best` is the time of `auto` over that of the fastest by hand in the same round.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from measure import Record, arguments, chosen, interleaved, ratio, seconds_of, sgemm_rate, summary
from rivals_cnn import CnnJob, by_vmap, eager, pictures
from two_processes import Workers

from regimen.data import Split, from_images
from regimen.engine import Trainer
from regimen.models import ConvNet
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.techniques import SGD

CONTESTANTS = ("auto", "stacked", "eager", "two_processes", "vmap")
BY_HAND = ("eager", "two_processes", "vmap")
# Runs that are trained of those that are worked through in turn; each takes as long as the one before.
IN_TURN = 2
PROCESSES = 2


def runs_of(job: CnnJob, count: int) -> list[Run]:
    """Return the runs as the engines take them."""
    pixels, labels = pictures(job)
    data = from_images(pixels.numpy(), labels.numpy(), name="bars")
    rows = np.arange(len(labels))
    split = Split(train=rows[: job.images], validation=rows[job.images :], test=rows[:0])
    recipe = Recipe(optimizer=SGD(), lr=job.lr, epochs=job.epochs, batch_size=job.batch)
    return [
        Run(recipe=recipe, model=ConvNet(), data=data, split=split, key=key, metric="accuracy") for key in range(count)
    ]


class Engine:
    """A contestant that keeps its worker processes and what its probe found from round to round."""

    def __init__(self, engine: str, runs: list[Run]) -> None:
        self.runs, self.results = runs, list[RunResult]()
        self.trainer = Trainer([runs[0].data], engine=engine)

    def train(self) -> list[float]:
        """Train all runs; return their training losses."""
        self.results = self.trainer.train(self.runs)
        return [result.train_loss for result in self.results]


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    parser = arguments(__doc__ or "", CONTESTANTS, repeats=5)
    parser.add_argument("--runs", type=int, help="runs in all; default 32, 2 with --quick")
    parser.add_argument("--epochs", type=int, help="of `auto`, the others train one; default 3, 1 with --quick")
    parser.add_argument("--images", type=int, help="training images; default 2000, 64 with --quick")
    options = chosen(parser, given)
    job = CnnJob(
        images=options.images or (64 if options.quick else 2000),
        epochs=options.epochs or (1 if options.quick else 3),
    )
    count = options.runs or (2 if options.quick else 32)
    record = Record("stacked", "milliseconds of a step of one run", options)
    losses: dict[str, list[float]] = {}
    engines = {name: Engine(name, runs_of(job if name == "auto" else replace(job, epochs=1), count))
               for name in ("auto", "stacked") if name in options.contestants}  # fmt: skip
    short, few = replace(job, epochs=1), list(range(IN_TURN))
    with Workers(PROCESSES) as workers:
        trained: dict[str, tuple[Callable[[], list[float]], int, int]] = {
            "eager": (lambda: eager(short, few), len(few), short.steps),
            "two_processes": (lambda: workers.train(eager, short, few * PROCESSES), len(few) * PROCESSES, short.steps),  # type: ignore[arg-type]
            "vmap": (lambda: by_vmap(short, list(range(count))), count, short.steps),
        }
        for name, engine in engines.items():
            trained[name] = engine.train, count, (job if name == "auto" else short).steps

        def sample(name: str) -> Callable[[], float]:
            action, runs, steps = trained[name]

            def measured() -> float:
                def keep() -> None:
                    losses[name] = action()

                return seconds_of(keep) * 1e3 / (runs * steps)

            return measured

        samples = {name: sample(name) for name in options.contestants}
        rate = {"sgemm": sgemm_rate(torch.get_num_threads(), quick=options.quick)}
        found = interleaved(samples | rate, repeats=options.repeats)
    for name in options.contestants:
        _, runs, steps = trained[name]
        more: dict[str, Any] = {"runs_trained": runs, "steps": steps, "train_loss": float(np.mean(losses[name]))}
        if name in engines:
            results = engines[name].results
            more |= {"engines": sorted({r.engine for r in results}), "why": sorted({r.why for r in results if r.why})}
            engines[name].trainer.close()
        by_hand = [found[rival] for rival in BY_HAND if rival in found]
        if name == "auto" and by_hand:
            more["ratio_to_best"] = ratio(found[name], [min(round_) for round_ in zip(*by_hand, strict=True)])
        record.add(contestant=name, milliseconds=summary(found[name]), **more)
    record.store(
        runs=count, batch=job.batch, images=job.images, held_out=job.held_out, lr=job.lr,
        sgemm_gflops=summary(found["sgemm"]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
