"""What holds for every noisy layer: drop-in for torch.nn, placed in the stream, differentiable."""

import copy
import math
import pickle
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import regimen.nn as rnn
from regimen.errors import OptionError
from regimen.kernels import dropout_autograd, dropout_mask, effective_p, keep_scale
from regimen.kernels.native import find_kernels
from regimen.nn import StreamLayer, step
from regimen.streams import Purpose, counter3, normal, words

KEY = 7
DROP_IN = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
NAMES = [*DROP_IN, "GaussianDropout", "DropPath"]
SHAPES = {"Dropout1d": (4, 6, 5), "Dropout2d": (4, 6, 5, 3), "Dropout3d": (4, 6, 5, 3, 2)}
FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def make(name: str, p: float = 0.5, **options: object) -> StreamLayer:
    layer: StreamLayer = getattr(rnn, name)(p, **options)
    return layer


def example(name: str, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(SHAPES.get(name, (4, 12)), generator=torch.Generator().manual_seed(1)).to(dtype) + 3.0


def drop(layer: nn.Module, x: Tensor, n: int = 0) -> Tensor:
    with step(layer, n):
        return layer(x)


@pytest.fixture(params=["", "none"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the C++ kernels that this machine takes, and without any."""
    if request.param:
        monkeypatch.setenv("REGIMEN_ISA", request.param)


@pytest.fixture(params=[dropout_autograd.KEPT_ELEMENTS, 0], ids=["kept masks", "masks drawn again"])
def both_backwards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the masks of small tensors kept for backward, and with all drawn again there."""
    monkeypatch.setattr(dropout_autograd, "KEPT_ELEMENTS", request.param)


# --- drop-in for torch.nn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DROP_IN)
def test_arguments_repr_and_class_are_those_of_torch(name: str) -> None:
    theirs = getattr(nn, name)
    for arguments in ((), (0.25,), (0.25, True)):
        ours = getattr(rnn, name)(*arguments)
        assert repr(ours) == repr(theirs(*arguments))
        assert isinstance(ours, theirs)
        assert (ours.p, ours.inplace) == (theirs(*arguments).p, theirs(*arguments).inplace)


@pytest.mark.parametrize("name", NAMES)
def test_state_is_empty_and_loads_strictly_from_a_net_of_torch(name: str) -> None:
    ours = nn.Sequential(nn.Linear(12, 12), make(name, seed=KEY))
    theirs = nn.Sequential(nn.Linear(12, 12), nn.Dropout())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert torch.equal(ours[0].weight, theirs[0].weight)
    assert not ours[1].state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_repr_tells_seed_and_site_where_they_are_given(name: str) -> None:
    assert repr(make(name, 0.25, seed=3)) == f"{name}(p=0.25, inplace=False, seed=3)"
    assert repr(make(name, 0.25, seed=3, site=2)) == f"{name}(p=0.25, inplace=False, seed=3, site=2)"


@pytest.mark.parametrize("seed", [None, KEY])
@pytest.mark.parametrize("name", NAMES)
def test_eval_mode_and_p_zero_return_the_input_itself(name: str, seed: int | None) -> None:
    x = example(name)
    assert make(name, seed=seed).eval()(x) is x
    if not name.startswith("Dropout") or name == "Dropout":
        assert make(name, 0.0, seed=seed)(x) is x
    assert torch.equal(make(name, 0.0, seed=seed)(x), x)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "GaussianDropout"])
def test_p_one_gives_zeros_with_zero_gradient(name: str, inplace: bool) -> None:
    leaf = example(name).requires_grad_()
    y = make(name, 1.0, inplace=inplace)(leaf * 1.0)
    y.sum().backward()
    assert not y.any()
    assert leaf.grad is not None
    assert not leaf.grad.any()


def test_gaussian_noise_of_infinite_variance_is_refused() -> None:
    with pytest.raises(OptionError, match=r"p: expected a drop probability in \[0, 1\) for Gaussian noise"):
        rnn.GaussianDropout(1.0)


@pytest.mark.parametrize("name", [*NAMES, "DropConnectLinear"])
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, "0.5", True])
def test_impossible_rates_are_refused(name: str, p: float) -> None:
    with pytest.raises(OptionError, match=r"p: expected a drop probability in \[0, 1\], got"):
        rnn.DropConnectLinear(2, 2, p=p) if name == "DropConnectLinear" else make(name, p)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
