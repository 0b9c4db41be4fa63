"""What is stacked and what is not: the probe's reasons, the clock that `auto` asks, and the trainer that follows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regimen.data import Split, Table
from regimen.engine import Trainer, choose_engine, stacked_choice, train, train_one
from regimen.engine.stacked_choice import Chooser
from regimen.engine.stacked_probe import probe
from regimen.models import MLP, own_module
from regimen.models.structure import structure
from regimen.run import Run
from regimen.study import Study, StudyOptions
from regimen.techniques import SGD

MakeRun = Callable[..., Run]


class Plain(nn.Module):
    """A network of the user's own, with functional calls and a residual."""

    def __init__(self, slope: float = 0.1) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.drop, self.norm, self.slope = nn.Dropout(0.3), nn.BatchNorm1d(8), slope

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm(self.first(x)), self.slope)
        return self.last(x + self.drop(F.relu(self.second(x))))


class Deciding(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.mean() > 0 else -x)


class Reading(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.first.weight.abs().max().item())


class Drawing(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.1 * torch.randn_like(x))


class Frozen(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.second.requires_grad_(False)


class Unused(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Counting(Plain):
    """Its buffer is replaced, not overwritten: `functional_call` would forget it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = self.seen + 1.0
        return super().forward(x)


class Warming(Plain):
    """It counts in a plain number, which the runs of a bundle would have in common."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return super().forward(x * min(1.0, self.calls / 10))


class Random(Plain):
    """The trap: every network has a slope of its own, which is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__(slope=float(torch.rand(())))


class Listed(Plain):
    """A layer in a plain list: it belongs to no state, and is another one in every network."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Linear(4, 4)]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.hidden[0](x))


class Hooked(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.first.register_forward_hook(lambda layer, given, output: output * 2.0)


REFUSED: dict[type[nn.Module], str] = {
    Deciding: "its forward decides by the values of tensors, which differ from run to run",
    Reading: "its forward reads numbers out of tensors, which differ from run to run",
    Drawing: "it draws random numbers of its own from PyTorch's generator",
    Unused: "a parameter gets no gradient (spare.weight)",
    Counting: "one step of it differs from the reference engine's (buffer seen)",
    Warming: "its forward changes calls, which the runs of a bundle would share",
    Random: "its networks differ in more than parameters, buffers and rates",
    Listed: "its networks differ in more than parameters, buffers and rates",
    Hooked: "has hooks (first)",
}


def own_runs(make_run: MakeRun, network: Any, count: int = 3, **changes: Any) -> list[Run]:
    model = own_module(network)
    return [make_run(model=model, key=key, dropout=0.2, **changes) for key in range(count)]


@pytest.mark.parametrize("network", REFUSED)
def test_what_can_not_be_stacked_is_trained_by_the_reference_and_told_why(
    make_run: MakeRun, network: type[nn.Module]
) -> None:
    runs = own_runs(make_run, network, 2, epochs=1)
    results = train(runs, engine="stacked", processes=1)
    assert [result.engine for result in results] == ["reference", "reference"]
    for run, result in zip(runs, results, strict=True):
        assert result.curves == train_one(run).curves
        assert result.why == f"stacked: {REFUSED[network]}"


@pytest.mark.parametrize("network", [Plain, Frozen])
def test_a_network_of_the_users_own_is_stacked_and_equal_to_each_trained_alone(
    make_run: MakeRun, network: type[nn.Module]
) -> None:
    runs = own_runs(make_run, network, optimizer=SGD(momentum=0.9), decoupled_weight_decay=0.1, clip_norm=0.5, l1=1e-3)
    assert probe(runs).reason == ""
    results = train(runs, engine="stacked", processes=1, keep=("weights",))
    for run, result in zip(runs, results, strict=True):
        alone = train_one(run, keep=("weights",))
        assert (result.engine, result.why) == ("stacked", "")
        assert np.allclose(result.curves.train_loss, alone.curves.train_loss, rtol=2e-5)
        assert list(result.weights or ()) == list(alone.weights or ())
        for name, values in (alone.weights or {}).items():
            assert np.allclose((result.weights or {})[name], values, rtol=1e-4, atol=2e-5), name


def test_a_mask_that_is_another_is_noticed(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from regimen.kernels import dropout_bundle

    write = dropout_bundle._write
    monkeypatch.setattr(
        dropout_bundle, "_write", lambda x, out, key, *rest, **options: write(x, out, 7, *rest, **options)
    )
    assert "one step of it differs" in probe([make_run(key=key, dropout=0.5) for key in (1, 2)]).reason


def test_memory_is_asked_for_by_run(make_run: MakeRun) -> None:
    small, large = (probe([make_run(model=MLP(hidden=(width,)))]).bytes_per_run for width in (8, 800))
    # 800 · 7 weights and 800 biases more, eight times in memory, and their activations.
    assert large - small > 8 * 4 * 800 * 8


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Linear(3, 2), nn.Linear(3, 2, bias=False)),
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
        (nn.BatchNorm1d(3), nn.BatchNorm1d(3, momentum=0.2)),
        (nn.ReLU(), nn.Tanh()),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU())),
        (Plain(0.1), Plain(0.2)),
        (Listed(), Listed()),
    ],
)
def test_networks_that_compute_something_else_differ_in_structure(one: nn.Module, other: nn.Module) -> None:
    assert structure(one) != structure(other)


