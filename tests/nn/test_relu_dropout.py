"""ReLU and dropout fused: the numbers of both apart, to the bit, and their derivatives."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from regimen.errors import OptionError
from regimen.nn import Dropout, ReLUDropout, step

KEY = 7


def run(model: nn.Module, x: Tensor, n: int = 3) -> Tensor:
    with step(model, n):
        return model(x)


def pair(p: float = 0.4, *, inplace: bool = False) -> tuple[nn.Module, nn.Module]:
    return ReLUDropout(p, inplace, seed=KEY, site=2), nn.Sequential(nn.ReLU(), Dropout(p, seed=KEY, site=2))


@pytest.mark.parametrize("forced", ["", "none"])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_outputs_and_gradients_are_those_of_both_apart(
    dtype: torch.dtype, p: float, inplace: bool, forced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGIMEN_ISA", forced)
    fused, apart = pair(p, inplace=inplace)
    for shape in ((5, 37), (2, 8, 5, 5), (7,), (64, 80)):
        x = torch.randn(shape).to(dtype)
        weights = torch.randn(shape).to(dtype)
        found = []
        for model in (fused, apart):
            leaf = x.clone().requires_grad_()
            y = run(model, leaf * 1.0)
            (gradient,) = torch.autograd.grad(y, leaf, weights)
            found.append((y, gradient))
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], found[1][1])


def test_a_network_trained_with_it_is_the_same_network() -> None:
    def trained(fused: bool) -> list[Tensor]:
        torch.manual_seed(0)
        noise = [ReLUDropout(0.5, True, seed=KEY, site=1)] if fused else [nn.ReLU(), Dropout(0.5, seed=KEY, site=1)]
        model = nn.Sequential(nn.Linear(9, 33), *noise, nn.Linear(33, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        x = torch.randn(40, 9)
        for n in range(20):
            optimizer.zero_grad()
            (run(model, x, n) - x[:, :1]).square().mean().backward()
            optimizer.step()
        return [p.detach() for p in model.parameters()]

    with torch.random.fork_rng():
        assert all(torch.equal(a, b) for a, b in zip(trained(True), trained(False), strict=True))


def test_first_and_second_derivatives_are_those_of_finite_differences() -> None:
    fused, _ = pair()
    x = torch.randn(3, 5, dtype=torch.float64)
    x = (x + 0.2 * x.sign()).requires_grad_()  # away from the kink
    assert torch.autograd.gradcheck(lambda x: run(fused, x).pow(3), x)
    assert torch.autograd.gradgradcheck(lambda x: run(fused, x).pow(3), x)


def test_in_eval_mode_it_is_relu() -> None:
    x = torch.randn(3, 5)
    assert torch.equal(ReLUDropout(0.5).eval()(x), x.relu())
    assert torch.equal(ReLUDropout(0.5, True, seed=1).eval()(x), x)
    assert not (x < 0).any()


def test_transforms_and_compilation_see_both_apart() -> None:
    fused, apart = pair(inplace=True)
    x = torch.randn(3, 4, 5)
    ours, theirs = (vmap(grad(lambda x, m=model: run(m, x * 1.0).pow(2).sum()))(x) for model in (fused, apart))
    assert torch.equal(ours, theirs)
    compiled = torch.compile(fused, fullgraph=True, backend="eager")
    with step(fused, 3):
        found = compiled(x.clone())
    assert torch.equal(found, run(apart, x))


def test_it_refuses_what_dropout_refuses() -> None:
    with pytest.raises(OptionError, match="expected a floating-point input"):
        ReLUDropout(0.5)(torch.ones(3, dtype=torch.int64))
    with pytest.raises(OptionError, match="ReLUDropout with a seed needs the step"):
        ReLUDropout(0.5, seed=1)(torch.ones(3))
    assert repr(ReLUDropout(0.25)) == "ReLUDropout(p=0.25, inplace=False)"
