"""A run depends on nothing but itself: not on its neighbours, its place, the threads, or how it is interrupted."""

import signal
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from regimen.data import Table, from_images, pair_split, prepare
from regimen.engine import Trainer, native, train
from regimen.engine.native import train_native, why_not
from regimen.errors import EngineError, OptionError
from regimen.kernels.native import Kernels
from regimen.models import MLP
from regimen.models.layers import Activation
from regimen.records import RunResult
from regimen.run import Run
from regimen.techniques import EMA, SGD, Adam, EarlyStopping, RMSprop

MakeRun = Callable[..., Run]
KEEP = ("outputs", "weights")


@pytest.fixture
def runs(make_run: MakeRun, regression: Table) -> list[Run]:
    """Different widths, lengths and techniques."""
    return [
        make_run(dropout=0.5, epochs=3),
        make_run(data=regression, normalization="batch", epochs=7, model=MLP(hidden=(9, 30))),
        make_run(mixup=0.4, averaging=EMA(decay=0.9), key=2, input_noise=0.1),
        make_run(early_stopping=EarlyStopping(patience=1), epochs=60, optimizer=RMSprop()),
        make_run(clip_norm=0.5, l1=1e-3, max_norm=1.0, model=MLP(hidden=(70,))),
        make_run(normalization="layer", input_dropout=0.3, batch_size=5, label_smoothing=0.1),
    ]


def assert_same(found: RunResult, expected: RunResult) -> None:
    """All but the seconds, to the bit."""
    for name in ("identity", "status", "epoch", "epochs_run", "steps", "curves", "metric", "engine"):
        assert getattr(found, name) == getattr(expected, name)
    for name in KEEP:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert all(np.array_equal(ours[part], theirs[part]) for part in theirs)


def trained(runs: Sequence[Run], threads: int) -> list[RunResult]:
    return train(runs, engine="native", processes=threads, keep=KEEP)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_neighbours_place_and_threads_change_no_bit(engine: str, runs: list[Run], threads: int) -> None:
    alone = [trained([run], 1)[0] for run in runs]
    for found, expected in zip(trained(runs * 4, threads), alone * 4, strict=True):
        assert_same(found, expected)
    for found, expected in zip(trained(runs[::-1], threads), alone[::-1], strict=True):
        assert_same(found, expected)


@pytest.mark.parametrize("lr", [1e6, 1e38])
def test_a_diverging_run_leaves_its_neighbours_bitwise_untouched(
    engine: str, make_run: MakeRun, runs: list[Run], lr: float
) -> None:
    wild = make_run(optimizer=SGD(), lr=lr, epochs=5)
    alone = trained(runs[:2], 1)
    first, gone, second = trained([runs[0], wild, runs[1]], 1)
    assert gone.status == "diverged"
    assert gone.weights is None
    assert_same(first, alone[0])
    assert_same(second, alone[1])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "gelu", "silu", "sigmoid"])
def test_what_is_not_finite_inside_a_network_is_not_bounded_away(
    engine: str, make_run: MakeRun, classification: Table, activation: Activation
) -> None:
    """Batch normalization makes NaN of infinities; an activation that bounds it would hide it from the loss."""
    huge = replace(classification, numbers=classification.numbers * 1e37)
    run = make_run(
        data=huge, model=MLP(hidden=(16,), activation=activation), optimizer=SGD(), lr=1e-3, input_scaling="none",
        initialization="normal", initialization_std=100.0, normalization="batch",
    )  # fmt: skip
    (found,) = train([run], engine="native")
    (expected,) = train([run], engine="reference", processes=1)
    assert expected.status == "diverged"
    assert (found.status, found.epoch) == (expected.status, expected.epoch)


