"""Each benchmark runs in its smallest form, trains what it says, and stores what a reader needs; nothing is timed."""

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from regimen import nn as regimen_nn
from regimen.kernels.native import find_kernels, why_no_kernels

FOLDER = Path(__file__).parents[1] / "benchmarks"
Script = Callable[[str], ModuleType]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Return a function that imports a script as Python does that runs it; threads are put back afterwards."""
    threads, known = torch.get_num_threads(), set(sys.modules)
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module
    torch.set_num_threads(threads)
    for name in set(sys.modules) - known:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture
def measured(script: Script, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a script with arguments, quickly, and returns what it stored."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        out = tmp_path / f"{name}.json"
        script(name).main(["--quick", "--repeats", "1", *arguments, "--out", str(out)])
        stored: dict[str, Any] = json.loads(out.read_text())
        return stored

    return run


@pytest.fixture
def native() -> None:
    """Skip where there is no native engine."""
    if find_kernels() is None:
        pytest.skip(why_no_kernels())


def by(rows: list[dict[str, Any]], name: str) -> dict[Any, dict[str, Any]]:
    return {row[name]: row for row in rows if name in row}


def assert_complete(stored: dict[str, Any]) -> None:
    environment = stored["environment"]
    assert {
        "processor",
        "instruction_set",
        "kernels",
        "cores",
        "torch_threads",
        "torch",
        "numpy",
        "commit",
        "date",
    } <= set(environment)
    assert len(environment["load_average"]) == len(stored["load_average_after"]) == 3
    assert stored["seconds"] > 0
    assert stored["rows"]


def assert_summary(found: dict[str, float], repeats: int = 1) -> None:
    assert found["n"] == repeats
    assert 0 < found["min"] <= found["median"] < math.inf
    assert found["quartile_1"] <= found["median"] <= found["quartile_3"]


def test_repeats_are_interleaved_and_every_round_begins_with_another_contestant(script: Script) -> None:
    calls: list[str] = []

    def contestant(name: str) -> Callable[[], float]:
        return lambda: float(len(calls)) if not calls.append(name) else 0.0

    found = script("measure").interleaved({name: contestant(name) for name in "abc"}, repeats=3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert found == {"a": [4.0, 9.0, 11.0], "b": [5.0, 7.0, 12.0], "c": [6.0, 8.0, 10.0]}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round(script: Script) -> None:
    # A machine that slows threefold in the second round changes no ratio.
    assert script("measure").ratio([2.0, 6.0, 2.0], [1.0, 3.0, 1.0]) == 2.0


def test_an_unknown_contestant_is_refused_with_those_that_there_are(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        script("bench_cnn").main(["--contestants", "torch,tensorflow"])
    assert "no such tensorflow; there are regimen,regimen_fused,torch,no_dropout" in capsys.readouterr().err


def test_a_step_of_the_digits_job_has_the_products_that_the_formula_counts(script: Script) -> None:
    job = script("bench_digits").digits_job(2)
    counted = 0

    def products(rows: int) -> float:
        return sum(2.0 * rows * a * b for a, b in job.layers)

    for rows in (len(part) for part in job.x.split(job.batch)):
        counted += products(rows) + products(rows) + products(rows) - 2.0 * rows * 64 * 100
    counted += products(len(job.x)) + products(len(job.x_validation))
    assert job.steps == 2 * 34
    assert job.flops_per_step == pytest.approx(counted / 34)


@pytest.mark.parametrize("name", ["plain", "lean", "stacked", "sklearn"])
def test_rivals_learn_the_digits(script: Script, name: str) -> None:
    job, rivals = script("bench_digits").digits_job(5), script("rivals")
    torch.set_num_threads(1)
    outcomes = getattr(rivals, name)(job, rivals.sweep(2))
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert outcome.validation_accuracy > 0.7  # one class in ten by guessing
        assert outcome.train_loss < 1.0 < math.log(10)


@pytest.mark.slow  # it compiles
def test_jax_learns_the_digits(script: Script) -> None:
    pytest.importorskip("jax", reason="optional; pip install jax")
    job, rivals = script("bench_digits").digits_job(6), script("rivals")
    outcomes = script("rival_jax").compiled(job)(rivals.sweep(2))
    assert all(outcome.validation_accuracy > 0.7 for outcome in outcomes)


def test_stacked_runs_make_the_step_that_autograd_and_torch_adam_make(script: Script) -> None:
    rivals = script("rivals")
    job = script("bench_digits").digits_job(1)
    settings = [rivals.Setting(p=0.0, lr=1e-3 * (i + 1), weight_decay=1e-2 * i, seed=i) for i in range(2)]
    torch.manual_seed(3)
    stack = rivals.Stack(job, settings)
    batches = list(zip(job.x.split(32), job.y.split(32), strict=True))[:8]
    for run, setting in enumerate(settings):
        parameters = [part[run].clone().requires_grad_() for part in (*stack.weights, *stack.biases)]
        weights, biases = parameters[: len(job.layers)], parameters[len(job.layers) :]
        optimizer = torch.optim.Adam(parameters, lr=setting.lr, weight_decay=setting.weight_decay)
        single = rivals.Stack(job, settings)
        single.parameters.copy_(stack.parameters)
        for x, y in batches:
            single._step(x.expand(2, -1, -1), y.expand(2, -1))
            h = x
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                h = torch.relu(h @ weight + bias)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(h @ weights[-1] + biases[-1], y).backward()
            optimizer.step()
        for theirs, ours in zip((*weights, *biases), (*single.weights, *single.biases), strict=True):
            torch.testing.assert_close(ours[run], theirs, rtol=1e-4, atol=1e-5)


def test_digits_stores_each_contestant_with_its_ratio_and_its_share_of_sgemm(
    measured: Callable[..., dict[str, Any]], native: None
) -> None:
    stored = measured("bench_digits", "--contestants", "native,lean,two_processes", "--runs", "2")
    assert_complete(stored)
    assert stored["job"]["flops_per_step"] > 6.77e6
    rows = by(stored["rows"], "contestant")
    assert_summary(rows.pop("sgemm")["gflops"]["sgemm"])
    assert set(rows) == {"native", "lean", "two_processes"}
    for row in rows.values():
        assert_summary(row["microseconds"])
        assert_summary(row["share_of_sgemm"])
        assert row["epochs"] >= 2
    assert rows["native"]["ratio_to_native"] == 1.0
    assert rows["two_processes"]["runs_trained"] == 2


def test_widths_stores_how_many_times_the_better_rival_takes(
    measured: Callable[..., dict[str, Any]], native: None
) -> None:
    stored = measured("bench_widths", "--shapes", "8-4x1:16", "--contestants", "native,eager_two_threads")
    assert_complete(stored)
    (row,) = stored["rows"]
    assert row["parameters"] == 8 * 4 + 4 + 4 * 10 + 10
    # A difference of two times, which for a network as small as this one may have any sign.
    assert math.isfinite(row["times_the_better_rival"])
    assert row["native"]["n"] == row["eager_two_threads"]["n"] == 1


def test_features_stores_the_cost_of_each_beside_the_plain_job(
    measured: Callable[..., dict[str, Any]], native: None
) -> None:
    stored = measured("bench_features", "--contestants", "batch_norm,gelu,early_stopping", "--epochs", "2")
    assert_complete(stored)
    rows = by(stored["rows"], "feature")
    assert set(rows) == {"plain", "batch_norm", "gelu", "early_stopping"}
    assert rows["plain"]["cost"]["median"] == 0.0
    for row in rows.values():
        assert_summary(row["microseconds"])


def test_every_feature_of_the_benchmark_makes_another_run(script: Script) -> None:
    features = script("bench_features")
    names = (*features.FEATURES, *features.ACTIVATIONS)
    identities = {features.runs(name, count=1, epochs=2)[0].identity for name in names}
    assert len(identities) == len(names)


def test_dropout_stores_every_contestant_in_both_directions(measured: Callable[..., dict[str, Any]]) -> None:
    stored = measured("bench_dropout", "--exponents", "10")
    assert_complete(stored)
    dropout = [row for row in stored["rows"] if row["layer"] == "Dropout" and row["threads"] == 2]
    forward = by([row for row in dropout if row["pass"] == "forward"], "contestant")
    both = by([row for row in dropout if row["pass"] == "forward_backward"], "contestant")
    assert set(forward) == {"regimen", "torch", "regimen_inplace", "torch_inplace", "multiply", "multiply_out"}
    assert set(both) == {"regimen", "torch", "multiply", "multiply_out"}
    assert forward["torch"]["ratio_to_torch"] == 1.0
    for row in stored["rows"]:
        assert_summary(row["microseconds"])


def test_cnn_stores_a_training_step_with_each_dropout(measured: Callable[..., dict[str, Any]]) -> None:
    stored = measured("bench_cnn", "--batch", "4", "--threads", "1")
    assert_complete(stored)
    rows = by(stored["rows"], "contestant")
    assert set(rows) == {"regimen", "regimen_fused", "torch", "no_dropout"}
    for row in rows.values():
        assert_summary(row["milliseconds"])


@pytest.mark.parametrize("name", ["regimen", "torch"])
def test_the_network_of_cnn_has_a_dropout_after_each_relu(script: Script, name: str) -> None:
    cnn = script("bench_cnn")
    layers = list(cnn.network(cnn.ACTIVATIONS[name]))
    after = [layers[i + 1] for i, layer in enumerate(layers) if isinstance(layer, torch.nn.ReLU)]
    kind = regimen_nn.Dropout if name == "regimen" else torch.nn.Dropout
    assert [type(layer) for layer in after] == [kind] * 4
    assert all(layer.p == cnn.P for layer in after)


def test_all_networks_of_cnn_are_the_same_without_dropout(script: Script) -> None:
    cnn = script("bench_cnn")
    pictures = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    outputs = {name: cnn.network(layers).eval()(pictures) for name, layers in cnn.ACTIVATIONS.items()}
    for found in outputs.values():
        torch.testing.assert_close(found, outputs["torch"])


def test_networks_trained_by_a_hand_written_vmap_are_those_of_the_plain_loop(script: Script) -> None:
    rivals = script("rivals_cnn")
    job = rivals.CnnJob(images=25, batch=8, epochs=2)
    assert job.steps == 6  # the single image that is left over joins the last batch
    plain, together = rivals.eager(job, [1, 2]), rivals.by_vmap(job, [1, 2])
    assert together == pytest.approx(plain, rel=1e-4)
    assert plain != pytest.approx(rivals.eager(rivals.CnnJob(images=25, batch=8, epochs=1), [1, 2]), rel=1e-4)


def test_stacked_stores_which_engine_was_chosen_beside_the_rivals(measured: Callable[..., dict[str, Any]]) -> None:
    stored = measured("bench_stacked", "--contestants", "stacked,eager", "--runs", "2", "--images", "40")
    assert_complete(stored)
    rows = by(stored["rows"], "contestant")
    assert set(rows) == {"stacked", "eager"}
    assert rows["stacked"]["runs_trained"] == 2
    assert rows["stacked"]["engines"] == ["stacked"]
    for row in rows.values():
        assert_summary(row["milliseconds"])
