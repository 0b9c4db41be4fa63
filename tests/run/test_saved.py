"""A saved model predicts exactly what the trained networks did, from rows as they come and in the data's labels."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from regimen.data import Features, prepare
from regimen.engine.reference import train_one
from regimen.errors import DataError, OptionError, StoreError
from regimen.models import MLP
from regimen.records import Task
from regimen.run import Recipe, Run, SavedModel, saved
from regimen.techniques import EMA

from .recipes import BASE, CLASSES, FEATURES, execute, run_of, script, softmax

TASKS: tuple[Task, ...] = ("classification", "regression")
RECIPES = {
    "plain": BASE,
    "norm": BASE.replace(normalization="batch", dropout=0.2, averaging=EMA(decay=0.9), input_scaling="robust"),
}
every_kind = pytest.mark.parametrize(
    ("recipe", "task"), [pytest.param(RECIPES[name], task, id=f"{name}-{task}") for name in RECIPES for task in TASKS]
)


def trained(recipe: Recipe, task: Task, *, keys: tuple[int, ...] = (5,)) -> tuple[Run, SavedModel]:
    runs = [dataclasses.replace(run_of(recipe, task), key=key) for key in keys]
    states = [train_one(run, keep=("weights",)).weights for run in runs]
    return runs[0], SavedModel.of(runs[0], [state for state in states if state is not None], keys=keys)


def inputs_of(run: Run) -> torch.Tensor:
    preparation = prepare(run.data, run.split, run.recipe.input_scaling).preparation
    return torch.from_numpy(preparation.apply(run.data))


@every_kind
@pytest.mark.parametrize("keys", [(5,), (5, 6, 2**64 - 1)])
def test_a_model_that_was_saved_and_loaded_is_the_same_bit_by_bit(
    recipe: Recipe, task: Task, keys: tuple[int, ...], tmp_path: Path
) -> None:
    run, model = trained(recipe, task, keys=keys)
    model.save(tmp_path)
    again = SavedModel.load(tmp_path)
    assert (again.model, again.recipe, again.preparation, again.keys) == (
        model.model, model.recipe, model.preparation, keys,
    )  # fmt: skip
    for ours, theirs in zip(model.states, again.states, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)
    assert np.array_equal(again.predict_outputs(run.data), model.predict_outputs(run.data))


@every_kind
def test_one_network_gives_the_outputs_of_the_network_in_memory_bit_by_bit(recipe: Recipe, task: Task) -> None:
    run, model = trained(recipe, task)
    result = train_one(run, keep=("weights", "outputs"))
    network = run.network(FEATURES, model.preparation.outputs)
    assert result.weights is not None and result.outputs is not None
    network.load_state_dict({name: torch.tensor(value) for name, value in result.weights.items()})
    with torch.no_grad():
        outputs = network.eval()(inputs_of(run)).numpy()
    found = model.predict_outputs(run.data)
    assert np.array_equal(found, model.preparation.predictions(outputs))
    engine = model.preparation.predictions(result.outputs["validation"])
    np.testing.assert_allclose(found[run.split.validation], engine, rtol=1e-5, atol=1e-5)


def test_several_networks_of_classes_average_their_probabilities() -> None:
    run, model = trained(BASE, "classification", keys=(5, 6, 7))
    with torch.no_grad():
        each = [softmax(network(inputs_of(run)).numpy()) for network in model.networks()]
    np.testing.assert_allclose(model.probabilities(run.data), np.mean(each, axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_outputs(run.data)), np.mean(each, axis=0), rtol=1e-12)
    assert np.array_equal(model.predict(run.data), np.array(["a", "b", "c"])[np.mean(each, axis=0).argmax(axis=1)])


def test_several_networks_of_amounts_average_their_predictions_in_the_targets_unit() -> None:
    run, model = trained(BASE, "regression", keys=(5, 6, 7))
    with torch.no_grad():
        each = [network(inputs_of(run)).numpy()[:, 0].astype(np.float64) for network in model.networks()]
    y = run.data.y[run.split.train]
    np.testing.assert_allclose(model.predict(run.data), np.mean(each, axis=0) * y.std() + y.mean(), rtol=1e-12)


def test_probabilities_are_those_of_the_logits_of_one_network() -> None:
    run, model = trained(BASE, "classification")
    expected = softmax(model.predict_outputs(run.data).astype(np.float32))
    np.testing.assert_allclose(model.probabilities(run.data), expected, rtol=1e-12)


def test_probabilities_of_amounts_are_refused() -> None:
    run, model = trained(BASE, "regression")
    with pytest.raises(OptionError, match="use predict"):
        model.probabilities(run.data)


def test_rows_predicted_in_parts_are_all_there_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    run, model = trained(BASE, "classification", keys=(5, 6))
    whole = model.predict_outputs(run.data)
    monkeypatch.setattr(saved, "CHUNK", 7)
    np.testing.assert_allclose(model.predict_outputs(run.data), whole, rtol=1e-5, atol=1e-6)


@every_kind
def test_the_tensors_of_one_network_load_into_the_plain_script(recipe: Recipe, task: Task, tmp_path: Path) -> None:
    run, model = trained(recipe, task)
    model.save(tmp_path)
    plain = execute(script(recipe.replace(epochs=1), task))["model"]
    plain.load_state_dict(safetensors.torch.load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        outputs = plain(inputs_of(run)).numpy()
    assert np.array_equal(model.preparation.predictions(outputs), model.predict_outputs(run.data))


def test_loading_and_predicting_leave_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    run, model = trained(RECIPES["norm"], "classification")
    model.save(tmp_path)
    before = torch.get_rng_state()
    SavedModel.load(tmp_path).predict(run.data)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_are_trained_on_do_not_change_the_model() -> None:
    run = run_of(BASE, "classification")
    state = {name: value.numpy().copy() for name, value in run.network(FEATURES, CLASSES).state_dict().items()}
    model = SavedModel.of(run, [state])
    before = model.predict_outputs(run.data)
    state["0.weight"] += 1.0
    model.networks()[0][0].weight.data.add_(1.0)
    assert np.array_equal(model.predict_outputs(run.data), before)


def test_weights_in_any_memory_order_are_saved_right(tmp_path: Path) -> None:
    run, model = trained(BASE, "classification")
    turned = {name: np.asfortranarray(value) for name, value in model.states[0].items()}
    SavedModel.of(run, [turned]).save(tmp_path)
    assert np.array_equal(SavedModel.load(tmp_path).predict_outputs(run.data), model.predict_outputs(run.data))


def test_a_model_without_networks_or_with_too_few_keys_is_refused() -> None:
    run, model = trained(BASE, "classification")
    with pytest.raises(StoreError, match="got 1 keys and 0 networks"):
        SavedModel.of(run, [])
    with pytest.raises(StoreError, match="got 1 keys and 2 networks"):
        SavedModel.of(run, [*model.states, *model.states])


def test_values_so_large_that_outputs_overflow_are_refused_with_their_row() -> None:
    run = run_of(BASE, "regression")
    linear = Run(recipe=run.recipe, model=MLP(hidden=()), data=run.data, split=run.split, key=5, metric="rmse")
    weights = {"0.weight": np.full((1, FEATURES), 3.0, dtype=np.float32), "0.bias": np.zeros(1, dtype=np.float32)}
    numbers = run.data.numbers[:4].copy()
    numbers[2] = 3e38
    rows = Features(name="new.csv", columns=run.data.columns, numbers=numbers, codes=run.data.codes[:4])
    with pytest.raises(DataError, match=r"new\.csv: expected values like those trained on, got some in row 3 "):
        SavedModel.of(linear, [weights]).predict(rows)
