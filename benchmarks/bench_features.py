"""What each technique costs in the native engine: the digits job with it, against the same job without.

Job: 64-100-100-100-100-10, ReLU, dropout 0.5, batch 32, Adam; loss and accuracy after each epoch. Eight runs, half on
each core. About 3 minutes on two cores; 10 s with --quick.

    python benchmarks/bench_features.py
    python benchmarks/bench_features.py --quick --contestants batch_norm,ema

The figure is wall-clock microseconds per step and run, over both cores; `cost` is the difference to the plain job in
the same round. Early stopping never stops here: what it costs is the third part to be evaluated; the steps are
counted.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bench_digits import digits
from measure import Record, arguments, chosen, interleaved, ratio, seconds_of, sgemm_rate, summary

from regimen.engine import Trainer
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.techniques import EMA, SGD, SWA, Adagrad, Adam, AdamW, CosineLR, EarlyStopping, RMSprop

PLAIN = "plain"
BASE = Recipe(batch_size=32, dropout=0.5)
FEATURES: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "no_dropout": {"dropout": 0.0},
    "input_dropout": {"input_dropout": 0.2},
    "batch_norm": {"normalization": "batch"},
    "layer_norm": {"normalization": "layer"},
    "weight_decay": {"weight_decay": 1e-4},
    "decoupled_weight_decay": {"decoupled_weight_decay": 1e-2},
    "l1": {"l1": 1e-5},
    "l1_proximal": {"l1": 1e-5, "l1_step": "proximal"},
    "max_norm": {"max_norm": 2.0},
    "clip_norm": {"clip_norm": 1.0},
    "mixup": {"mixup": 0.2},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weights": {"class_weights": "balanced"},
    "input_noise": {"input_noise": 0.1},
    "ema": {"averaging": EMA(decay=0.99)},
    "swa": {"averaging": SWA(start=0.5)},
    "early_stopping": {"early_stopping": EarlyStopping(patience=1_000)},
    "cosine_lr": {"schedule": CosineLR()},
    "sgd": {"optimizer": SGD()},
    "sgd_nesterov": {"optimizer": SGD(momentum=0.9, nesterov=True)},
    "adam_amsgrad": {"optimizer": Adam(amsgrad=True)},
    "adamw": {"optimizer": AdamW(), "decoupled_weight_decay": 1e-2},
    "rmsprop": {"optimizer": RMSprop()},
    "rmsprop_centered_momentum": {"optimizer": RMSprop(centered=True, momentum=0.9)},
    "adagrad": {"optimizer": Adagrad()},
}
ACTIVATIONS = ("leaky_relu", "tanh", "gelu", "silu", "sigmoid")


def runs(name: str, *, count: int, epochs: int) -> list[Run]:
    """Return the runs of one feature, or of an activation other than ReLU."""
    table, split = digits()
    model = MLP(hidden=(100,) * 4, activation=name if name in ACTIVATIONS else "relu")
    recipe = BASE.replace(epochs=epochs, **FEATURES.get(name, {}))
    return [
        Run(recipe=recipe, model=model, data=table, split=split, key=key, metric="accuracy") for key in range(count)
    ]


def sample(trainer: Trainer, todo: list[Run]) -> float:
    """Return microseconds per step and run."""
    results: list[RunResult] = []
    seconds = seconds_of(lambda: results.extend(trainer.train(todo)))
    return seconds / sum(result.steps for result in results) * 1e6


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    contestants = (*FEATURES, *ACTIVATIONS)
    parser = arguments(__doc__ or "", contestants, repeats=9)
    parser.add_argument("--epochs", type=int, help="default 30, with --quick 5")
    options = chosen(parser, given)
    names = [PLAIN, *(name for name in options.contestants if name != PLAIN)]
    epochs, count = options.epochs or (5 if options.quick else 30), 2 if options.quick else 8
    record = Record("features", "wall-clock microseconds per optimizer step and run, over both cores", options)
    with Trainer([digits()[0]], engine="native", processes=2) as trainer:
        samples: dict[str, Callable[[], float]] = {}
        for name in names:
            todo = runs(name, count=count, epochs=epochs)
            samples[name] = lambda todo=todo: sample(trainer, todo)
        found = interleaved(samples | {"sgemm": sgemm_rate(2, quick=options.quick)}, repeats=options.repeats)
    for name in names:
        cost = [a - b for a, b in zip(found[name], found[PLAIN], strict=True)]
        record.add(
            feature=name,
            microseconds=summary(found[name]),
            cost=summary(cost),
            ratio_to_plain=ratio(found[name], found[PLAIN]),
        )
    record.store(epochs=epochs, runs=count, sgemm_gflops=summary(found["sgemm"]), dropout=BASE.rates[0])


if __name__ == "__main__":
    main()
