"""The stacked engine computes what the reference specifies, for every run of a bundle whatever its neighbours do."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from regimen.data import Images, Split, Table, from_images
from regimen.engine import train_one
from regimen.engine.stacked_bundles import MOST_RUNS, bundled, family, train_stacked
from regimen.engine.surroundings import one_thread
from regimen.models import MLP, ConvNet, Convolution
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.techniques import (
    EMA,
    SGD,
    SWA,
    Adagrad,
    Adam,
    AdamW,
    CosineLR,
    EarlyStopping,
    HorizontalFlip,
    OneCycleLR,
    RMSprop,
    Rotation,
)

MakeRun = Callable[..., Run]
KEEP = ("outputs", "weights")
HEAVY, TOLERANCE = SGD(momentum=0.9), 2e-5
DEEP = MLP(hidden=(9, 5))

# What is common to the runs of a bundle, and in what they differ.
CASES: dict[str, tuple[dict[str, Any], Sequence[dict[str, Any]]]] = {
    "plain": ({}, [{}, {"lr": 0.003}]),
    "dropout": ({}, [{"dropout": 0.5}, {"dropout": 0.1}, {"dropout": 0.013}]),
    "dropout by layer": ({"model": DEEP, "input_dropout": 0.2}, [{"dropout": (0.7, 0.1)}, {"dropout": (0.2, 0.5)}]),
    "batch norm": ({"normalization": "batch", "optimizer": HEAVY}, [{"dropout": 0.3}, {"dropout": 0.5}]),
    "layer norm": ({"normalization": "layer"}, [{"dropout": 0.3}, {"dropout": 0.5}]),
    "sgd": ({"optimizer": SGD()}, [{"lr": 0.1}, {"lr": 0.01}]),
    "momentum": ({}, [{"optimizer": HEAVY}, {"optimizer": SGD(momentum=0.5, dampening=0.5)}]),
    "nesterov": (
        {},
        [{"optimizer": SGD(momentum=0.9, nesterov=True)}, {"optimizer": SGD(momentum=0.3, nesterov=True)}],
    ),
    "adam": ({}, [{"optimizer": Adam(amsgrad=True)}, {"optimizer": Adam(amsgrad=True, betas=(0.3, 0.9), eps=1e-4)}]),
    "adamw": ({"optimizer": AdamW()}, [{"decoupled_weight_decay": 1.0}, {}]),
    "rmsprop": ({}, [{"optimizer": RMSprop(eps=1e-4)}, {"optimizer": RMSprop(alpha=0.5, eps=1e-2)}]),
    "adagrad": ({}, [{"optimizer": Adagrad(lr_decay=0.01)}, {"optimizer": Adagrad(initial_accumulator_value=0.1)}]),
    "l2": ({"optimizer": HEAVY}, [{"weight_decay": 0.1}, {}, {"weight_decay": 0.01}]),
    "decay everywhere": (
        {"decay_bias_and_norm": True, "normalization": "layer"},
        [{"decoupled_weight_decay": 1.0}, {"weight_decay": 0.1}],
    ),
    "l1": ({"optimizer": HEAVY}, [{"l1": 1e-2}, {"l1": 1e-2, "l1_step": "proximal"}, {}]),
    "max norm": ({}, [{"max_norm": 0.5}, {"max_norm": 1.0}, {}]),
    "clipping": ({"optimizer": HEAVY}, [{"clip_norm": 0.1}, {"clip_norm": 0.2, "l1": 1e-2, "weight_decay": 0.1}, {}]),
    "label smoothing": ({}, [{"label_smoothing": 0.2}, {}]),
    "class weights": ({}, [{"class_weights": "balanced"}, {"class_weights": "balanced", "label_smoothing": 0.1}, {}]),
    "mixup": ({}, [{"mixup": 0.4}, {"mixup": 1.0, "class_weights": "balanced", "label_smoothing": 0.1}, {}]),
    "input noise": ({"optimizer": HEAVY}, [{"input_noise": 0.3, "mixup": 1.0}, {}]),
    "ema": ({}, [{"averaging": EMA(decay=0.9)}, {"averaging": EMA(decay=0.5)}]),
    "swa, batch norm": (
        {"normalization": "batch", "optimizer": HEAVY},
        [{"averaging": SWA(start=0.3)}, {"averaging": SWA(start=0.9)}, {"averaging": EMA()}],
    ),
    "schedules": ({}, [{"schedule": OneCycleLR()}, {"schedule": CosineLR()}, {}]),
    "lengths": ({}, [{"epochs": 1}, {"epochs": 3}, {"epochs": 2, "schedule": OneCycleLR()}]),
    "early stopping": ({"epochs": 9}, [{"early_stopping": EarlyStopping(patience=p, min_delta=0.05)} for p in (1, 3)]),
    "scalings": ({}, [{"input_scaling": "minmax"}, {"input_scaling": "none"}, {}]),
    "one row a batch": ({"batch_size": 1, "optimizer": HEAVY}, [{"lr": 1e-3}, {"lr": 1e-4}]),
    "one batch": ({"batch_size": 4096}, [{}, {"dropout": ()}]),
}

CNN = ConvNet(convolutions=(Convolution(channels=3, pool=2), Convolution(channels=8, stride=2)), hidden=(6,))
OF_IMAGES: dict[str, tuple[dict[str, Any], Sequence[dict[str, Any]]]] = {
    "convolutions": ({}, [{}, {"lr": 0.003}]),
    "batch norm": ({"normalization": "batch"}, [{"weight_decay": 0.01}, {}]),
    "layer norm": ({"normalization": "layer"}, [{"max_norm": 0.5}, {}]),
    "channels": ({"dropout_kind": "channel"}, [{"dropout": 0.2}, {"dropout": 0.5}]),
    "elements": ({"input_dropout": 0.1}, [{"dropout": 0.2}, {"dropout": (0.5, 0.1, 0.3)}]),
    "augmentation": ({}, [{"augmentation": (HorizontalFlip(), Rotation(degrees=20.0))}, {}]),
    "cutmix": ({}, [{"cutmix": 1.0}, {"mixup": 0.4}, {}]),
    "averages": ({"normalization": "batch"}, [{"averaging": EMA(decay=0.9)}, {"averaging": SWA(start=0.3)}]),
}


@pytest.fixture(scope="module")
def pictures() -> Images:
    """Images of 8x6 pixels in three colours."""
    source = np.random.default_rng(1)
    y = np.arange(40) % 3
    pixels = source.integers(0, 200, (len(y), 3, 8, 6)) + 25 * y[:, None, None, None]
    return from_images(pixels.astype(np.uint8), y, name="three colours")


def stacked(runs: Sequence[Run], keep: Sequence[str] = KEEP) -> list[RunResult]:
    """Return the results of one bundle in order."""
    with one_thread():
        results = dict(train_stacked(runs, keep))
    return [results[index] for index in range(len(runs))]


def assert_agreement(found: RunResult, expected: RunResult, tolerance: float = TOLERANCE) -> None:
    """Weights, outputs and curves equal up to rounding; everything counted, exactly."""
    assert found.engine == "stacked"
    for name in ("identity", "status", "epoch", "epochs_run", "steps", "message"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("train_loss", "validation_loss", "metric"):
        assert np.allclose(getattr(found.curves, name), getattr(expected.curves, name), rtol=tolerance), name
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=tolerance)
    for name in KEEP:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours is None) == (theirs is None)
        assert list(ours or ()) == list(theirs or ())
        for part, values in (theirs or {}).items():
            assert ours[part].dtype == values.dtype
            assert ours[part].shape == values.shape
            assert np.max(np.abs(ours[part] - values)) <= tolerance * np.max(np.abs(values)), (name, part)


def compare(runs: Sequence[Run]) -> None:
    assert len({family(run) for run in runs}) == 1
    for found, run in zip(stacked(runs), runs, strict=True):
        assert_agreement(found, train_one(run, keep=KEEP))


@pytest.mark.parametrize("case", CASES)
def test_every_technique_agrees_with_the_reference(make_run: MakeRun, case: str) -> None:
    common, own = CASES[case]
    compare([make_run(key=5 + i, **(common | changes)) for i, changes in enumerate(own)])


@pytest.mark.parametrize("case", OF_IMAGES)
def test_every_technique_of_images_agrees_with_the_reference(pictures: Images, case: str) -> None:
    common, own = OF_IMAGES[case]
    compare([picture_run(pictures, key=5 + i, **(common | changes)) for i, changes in enumerate(own)])


def picture_run(pictures: Images, *, key: int, **changes: Any) -> Run:
    recipe = Recipe(**({"epochs": 2, "batch_size": 8, "lr": 0.01, "optimizer": HEAVY} | changes))
    rows = np.arange(len(pictures.y))
    split = Split(train=rows[:25], validation=rows[25:33], test=rows[33:])
    return Run(recipe=recipe, model=CNN, data=pictures, split=split, key=key, metric="accuracy")


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "gelu", "silu", "sigmoid"])
def test_every_activation_agrees_with_the_reference(make_run: MakeRun, activation: Any) -> None:
    model = MLP(hidden=(7, 6), activation=activation)
    compare([make_run(model=model, dropout=0.25, key=key) for key in (1, 2)])


def test_regression_agrees_with_the_reference(make_run: MakeRun, regression: Table) -> None:
    compare([make_run(data=regression, key=key, mixup=mixup, dropout=0.2) for key, mixup in ((1, 0.0), (2, 0.4))])


def test_pairs_with_other_rows_train_together(make_run: MakeRun) -> None:
    splits = []
    for seed in (1, 2, 3):
        rows = np.random.default_rng(seed).permutation(60)
        splits.append(Split(train=rows[:41], validation=rows[41:53], test=rows[53:]))
    compare([make_run(split=split, key=key) for key, split in enumerate(splits)])


def test_a_run_is_the_same_beside_any_neighbours(make_run: MakeRun) -> None:
    run = make_run(key=9, dropout=0.3, mixup=0.4)
    others = [make_run(key=key, dropout=0.5, lr=0.1) for key in range(6)]
    (alone,) = stacked([run])
    for neighbours in ([run, *others], [*others[:2], run, others[2]], [run, run]):
        assert_agreement(stacked(neighbours)[neighbours.index(run)], alone)


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("way", [{"lr": 1e6}, {"lr": 1e38}, {"input_noise": 3e38}], ids=["rate", "overflow", "noise"])
def test_a_run_that_diverges_leaves_its_neighbours_as_they_are(
    make_run: MakeRun, way: dict[str, Any], normalization: str
) -> None:
    good = [make_run(key=key, optimizer=HEAVY, normalization=normalization, dropout=0.3) for key in (1, 2)]
    bad = make_run(**({"optimizer": HEAVY, "normalization": normalization, "dropout": 0.3, "epochs": 40} | way))
    beside = stacked([good[0], bad, good[1]])
    expected = train_one(bad, keep=KEEP)
    assert expected.status == "diverged"
    assert (beside[1].status, beside[1].message) == ("diverged", expected.message)
    assert beside[1].validation_loss == expected.validation_loss
    assert beside[1].weights is None
    for found, run in zip((beside[0], beside[2]), good, strict=True):
        assert np.isfinite(found.curves.train_loss).all()
        assert_agreement(found, train_one(run, keep=KEEP))


def test_runs_that_end_leave_the_bundle(make_run: MakeRun) -> None:
    runs = [make_run(epochs=epochs, key=epochs) for epochs in (3, 1, 2)]
    assert [index for index, _ in train_stacked(runs)] == [1, 2, 0]


def test_nothing_is_kept_that_was_not_asked_for(make_run: MakeRun) -> None:
    (result,) = stacked([make_run()], keep=())
    assert result.outputs is None
    assert result.weights is None


def test_networks_that_differ_in_more_than_numbers_are_trained_apart(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: stacked, both would have the slope of the first."""
    model = MLP(hidden=(7,), activation="leaky_relu")
    runs = [make_run(key=key, model=model) for key in (1, 2)]
    network = Run.network

    def other_slope(run: Run, *arguments: Any) -> torch.nn.Module:
        made = network(run, *arguments)
        made[1].negative_slope = 0.1 * run.key
        return made

    monkeypatch.setattr(Run, "network", other_slope)
    compare(runs)


