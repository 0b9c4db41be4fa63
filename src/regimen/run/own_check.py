"""Whether a module of the user's own can be trained on given data, tried on zeros before anything is trained."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.models import OwnModule
from regimen.models.adapting import Adapted
from regimen.nn import step
from regimen.records import Task
from regimen.run.own import ROWS, own_network, zeros
from regimen.run.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnCheck:
    """Tries a module of the user's own, as it is written and with recipes applied.

    Attributes:
        model: The module.
        inputs: Shape of one input.
        outputs: What it must give for each row: one logit a class, or 1.
        task: What it is trained for.
        whole: Whether inputs are whole numbers (int64).
        reasons: Why inputs have that shape, in words for whoever expected another; or empty.

    Example:
        >>> from regimen.models import own_module
        >>> own = own_module(lambda: nn.Linear(4, 2))
        >>> OwnCheck(model=own, inputs=(4,), outputs=3, task="classification").require(Recipe())
        Traceback (most recent call last):
        ...
        regimen.errors.OptionError: lambda: expected outputs [2, 3] for 2 rows in eval mode, one logit for each of 3 \
classes, got [2, 2]; give its last layer 3 outputs
    """

    model: OwnModule
    inputs: tuple[int, ...]
    outputs: int
    task: Task
    whole: bool = False
    reasons: str = ""

    def require(self, recipe: Recipe) -> tuple[str, ...]:
        """Refuse a module that cannot be trained with a recipe; return what else is to be said of it.

        Raises:
            OptionError: It raises, gives something else than `[rows, outputs]`, in train or in eval mode, or has
                nothing that could be trained; or the recipe wishes something that has no place in it.
        """
        with torch.random.fork_rng(devices=[]):
            # First as it is written: what goes wrong there is in the user's own lines.
            plain = own_network(self.model, Recipe(), key=0, inputs=self.inputs, whole=self.whole).network
            self._try(plain, "")
        if recipe != Recipe():
            self.adapted(recipe)
        return self._notes(plain)

    def adapted(self, recipe: Recipe) -> Adapted:
        """Return the module with a recipe applied, which was tried.

        Raises:
            OptionError: The recipe wishes something that has no place in it, or it cannot be trained then.
        """
        with torch.random.fork_rng(devices=[]):
            adapted = own_network(self.model, recipe, key=0, inputs=self.inputs, whole=self.whole)
            self._try(adapted.network, " with the recipe applied")
        return adapted

    def _try(self, network: nn.Module, how: str) -> None:
        self._check_state(network)
        # A single row too: the last rows of a part, and whoever predicts, may come alone.
        for rows, mode in ((ROWS, "eval"), (1, "eval"), (ROWS, "train")):
            network.train(mode == "train")
            with ExitStack() as open_contexts:
                if mode == "train":
                    open_contexts.enter_context(step(network, 0))
                output = self._output(network, rows, how, mode)
                self._check_output(output, rows, mode)
                if mode == "train":
                    self._check_gradient(network, output)

    def _output(self, network: nn.Module, rows: int, how: str, mode: str) -> Any:
        kind = "int64" if self.whole else "float32"
        what = f"{self.model.name}{how} on inputs {[rows, *self.inputs]} in {mode} mode"
        repair = f"correct it, or let it take {kind} inputs {_shown('rows', *self.inputs)}"
        repair += f" ({self.reasons})" if self.reasons else ""
        with self.model.guard(what, repair=repair):
            return network(zeros(self.inputs, whole=self.whole)[:rows])

    def _check_output(self, output: Any, rows: int, mode: str) -> None:
        name, expected = self.model.name, [rows, self.outputs]
        per_row = f"one logit for each of {self.outputs} classes" if self.task == "classification" else "one amount"
        when = f"for {rows} row{'s' if rows > 1 else ''} in {mode} mode"
        if not isinstance(output, Tensor):
            found, repair = _kind(output), f"return one tensor of outputs {_shown('rows', self.outputs)}"
        elif list(output.shape) != expected:
            found, repair = str(list(output.shape)), self._repair(output, rows)
        elif output.dtype != torch.float32:
            found, repair = f"{output.dtype}".removeprefix("torch."), "return output.float()"
            expected = f"float32 {expected}"  # type: ignore[assignment]
        else:
            return
        raise OptionError(f"{name}: expected outputs {expected} {when}, {per_row}, got {found}; {repair}")

    def _repair(self, output: Tensor, rows: int) -> str:
        shape, outputs = list(output.shape), self.outputs
        if self.task == "classification" and outputs == 2 and shape in ([rows, 1], [rows]):
            return "two classes take two logits here: give its last layer 2 outputs, without a sigmoid"
        if outputs == 1 and shape == [rows]:
            return "return output.unsqueeze(1), and do not squeeze it"
        if len(shape) == 1 and shape[0] == outputs and rows == 1:
            return "do not squeeze the rows away: a single row must stay [1, …]; use squeeze(dim) or flatten(1)"
        if len(shape) == 2 and shape[0] == rows:
            return f"give its last layer {outputs} output{'s' if outputs > 1 else ''}"
        if len(shape) == 2:
            return "keep the rows first; a view or reshape that mixes rows and features is the usual cause"
        return f"end in outputs {_shown('rows', outputs)}, with flatten(1) or a mean over positions say"

    def _check_state(self, network: nn.Module) -> None:
        name = self.model.name
        for entry, value in network.state_dict().items():
            if not isinstance(value, Tensor) or value.dtype in (torch.bfloat16, torch.complex64, torch.complex128):
                found = str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else _kind(value)
                raise OptionError(
                    f"{name}: expected its state to be tensors that can be saved, got {entry} of {found}; make it a "
                    "tensor of float32 or whole numbers, or keep it out of the state"
                )
        if not any(parameter.requires_grad for parameter in network.parameters()):
            count = len(list(network.parameters()))
            found = f"{count} that are frozen" if count else "no parameters"
            raise OptionError(
                f"{name}: expected parameters that can be trained, got {found}; "
                + ("set requires_grad on those that shall learn" if count else "give it layers with weights")
            )

    def _check_gradient(self, network: nn.Module, output: Tensor) -> None:
        reached = False
        if output.requires_grad:
            with self.model.guard(f"the backward pass of {self.model.name}"):
                output.sum().backward()  # type: ignore[no-untyped-call]
            reached = any(parameter.grad is not None for parameter in network.parameters())
            network.zero_grad()
        if not reached:
            raise OptionError(
                f"{self.model.name}: no gradient reaches its parameters; leave out detach, no_grad and conversions to "
                "NumPy in forward"
            )

    def _notes(self, network: nn.Module) -> tuple[str, ...]:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = network.eval()(zeros(self.inputs, whole=self.whole))
        sums = output.sum(dim=1)
        if self.task == "classification" and bool((output >= 0).all()) and torch.allclose(sums, torch.ones_like(sums)):
            return (
                f"{self.model.name} gives probabilities, and cross-entropy takes logits: leave the softmax at its end "
                "out, or it learns slowly",
            )
        return ()


def _shown(*parts: object) -> str:
    return f"[{', '.join(map(str, parts))}]"


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"{type(value).__name__}"
