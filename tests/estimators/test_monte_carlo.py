"""Predictions with dropout left on: masks, their independence of batches, and the uncertainty they give."""

from typing import Any

import numpy as np
import pytest
import torch

from regimen import streams
from regimen.errors import OptionError
from regimen.estimators import RegimenClassifier, RegimenRegressor, predicting
from regimen.estimators.predicting import monte_carlo_mask
from regimen.kernels import keep_scale, keep_threshold


def test_masks_are_those_of_the_frozen_stream() -> None:
    mask = monte_carlo_mask(99, 0.3, row=5, rows=2, features=11, samples=3, site=2)
    for sample in range(3):
        for row in range(2):
            c3 = streams.counter3(streams.Purpose.MONTE_CARLO_MASK, site=2)
            words = streams.words(99, 8, 5 + row, sample, c3).tolist()
            values = [half for word in words for half in (word & 0xFFFF, word >> 16)][:11]
            kept = [keep_scale(0.3) if value >= keep_threshold(0.3) else 0.0 for value in values]
            assert mask[sample, row].tolist() == kept


def test_masks_keep_the_share_that_they_promise() -> None:
    mask = monte_carlo_mask(1, 0.25, row=0, rows=200, features=64, samples=20, site=1)
    kept = int((mask > 0).sum())
    # Six standard deviations of the binomial count: a false alarm in 5e8 keys.
    assert abs(kept - 0.75 * mask.numel()) < 6 * (mask.numel() * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_predictions_do_not_depend_on_how_rows_are_batched(
    yields: Any, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RegimenRegressor(hidden=(8, 8), epochs=3, dropout=0.4, input_dropout=0.2, random_state=0).fit(*yields)
    whole = model.predict(yields[0], return_std=True, samples=10)
    monkeypatch.setattr(predicting, "CHUNK", chunk)
    np.testing.assert_allclose(model.predict(yields[0], return_std=True, samples=10), whole, rtol=1e-12)


def test_more_samples_begin_with_the_same(yields: Any) -> None:
    model = RegimenRegressor(hidden=(8,), epochs=3, dropout=0.4, random_state=0).fit(*yields)
    one, other = (np.concatenate([o for _, o in samples_of(model, yields[0], n)], axis=1) for n in (3, 5))
    np.testing.assert_allclose(other[:3], one, rtol=1e-12)
    assert np.abs(other[3] - other[0]).max() > 1e-3


def samples_of(model: Any, x: Any, samples: int) -> Any:
    return predicting.forward(model.model_, model._features(x), samples=samples)


def test_mean_and_spread_of_a_linear_network_are_those_of_the_formula(yields: Any) -> None:
    """ŷ = b + Σ wⱼ zⱼ mⱼ/(1-p) has mean b + Σ wⱼ zⱼ and variance p/(1-p) Σ (wⱼ zⱼ)²."""
    x, y = yields
    model = RegimenRegressor(hidden=(), epochs=5, dropout=0.0, input_dropout=0.5, random_state=0).fit(x, y)
    samples = 4000
    mean, std = model.predict(x, return_std=True, samples=samples)
    [network] = model.model_.networks()
    weights = network[-1].weight[0].detach().double().numpy()
    terms = model.model_.preparation.apply(model._features(x)).astype(float) * weights
    scale = model.model_.preparation.target_scale
    expected = scale * np.sqrt((terms**2).sum(axis=1))
    # Over 90 rows, six standard errors of a mean; the spread of four bounded terms is known at least as well.
    assert (np.abs(mean - model.predict(x)) < 6 * expected / np.sqrt(samples)).all()
    np.testing.assert_allclose(std, expected, rtol=6 / np.sqrt(2 * samples))


def test_probabilities_are_averaged_over_samples(flowers: Any) -> None:
    x, _ = flowers
    model = RegimenClassifier(hidden=(8,), epochs=5, dropout=0.5, networks=2, random_state=0).fit(*flowers)
    logits = np.concatenate([outputs for _, outputs in samples_of(model, x, 20)], axis=1)
    assert logits.shape == (40, len(x), 3)
    expected = torch.from_numpy(logits).softmax(dim=-1).mean(dim=0).numpy()
    np.testing.assert_allclose(model.predict_proba(x, samples=20), expected, rtol=1e-9)
    assert np.abs(expected - model.predict_proba(x)).max() > 1e-3


def test_several_networks_disagree_without_dropout_too(yields: Any) -> None:
    x, y = yields
    model = RegimenRegressor(hidden=(8,), epochs=3, dropout=0.0, networks=3, random_state=0).fit(x, y)
    mean, std = model.predict(x, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(x))
    assert (std > 0).all()


def test_an_uncertainty_that_is_not_there_is_refused(yields: Any, flowers: Any) -> None:
    model = RegimenRegressor(hidden=(8,), epochs=1, dropout=0.0).fit(*yields)
    with pytest.raises(OptionError, match="return_std: expected networks with dropout, or more than one"):
        model.predict(yields[0], return_std=True)
    classifier = RegimenClassifier(hidden=(8,), epochs=1, dropout=0.0).fit(*flowers)
    with pytest.raises(OptionError, match="samples: expected 0 for networks without dropout"):
        classifier.predict_proba(flowers[0], samples=10)
    with pytest.raises(OptionError, match="samples: expected a whole number >= 0"):
        RegimenClassifier(hidden=(8,), epochs=1).fit(*flowers).predict_proba(flowers[0], samples=-1)