class Forgetful:
    """Memory for so many runs in a bundle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, error: BaseException) -> None:
        from regimen.engine import stacked_bundles

        self.bundles: list[int] = []
        bundle = stacked_bundles.Bundle

        def limited(members: Sequence[Any], device: torch.device) -> Any:
            self.bundles.append(len(members))
            if len(members) > room:
                raise error
            return bundle(members, device)

        monkeypatch.setattr(stacked_bundles, "Bundle", limited)


ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", ERRORS, ids=["python", "cuda", "processor"])
def test_a_bundle_that_runs_out_of_memory_is_halved(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    runs = [make_run(key=key) for key in range(5)]
    memory = Forgetful(monkeypatch, 2, error)
    for found, run in zip(stacked(runs), runs, strict=True):
        assert_agreement(found, train_one(run, keep=KEEP))
    assert memory.bundles == [5, 2, 3, 1, 2]


def test_a_run_that_does_not_fit_even_alone_is_left_to_the_reference(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(key=key) for key in range(2)]
    Forgetful(monkeypatch, 0, ERRORS[0])
    results = stacked(runs)
    assert [(result.engine, result.why) for result in results] == [("reference", "stacked: memory ran out")] * 2
    assert [result.curves for result in results] == [train_one(run).curves for run in runs]


def test_runs_that_were_finished_before_memory_ran_out_are_not_trained_again(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regimen.engine.stacked import Bundle

    step, sizes = Bundle.train_step, []

    def failing(self: Bundle, number: int, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(self.members))
        if number == 5 and len(self.members) == 2:
            raise MemoryError
        return step(self, number, *arguments, **options)

    monkeypatch.setattr(Bundle, "train_step", failing)
    runs = [make_run(key=key, epochs=epochs) for key, epochs in ((1, 1), (2, 2), (3, 2))]
    assert [index for index, _ in train_stacked(runs)] == [0, 1, 2]
    assert sizes == [3] * 4 + [2] * 2 + [1] * 16


def test_another_error_is_not_taken_for_a_lack_of_memory(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    Forgetful(monkeypatch, 0, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        stacked([make_run()])


@pytest.mark.parametrize(("count", "processes"), [(1, 1), (1, 2), (2, 2), (7, 2), (70, 2), (70, 1), (64, 3)])
def test_bundles_hold_every_run_once_and_leave_no_process_idle(make_run: MakeRun, count: int, processes: int) -> None:
    bundles = bundled([make_run()] * count, MOST_RUNS, processes)
    assert sorted(index for bundle in bundles for index in bundle) == list(range(count))
    assert max(map(len, bundles)) <= MOST_RUNS
    assert len(bundles) >= min(processes, count)
    assert max(map(len, bundles)) - min(map(len, bundles)) <= 1
