"""The layers of any module as one input sees them: output shapes, parameters and sizes in memory."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regimen.models.sizes import Inputs, shape_of

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRow:
    """One use of one layer.

    Attributes:
        name: Where it is in the module, as `named_modules` says.
        kind: Name of its class.
        shape: Of its output, without the rows of the batch; empty where it gives no tensor.
        parameters: Its own; 0 where the same layer was used before.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSummary:
    """A module's layers in the order of their use, and its sizes in units of 2^20 bytes.

    Attributes:
        rows: The layers.
        parameters: All numbers that are learned or kept fixed, each counted once.
        trainable: Those that are learned.
        input_size: One input.
        passes_size: The outputs of all layers for one input, each twice: once more for its gradient.
        parameters_size: All parameters.
    """

    rows: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    input_size: float
    passes_size: float
    parameters_size: float

    @property
    def total_size(self) -> float:
        """Input, passes and parameters together."""
        return self.input_size + self.passes_size + self.parameters_size

    @property
    def text(self) -> str:
        """The summary as a table of plain text."""
        wide = max((len(row.name) for row in self.rows), default=0)
        cells = [("Layer", "Output shape", "Parameters")]
        cells += [(f"{row.name:<{wide}}  {row.kind}", _shown(row.shape), f"{row.parameters:,}") for row in self.rows]
        names, shapes, counts = (max(map(len, column)) for column in zip(*cells, strict=True))
        rule = "-" * (names + shapes + counts + 6)
        lines = [f"{name:<{names}}   {shape:<{shapes}}   {count:>{counts}}" for name, shape, count in cells]
        sizes = {
            "Input size": self.input_size,
            "Forward/backward pass size": self.passes_size,
            "Params size": self.parameters_size,
            "Estimated total size": self.total_size,
        }
        return "\n".join(
            [
                *(rule, lines[0], rule, *lines[1:], rule),
                f"Total params: {self.parameters:,}",
                f"Trainable params: {self.trainable:,}",
                f"Non-trainable params: {self.parameters - self.trainable:,}",
                rule,
                *(f"{name} (MB): {size:.2f}" for name, size in sizes.items()),
            ]
        )


def summarize(module: nn.Module, inputs: Inputs, *, dtype: torch.dtype = torch.float32) -> NetworkSummary:
    """Return the summary of a module, through which one input of zeros goes in eval mode.

    Args:
        module: The module; left in the mode that it was in.
        inputs: Shape of one input: columns, or channels, height and width.
        dtype: Of the inputs.

    Example:
        >>> found = summarize(nn.Sequential(nn.Linear(64, 100), nn.ReLU()), 64)
        >>> found.rows[0].shape, found.rows[0].parameters, found.trainable
        ((100,), 6500, 6500)
    """
    rows: list[LayerRow] = []
    elements = 0
    counted: set[int] = set()

    def note(name: str, layer: nn.Module, output: Any) -> None:
        nonlocal elements
        tensor = _first_tensor(output)
        own = [p for p in layer.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        elements += 0 if tensor is None else tensor.numel()
        rows.append(
            LayerRow(
                name=name,
                kind=type(layer).__name__,
                shape=() if tensor is None else tuple(tensor.shape[1:]),
                parameters=sum(p.numel() for p in own),
            )
        )

    hooks = [
        layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
        for name, layer in module.named_modules()
        if _shows(layer)
    ]
    modes = [(layer, layer.training) for layer in module.modules()]
    x = torch.zeros(1, *shape_of(inputs), dtype=dtype)
    try:
        with torch.no_grad():
            module.eval()(x)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes:
            layer.training = training
    parameters = sum(p.numel() for p in module.parameters())
    return NetworkSummary(
        rows=tuple(rows),
        parameters=parameters,
        trainable=sum(p.numel() for p in module.parameters() if p.requires_grad),
        input_size=x.numel() * x.element_size() / MEGABYTE,
        passes_size=2 * elements * x.element_size() / MEGABYTE,
        parameters_size=sum(p.numel() * p.element_size() for p in module.parameters()) / MEGABYTE,
    )


def _shows(layer: nn.Module) -> bool:
    """Return whether a module is a layer of its own, not only a frame around others."""
    return not any(True for _ in layer.children()) or any(True for _ in layer.parameters(recurse=False))


def _first_tensor(output: Any) -> Tensor | None:
    while isinstance(output, list | tuple) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def _shown(shape: tuple[int, ...]) -> str:
    return str([-1, *shape])
