"""Bundles on another device than the processor, as far as a machine without one can tell.

PyTorch's `meta` device computes nothing and refuses tensors of two devices, as a graphics card does; `cpu:0` is the
processor under a name that takes the way of a graphics card. A CUDA graph is stood in for by computing again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regimen.data import Images
from regimen.engine import Trainer, choose_engine, trainer
from regimen.engine.devices import CPU, full_float32, training_device
from regimen.engine.stacked import Bundle
from regimen.engine.stacked_bundles import train_stacked
from regimen.engine.stacked_graph import SEEN, Graphs
from regimen.engine.stacked_training import StackedTraining
from regimen.errors import OptionError
from regimen.models import own_module
from regimen.records import RunResult
from regimen.run import Run

from .test_stacked import CASES, KEEP, OF_IMAGES, picture_run, pictures, stacked

__all__ = ["pictures"]  # a fixture
MakeRun = Callable[..., Run]
META, OTHER = torch.device("meta"), torch.device("cpu", 0)
EVERY = [*((case, False) for case in CASES), *((case, True) for case in OF_IMAGES)]
SOME = [(case, False) for case in ("dropout", "batch norm", "mixup", "early stopping", "swa, batch norm")]


@pytest.fixture
def runs_of(make_run: MakeRun, pictures: Images) -> Callable[[str, bool], list[Run]]:
    """Return a function that makes the runs of a case, of a table or of images."""

    def make(case: str, of_images: bool) -> list[Run]:
        common, own = (OF_IMAGES if of_images else CASES)[case]
        changed = [common | changes | {"key": 5 + i} for i, changes in enumerate(own)]
        return [picture_run(pictures, **one) if of_images else make_run(**one) for one in changed]

    return make


def computed_again(compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Stand in for `record_on_cuda`: a replay computes anew from the same memory into the same results."""
    compute()  # a warm-up, which changes the state
    results = tuple(value.clone() for value in compute())

    def replay() -> None:
        for place, value in zip(results, compute(), strict=True):
            place.copy_(value)

    return replay, results


def as_recorded(result: RunResult) -> RunResult:
    return replace(result, seconds=0.0, outputs=None, weights=None)


@pytest.mark.parametrize(("case", "of_images"), EVERY)
def test_a_step_and_an_evaluation_leave_nothing_on_the_processor(
    runs_of: Callable[[str, bool], list[Run]], case: str, of_images: bool
) -> None:
    bundle = Bundle([StackedTraining(run, ()) for run in runs_of(case, of_images)], META)
    feeds = [member.epoch(0) for member in bundle.members]
    for step in range(2 if len(bundle.slices) > 1 else 1):
        losses, gradients = bundle.train_step(step, [next(feed) for feed in feeds])
        assert losses.is_meta
        assert gradients.is_meta
    assert bundle.parameters.is_meta
    assert all(buffer.is_meta for buffer in bundle.buffers.values())
    parameters = bundle.parameters if bundle.average is None else bundle.average.evaluated(bundle.parameters)
    if bundle.average is not None:
        bundle._reestimate_batch_norm(parameters)
    bundle.base.eval()
    with torch.no_grad():
        rows = torch.stack([member.data.scaled(member.x[:8]).contiguous() for member in bundle.members])
        assert bundle.forward(parameters, bundle.buffers, rows.to(META)).is_meta
    bundle._select([0])
    assert bundle.parameters.shape[0] == 1


@pytest.mark.parametrize(("case", "of_images"), [*SOME, ("augmentation", True)])
def test_a_recorded_bundle_trains_as_one_that_is_not(
    runs_of: Callable[[str, bool], list[Run]], monkeypatch: pytest.MonkeyPatch, case: str, of_images: bool
) -> None:
    runs = [replace(run, recipe=run.recipe.replace(epochs=6)) for run in runs_of(case, of_images)]
    expected = stacked(runs)
    made: list[Graphs] = []

    def graphs(bundle: Bundle) -> Graphs:
        made.append(Graphs(list(bundle.buffers.values()), computed_again))
        return made[-1]

    monkeypatch.setattr(Bundle, "_graphs", graphs)
    found = dict(train_stacked(runs, KEEP, OTHER))
    assert all(recorded is not None for one in made for recorded in one._recorded.values())
    assert any(one._recorded for one in made)
    for i, result in enumerate(expected):
        assert as_recorded(found[i]) == as_recorded(result)
        for name in KEEP:
            ours, theirs = getattr(found[i], name), getattr(result, name)
            assert all((ours[part] == values).all() for part, values in theirs.items())