def test_networks_that_differ_in_numbers_only_have_one_structure() -> None:
    assert structure(Plain()) == structure(Plain())


def test_tied_weights_are_part_of_the_structure() -> None:
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert structure(tied) != structure(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))


# --- auto -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for the clock: `gain` is what it says, `asked` how many runs it was asked about."""
    said: dict[str, Any] = {"gain": 3.0, "asked": []}

    def speed_up(runs: list[Run]) -> float:
        said["asked"].append(len(runs))
        return float(said["gain"])

    monkeypatch.setattr(stacked_choice, "speed_up", speed_up)
    monkeypatch.setattr(stacked_choice, "FEWEST_STEPS_OF_ALL", 30)
    return said


def test_auto_stacks_what_is_faster_so(make_run: MakeRun, clock: dict[str, Any]) -> None:
    runs = own_runs(make_run, Plain, 6)
    stacking = Chooser(engine="auto", processes=2).stacking(runs)
    assert sorted(index for bundle in stacking.bundles for index in bundle) == list(range(6))
    assert len(stacking.bundles) == 2
    assert clock["asked"] == [3]


@pytest.mark.parametrize(("gain", "asked"), [(0.5, [8]), (0.7, [8, 20])])
def test_a_whole_bundle_is_measured_where_eight_runs_are_not_hopeless(
    make_run: MakeRun, clock: dict[str, Any], gain: float, asked: list[int]
) -> None:
    clock["gain"] = gain
    assert Chooser(engine="auto", processes=1).stacking(own_runs(make_run, Plain, 20)).bundles == []
    assert clock["asked"] == asked


def test_auto_leaves_to_the_reference_what_is_hardly_faster(make_run: MakeRun, clock: dict[str, Any]) -> None:
    clock["gain"] = 1.1
    stacking = Chooser(engine="auto", processes=1).stacking(own_runs(make_run, Plain, 6))
    assert stacking.bundles == []
    assert set(stacking.reasons.values()) == {"stacked: 1.1 times as fast as one run after the other"}


def test_auto_does_not_ask_the_clock_where_little_is_to_be_trained(make_run: MakeRun, clock: dict[str, Any]) -> None:
    for runs in (own_runs(make_run, Plain, 3, epochs=40), own_runs(make_run, Plain, 5, epochs=1)):
        stacking = Chooser(engine="auto", processes=1).stacking(runs)
        assert (stacking.bundles, set(stacking.reasons.values())) == ([], {""})
    assert clock["asked"] == []


