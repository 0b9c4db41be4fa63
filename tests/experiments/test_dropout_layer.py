"""Part C: the layer's definition, the rule for its place, the ensemble view, and the cost of high rates."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from regimen.experiments import Context, Row
from regimen.experiments.digits_dropout import load_digits
from regimen.experiments.layer_definition import LAYERS, definition_rows, example, factor, factor_listing
from regimen.experiments.layer_ensemble import Ensemble, average_predictions, ensemble_picture, ensemble_rows
from regimen.experiments.layer_order import ACTIVATIONS, compare, order_rows
from regimen.experiments.layer_rates import (
    Trained,
    censored_median,
    epochs_to_goal,
    goal_text,
    logits,
    rate_picture,
    rate_remarks,
    rate_rows,
    train_rates,
)
from regimen.nn import Dropout

FREE, VANISHING, NEVER = ("ReLU", "leaky ReLU"), ("tanh", "GELU", "SiLU"), ("sigmoid", "softplus")


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train_rates(load_digits(), Context(size="quick"), share=1.0)


@pytest.fixture(scope="module")
def ensemble(trained: Trained) -> Ensemble:
    return average_predictions(trained, Context(size="quick"))


@pytest.fixture(scope="module")
def definition() -> dict[str, Row]:
    with torch.random.fork_rng(devices=[]):
        return {row.quantity: row for row in definition_rows(Context(size="quick"))}


@pytest.mark.parametrize(("layer", "expected"), [("torch.nn", "10.00000"), ("regimen.nn", "9.99939")])
def test_survivors_of_rate_nine_tenths_grow_tenfold(layer: str, expected: str) -> None:
    x, outputs = example(0.9)
    assert x.shape == (10, 2)
    assert f"{factor(x, outputs[layer]):.5f}" == expected


@pytest.mark.parametrize("layer", LAYERS)
def test_the_share_of_dropped_elements_is_the_rate_within_its_error(definition: dict[str, Row], layer: str) -> None:
    for rate, shape in ((0.2, "20x16"), (0.9, "10x2")):
        row = definition[f"dropped, p = {rate} on {shape}, {layer}"]
        assert row.sd is not None and row.measured is not None
        assert abs(row.measured - 100 * rate) < 5 * row.sd / row.n**0.5  # false alarms: 6 in ten million


@pytest.mark.parametrize("layer", LAYERS)
def test_eval_mode_changes_nothing_and_inplace_takes_no_memory(definition: dict[str, Row], layer: str) -> None:
    assert definition[f"largest change in eval mode, p = 0.5, {layer}"].measured == 0
    assert definition[f"bytes that inplace adds, {layer}"].measured == 0


def test_two_calls_draw_two_masks(definition: dict[str, Row]) -> None:
    row = definition["elements whose fate differs between two calls, p = 0.2"]
    assert row.sd is not None and row.measured is not None
    assert abs(row.measured - 100 * 2 * 0.2 * 0.8) < 5 * row.sd / row.n**0.5


def test_the_printed_example_shows_every_row_before_and_after() -> None:
    lines = factor_listing().text.splitlines()
    assert len(lines) == 11
    assert all(len(line.split()) == 6 for line in lines[1:])


@pytest.mark.parametrize("layer", [Dropout, nn.Dropout], ids=["regimen", "torch"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_order_is_free_for_homogeneous_activations_only(name: str, layer: type[nn.Dropout]) -> None:
    found = compare(name, layer=layer)
    assert (found.dropped == 0) == (name not in NEVER)
    assert (found.kept == 0) == (name in FREE)
    assert (found.at_zero == 0) == (name in FREE + VANISHING)


def test_sigmoid_makes_a_half_of_what_was_dropped_before_it() -> None:
    assert compare("sigmoid").dropped == 0.5


def test_the_posts_cell_compares_two_masks() -> None:
    as_posted, *corrected = order_rows([compare(name) for name in ACTIVATIONS])
    assert as_posted.variant == "as_posted"
    assert as_posted.measured == pytest.approx(25, abs=8)  # half the masks differ where half the inputs are above 0
    assert [row.measured for row in corrected[:2]] == [0, 0]


def test_averaging_masks_is_better_than_any_single_one(ensemble: Ensemble) -> None:
    assert (ensemble.loss[:, -1] < ensemble.loss[:, 0]).all()
    assert (ensemble.accuracy[:, -1] > ensemble.accuracy[:, 0]).all()


def test_wrong_predictions_are_less_certain(ensemble: Ensemble) -> None:
    assert ensemble.entropy[ensemble.wrong].mean() > ensemble.entropy[~ensemble.wrong].mean()
    assert ensemble.found > 0.1  # more than a tenth of the digits chosen blindly would hold
    assert (ensemble.entropy >= 0).all() and (ensemble.entropy <= np.log(10)).all()


def test_monte_carlo_masks_do_not_depend_on_how_many_are_drawn(trained: Trained) -> None:
    model = trained.model(0.5, 0)
    few, many = (logits(model, trained.data, samples=samples) for samples in (1, 3))
    # Products of other shapes add up in another order: equal to the last digits of float64, not to the bit.
    np.testing.assert_allclose(few[0], many[0], rtol=1e-9, atol=1e-9)
    assert not np.allclose(many[0], many[1])


def test_eval_mode_reaches_the_metric_that_the_engine_recorded(trained: Trained) -> None:
    for rate, results in trained.results.items():
        np.testing.assert_allclose(trained.accuracy[rate][2], [100 * result.metric for result in results], rtol=1e-12)


def test_dropout_lowers_the_training_accuracy_most_of_all_in_train_mode(trained: Trained) -> None:
    train_mode, eval_mode, _ = (
        np.array([trained.accuracy[rate][part].mean() for rate in trained.accuracy]) for part in range(3)
    )
    assert (np.diff(train_mode) < 0).all()
    assert (train_mode[1:] < eval_mode[1:]).all()
    assert train_mode[0] == eval_mode[0]


def test_the_higher_the_rate_the_more_epochs_it_takes(trained: Trained) -> None:
    reached = [np.mean(epochs_to_goal(results)) for results in list(trained.results.values())[:3]]
    assert reached == sorted(set(reached))
    assert epochs_to_goal(trained.results[0.8]) == [math.inf, math.inf]


@pytest.mark.parametrize(
    ("reached", "words", "median"),
    [
        ((3, 5, 7), "3 of 3 networks reach it (the median takes 5 epochs)", 5.0),
        ((3, 5, None), "2 of 3 networks reach it (the median takes 5 epochs)", 5.0),
        ((3, None, None, None), "1 of 4 networks reach it (too few for a median)", None),
        ((3, 5, None, None), "2 of 4 networks reach it (too few for a median)", None),
        ((None, None), "0 of 2 networks reach it (too few for a median)", None),
    ],
)
def test_networks_that_never_reach_the_goal_count_as_later_than_all_others(
    trained: Trained, reached: tuple[int | None, ...], words: str, median: float | None
) -> None:
    results = []
    for epoch in reached:
        losses = tuple(0.01 if epoch is not None and done + 1 >= epoch else 1.0 for done in range(8))
        curves = replace(trained.results[0.0][0].curves, train_loss=losses)
        results.append(replace(trained.results[0.0][0], curves=curves, epochs_run=8))
    assert goal_text(results) == words
    assert censored_median(epochs_to_goal(results)) == median


def test_every_rate_tells_how_many_networks_reach_the_goal_and_a_median_only_where_half_do(trained: Trained) -> None:
    told = {row.quantity: row for row in rate_rows(trained)}
    for rate, count in ((0.0, 2), (0.8, 0)):
        goal = f"a training loss of 0.1 nats, eval mode, p = {rate:g}"
        row = told[f"networks, of 2, that reach {goal}, in 20 epochs"]
        assert (row.measured, row.n) == (count, 2)
        assert (f"median of the epochs to {goal}" in told) == (count == 2)
    assert not any("nan" in remark for remark in rate_remarks(trained))


def test_every_figure_and_picture_of_the_trained_networks_is_there(trained: Trained, ensemble: Ensemble) -> None:
    rows = [*ensemble_rows(ensemble), *rate_rows(trained)]
    assert {row.part for row in rows} == {"C.3", "C.4"}
    assert all(row.measured is not None for row in rows)
    names = [picture.name for picture in (ensemble_picture(ensemble), rate_picture(trained))]
    assert names == ["ensemble", "rates"]
