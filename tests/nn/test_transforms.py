"""Noisy layers under torch.func, checkpointing, generators and torch.compile."""

from collections.abc import Iterator

import pytest
import torch
import torch.fx
from torch import Tensor, library, nn
from torch._dynamo.testing import CompileCounter
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jacrev, jvp, vmap
from torch.utils.checkpoint import checkpoint

from regimen.errors import OptionError
from regimen.kernels import Form, dropout_autograd, dropout_mask, keep_scale, keep_threshold
from regimen.nn import (
    AlphaDropout,
    DropConnectLinear,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    GaussianDropout,
    ReLUDropout,
    step,
)

KEY = 7
LAYERS = [Dropout, Dropout1d, AlphaDropout, GaussianDropout, DropPath]
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of torch's own decompositions


@pytest.fixture(autouse=True, params=[dropout_autograd.KEPT_ELEMENTS, 0], ids=["kept masks", "masks drawn again"])
def masks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the masks of small tensors kept for backward, and with all drawn again there."""
    monkeypatch.setattr(dropout_autograd, "KEPT_ELEMENTS", request.param)


@pytest.fixture(autouse=True)
def fixed_generator() -> Iterator[None]:
    """Give each test the same numbers, and leave the generator as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


# --- vmap ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_vmap_refuses_randomness_that_is_not_spoken_of(layer: type[nn.Module]) -> None:
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(layer(0.5))(torch.ones(3, 4, 6, 5))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("where", [0, 1])
def test_vmap_gives_examples_the_same_noise_or_each_its_own(layer: type[nn.Module], inplace: bool, where: int) -> None:
    x = torch.ones(3, 3, 6, 5)
    same = vmap(layer(0.5, inplace), where, where, randomness="same")(x.clone())
    different = vmap(layer(0.5, inplace), where, where, randomness="different")(x.clone())
    assert torch.equal(same, same.select(where, 0).unsqueeze(where).expand_as(same))
    assert not torch.equal(different, different.select(where, 0).unsqueeze(where).expand_as(different))


def test_vmap_over_something_else_than_the_input_draws_for_each_all_the_same() -> None:
    x = torch.ones(4, 8)
    y = vmap(lambda scale: Dropout(0.5)(x) * scale, randomness="different")(torch.ones(3))
    assert y.shape == (3, 4, 8)
    assert not torch.equal(y[0], y[1])


def test_a_seeded_layer_in_vmap_numbers_the_rows_of_each_example() -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.ones(3, 4, 8)
    with step(layer, 2):
        y = vmap(layer)(x)
    assert torch.equal(y, dropout_mask(KEY, 0.5, rows=4, features=8, step=2).expand(3, 4, 8))


def test_nested_vmaps_draw_for_each_pair() -> None:
    y = vmap(vmap(Dropout(0.5), randomness="different"), randomness="different")(torch.ones(2, 3, 64))
    assert len(y.flatten(0, 1).unique(dim=0)) == 6


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_of_each_example_are_those_of_a_loop(layer: type[nn.Module]) -> None:
    seeded, x = layer(0.5, seed=KEY), torch.randn(3, 4, 6, 5)

    def loss(x: Tensor) -> Tensor:
        with step(seeded, 1):
            return seeded(x).pow(2).sum()

    together = vmap(grad(loss))(x)
    assert torch.equal(together, torch.stack([grad(loss)(one) for one in x]))
    own = x.clone().requires_grad_()
    sum(loss(one) for one in own).backward()
    torch.testing.assert_close(together, own.grad)
    different = vmap(grad(lambda x: layer(0.5)(x).pow(2).sum()), randomness="different")(torch.ones(3, 4, 6, 5))
    assert not torch.equal(different[0], different[1])


def test_jacobians_forward_and_backward_agree() -> None:
    layer, x = AlphaDropout(0.5, seed=KEY), torch.randn(8)

    def dropped(x: Tensor) -> Tensor:
        with step(layer, 0):
            return layer(x)

    assert torch.equal(jacfwd(dropped)(x), jacrev(dropped)(x))
    assert torch.equal(jvp(dropped, (x,), (torch.ones(8),))[1], jacrev(dropped)(x).sum(dim=1))