@pytest.mark.parametrize("name", NAMES)
def test_inputs_of_other_types_are_refused_in_training_and_passed_in_eval(name: str, dtype: torch.dtype) -> None:
    x = example(name).to(dtype)
    with pytest.raises(OptionError, match=rf"{name}: expected a floating-point input in training, got {dtype}"):
        make(name)(x)
    assert make(name).eval()(x) is x


@pytest.mark.parametrize("name", NAMES)
def test_empty_inputs_come_back_empty(name: str) -> None:
    assert make(name)(example(name)[:0]).shape == example(name)[:0].shape


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_type_and_layout_of_the_output_are_those_of_the_input(name: str, dtype: torch.dtype) -> None:
    x = example(name, dtype=dtype)
    for view in (x, x.transpose(0, 1), x[:, ::2], x[:1].expand_as(x)):
        y = make(name)(view)
        assert y.dtype == dtype
        assert y.stride() == torch.empty_like(view).stride()


@pytest.mark.parametrize("name", NAMES)
def test_in_place_writes_into_the_input_what_out_of_place_returns(name: str) -> None:
    x = example(name)
    expected = drop(make(name, seed=KEY), x)
    version = x._version
    y = drop(make(name, inplace=True, seed=KEY), x)
    assert y is x
    assert torch.equal(y, expected)
    assert x._version > version


@pytest.mark.parametrize("p", [0.5, 1.0])
@pytest.mark.parametrize("name", NAMES[:-2])
def test_a_leaf_that_requires_a_gradient_is_not_overwritten(name: str, p: float) -> None:
    x = example(name).requires_grad_()
    before = x.detach().clone()
    with pytest.raises(RuntimeError, match="a leaf tensor that requires a gradient"):
        make(name, p, inplace=True)(x)
    assert torch.equal(x, before)
    with torch.no_grad():
        assert make(name, p, inplace=True)(x) is x


