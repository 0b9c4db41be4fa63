"""The summary of any module: shapes, parameters counted once, sizes, and the module left as it was."""

import pytest
import torch
from torch import nn

from regimen.models import MLP, ConvNet, build
from regimen.models.summary import MEGABYTE, summarize


def test_a_layer_that_is_used_twice_has_a_row_for_each_use_and_parameters_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = nn.Linear(4, 4)
            self.last = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.shared(self.shared(x)))

    found = summarize(Twice(), 4)
    assert [(row.name, row.kind, row.shape, row.parameters) for row in found.rows] == [
        ("shared", "Linear", (4,), 20), ("shared", "Linear", (4,), 0), ("last", "Linear", (2,), 10),
    ]  # fmt: skip
    assert found.parameters == found.trainable == 30


def test_parameters_of_a_frame_and_fixed_ones_are_counted() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3), requires_grad=False)
            self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * self.inner(x)

    found = summarize(Scaled(), 3)
    assert [(row.name, row.parameters) for row in found.rows] == [("inner.0", 12), ("inner.1", 0), ("", 3)]
    assert (found.parameters, found.trainable) == (15, 12)


@pytest.mark.parametrize(("model", "inputs"), [(MLP(hidden=(7,)), (5,)), (ConvNet(), (1, 28, 28)), (MLP(), (3, 4, 4))])
def test_sizes_follow_from_the_elements(model: MLP | ConvNet, inputs: tuple[int, ...]) -> None:
    network = build(model.layers(inputs, 3, dropout=(0.5,), normalization="batch"), key=1)
    found = summarize(network, inputs)
    x, elements = torch.zeros(1, *inputs), 0
    network.eval()
    for row, layer in zip(found.rows, network, strict=True):
        x = layer(x)
        elements += x.numel()
        assert row.shape == tuple(x.shape[1:])
    assert found.passes_size == 2 * 4 * elements / MEGABYTE
    assert found.parameters_size == 4 * sum(p.numel() for p in network.parameters()) / MEGABYTE
    assert found.input_size == 4 * torch.zeros(inputs).numel() / MEGABYTE
    assert found.total_size == found.input_size + found.passes_size + found.parameters_size


def test_the_module_is_left_in_its_modes_without_hooks_and_with_its_statistics() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    summarize(network, 3)
    assert [module.training for module in network] == [True, True, False]
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_outputs_that_are_no_single_tensor_have_the_shape_of_their_first() -> None:
    found = summarize(nn.Sequential(nn.Flatten(), nn.LSTM(6, 5)), (1, 2, 3))
    assert found.rows[1].kind == "LSTM"
    assert found.rows[1].shape == (5,)