def test_batched_gradients_are_those_of_a_loop() -> None:
    x = torch.randn(4, requires_grad=True)
    y = Dropout(0.5)(x)
    (together,) = torch.autograd.grad(y, x, torch.eye(4), is_grads_batched=True, retain_graph=True)
    (diagonal,) = torch.autograd.grad(y, x, torch.ones(4))
    assert torch.equal(together, torch.diag(diagonal))


@pytest.mark.parametrize("inplace", [False, True])
def test_tangents_pass_through_the_mask(inplace: bool) -> None:
    with forward_ad.dual_level():
        y = Dropout(0.5, inplace)(forward_ad.make_dual(torch.ones(64), torch.full((64,), 3.0)) * 1.0)
        value, tangent = forward_ad.unpack_dual(y)
    assert torch.equal(tangent, 3.0 * value)


# --- activation checkpointing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("seed", [None, KEY])
def test_a_checkpointed_forward_is_repeated_with_the_same_noise(seed: int | None, reentrant: bool) -> None:
    model = nn.Sequential(nn.Linear(8, 8), Dropout(0.5, seed=seed), nn.Tanh(), AlphaDropout(0.3, seed=seed))
    x = torch.randn(3, 8)

    def gradient(checkpointed: bool) -> Tensor | None:
        torch.manual_seed(1)
        leaf = x.clone().requires_grad_()
        with step(model, 4):
            y = checkpoint(model, leaf, use_reentrant=reentrant) if checkpointed else model(leaf)
            y.sum().backward()
        return leaf.grad

    assert torch.equal(gradient(True), gradient(False))


def test_a_seeded_layer_used_twice_can_not_be_checkpointed_and_says_so() -> None:
    """The second forward comes in the reverse order: which mask was whose cannot be known."""
    layer, x = Dropout(0.5, seed=KEY), torch.ones(3, 8, requires_grad=True)
    with step(layer, 0):
        y = checkpoint(lambda x: layer(layer(x).exp()).exp(), x, use_reentrant=False)
        with pytest.raises(OptionError, match="used 2 times in this step"):
            y.sum().backward()


def test_a_seeded_layer_checkpointed_outside_of_its_step_says_what_it_needs() -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.ones(3, 8, requires_grad=True)
    with step(layer, 0):
        y = checkpoint(lambda x: layer(x).exp(), x, use_reentrant=False)
    with pytest.raises(OptionError, match="wrap forward and backward"):
        y.sum().backward()


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("later", [{"n": 1}, {"n": 0, "first_row": 3}])
def test_a_checkpointed_forward_is_not_repeated_in_another_step(later: dict[str, int], reentrant: bool) -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.ones(3, 8, requires_grad=True)
    with step(layer, 0):
        y = checkpoint(lambda x: layer(x).exp(), x, use_reentrant=reentrant)
    with step(layer, **later), pytest.raises(OptionError, match=r"forward of step 0, first row 0, is computed again"):
        y.sum().backward()


def test_a_step_may_be_entered_again_for_the_backward_pass_of_a_checkpointed_forward() -> None:
    layer, gradients = Dropout(0.5, seed=KEY), []
    for checkpointed in (False, True):
        x = torch.ones(3, 8, requires_grad=True)
        with step(layer, 5):
            y = checkpoint(lambda x: layer(x).exp(), x, use_reentrant=False) if checkpointed else layer(x).exp()
        with step(layer, 5):
            y.sum().backward()
        gradients.append(x.grad)
    assert torch.equal(gradients[0], gradients[1])


def test_a_step_entered_again_remembers_that_a_layer_was_used_twice() -> None:
    layer, x = Dropout(0.5, seed=KEY), torch.ones(3, 8, requires_grad=True)
    with step(layer, 0):
        y = checkpoint(lambda x: layer(layer(x).exp()).exp(), x, use_reentrant=False)
    with step(layer, 0), pytest.raises(OptionError, match="used 2 times in this step"):
        y.sum().backward()


# --- tensors without numbers, and compilation ---------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_tensors_without_numbers_pass(layer: type[nn.Module]) -> None:
    assert layer(0.5)(torch.ones(3, 4, 5, device="meta", requires_grad=True)).is_meta
    with FakeTensorMode():
        x = torch.ones(3, 4, 5, requires_grad=True)
        assert layer(0.5)(x).shape == x.shape