@pytest.mark.parametrize("name", NAMES)
def test_layers_can_be_copied(name: str) -> None:
    layer = copy.deepcopy(make(name, seed=KEY))
    assert torch.equal(drop(layer, example(name)), drop(make(name, seed=KEY), example(name)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_made_inside_of_a_step_does_not_keep_it(name: str, copied: Callable[[nn.Module], nn.Module]) -> None:
    layer, x = make(name, seed=KEY), example(name)
    with step(layer, 3):
        layer(x)
        other = copied(layer)
        expected = drop(make(name, seed=KEY), x, 3)
    with pytest.raises(OptionError, match="needs the step in training"):
        other(x)
    assert torch.equal(drop(other, x, 3), expected)


# --- the stream ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kernels")
def test_channels_follow_the_stream_of_masks() -> None:
    for name in ("Dropout1d", "Dropout2d", "Dropout3d"):
        x = example(name)
        mask = dropout_mask(KEY, 0.3, rows=4, features=6, step=5, site=2)[0]
        expected = x * mask.reshape(4, 6, *(1,) * (x.dim() - 2))
        assert torch.equal(drop(make(name, 0.3, seed=KEY, site=2), x, 5), expected)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_dropout_sets_what_the_stream_drops_to_the_lower_end(name: str) -> None:
    x = example(name)
    mask = dropout_mask(KEY, 0.3, rows=4, features=12, step=5, site=2, purpose=Purpose.GAUSSIAN)[0] != 0
    p, saturation = effective_p(0.3), -1.7580993408473766
    a = ((1 - p) * (1 + p * saturation**2)) ** -0.5
    expected = a * torch.where(mask, x.double(), saturation) - a * p * saturation
    torch.testing.assert_close(drop(make(name, 0.3, seed=KEY, site=2), x, 5).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("kernels")
def test_gaussian_dropout_multiplies_by_normals_of_the_stream() -> None:
    x = example("GaussianDropout")
    third = counter3(Purpose.GAUSSIAN, site=2)
    factor = 1.0 + math.sqrt(0.3 / 0.7) * normal(words(KEY, 12, torch.arange(4)[:, None], 5, third))
    found = drop(make("GaussianDropout", 0.3, seed=KEY, site=2), x, 5).double()
    torch.testing.assert_close(found, x.double() * factor, rtol=2e-6, atol=2e-6)


@pytest.mark.usefixtures("kernels")
def test_drop_path_drops_whole_rows_of_the_stream() -> None:
    x = torch.ones(9, 3, 2)
    mask = dropout_mask(KEY, 0.3, rows=9, features=1, step=5, site=2, purpose=Purpose.DROP_PATH)[0]
    assert torch.equal(drop(make("DropPath", 0.3, seed=KEY, site=2), x, 5), x * mask[:, :, None])


@pytest.mark.usefixtures("kernels")
def test_drop_connect_drops_weights_numbered_through_the_matrix() -> None:
    layer = rnn.DropConnectLinear(5, 3, p=0.3, seed=KEY, site=2)
    mask = dropout_mask(KEY, 0.3, rows=1, features=15, step=5, site=2, purpose=Purpose.DROP_CONNECT)[0].view(3, 5)
    x = torch.randn(4, 5)
    expected = nn.functional.linear(x, layer.weight * mask, layer.bias)
    assert torch.equal(drop(layer, x, 5), expected)
    drop(layer, x, 5).sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad != 0, mask != 0)


def test_drop_connect_is_a_linear_layer_in_eval_mode_and_in_its_state() -> None:
    theirs = nn.Linear(5, 3)
    ours = rnn.DropConnectLinear(5, 3, p=0.3)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(4, 5)
    assert torch.equal(ours.eval()(x), theirs(x))
    assert repr(ours) == "DropConnectLinear(in_features=5, out_features=3, bias=True, p=0.3)"
    assert repr(rnn.DropConnectLinear(5, 3, False, p=0.3, seed=1)).endswith("bias=False, p=0.3, seed=1)")


def test_layers_without_a_site_take_their_ordinal_among_the_modules() -> None:
    model = nn.Sequential(nn.Linear(4, 4), rnn.Dropout(0.5, seed=KEY), nn.Sequential(rnn.Dropout(0.5, seed=KEY)))
    sites: list[int] = []
    for layer in (model[1], model[2][0]):
        layer.register_forward_hook(lambda module, inputs, output: sites.append(module._ordinal))
    drop(model, torch.ones(2, 4))
    names = [name for name, _ in model.named_modules()]
    assert sites == [names.index("1"), names.index("2.0")]
    x = torch.ones(2, 4)
    with step(model, 3):
        expected = x * dropout_mask(KEY, 0.5, rows=2, features=4, step=3, site=names.index("2.0"))[0]
        assert torch.equal(model[2][0](x), expected)


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda model: torch.compile(model, backend="eager"),
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
        lambda model: nn.Sequential(model[0], torch.compile(model[1], backend="eager"), *model[2:]),
    ],
    ids=["parallel", "compiled", "both", "a block of it compiled"],
)
def test_wrapping_a_model_changes_no_mask(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), rnn.Dropout(0.5, seed=KEY)), rnn.Dropout(seed=1))
    wrapped, x = wrap(model), torch.ones(2, 64)
    expected = drop(model, x, 4)
    assert torch.equal(drop(wrapped, x, 4), expected)


