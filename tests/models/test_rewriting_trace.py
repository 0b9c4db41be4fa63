"""Forwards as users write them become graphs, or it is said why not, and where."""

import copy
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from regimen.models.adapting import Wishes, adapt, draws_elsewhere
from regimen.models.rewriting_trace import Traced, trace
from regimen.nn import step

Function = Callable[[Any, Tensor], Any]


class Calls(nn.Module):
    """Calls a function with itself and the input; has some layers of width 6."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.linear, self.out, self.cell = nn.Linear(6, 6), nn.Linear(6, 2), nn.GRUCell(6, 6)
        self.gru = nn.GRU(6, 6, batch_first=True)
        self.embedding = nn.Embedding(9, 6)
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(6))])
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def loop_over_time(self: Any, x: Tensor) -> Tensor:
    state = torch.zeros(x.size(0), 6)
    for t in range(x.size(1)):
        state = self.cell(x[:, t], state)
    return self.out(state)


def checks(self: Any, x: Tensor) -> Tensor:
    assert x.dim() == 3
    if x.shape[1] != 4 or x.dtype != torch.float32:
        raise ValueError("another shape")
    rows, steps, _ = x.shape
    return self.out(x.view(rows * steps, -1)).view(rows, steps, 2).mean(dim=1)


TRACEABLE: dict[str, Function] = {
    "loop over time": loop_over_time,
    "checks of sizes": checks,
    "state of zeros": lambda self, x: self.out(self.gru(x, torch.zeros(1, x.size(0), 6))[0][:, -1]),
    "like a shape": lambda self, x: self.out((x + torch.ones(x.shape)).sum(1)),
    "positions": lambda self, x: self.out((x + self.embedding(torch.arange(x.size(1)))).mean(1)),
    "chunks": lambda self, x: self.out(sum(part.sum(1) for part in x.chunk(2, dim=1))),
    "product of sizes": lambda self, x: x.reshape(-1, x.shape[1:].numel())[:, :2] * self.linear.weight.sum(),
    "parameters in a list": lambda self, x: self.out((x * self.scales[0]).sum(1)),
    "overwriting": lambda self, x: self.out(x.relu_().sum(1)),
    "constant": lambda self, x: self.out((x - torch.tensor([0.5])).sum(1)),
    "length of a fixed dimension": lambda self, x: self.out(x[:, : len(x[0])].sum(1)),
    "buffer": lambda self, x: self.out((x + self.seen).sum(1)),
}


@pytest.mark.parametrize("which", TRACEABLE)
def test_a_forward_may_look_at_all_but_the_number_of_rows(which: str) -> None:
    network = Calls(TRACEABLE[which]).eval()
    found = trace(network, (4, 6))
    assert isinstance(found, Traced), found
    for name, value in found.constants.items():
        setattr(network, name, value)
    graph = fx.GraphModule(network, found.graph)
    for rows in (1, 7):
        x = torch.sin(torch.arange(rows * 24.0)).reshape(rows, 4, 6)
        assert torch.allclose(graph(x.clone()), network(x.clone()))


def keeps(self: Any, x: Tensor) -> Tensor:
    self.last = x.sum(1)
    return self.out(self.last)


def counts(self: Any, x: Tensor) -> Tensor:
    self.seen += 1
    return self.out(x.sum(1))


def counts_calls(self: Any, x: Tensor, calls: list[int] = []) -> Tensor:  # noqa: B006 - the mistake is the point
    calls.append(1)
    return self.out(x.sum(1)) * len(calls)


def clips(self: Any, x: Tensor) -> Tensor:
    self.linear.weight.data.clamp_(max=0.0)
    return self.out(self.linear(x).sum(1))


def counts_in_numbers(self: Any, x: Tensor) -> Tensor:
    self.steps = getattr(self, "steps", 0) + 1
    return self.out(x.sum(1))


def warms_up(self: Any, x: Tensor) -> Tensor:
    if self.training:
        self.linear.warm = [*getattr(self.linear, "warm", []), 1.0]
    return self.out(x.sum(1))


def frozen(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        x = F.relu(self.linear(x))
    return self.out(x.sum(1))


def frozen_to_the_end(self: Any, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    x = self.linear(x)
    torch.set_grad_enabled(True)
    return self.out(x.sum(1))


def inferred(self: Any, x: Tensor) -> Tensor:
    with torch.inference_mode():
        scale = x.abs().max()
    return self.out((x / scale).sum(1))


def in_half(self: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu"):
        x = self.linear(x)
    return self.out(x.float().sum(1))


@torch.no_grad()
def helper(x: Tensor) -> Tensor:
    return x * 2.0


def never_on_again(self: Any, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return self.out(x.sum(1))


class Reversal(torch.autograd.Function):
    """Lets values through, and turns gradients around."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class Unseen(Reversal):
    """No operation of it is recorded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x


reverse = Reversal.apply


UNTRACEABLE: dict[str, tuple[Function, str]] = {
    "values": (
        lambda self, x: self.out(x.sum(1)) if x.sum() > 0 else x,
        r"TraceError: symbolically traced variables .* \(test_rewriting_trace.py line \d+\)",
    ),
    "length": (lambda self, x: self.out(x.view(len(x), -1, 6).sum(1)), "as it is, without len or int"),
    "int": (lambda self, x: self.out(x.view(int(x.size(0)), -1, 6).sum(1)), "is no plain number"),
    "mode": (
        lambda self, x: self.out((x * 2.0).sum(1)) if self.training else self.out(x.sum(1)),
        r"something else in training than in evaluation \(test_rewriting_trace.py line \d+\)",
    ),
    "constant of the mode": (
        lambda self, x: self.out((x + torch.tensor([float(self.training)])).sum(1)), "something else in training"
    ),
    "chance": (lambda self, x: self.out(x.sum(1) * torch.rand(1)), "draws random numbers that belong to no layer"),
    "memory": (keeps, "keeps what it computes on itself, as last"),
    "calls": (counts_calls, "its traced form computes something else than its forward"),
    "counter": (counts, "keeps what it computes on itself, as seen"),
    "counter of numbers": (counts_in_numbers, "its forward changes steps, which a graph would keep as it is"),
    "counter in training": (warms_up, r"its forward changes linear\.warm"),
    "no gradients": (frozen, r"turns gradients or autocast on or off.* \(test_rewriting_trace.py line \d+\)"),
    "no gradients by a function": (frozen_to_the_end, "turns gradients or autocast on or off"),
    "no gradients any more": (never_on_again, "turns gradients or autocast on or off"),
    "no gradients in a helper": (lambda self, x: self.out(helper(x).sum(1)), "turns gradients or autocast on or off"),
    "inference": (inferred, "turns gradients or autocast on or off"),
    "half precision": (in_half, "turns gradients or autocast on or off"),
    "backward of its own": (lambda self, x: self.out(Reversal.apply(self.linear(x)).sum(1)), "autograd function"),
    "backward by another name": (lambda self, x: self.out(reverse(self.linear(x)).sum(1)), "autograd function"),
    "backward that is not seen": (
        lambda self, x: self.out(Unseen.apply(self.linear(x)).sum(1)), r"gives linear\.weight another gradient"
    ),
    "two outputs": (lambda self, x: (self.out(x.sum(1)), x), "returns tuple, not one tensor"),
    "shapes": (lambda self, x: self.out(x.flatten(1)), "mat1 and mat2 shapes cannot be multiplied"),
}  # fmt: skip


@pytest.mark.parametrize("which", UNTRACEABLE)
def test_a_forward_that_no_graph_can_stand_for_is_refused_with_the_reason(which: str) -> None:
    function, reason = UNTRACEABLE[which]
    network = Calls(function)
    before, attributes = copy.deepcopy(network.state_dict()), [set(vars(layer)) for layer in network.modules()]
    found = trace(network, (4, 6))
    assert isinstance(found, str)
    assert re.search(reason, found), found
    assert torch.is_grad_enabled()
    assert [set(vars(layer)) for layer in network.modules()] == attributes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_that_a_forward_overwrites_are_left_alone_by_tracing() -> None:
    network = Calls(clips)
    before = network.linear.weight.clone()
    assert isinstance(trace(network, (4, 6)), Traced)
    assert torch.equal(network.linear.weight, before)


def test_a_block_that_turns_gradients_off_is_one_node_and_goes_on_to_do_so() -> None:
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), Calls(frozen), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    found = trace(network, (4, 6))
    assert isinstance(found, Traced), found
    assert list(found.opaque) == ["2"]
    adapt(network, Wishes(dropout=(0.5,)), key=1, inputs=(4, 6))
    with step(network, 0):
        network(torch.ones(2, 4, 6)).sum().backward()
    block = network.get_submodule("2")
    assert block.linear.weight.grad is None
    assert block.out.weight.grad is not None


def test_a_forward_may_be_traced_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert isinstance(trace(Calls(TRACEABLE["buffer"]), (4, 6)), Traced)
    with torch.inference_mode():
        assert isinstance(trace(Calls(TRACEABLE["buffer"]), (4, 6)), Traced)


def test_a_forward_replaced_on_the_object_is_refused() -> None:
    network = nn.Sequential(nn.Linear(6, 2))
    network.forward = lambda x: x  # type: ignore[method-assign]
    assert trace(network, (6,)) == "its forward was replaced on the object, not in the class"


def attention(self: Any, x: Tensor) -> Tensor:
    x = F.relu(self.linear(x))
    mixed = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if self.training else 0.0)
    return self.out(mixed.mean(dim=1))


def test_constants_that_depend_on_the_mode_go_on_to_do_so() -> None:
    plain = Calls(attention)
    network = adapt(copy.deepcopy(plain), Wishes(dropout=(0.2,)), key=1, inputs=(4, 6)).network
    x = torch.sin(torch.arange(48.0)).reshape(2, 4, 6)
    assert torch.equal(network.eval()(x), plain.eval()(x))
    network.train()
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        with step(network, 0):
            outputs.append(network(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert draws_elsewhere(network) == "scaled_dot_product_attention draws by the generator of PyTorch"


@pytest.mark.parametrize("positional", [False, True])
@pytest.mark.parametrize("always", [False, True])
def test_dropout_of_attention_takes_rates_and_is_off_in_evaluation(always: bool, positional: bool) -> None:
    def attend(self: Any, x: Tensor) -> Tensor:
        p = 0.5 if always or self.training else 0.0
        x = self.linear(x)
        attended = F.scaled_dot_product_attention
        return self.out((attended(x, x, x, None, p) if positional else attended(x, x, x, dropout_p=p)).mean(dim=1))

    network = Calls(attend)
    (change,) = adapt(network, Wishes(dropout_scale=0.5), key=1, inputs=(4, 6)).changes
    assert "dropout of its attention weights 0.25 (was 0.5), drawn by PyTorch's generator" in change.what
    assert ("drops in evaluation too" in change.what) is always
    x, seen = torch.ones(2, 4, 6), []

    class Seen(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function is F.scaled_dot_product_attention:
                seen.append(args[4] if positional else kwargs["dropout_p"])
            return function(*args, **(kwargs or {}))

    with Seen():
        network.train()(x)
        network.eval()(x)
    assert seen == [0.25, 0.0]
    assert "scaled_dot_product_attention draws" in str(draws_elsewhere(network.train()))


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: x + 0.1 * torch.randn_like(x),
        lambda x: x * torch.bernoulli(torch.full_like(x, 0.5)),
        lambda x: F.rrelu(x, training=True),
        lambda x: F.dropout(x, 0.1, True) * torch.empty_like(x).uniform_(),
    ],
    ids=["noise", "bernoulli", "rrelu", "uniform"],
)
def test_what_a_forward_draws_by_itself_is_told(draw: Callable[[Tensor], Tensor]) -> None:
    network = Calls(lambda self, x: self.out(draw(self.linear(x))))
    adapt(network, Wishes(), key=1, inputs=(6,))
    assert re.search("draws by the generator of PyTorch", str(draws_elsewhere(network)))


def test_layers_that_draw_are_told() -> None:
    assert "the layer 1 is a RReLU" in str(draws_elsewhere(nn.Sequential(nn.Linear(6, 6), nn.RReLU())))
    assert "the layer 0 is a Dropout" in str(draws_elsewhere(nn.Sequential(nn.Dropout(0.1))))
    assert "the layer 0 has dropout inside" in str(draws_elsewhere(nn.Sequential(nn.GRU(6, 6, 2, dropout=0.1))))


def test_a_dropout_of_the_users_own_that_does_no_more_becomes_a_layer() -> None:
    class Drop(nn.Dropout):
        """Has a rate of its own."""

    network = nn.Sequential(nn.Linear(6, 6), Drop(0.4), nn.Linear(6, 2))
    (change,) = adapt(network, Wishes(), key=1, inputs=(6,)).changes
    assert change.what == "dropout 0.4 (as written), site 4"
    assert draws_elsewhere(network) is None


def test_other_threads_may_use_their_networks_meanwhile() -> None:
    other, found = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)).eval(), []

    def busy(self: Any, x: Tensor) -> Tensor:
        thread = threading.Thread(target=lambda: found.append(other(torch.ones(2, 6))))
        thread.start()
        thread.join()
        return self.out(x)

    assert isinstance(trace(Calls(busy), (6,)), Traced)
    assert len(found) > 2
    assert all(torch.equal(value, other(torch.ones(2, 6))) for value in found)
