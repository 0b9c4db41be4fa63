"""Constraints on weights against their formulas, and the laws that they obey."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from regimen.techniques import add_l1_gradient, decay, limit_norm, proximal_l1

strengths = st.floats(0.0, 10.0)
numbers = st.floats(-100.0, 100.0, width=32)


@st.composite
def matrices(draw: st.DrawFn) -> Tensor:
    """Weights `[out, in]`, float64, with zeros among them."""
    out, width = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    values = draw(st.lists(numbers, min_size=out * width, max_size=out * width))
    return torch.tensor(values, dtype=torch.float64).reshape(out, width)


def after(change: object, weight: Tensor, amount: float) -> Tensor:
    """Return a changed copy of the weights."""
    copied = nn.Parameter(weight.clone())
    change([copied], amount)  # type: ignore[operator]
    assert copied.requires_grad
    return copied.detach()


# --- L1 -----------------------------------------------------------------------------------------------------------


@given(matrices(), strengths)
def test_the_l1_subgradient_is_that_of_autograd(weight: Tensor, strength: float) -> None:
    ours, theirs = nn.Parameter(weight.clone()), nn.Parameter(weight.clone())
    ours.grad = torch.ones_like(weight)
    add_l1_gradient([ours], strength)
    (theirs.sum() + strength * theirs.abs().sum()).backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert torch.equal(ours.detach(), weight)


def test_the_l1_subgradient_passes_over_weights_without_a_gradient() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    add_l1_gradient([weight], 0.1)
    assert weight.grad is None


@given(matrices(), strengths)
def test_the_proximal_step_is_the_soft_threshold(weight: Tensor, threshold: float) -> None:
    expected = weight.sign() * (weight.abs() - threshold).clamp(min=0)
    torch.testing.assert_close(after(proximal_l1, weight, threshold), expected, rtol=1e-12, atol=1e-12)


@given(matrices(), st.floats(0.01, 10.0))
def test_the_proximal_step_minimizes_what_it_is_named_after(weight: Tensor, threshold: float) -> None:
    """Argmin of (x - w)²/2 + t·|x|: no nearby x is better."""
    best = after(proximal_l1, weight, threshold)

    def cost(x: Tensor) -> Tensor:
        return (x - weight) ** 2 / 2 + threshold * x.abs()

    for shift in (-1e-3, 1e-3):
        assert (cost(best) <= cost(best + shift) + 1e-12).all()


@given(matrices(), st.floats(0.01, 10.0))
def test_the_proximal_step_makes_exact_zeros_and_never_changes_a_sign(weight: Tensor, threshold: float) -> None:
    shrunk = after(proximal_l1, weight, threshold)
    assert torch.equal(shrunk == 0, weight.abs() <= threshold)
    assert (shrunk * weight >= 0).all()


# --- decoupled decay ------------------------------------------------------------------------------------------------


@given(matrices(), st.floats(0.0, 1.0))
def test_decay_multiplies_by_one_minus_the_factor(weight: Tensor, factor: float) -> None:
    assert torch.equal(after(decay, weight, factor), weight * (1.0 - factor))


# --- max-norm -------------------------------------------------------------------------------------------------------


@given(matrices(), st.floats(0.01, 10.0))
def test_max_norm_projects_each_row_onto_the_ball(weight: Tensor, radius: float) -> None:
    limited = after(limit_norm, weight, radius)
    for row, before in zip(limited, weight, strict=True):
        norm = before.norm()
        expected = before if norm <= radius else before * (radius / norm)
        torch.testing.assert_close(row, expected, rtol=1e-12, atol=1e-12)


@given(matrices(), st.floats(0.01, 10.0))
def test_max_norm_leaves_short_rows_bitwise_alone_and_is_idempotent(weight: Tensor, radius: float) -> None:
    limited = after(limit_norm, weight, radius)
    short = weight.norm(dim=1) <= radius
    assert torch.equal(limited[short], weight[short])
    torch.testing.assert_close(after(limit_norm, limited, radius), limited, rtol=1e-14, atol=0)


@pytest.mark.parametrize("radius", [0.45107543818174634, 3.8012071652620736, 6.125, 7.46875])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_within_its_bound_does_not_drift_over_many_steps(radius: float, dtype: torch.dtype) -> None:
    """PyTorch computes r / r of a number and a tensor as r · (1 / r), which misses 1 for these."""
    weight = torch.full((1, 1), 0.25, dtype=dtype)
    for _ in range(100):
        limit_norm([weight], radius)
    assert weight.item() == 0.25


def test_max_norm_counts_all_incoming_weights_of_a_convolutional_unit() -> None:
    weight = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    limited = after(limit_norm, weight, 0.5)
    assert limited.flatten(1).norm(dim=1).tolist() == pytest.approx([0.5] * 3)
    expected = torch.renorm(weight, 2, 0, 0.5)  # PyTorch divides by norm + 1e-7
    torch.testing.assert_close(limited, expected, rtol=1e-6, atol=0)


# --- what all share ---------------------------------------------------------------------------------------------------

CHANGES = {"proximal_l1": (proximal_l1, 0.0), "decay": (decay, 0.0), "limit_norm": (limit_norm, 1e9)}


@pytest.mark.parametrize("name", CHANGES)
@given(weight=matrices())
def test_at_strength_zero_the_weights_stay_bitwise(name: str, weight: Tensor) -> None:
    change, off = CHANGES[name]
    assert torch.equal(after(change, weight, off), weight)


@pytest.mark.parametrize("name", CHANGES)
def test_at_zero_the_weights_stay_zero_and_every_matrix_of_a_list_is_changed(name: str) -> None:
    change, _ = CHANGES[name]
    zero, first, second = (nn.Parameter(torch.full((2, 3), value)) for value in (0.0, 2.0, 2.0))
    change(iter([zero, first, second]), 0.5)
    assert not zero.any()
    assert torch.equal(first, second)
    assert (first < 2.0).all()