def test_micro_batches_continue_the_rows_of_their_step() -> None:
    layer, x = rnn.Dropout(0.5, seed=KEY), torch.ones(6, 16)
    whole = drop(layer, x)
    with step(layer, 0, first_row=4):
        assert torch.equal(layer(x[4:]), whole[4:])


@pytest.mark.parametrize(("n", "first_row"), [(-1, 0), (1 << 32, 0), (0, -1), (0, 1 << 32)])
def test_steps_and_rows_beyond_the_stream_are_refused(n: int, first_row: int) -> None:
    with pytest.raises(OptionError, match="random stream exhausted"), step(nn.Identity(), n, first_row=first_row):
        pass


def test_sites_and_calls_beyond_the_stream_are_refused() -> None:
    with pytest.raises(OptionError, match="random stream exhausted"):
        rnn.Dropout(0.5, seed=1, site=1 << 16)
    layer, x = rnn.Dropout(0.5, seed=1), torch.ones(1)
    with step(layer, 0):
        for _ in range(256):
            layer(x)
        with pytest.raises(OptionError, match="at most 256 uses of a layer in one step"):
            layer(x)


def test_a_rate_changed_between_forwards_holds_from_then_on() -> None:
    layer, x = rnn.Dropout(0.1), torch.ones(64, 64)
    for p in (0.1, 0.9, 0.1):
        layer.p = p
        assert layer(x).max() == torch.tensor(keep_scale(p), dtype=torch.float32)


@pytest.mark.parametrize("name", NAMES)
def test_keys_come_from_the_default_generator_of_pytorch(name: str) -> None:
    layer, x = make(name), example(name)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = layer(x), layer(x)
        torch.manual_seed(3)
        assert torch.equal(layer(x), first)
        assert not torch.equal(first, second)


def test_no_key_is_drawn_where_none_is_needed() -> None:
    before = torch.get_rng_state()
    x = torch.ones(2, 3)
    for layer in (rnn.Dropout(0.0), rnn.Dropout(1.0), rnn.Dropout(0.5).eval(), rnn.Dropout(0.5, seed=1)):
        drop(layer, x)
    rnn.Dropout(0.5)(x[:0])
    assert torch.equal(torch.get_rng_state(), before)


# --- laws ---------------------------------------------------------------------------------------------------------


