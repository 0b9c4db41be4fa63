"""Part E: the network and loop of the post, what must hold of each technique, and the entries at their smallest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from regimen.experiments import catalogue
from regimen.experiments.context import Context, Outcome
from regimen.experiments.posted_network import MEAN, STD, PostedNetwork, PostedRun, all_cores, train_posted
from regimen.experiments.technique_augmentation import compose
from regimen.experiments.technique_batch_norm import Modes, formula_error
from regimen.experiments.technique_fair import PLAIN, Design, _choose
from regimen.experiments.technique_inputs import _scaled, _spread
from regimen.experiments.technique_lab import Lab
from regimen.experiments.technique_rates import EPOCHS, SCHEDULES, posted_rates
from regimen.experiments.technique_weights import weight_regularization, weights_of
from regimen.models import ConvNet, build
from regimen.records import RunResult
from regimen.techniques import learning_rates

TINY = PostedRun(images=64, test_images=40, epochs=2, batch_size=16)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_default_convolutional_network_is_that_of_the_post(batch_norm: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        posted = PostedNetwork(6, batch_norm=batch_norm)
        layers = ConvNet().layers((1, 28, 28), 10, normalization="batch" if batch_norm else "none")
        ours = build(layers, key=1)
        x = torch.rand(6, 1, 28, 28)
    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d
    theirs = [layer for layer in posted.modules() if isinstance(layer, kinds)]
    mine = [layer for layer in ours.modules() if isinstance(layer, kinds)]
    assert [type(layer) for layer in mine] == [type(layer) for layer in theirs]
    for layer, other in zip(mine, theirs, strict=True):
        layer.load_state_dict(other.state_dict())
    for training in (True, False):
        posted.train(training)
        ours.train(training)
        torch.testing.assert_close(ours(x), posted(x), rtol=1e-4, atol=1e-5)


def test_the_posted_network_fails_on_another_batch_size() -> None:
    network = PostedNetwork(8)
    assert network(torch.zeros(8, 1, 28, 28)).shape == (8, 10)
    with pytest.raises(RuntimeError, match=r"cannot be multiplied|is invalid for input"):
        network(torch.zeros(7, 1, 28, 28))


def test_he_normal_starts_with_the_gain_counted_once_and_biases_zero() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = replace(TINY, he=True).network()
    hidden = network.head[0]
    assert isinstance(hidden, nn.Linear)
    assert hidden.weight.std().item() == pytest.approx((2 / 3136) ** 0.5, rel=0.01)
    assert hidden.bias.abs().max() == 0


def trained(run: PostedRun) -> RunResult:
    with all_cores(Context(size="quick", processes=1)):
        return train_posted(run, lambda: None)


def test_without_optimizer_step_nothing_is_trained(real_images: Path) -> None:
    unstepped, stepped = trained(replace(TINY, stepped=False)), trained(TINY)
    losses = unstepped.curves.validation_loss
    assert losses[0] == losses[1]
    assert stepped.curves.validation_loss[0] != stepped.curves.validation_loss[1]
    assert unstepped.curves.train_loss[0] == pytest.approx(unstepped.curves.train_loss[1], abs=1e-5)
    # Of 40 test images the last 8 fill no batch: accuracies are shares of 32.
    assert stepped.metric * 32 == int(stepped.metric * 32)
    assert stepped.steps == 8


def test_standardized_pixels_have_mean_zero_and_deviation_one(real_images: Path) -> None:
    data = replace(TINY, images=5000, standardized=True).pixels()
    assert data.x.mean().item() == pytest.approx(0, abs=0.02)
    assert data.x.std().item() == pytest.approx(1, abs=0.02)
    assert data.x.min().item() == pytest.approx((0 - MEAN) / STD)


def test_the_proximal_step_makes_exact_zeros_and_the_subgradient_does_not(
    real_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Lab(train=64, test=32, epochs=1, batch_size=8, keys=1, size="quick")
    monkeypatch.setattr(Lab, "of", classmethod(lambda cls, context, **changes: small))
    monkeypatch.setattr(PostedRun, "at", classmethod(lambda cls, size, **changes: replace(TINY, epochs=1, **changes)))
    outcome = weight_regularization(Context(size="quick"))
    zeros = {row.quantity: row.measured for row in outcome.rows if row.quantity.startswith("share of exact zeros")}
    near = {row.quantity: row.measured for row in outcome.rows if row.quantity.startswith("share of |w|")}
    assert len(zeros) == len(near) == 4
    for name, share in zeros.items():
        assert (share > 20) if "proximal" in name else (share == 0.0), name
    plain, _, subgradient, proximal = near.values()
    assert subgradient > 5 * plain
    assert proximal > 5 * plain


def test_weights_of_a_run_are_its_matrices_without_biases() -> None:
    result = RunResult(
        identity="", status="finished", metric=0, train_loss=0, validation_loss=0, epoch=1, epochs_run=1, steps=1,
        seconds=0, weights={"a": np.array([[1.0, 2.0]]), "b": np.array([9.0])},
    )  # fmt: skip
    assert weights_of(result).tolist() == [1.0, 2.0]
    assert weights_of(replace(result, weights=None)).size == 0


def test_steps_compose_in_their_order_and_may_be_any_callable() -> None:
    assert compose([lambda x: x + 1, torch.square])(torch.tensor(2.0)) == 9.0
    assert compose([torch.square, lambda x: x + 1])(torch.tensor(2.0)) == 5.0


def test_a_scheduler_stepped_at_the_start_of_the_epoch_is_one_epoch_early_and_pytorch_warns() -> None:
    early, warned = posted_rates()
    assert "lr_scheduler.step" in warned
    for name, schedule in SCHEDULES.items():
        right = learning_rates(schedule, 0.1, epochs=EPOCHS + 1, steps_per_epoch=1)
        np.testing.assert_allclose(early[name], right[1:], rtol=1e-12)
        assert right[0] == 0.1
    assert early["ExponentialLR(gamma=0.99)"][0] == pytest.approx(0.099)


@pytest.mark.parametrize(("name", "squeezed"), [("min-max", 20.0), ("standard", 20.0), ("robust", 0.95)])
def test_outliers_squeeze_the_good_rows_unless_the_scaling_is_robust(name: str, squeezed: float) -> None:
    ratio = _spread(_scaled(name, False)) / _spread(_scaled(name, True))
    assert ratio >= squeezed
    assert name != "robust" or ratio < 1.1


def test_batch_normalization_is_the_formula_in_train_mode() -> None:
    assert formula_error() < 1e-5


def test_in_eval_mode_the_test_batch_does_not_matter_and_in_train_mode_it_does() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
        x = torch.randn(64, 1, 2, 2) * 3 + 1
        for _ in range(50):
            network(x)
    y = network.eval()(x).argmax(1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = Modes(network, x, y)
    assert modes.eval == 100.0
    assert [modes.accuracy(training=False, batch=size) for size in (2, 16)] == [100.0, 100.0]
    assert modes.by_size[0] < modes.by_size[-1]
    assert modes.skipped < 100.0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), "left as it was"


def result_of(metric: float, loss: float) -> RunResult:
    return RunResult(
        identity="", status="finished", metric=metric, train_loss=0.0, validation_loss=loss, epoch=1, epochs_run=1,
        steps=1, seconds=0.0,
    )  # fmt: skip


def test_each_technique_gets_the_rate_with_the_best_validation_accuracy_and_of_equal_ones_the_lowest_loss() -> None:
    recipe = Lab(size="quick").recipe()
    choices = [("a", 0.1, recipe), ("a", 0.3, recipe), ("b", 0.1, recipe), ("b", 0.3, recipe)]
    tried = [result_of(0.9, 1.0), result_of(0.8, 0.1), result_of(0.7, 0.2), result_of(0.7, 0.3)]
    assert _choose(choices, tried) == {"a": 0.1, "b": 0.1}


def test_the_fair_comparison_has_six_thousand_images_five_keys_and_all_sixty_thousand_only_when_full() -> None:
    sizes = {size: Design.of(Context(size=size)) for size in ("quick", "standard", "full")}
    assert [sizes[size].rows for size in sizes] == [144, 6_000, 60_000]
    assert sizes["standard"].keys >= 5
    assert replace(sizes["standard"], rows=60_000) == sizes["full"]
    for arm in sizes["standard"].arms:
        recipes = sizes["standard"].recipes(arm)
        assert len(recipes) == 3
        assert all(recipe.lr == rate for rate, recipe in recipes.items())
        plain = sizes["standard"].recipes(PLAIN)
        assert arm == PLAIN or recipes != plain


ENTRIES = [entry for entry in catalogue.ENTRIES if entry.part.startswith("E")]


@pytest.fixture(scope="module", params=[entry.name for entry in ENTRIES])
def quick(request: pytest.FixtureRequest, real_images: Path) -> tuple[str, Outcome, float]:
    """Each entry of part E at its quick size: name, outcome, and the progress that it told."""
    told: list[float] = []
    (entry,) = (entry for entry in ENTRIES if entry.name == request.param)
    small = Lab(train=32, test=32, epochs=2, batch_size=16, keys=2, size="quick")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lab, "of", classmethod(lambda cls, context, **changes: small))
        patch.setattr(PostedRun, "at", classmethod(lambda cls, size, **changes: replace(TINY, epochs=1, **changes)))
        return entry.part, entry.run(Context(size="quick", on_progress=told.append)), sum(told)


@pytest.mark.slow
def test_every_quick_experiment_says_what_was_reduced_and_labels_its_pictures(
    quick: tuple[str, Outcome, float],
) -> None:
    part, outcome, progress = quick
    assert progress == pytest.approx(1.0)
    assert {row.part for row in outcome.rows} == {part}
    accuracies = [row for row in outcome.rows if row.quantity.startswith("test accuracy")]
    assert accuracies
    assert all("quick: " in row.quantity for row in accuracies)
    assert all(0 <= row.measured <= 100 for row in accuracies)
    assert outcome.pictures
    assert len({picture.name for picture in outcome.pictures}) == len(outcome.pictures)
    for picture in outcome.pictures:
        if picture.name not in ("samples", "samples-colour", "composed", "outliers", "schedules", "weights"):
            assert "mode" in picture.caption, picture.name
        for axes in picture.figure.axes:
            assert not axes.axison or axes.get_ylabel() or axes.get_xlabel(), picture.name
    assert outcome.remarks