@pytest.mark.parametrize("forced", ["", "none"])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_device_moves_no_number(
    layer: type[nn.Module], forced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made on the way names its device, as it must where the input lies on another than the default one."""
    monkeypatch.setenv("REGIMEN_ISA", forced)
    x, seeded = torch.ones(3, 4, 5), layer(0.5, seed=KEY)
    with step(seeded, 2):
        expected = seeded(x)
    with torch.device("meta"), step(seeded, 2):
        assert torch.equal(seeded(x), expected)
        assert layer(0.5)(x).device.type == "cpu"


@pytest.mark.parametrize("form", [form for form in Form if form not in (Form.PLANES, Form.CHANNELS_LAST)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_operator_is_what_pytorch_asks_of_one(form: Form, channels_last: bool) -> None:
    """Schema, registration of autograd, shapes without numbers, and compiled derivatives."""
    x = torch.randn(3, 8, 4, 4, requires_grad=True)
    if channels_last:
        x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    shifts = (0.0, 0.0) if form is Form.GAUSSIAN else (0.1, -0.2)
    noise = (int(form), keep_threshold(0.3), keep_scale(0.3), *shifts, 1 << 24, 0)
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if form is Form.ELEMENTS:
        checks.append("test_aot_dispatch_dynamic")
    arguments = (x, torch.tensor(-5), torch.tensor(2), *noise)
    library.opcheck(torch.ops.regimen.noise.default, arguments, test_utils=checks)


def test_compiled_layers_draw_what_eager_ones_do_without_a_break_in_the_graph() -> None:
    model = nn.Sequential(
        DropConnectLinear(8, 8), Dropout(0.5), nn.Linear(8, 8), Dropout(0.5, inplace=True), AlphaDropout(0.1),
        GaussianDropout(0.2), DropPath(0.5),
    )  # fmt: skip
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 8)
    results = []
    for network in (compiled, model):
        torch.manual_seed(3)
        y = network(x)
        results.append((y, *torch.autograd.grad(y.sum(), list(model.parameters()))))
    for ours, eager in zip(*results, strict=True):
        assert torch.equal(ours, eager)
    assert not torch.equal(compiled(x), compiled(x))


def test_a_compiled_seeded_layer_takes_every_step_without_compiling_again() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Dropout(0.5, seed=KEY), nn.Tanh(), Dropout(0.5, seed=KEY))
    counter = CompileCounter()
    compiled, x = torch.compile(model, fullgraph=True, backend=counter), torch.randn(4, 8)
    for n in range(12):
        with step(model, n):
            found = compiled(x)
        with step(model, n):
            assert torch.equal(found, model(x))
    assert counter.frame_count == 1


@pytest.mark.parametrize("layer", [*LAYERS, FeatureAlphaDropout, ReLUDropout, Dropout2d, Dropout3d])
def test_symbolic_tracing_takes_a_layer_as_a_leaf(layer: type[nn.Module]) -> None:
    """As it takes torch.nn's: in both modes, so that a graph traced in eval mode still drops in train mode."""
    model = nn.Sequential(nn.Tanh(), layer(0.5, seed=KEY, site=1))
    for training in (True, False):
        graph = torch.fx.symbolic_trace(model.train(training))
        assert [str(node.target) for node in graph.graph.nodes if node.op == "call_module"] == ["0", "1"]
    x = torch.randn(2, 4, *(3,) * {Dropout1d: 1, Dropout3d: 3}.get(layer, 2))
    with step(model.train(), 2):
        expected = model(x)
    with step(graph.train(), 2):
        assert torch.equal(graph(x), expected)


def test_symbolic_tracing_takes_a_drop_connect_layer_as_a_leaf() -> None:
    model = nn.Sequential(nn.Tanh(), DropConnectLinear(3, 4, p=0.5, seed=KEY, site=1))
    graph, x = torch.fx.symbolic_trace(model), torch.randn(2, 3)
    with step(model, 2):
        expected = model(x)
    with step(graph, 2):
        assert torch.equal(graph(x), expected)