class Counting:
    """What a network computes, with a running statistic, as batch normalization has it."""

    def __init__(self) -> None:
        self.seen = torch.zeros(())
        self.calls = 0

    def __call__(self, x: Tensor) -> tuple[Tensor]:
        self.calls += 1
        self.seen.add_(x.sum())
        return (2.0 * x,)


def test_a_shape_that_comes_again_and_again_is_recorded_and_the_state_counts_each_call_once() -> None:
    compute = Counting()
    graphs = Graphs([compute.seen], computed_again)
    for n in range(8):
        (result,) = graphs(compute, (torch.full((3,), float(n)),))
        assert result.tolist() == [2.0 * n] * 3
        assert graphs._recorded == {} if n < SEEN else len(graphs._recorded) == 1
    assert float(compute.seen) == 3.0 * sum(range(8))
    assert graphs(compute, (torch.ones(5),))[0].tolist() == [2.0] * 5


@pytest.mark.parametrize("wrong_from", [1, 2])
def test_a_recording_that_repeats_what_it_saw_is_not_used(wrong_from: int) -> None:
    compute = Counting()

    def stale(again: Callable[[], tuple[Tensor, ...]]) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        replay, results = computed_again(again)
        replays = iter(range(1, 100))

        def repeat() -> None:
            if next(replays) < wrong_from:
                replay()

        return repeat, results

    graphs = Graphs([compute.seen], stale)
    for n in range(SEEN + 5):
        assert graphs(compute, (torch.full((3,), n + 1.0),))[0].tolist() == [2.0 * (n + 1.0)] * 3
    assert [*graphs._recorded.values()] == [None]
    assert float(compute.seen) == 3.0 * sum(range(1, SEEN + 6))


def test_what_can_not_be_recorded_is_computed_and_memory_that_runs_out_is_told() -> None:
    errors: list[Exception] = [RuntimeError("operation not permitted when stream is capturing")]

    def failing(again: Callable[[], tuple[Tensor, ...]]) -> Any:
        again()
        raise errors[0]

    compute = Counting()
    graphs = Graphs([compute.seen], failing)
    for _ in range(SEEN + 3):
        assert graphs(compute, (torch.ones(2),))[0].tolist() == [2.0] * 2
    assert float(compute.seen) == 2.0 * (SEEN + 3)
    errors[0] = torch.OutOfMemoryError("CUDA out of memory")
    graphs = Graphs([compute.seen], failing)
    with pytest.raises(torch.OutOfMemoryError):
        for _ in range(SEEN + 1):
            graphs(compute, (torch.ones(2),))


class Deciding(nn.Module):
    """Cannot be stacked: what it computes depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x) if x.sum() > 0 else self.out(2 * x)


def test_on_another_device_all_are_stacked_that_can_be(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "training_device", lambda name: OTHER)
    runs = [make_run(key=1), make_run(key=2, dropout=0.5), make_run(key=3, model=own_module(Deciding))]
    with Trainer([runs[0].data], device="cuda", processes=2) as two:
        assert two.choice.name == "stacked"
        results = two.train(runs)
    assert [result.engine for result in results] == ["stacked", "stacked", "reference"]
    assert "decides by the values of tensors" in results[2].why
    for name in ("native", "reference"):
        with pytest.raises(OptionError, match=f"--engine {name} trains on the processor"):
            choose_engine(name, "cuda")


def test_a_described_network_that_a_device_refuses_is_left_to_the_reference(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "training_device", lambda name: OTHER)

    def refused(*arguments: Any) -> Any:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(Bundle, "train_step", refused)
    with Trainer([make_run().data], device="cuda", processes=1) as one:
        results: Sequence[RunResult] = one.train([make_run(key=1), make_run(key=2)])
    assert {result.engine for result in results} == {"reference"}
    assert "no kernel image is available" in results[0].why


def test_a_graphics_card_multiplies_float32_with_all_its_digits() -> None:
    conv, product = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = conv.fp32_precision, product.fp32_precision
    assert before[0] == "tf32"
    with full_float32(torch.device("cuda")):
        assert (conv.fp32_precision, product.fp32_precision) == ("ieee", "ieee")
    assert (conv.fp32_precision, product.fp32_precision) == before
    with full_float32(CPU):
        assert conv.fp32_precision == "tf32"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match="--device: no such device 'cuba'; did you mean 'cuda'"):
        training_device("cuba")
    with pytest.raises(OptionError, match=r"--device: cuda was asked for, but PyTorch .* finds no CUDA device"):
        training_device("cuda")