def test_a_diverged_run_is_scored_as_the_reference_scores_it(best_kernels: Kernels, make_run: MakeRun) -> None:
    run = make_run(optimizer=SGD(), lr=1e6, epochs=5)
    (found,) = train([run], engine="native", keep=KEEP)
    (expected,) = train([run], engine="reference", processes=1, keep=KEEP)
    for name in ("status", "metric", "train_loss", "validation_loss", "message", "epoch", "epochs_run", "steps"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.outputs is not None
    assert expected.outputs is not None
    assert np.array_equal(found.outputs["test"], expected.outputs["test"])


def test_results_come_as_they_finish(best_kernels: Kernels, make_run: MakeRun) -> None:
    long, short = make_run(epochs=400), make_run(epochs=1)
    order = [index for index, _ in train_native([long, short], threads=2)]
    assert order == [1, 0]


@pytest.mark.parametrize(
    ("metric", "room", "most"),
    [("log_loss", 10**9, 6), ("log_loss", 1, 2), ("accuracy", 200_000, 6), ("log_loss", 200_000, 2)],
)
def test_few_runs_are_prepared_ahead_where_each_holds_much(
    best_kernels: Kernels, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, metric: str, room: int, most: int
) -> None:
    # 300 epochs, 37 validation rows and five classes: 222 kB of outputs.
    runs = [make_run(epochs=300, key=key, metric=metric) for key in range(9)]
    expected = train(runs, engine="native", processes=1)
    found, waiting = {}, []
    may_prepare = native._may_prepare

    def watched(trainings: Collection[native.NativeTraining], threads: int) -> bool:
        waiting.append(len(trainings))
        return may_prepare(trainings, threads)

    # A run that is already finished is asked for only when no more may be prepared: on a busy machine runs end faster
    # than others are prepared.
    wait = best_kernels.functions.regimen_wait
    monkeypatch.setattr(best_kernels.functions, "regimen_wait", lambda pool, ms: wait(pool, ms) if ms else -1)
    monkeypatch.setattr(native, "_may_prepare", watched)
    monkeypatch.setattr(native, "HELD", room)
    for index, result in train_native(runs, threads=2):
        found[index] = result
    assert max(waiting) == most
    assert [found[index].curves for index in range(9)] == [result.curves for result in expected]


def test_inputs_of_images_are_kept_for_one_pair_only() -> None:
    images = from_images(np.random.default_rng(1).integers(0, 256, (60, 3, 4, 4), dtype=np.uint8), [0, 1] * 30)
    first, second = (prepare(images, pair_split(images, np.arange(60), key)) for key in (1, 2))
    flat = native.flat_inputs(first, "train")
    assert torch.equal(flat, first.scaled(first.x["train"]).flatten(1))
    assert native.flat_inputs(first, "train") is flat
    native.flat_inputs(first, "validation")
    assert native.flat_inputs(first, "train") is flat
    gone = weakref.ref(flat)
    del flat
    native.flat_inputs(second, "validation")
    assert gone() is None


def test_ctrl_c_ends_within_a_second_and_keeps_what_is_finished(best_kernels: Kernels, make_run: MakeRun) -> None:
    runs = [make_run(epochs=1), *(make_run(epochs=1_000_000, key=key) for key in (1, 2, 3))]
    finished: list[int] = []
    interrupt = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))

    def note(index: int, result: RunResult) -> None:
        finished.append(index)
        interrupt.start()

    with Trainer([], processes=2) as trainer, pytest.raises(KeyboardInterrupt):
        trainer.train(runs, on_result=note)
    ended = time.perf_counter()
    interrupt.join()
    assert finished == [0]
    # Nothing goes on behind: threads that were still training would make this process's time grow.
    used = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - used < 0.1
    assert time.perf_counter() - ended < 60


def test_an_error_in_the_callback_ends_the_training(best_kernels: Kernels, make_run: MakeRun) -> None:
    def fail(index: int, result: RunResult) -> None:
        raise EngineError("enough")

    with pytest.raises(EngineError, match="enough"):
        train([make_run(), make_run(epochs=1_000_000)], processes=2, on_result=fail)


def test_auto_trains_natively_what_fits_and_says_why_not_otherwise(best_kernels: Kernels, make_run: MakeRun) -> None:
    odd = make_run(optimizer=Adam(eps=1e-30))
    assert why_not(odd) == "needs eps >= 1e-15"
    found = train([make_run(), odd, make_run(dropout=0.5)], processes=1)
    assert [result.engine for result in found] == ["native", "reference", "native"]
    assert [result.why for result in found] == ["", "needs eps >= 1e-15", ""]


def test_native_asked_for_refuses_what_it_can_not_train(best_kernels: Kernels, make_run: MakeRun) -> None:
    with pytest.raises(OptionError, match=r"--engine native: needs eps >= 1e-15; use --engine auto"):
        train([make_run(optimizer=Adam(eps=1e-30))], engine="native")