def test_what_fails_while_the_clock_runs_is_left_to_the_reference(
    make_run: MakeRun, clock: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(runs: list[Run]) -> float:
        raise MemoryError

    monkeypatch.setattr(stacked_choice, "speed_up", too_large)
    chooser, runs = Chooser(engine="auto", processes=1), own_runs(make_run, Plain, 6)
    for _ in range(2):
        stacking = chooser.stacking(runs)
        assert (stacking.bundles, set(stacking.reasons.values())) == ([], {"stacked: memory ran out"})


@pytest.mark.parametrize("place", ["stacked_choice.speed_up", "stacked_probe.Bundle"])
def test_only_a_module_of_the_users_own_may_fail_in_a_trial_and_be_left_to_the_reference(
    make_run: MakeRun, clock: dict[str, Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def broken(*arguments: Any) -> Any:
        raise TypeError("unexpected argument")

    monkeypatch.setattr(f"regimen.engine.{place}", broken)
    stacking = Chooser(engine="auto", processes=1).stacking(own_runs(make_run, Plain, 6))
    assert set(stacking.reasons.values()) == {"stacked: torch.vmap cannot run it (TypeError: unexpected argument)"}
    described = [make_run(key=key, epochs=40) for key in range(6)]
    with pytest.raises(TypeError, match="unexpected argument"):
        Chooser(engine="auto", processes=1).stacking(described)


def test_a_family_is_probed_once(make_run: MakeRun, clock: dict[str, Any]) -> None:
    chooser, runs = Chooser(engine="auto", processes=1), own_runs(make_run, Plain, 6)
    assert chooser.stacking(runs) == chooser.stacking(runs)
    assert clock["asked"] == [6]


def test_bundles_are_as_large_as_memory_allows(
    make_run: MakeRun, clock: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = own_runs(make_run, Plain, 6)
    each = probe(runs).bytes_per_run
    monkeypatch.setattr(stacked_choice, "free_memory_of", lambda device: int(4 * 2.5 * each))
    stacking = Chooser(engine="stacked", processes=1).stacking(runs)
    assert [len(bundle) for bundle in stacking.bundles] == [2, 2, 2]


def test_auto_takes_native_before_stacked_and_says_why_not(make_run: MakeRun, clock: dict[str, Any]) -> None:
    if choose_engine("auto").name != "native":
        pytest.skip("no kernels")
    runs = [*own_runs(make_run, Plain, 6), *(make_run(key=key) for key in range(6))]
    with Trainer([runs[0].data], processes=1) as trainer:
        results = trainer.train(runs)
    assert [result.engine for result in results] == ["stacked"] * 6 + ["native"] * 6
    assert all("native" not in result.why and result.why for result in results[:6])


def test_what_runs_out_of_steps_in_the_middle_goes_on_in_the_reference(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that `torch.vmap` follows for some steps, and then no longer."""
    monkeypatch.setattr(LateReading, "uses", 0)
    runs = own_runs(make_run, LateReading, 2, epochs=2)
    assert probe(runs).reason == ""
    LateReading.uses = 0
    results = train(runs, engine="stacked", processes=1)
    for run, result in zip(runs, results, strict=True):
        assert result.engine == "reference"
        assert result.why == "stacked: its forward reads numbers out of tensors, which differ from run to run"
        assert result.curves == train_one(run).curves


class LateReading(Plain):
    """Counts in the class, where the probe does not look."""

    uses = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            type(self).uses += 1
        if self.uses > 8:
            assert x.mean().item() < 1e9
        return super().forward(x)


# --- studies --------------------------------------------------------------------------------------------------------


def test_a_stacked_study_is_resumed_with_the_engine_of_its_plan(classification: Table, tmp_path: Any) -> None:
    options = StudyOptions(techniques="label_smoothing", pairs=2, epochs=1, processes=1, engine="stacked")
    first = Study(data=classification, options=options).run(tmp_path).results
    again = Study(data=classification, options=StudyOptions(processes=1)).run(tmp_path, resume=True).results
    assert first.design.engine == again.design.engine == "stacked"
    assert first.runs == again.runs
    assert first.environment["trained_by"] == again.environment["trained_by"]


def test_a_study_tells_what_was_not_stacked_and_why(classification: Table) -> None:
    options = StudyOptions(techniques="label_smoothing", pairs=2, epochs=1, processes=1, engine="stacked")
    found = Study(data=classification, model=Deciding, options=options).run().results.environment["trained_by"]
    assert list(found) == ["reference"]
    assert found["reference"].endswith(f"(stacked: {REFUSED[Deciding]})")


def test_splits_of_other_lengths_are_of_other_families(make_run: MakeRun) -> None:
    rows = np.arange(60)
    other = Split(train=rows[:40], validation=rows[40:53], test=rows[53:])
    runs = [make_run(epochs=1), make_run(epochs=1, split=other)]
    results = train(runs, engine="stacked", processes=1)
    assert [result.engine for result in results] == ["stacked", "stacked"]
    assert [result.steps for result in results] == [4, 4]
