"""The dropout layer: what PyTorch's does, with masks from the frozen stream."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.kernels import dropout_mask, dropout_operations, effective_p, keep_scale
from regimen.nn import Dropout, step

KEY = 7
FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def drop(layer: nn.Module, x: Tensor, n: int = 0, *, ahead: int = 1) -> Tensor:
    """Return the output of a forward that belongs to optimizer step `n`."""
    with step(layer, n, ahead=ahead):
        return layer(x)


# --- train and eval -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, KEY])
@pytest.mark.parametrize("inplace", [False, True])
def test_in_eval_mode_the_input_comes_back_itself(seed: int | None, inplace: bool) -> None:
    x = torch.randn(3, 5)
    before = x.clone()
    assert Dropout(0.5, inplace, seed=seed).eval()(x) is x
    assert torch.equal(x, before)


def test_in_train_mode_the_output_is_the_input_times_the_mask_of_the_stream() -> None:
    x = torch.randn(6, 10)
    expected = x * dropout_mask(KEY, 0.3, rows=6, features=10, step=4, site=2)[0]
    assert torch.equal(drop(Dropout(0.3, seed=KEY, site=2), x, 4), expected)


@pytest.mark.parametrize("seed", [None, KEY])
def test_with_p_zero_the_input_comes_back_itself(seed: int | None) -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.0, seed=seed)(x) is x


@pytest.mark.parametrize("seed", [None, KEY])
def test_with_p_one_output_and_gradient_are_zero(seed: int | None) -> None:
    x = torch.randn(3, 5, requires_grad=True)
    y = drop(Dropout(1.0, seed=seed), x)
    y.sum().backward()
    assert not y.any()
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_mean_of_a_train_forward_is_that_of_the_input(p: float) -> None:
    """Hoeffding: the mean of n values in [0, s] strays by t or more at most with probability 2·exp(-2nt²/s²)."""
    n, false_alarm = 1 << 18, 1e-9
    y = drop(Dropout(p, seed=KEY), torch.ones(512, n // 512, dtype=torch.float64))
    bound = keep_scale(p) * math.sqrt(math.log(2 / false_alarm) / (2 * n))
    assert abs(y.mean().item() - 1.0) <= bound


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf])
def test_an_impossible_rate_is_refused(p: float) -> None:
    with pytest.raises(OptionError, match=r"p: expected a drop probability in \[0, 1\], got"):
        Dropout(p)


@pytest.mark.parametrize("seed", [-1, 1 << 64, 0.5])
def test_an_impossible_seed_is_refused(seed: float) -> None:
    with pytest.raises(OptionError, match="seed: expected a whole number"):
        Dropout(0.5, seed=seed)  # type: ignore[arg-type]


# --- the step -----------------------------------------------------------------------------------------------------


def test_a_seeded_layer_outside_of_a_step_says_what_it_needs() -> None:
    layer = Dropout(0.5, seed=KEY)
    with pytest.raises(OptionError, match=r"with step\(model, n\):"):
        layer(torch.ones(2, 3))
    drop(layer, torch.ones(2, 3))
    with pytest.raises(OptionError, match=r"with step\(model, n\):"):
        layer(torch.ones(2, 3))


def test_a_seeded_layer_needs_no_step_in_eval_mode() -> None:
    assert Dropout(0.5, seed=KEY).eval()(torch.ones(2, 3)).all()


def test_the_step_ends_even_when_the_forward_fails() -> None:
    layer = Dropout(0.5, seed=KEY)
    with pytest.raises(ZeroDivisionError), step(layer, 0):
        raise ZeroDivisionError
    with pytest.raises(OptionError):
        layer(torch.ones(2, 3))


def test_the_same_step_gives_the_same_mask_and_another_step_another() -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.ones(4, 16)
    first = drop(layer, x, 0)
    assert torch.equal(drop(layer, x, 0), first)
    assert not torch.equal(drop(layer, x, 1), first)


def test_step_reaches_every_seeded_layer_of_a_model() -> None:
    model = nn.Sequential(Dropout(0.5, seed=KEY, site=0), nn.Sequential(nn.Identity(), Dropout(0.5, seed=KEY, site=1)))
    x = torch.ones(4, 16)
    masks = [dropout_mask(KEY, 0.5, rows=4, features=16, step=3, site=site)[0] for site in (0, 1)]
    assert torch.equal(drop(model, x, 3), masks[0] * masks[1])


@given(st.integers(1, 9), st.integers(1, 6))
def test_masks_drawn_ahead_equal_those_drawn_one_by_one(ahead: int, rows: int) -> None:
    x = torch.ones(rows, 12)
    one, many = Dropout(0.4, seed=KEY, site=1), Dropout(0.4, seed=KEY, site=1)
    for n in range(10):
        assert torch.equal(drop(one, x, n), drop(many, x, n, ahead=ahead))


def test_steps_may_be_gone_through_in_any_order() -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.ones(4, 16)
    for n in (5, 6, 3, 4, 9, 0):
        assert torch.equal(drop(layer, x, n, ahead=3), dropout_mask(KEY, 0.5, rows=4, features=16, step=n)[0])


@pytest.mark.parametrize("elements", [1 << 18, 100])
def test_without_the_kernels_masks_drawn_ahead_are_bounded_and_right(
    elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGIMEN_ISA", "none")
    monkeypatch.setattr(dropout_operations, "AHEAD_ELEMENTS", elements)
    dropout_operations._ahead.cache_clear()
    layer, x = Dropout(0.4, seed=KEY, site=3), torch.ones(4, 12)
    for n in (0, 1, 2, 15, 16, 40):
        expected = dropout_mask(KEY, 0.4, rows=4, features=12, step=n, site=3)[0]
        assert torch.equal(drop(layer, x, n, ahead=1000), expected)
    assert dropout_operations._ahead.cache_info().currsize == (3 if elements > 100 else 0)


def test_a_partial_batch_has_the_first_rows_of_the_mask() -> None:
    layer = Dropout(0.5, seed=KEY)
    full = drop(layer, torch.ones(8, 12), 0, ahead=2)
    assert torch.equal(drop(layer, torch.ones(3, 12), 0), full[:3])
    larger = drop(layer, torch.ones(9, 12), 0)
    assert torch.equal(larger[:8], full)


def test_each_call_within_a_forward_draws_its_own_mask() -> None:
    layer, x = Dropout(0.5, seed=KEY, site=4), torch.ones(3, 16)
    for _ in range(2):
        with step(layer, 0, ahead=3):
            drawn = [layer(x) for _ in range(3)]
        for call, y in enumerate(drawn):
            assert torch.equal(y, dropout_mask(KEY, 0.5, rows=3, features=16, step=0, site=4, call=call)[0])


@pytest.mark.parametrize("changes", [{"p": 0.9}, {"seed": 8}, {"site": 3}])
def test_a_layer_whose_rate_seed_or_site_is_changed_draws_by_the_new_one(changes: dict[str, float]) -> None:
    layer, x = Dropout(0.2, seed=KEY), torch.ones(4, 64)
    drop(layer, x, 0, ahead=5)
    for name, value in changes.items():
        setattr(layer, name, value)
    fresh = Dropout(layer.p, seed=layer.seed, site=layer.site)
    assert torch.equal(drop(layer, x, 1), drop(fresh, x, 1))


def test_inputs_of_changing_width_and_type_get_their_own_masks() -> None:
    layer = Dropout(0.5, seed=KEY)
    for features, dtype in ((8, torch.float32), (24, torch.float32), (24, torch.float64), (8, torch.bfloat16)):
        y = drop(layer, torch.ones(2, features, dtype=dtype), 0, ahead=4)
        assert y.dtype == dtype
        assert torch.equal(y != 0, dropout_mask(KEY, 0.5, rows=2, features=features, step=0)[0] != 0)


# --- shapes and types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (3, 5), (3, 2, 5), ()])
def test_one_to_three_dimensional_inputs_are_flattened_behind_the_rows(shape: tuple[int, ...]) -> None:
    rows, features = (1, math.prod(shape)) if len(shape) < 2 else (shape[0], math.prod(shape[1:]))
    expected = dropout_mask(KEY, 0.5, rows=rows, features=features, step=0)[0].reshape(shape)
    assert torch.equal(drop(Dropout(0.5, seed=KEY), torch.ones(shape)), expected)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 2, 3)])
def test_images_and_volumes_count_features_channels_last(shape: tuple[int, ...]) -> None:
    """So that a mask does not depend on the layout in memory that makes convolutions fast."""
    last = (shape[0], *shape[2:], shape[1])
    mask = dropout_mask(KEY, 0.5, rows=shape[0], features=math.prod(shape[1:]), step=0)[0].reshape(last).movedim(-1, 1)
    x = torch.ones(shape)
    assert torch.equal(drop(Dropout(0.5, seed=KEY), x), mask)
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    assert torch.equal(drop(Dropout(0.5, seed=KEY), x.to(memory_format=layout)), mask)


@pytest.mark.parametrize("seed", [None, KEY])
@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0), (2, 0, 4, 4)])
def test_an_empty_input_comes_back_empty(seed: int | None, shape: tuple[int, ...]) -> None:
    y = drop(Dropout(0.5, seed=seed), torch.ones(shape))
    assert y.shape == shape


def test_an_input_that_is_a_view_is_dropped_as_its_copy() -> None:
    x = torch.randn(6, 4).t()
    assert torch.equal(drop(Dropout(0.5, seed=KEY), x), drop(Dropout(0.5, seed=KEY), x.contiguous()))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_float_type_is_scaled_in_wide_precision_and_rounded_once(dtype: torch.dtype, inplace: bool) -> None:
    p, x = 0.3, torch.randn(16, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    scale = torch.tensor(keep_scale(p), dtype=torch.float64).to(wide)
    kept = dropout_mask(KEY, p, rows=16, features=32, step=0)[0] != 0
    expected = torch.where(kept, (x.to(wide) * scale).to(dtype), 0.0)
    y = drop(Dropout(p, inplace, seed=KEY), x.clone())
    assert y.dtype == dtype
    assert torch.equal(y, expected)


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("seed", [None, KEY])
def test_the_gradient_passes_where_the_output_did_with_the_same_scale(dtype: torch.dtype, seed: int | None) -> None:
    x = torch.ones(4, 32, dtype=dtype, requires_grad=True)
    y = drop(Dropout(0.5, seed=seed), x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())
    assert set(y.detach().unique().tolist()) == {0.0, 2.0}


def test_in_place_overwrites_the_input_with_the_same_values_and_gradients() -> None:
    leaf = torch.randn(4, 16, requires_grad=True)
    x = leaf * 1.0
    y = drop(Dropout(0.5, inplace=True, seed=KEY), x)
    assert y is x
    expected = drop(Dropout(0.5, seed=KEY), leaf)
    assert torch.equal(y, expected)
    (gradient,) = torch.autograd.grad(y.sum(), leaf)
    (other,) = torch.autograd.grad(expected.sum(), leaf)
    assert torch.equal(gradient, other)


def test_first_and_second_derivatives_are_those_of_finite_differences() -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.randn(2, 4, dtype=torch.float64, requires_grad=True)

    def curved(x: Tensor) -> Tensor:
        return drop(layer, x).pow(3)

    assert torch.autograd.gradcheck(curved, x)
    assert torch.autograd.gradgradcheck(curved, x)


# --- as a module --------------------------------------------------------------------------------------------------


def test_without_a_seed_masks_follow_torch_manual_seed() -> None:
    layer, x = Dropout(0.5), torch.ones(8, 32)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = layer(x), layer(x)
        torch.manual_seed(3)
        again = layer(x)
        torch.manual_seed(4)
        other = layer(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_seeded_layer_leaves_the_generator_of_pytorch_alone() -> None:
    before = torch.get_rng_state()
    drop(Dropout(0.5, seed=KEY), torch.ones(8, 32))
    assert torch.equal(before, torch.get_rng_state())


def test_a_layer_has_no_state_to_save_and_prints_its_arguments() -> None:
    layer = Dropout(0.25, inplace=True, seed=KEY)
    drop(layer, torch.ones(2, 2))
    assert layer.state_dict() == {}
    assert repr(layer) == "Dropout(p=0.25, inplace=True, seed=7)"
    assert repr(Dropout()) == "Dropout(p=0.5, inplace=False)"


@pytest.mark.parametrize("seed", [None, KEY])
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_the_rate_of_zeros_is_the_effective_p(p: float, seed: int | None) -> None:
    """Hoeffding at a false-alarm rate of 1e-9, exact for independent 16-bit values."""
    n = 1 << 16
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = drop(Dropout(p, seed=seed), torch.ones(64, n // 64))
    rate = (y == 0).double().mean().item()
    assert abs(rate - effective_p(p)) <= math.sqrt(math.log(2 / 1e-9) / (2 * n))
