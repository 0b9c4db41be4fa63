"""Part A: the post's network and its summary, its mistake, and the lab beside plain PyTorch."""

import numpy as np
import pytest
import torch

from regimen.data import prepare
from regimen.engine import one_thread, train
from regimen.experiments import Context
from regimen.experiments.digits_dropout import ARMS, MODEL, PLAIN, digits_dropout, digits_run, load_digits
from regimen.experiments.digits_script import ScriptCurves, network, run_script, summarize


def script(key: int, *, dropout: bool, epochs: int) -> ScriptCurves:
    """Run the post's script on the split of a key."""
    digits = load_digits()
    data = prepare(digits, digits_run(digits, PLAIN, key).split, "none")
    with torch.random.fork_rng(devices=[]), one_thread():
        parts = [(data.x[part], data.y[part]) for part in ("train", "validation")]
        return run_script(*parts, dropout=dropout, epochs=epochs, seed=key)


def test_the_summary_has_the_posted_parameters_and_sizes() -> None:
    found = summarize(network(), inputs=64)
    assert found.parameters == found.trainable == 37_810
    sizes = (found.input_size, found.passes_size, found.parameters_size, found.total_size)
    assert [f"{size:.2f}" for size in sizes] == ["0.00", "0.01", "0.14", "0.15"]


def test_the_summary_lists_every_layer_with_its_output_and_the_totals() -> None:
    lines = summarize(network(), inputs=64).text.splitlines()
    assert lines[3].split() == ["Linear-1", "[-1,", "100]", "6,500"]
    assert lines[5].split() == ["Dropout-3", "[-1,", "100]", "0"]
    assert lines[15].split() == ["Linear-13", "[-1,", "10]", "1,010"]
    assert "Total params: 37,810" in lines
    assert "Non-trainable params: 0" in lines


def test_frozen_parameters_are_not_trainable() -> None:
    net = network(dropout=False)
    net[0].requires_grad_(False)
    found = summarize(net, inputs=64)
    assert (found.parameters, found.trainable) == (37_810, 37_810 - 6_500)


def test_the_lab_trains_the_network_of_the_script() -> None:
    run = digits_run(load_digits(), ARMS["dropout"], 0)
    shapes = [tuple(p.shape) for p in run.network((64,), 10).parameters()]
    assert shapes == [tuple(p.shape) for p in network().parameters()]
    assert (len(run.split.train), len(run.split.validation)) == (1438, 359)


def test_the_posted_loss_is_divided_by_one_batch_too_few() -> None:
    found = script(0, dropout=True, epochs=1)
    batches = -(-1438 // 32)
    assert found.posted[0] / found.averaged[0] == pytest.approx(batches / (batches - 1), rel=1e-12)
    assert batches == 45


def test_the_script_is_repeatable_and_its_test_loss_is_that_of_eval_mode() -> None:
    first, again = (script(3, dropout=True, epochs=2) for _ in range(2))
    assert first == again
    assert first.train[-1] < first.averaged[-1]  # without masks, and after the epoch instead of during it


@pytest.mark.slow
@pytest.mark.parametrize("name", ["neither", "dropout"])
def test_the_figures_of_the_lab_lie_inside_the_range_of_plain_pytorch(name: str) -> None:
    epochs, keys = 5, range(3)
    digits = load_digits()
    lab = train([digits_run(digits, ARMS[name].replace(epochs=epochs), key) for key in keys])
    plain = [script(key, dropout=name == "dropout", epochs=epochs) for key in keys]
    losses = [curves.test[-1] for curves in plain]
    accuracies = [curves.accuracy for curves in plain]
    assert min(losses) < np.mean([result.validation_loss for result in lab]) < max(losses)
    assert min(accuracies) <= np.mean([result.metric for result in lab]) <= max(accuracies)


@pytest.mark.slow
def test_part_a_is_complete() -> None:
    done = []
    found = digits_dropout(Context(size="quick", on_progress=done.append))
    assert [picture.name for picture in found.pictures] == ["as-posted", "curves", "accuracy"]
    assert {row.variant for row in found.rows} == {"as_posted", "corrected"}
    assert all(row.measured is not None for row in found.rows)
    assert "Total params: 37,810" in found.listings[0].text
    assert MODEL.hidden == (100,) * 4
    assert sum(done) == pytest.approx(1.0)
