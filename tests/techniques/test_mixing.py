"""Mixup and input noise: formulas, and distributions within exact bounds at a false-alarm rate of 1e-9."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regimen.techniques import input_noise, mix, mixup_partners, mixup_weights

KEY, FALSE_ALARM = 11, 1e-9


def largest_distance(n: int) -> float:
    """Bound on |empirical - true| distribution function (Massart 1990, the tight constant of Dvoretzky et al.)."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.4, 1.0, 5.0, 100.0])
def test_mixing_weights_are_beta_distributed(alpha: float) -> None:
    drawn = mixup_weights(KEY, alpha, step=0, steps=20_000)
    assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).statistic <= largest_distance(20_000)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 5.0])
def test_each_mixing_weight_inverts_the_distribution_function(alpha: float) -> None:
    uniforms = mixup_weights(KEY, 1.0, step=0, steps=200)  # Beta(1, 1) is uniform
    assert mixup_weights(KEY, alpha, step=0, steps=200) == pytest.approx(
        stats.beta(alpha, alpha).ppf(uniforms), rel=1e-9, abs=1e-12
    )


@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_mixing_weights_lie_between_zero_and_one(alpha: float, step: int) -> None:
    drawn = mixup_weights(KEY, alpha, step=step, steps=20)
    assert drawn.shape == (20,)
    assert drawn.dtype == np.float64
    assert ((drawn >= 0) & (drawn <= 1)).all()


@given(st.integers(0, 40), st.integers(0, 100))
def test_partners_are_a_permutation_of_the_batch(rows: int, step: int) -> None:
    assert sorted(mixup_partners(KEY, rows, step=step).tolist()) == list(range(rows))


def test_every_row_is_everybodys_partner_equally_often() -> None:
    """Hoeffding for each of the 25 pairs, with a union bound."""
    steps = 1500
    pairs = np.zeros((5, 5))
    for step in range(steps):
        pairs[np.arange(5), mixup_partners(KEY, 5, step=step)] += 1
    assert np.abs(pairs / steps - 0.2).max() <= math.sqrt(math.log(2 * 25 / FALSE_ALARM) / (2 * steps))


def test_mix_takes_the_weight_of_the_row_and_the_rest_of_its_partner() -> None:
    x = torch.tensor([[0.0, 1.0], [10.0, 20.0], [4.0, 8.0]])
    mixed = mix(x, torch.tensor([1, 2, 2]), 0.75)
    assert mixed.tolist() == [[2.5, 5.75], [8.5, 17.0], [4.0, 8.0]]


def test_mix_with_weight_one_leaves_the_batch_bitwise_alone_and_with_zero_gives_the_partners() -> None:
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)) * 1e3
    partners = mixup_partners(KEY, 6, step=0)
    assert torch.equal(mix(x, partners, 1.0), x)
    assert torch.equal(mix(x, partners, 0.0), x[partners])


@given(st.floats(0, 1), st.integers(1, 8))
def test_mix_keeps_the_mean_of_the_batch(weight: float, rows: int) -> None:
    x = torch.randn(rows, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mixed = mix(x, mixup_partners(KEY, rows, step=0), weight)
    torch.testing.assert_close(mixed.mean(0), x.mean(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_input_noise_is_normal_with_the_asked_deviation(scale: float) -> None:
    drawn = input_noise(KEY, scale, rows=200, features=101, step=0).flatten().double().numpy()
    assert stats.kstest(drawn, stats.norm(scale=scale).cdf).statistic <= largest_distance(len(drawn))


def test_the_two_normals_of_a_pair_are_independent() -> None:
    """In each quadrant a quarter, by Hoeffding; and so is their radius, chi with two degrees of freedom."""
    drawn = input_noise(KEY, 1.0, rows=20_000, features=2, step=3).double().numpy()
    quadrant = (drawn > 0) @ np.array([1, 2])
    share = np.bincount(quadrant, minlength=4) / len(drawn)
    assert np.abs(share - 0.25).max() <= math.sqrt(math.log(2 * 4 / FALSE_ALARM) / (2 * len(drawn)))
    radius = np.linalg.norm(drawn, axis=1)
    assert stats.kstest(radius, stats.chi(2).cdf).statistic <= largest_distance(len(drawn))


def test_each_step_and_key_has_its_own_noise() -> None:
    noises = [input_noise(key, 1.0, rows=2, features=8, step=step) for key, step in ((KEY, 0), (KEY, 1), (KEY + 1, 0))]
    assert len({tuple(noise.flatten().tolist()) for noise in noises}) == 3