@given(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_scale_times_share_kept_is_one(p: float) -> None:
    """The expected output is the input."""
    noise = rnn.Dropout(p)._noise(0, 0, False)
    assert noise.scale * (65536 - noise.threshold) / 65536 == pytest.approx(1.0, rel=2**-52, abs=0)


@given(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_alpha_dropout_keeps_mean_zero_and_variance_one(p: float) -> None:
    """E y = 0 and E y² = 1 for independent x of mean 0 and variance 1, from the constants themselves."""
    noise = rnn.AlphaDropout(p)._noise(0, 0, False)
    dropped = noise.threshold / 65536
    mean = (1 - dropped) * noise.kept_shift + dropped * noise.dropped_shift
    square = (1 - dropped) * (noise.scale**2 + noise.kept_shift**2) + dropped * noise.dropped_shift**2
    assert mean == pytest.approx(0.0, abs=1e-12)
    assert square == pytest.approx(1.0, abs=1e-12)


@given(st.floats(0.01, 0.99))
def test_gaussian_dropout_has_the_variance_of_dropout(p: float) -> None:
    """Var m/(1 - p) = p/(1 - p) for Bernoulli m."""
    assert rnn.GaussianDropout(p)._noise(0, 0, False).scale ** 2 == pytest.approx(p / (1 - p))


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of torch's own forward derivatives
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inplace", [False, True])
def test_first_and_second_derivatives_are_those_of_finite_differences(name: str, inplace: bool) -> None:
    layer = make(name, 0.4, inplace=inplace, seed=KEY)
    small = tuple(slice(n) for n in (2, 3, 2, 1, 2))
    x = example(name, dtype=torch.float64)
    x = x[small[: x.dim()]].clone().requires_grad_()

    def curved(x: Tensor) -> Tensor:
        return drop(layer, x * 1.0).pow(3)

    assert torch.autograd.gradcheck(curved, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(curved, x)


@pytest.mark.usefixtures("both_backwards")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strides", ["transposed", "expanded"])
def test_gradients_of_any_strides_pass_through_the_mask(name: str, strides: str) -> None:
    layer, x = make(name, seed=KEY), example(name).requires_grad_()
    gradient = example(name).transpose(0, 1).contiguous().transpose(0, 1)
    if strides == "expanded":
        gradient = gradient[:1].expand_as(x)
    (strided,) = torch.autograd.grad(drop(layer, x), x, gradient)
    (dense,) = torch.autograd.grad(drop(layer, x), x, gradient.contiguous())
    assert torch.equal(strided, dense)
    if "Alpha" not in name:
        assert torch.equal(strided, gradient * drop(layer, torch.ones_like(x)))


@pytest.mark.usefixtures("both_backwards")
def test_a_gradient_of_stride_zero_reads_nothing_else() -> None:
    x = torch.ones(33, 65, requires_grad=True)
    layer = rnn.Dropout(0.5, seed=KEY)
    y = drop(layer, x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "GaussianDropout", "DropPath"])
@pytest.mark.parametrize("rows", [512, 513])
def test_what_autograd_keeps_of_a_forward_is_at_most_a_small_mask(name: str, rows: int) -> None:
    """A larger one is drawn again in backward."""
    kept: list[Tensor] = []
    x = torch.ones(rows, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = make(name)(x)
    kernels = find_kernels() is not None  # operations draw all of it again
    small = kernels and name in ("Dropout", "DropPath") and x.numel() <= dropout_autograd.KEPT_ELEMENTS
    assert len(kept) == small
    assert all(torch.equal(mask, y) for mask in kept)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_kept_and_redrawn_masks_give_the_same_bits(name: str, inplace: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = example(name).requires_grad_()
    found = []
    for elements in (dropout_autograd.KEPT_ELEMENTS, 0):
        monkeypatch.setattr(dropout_autograd, "KEPT_ELEMENTS", elements)
        y = drop(make(name, 0.3, seed=KEY, inplace=inplace), x * -1.0)
        (slope,) = torch.autograd.grad(y, x, torch.linspace(-1.0, 1.0, x.numel()).view_as(x))
        found.append((y.detach(), slope))
    for kept, redrawn in zip(*found, strict=True):
        assert torch.equal(kept.view(torch.int32), redrawn.view(torch.int32))


# --- torch.nn's rules of shapes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), [("Dropout1d", (6, 5)), ("Dropout3d", (6, 5, 3, 2))])
@pytest.mark.parametrize("inplace", [False, True])
def test_inputs_without_rows_are_one_row(name: str, shape: tuple[int, ...], inplace: bool) -> None:
    x = torch.ones(shape)
    mask = dropout_mask(KEY, 0.5, rows=1, features=6, step=0)[0, 0]
    y = drop(make(name, inplace=inplace, seed=KEY), x)
    assert torch.equal(y, mask.reshape(6, *(1,) * (len(shape) - 1)).expand(shape))
    assert (y is x) == inplace


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"])
@pytest.mark.parametrize("dims", [0, 1, 2, 3, 4, 5, 6])
def test_numbers_of_dimensions_are_taken_warned_of_or_refused_as_in_torch(name: str, dims: int) -> None:
    x = torch.ones((2,) * dims)

    def outcome(layer: nn.Module) -> tuple[list[type], bool]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                fine = layer(x).shape == x.shape
            except (RuntimeError, OptionError):
                fine = False
        return [warning.category for warning in told], fine

    (ours, passes), (theirs, passes_there) = outcome(make(name)), outcome(getattr(nn, name)())
    assert passes == passes_there
    assert ours == theirs or not passes
