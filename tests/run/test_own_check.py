"""A module that cannot be trained is refused before anything is trained, with what it gave and the repair."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.models import own_module
from regimen.run import Recipe
from regimen.run.own_check import OwnCheck


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)
        self.apply_to: Callable[[Tensor], Any] = lambda output: output

    def forward(self, x: Tensor) -> Any:
        return self.apply_to(self.out(x))


def net(change: Callable[[Tensor], Any] = lambda output: output, *, outputs: int = 3) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        made = Base()
        made.out, made.apply_to = nn.Linear(4, outputs), change
        return made

    return factory


def check(factory: Any, *, outputs: int = 3, task: Any = "classification", inputs: tuple[int, ...] = (4,)) -> OwnCheck:
    return OwnCheck(model=own_module(factory), inputs=inputs, outputs=outputs, task=task)


def test_a_module_that_fits_is_taken_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    assert check(net()).require(Recipe(initialization="he_normal")) == ()
    assert check(net(outputs=1), outputs=1, task="regression").require(Recipe()) == ()
    assert torch.equal(torch.get_rng_state(), state)


class Frozen(Base):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class InTraining(Base):
    def forward(self, x: Tensor) -> Any:
        return (self.out(x), None) if self.training else self.out(x)


class Half(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1, dtype=torch.bfloat16))


class WithExtra(Base):
    def get_extra_state(self) -> Any:
        return {"seen": 5}


class Typing(Base):
    def forward(self, x: Tensor) -> Any:
        return self.out(x.rleu())  # type: ignore[operator]


CLASSES: list[tuple[Any, str]] = [
    (
        net(lambda output: (output, output)),
        r"expected outputs \[2, 3\] for 2 rows in eval mode, .* got a tuple of 2; re",
    ),
    (net(lambda output: None), "got None; return one tensor of outputs"),
    (net(lambda output: {"logits": output}), "got dict; return one tensor"),
    (net(outputs=5), r"one logit for each of 3 classes, got \[2, 5\]; give its last layer 3 outputs"),
    (net(lambda output: output.sum(dim=1)), r"got \[2\]; end in outputs \[rows, 3\]"),
    (net(lambda output: output.reshape(-1, 2)), r"got \[3, 2\]; keep the rows first"),
    (net(lambda output: output[:, None]), r"got \[2, 1, 3\]; end in outputs \[rows, 3\], with flatten\(1\)"),
    (net(lambda output: output.squeeze()), r"\[1, 3\] for 1 row in eval mode, .* got \[3\]; do not squeeze the rows"),
    (net(lambda output: output.double()), r"expected outputs float32 \[2, 3\] .* got float64; return output\.float"),
    (net(lambda output: output.detach()), "no gradient reaches its parameters; leave out detach"),
    (Frozen, "expected parameters that can be trained, got 2 that are frozen; set requires_grad"),
    (lambda: nn.Identity(), "got no parameters; give it layers with weights"),
    (InTraining, r"for 2 rows in train mode, .* got a tuple of 2"),
    (Half, "got scale of bfloat16; make it a tensor of float32"),
    (WithExtra, "got _extra_state of dict; make it a tensor"),
    (Typing, r"Typing on inputs \[2, 4\] in eval mode raised AttributeError: 'Tensor' object has no .* 'rleu'"),
    (Typing, r"\(line \d+\); correct it, or let it take float32 inputs \[rows, 4\]"),
    (
        lambda: nn.Linear(5, 3),
        r"raised RuntimeError: mat1 and mat2 shapes cannot be multiplied \(2x4 and 5x3\); ",
    ),
]


@pytest.mark.parametrize(("factory", "message"), CLASSES, ids=[message[:40] for _, message in CLASSES])
def test_what_does_not_fit_the_classes_is_refused(factory: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        check(factory).require(Recipe())


@pytest.mark.parametrize("change", [lambda output: output, lambda output: output[:, 0]], ids=["rows,1", "rows"])
def test_one_logit_for_two_classes_is_refused_with_the_repair(change: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(OptionError, match="two classes take two logits here: give its last layer 2 outputs"):
        check(net(change, outputs=1), outputs=2).require(Recipe())


@pytest.mark.parametrize("change", [lambda output: output[:, 0], lambda output: output.squeeze()], ids=["0", "squeeze"])
def test_amounts_without_a_column_are_refused_with_the_repair(change: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(OptionError, match=r"one amount, got \[2\]; return output\.unsqueeze\(1\)"):
        check(net(change, outputs=1), outputs=1, task="regression").require(Recipe())


def test_probabilities_instead_of_logits_are_noted() -> None:
    [note] = check(net(lambda output: output.softmax(dim=1))).require(Recipe())
    assert "gives probabilities, and cross-entropy takes logits" in note
    assert check(net(lambda output: output.log_softmax(dim=1))).require(Recipe()) == ()


def test_a_wish_without_a_place_is_refused() -> None:
    with pytest.raises(OptionError, match="drop_path"):
        check(lambda: nn.Linear(4, 3)).require(Recipe(drop_path=0.1))
