"""Noise of many runs at once by operations, as a graphics card gets it: that of each run alone, to the bit."""

import pytest
import torch

from regimen.kernels.dropout_bundle import Place, noisy_by_run, pack_noise
from regimen.kernels.dropout_noise import Form, Noise
from regimen.kernels.dropout_operations import add_noise_by_operations, add_noise_of_runs

SHAPES = {
    Form.ELEMENTS: [(7,), (4, 37), (3, 5, 4, 6), (2, 3, 2, 3, 4), (5, 3, 11)],
    Form.CHANNELS: [(4, 6, 3), (4, 6, 3, 5)],
    Form.ROWS: [(9, 5), (6, 2, 3, 3)],
    Form.GAUSSIAN: [(5, 19), (3, 5, 4, 6)],
}
CASES = [(form, shape) for form, shapes in SHAPES.items() for shape in shapes]
KEYS = [1, (1 << 64) - 3, 1 << 63, 12345678901234567]


def _signed(key: int) -> int:
    return key - (1 << 64) if key >> 63 else key


@pytest.mark.parametrize("shifts", [(0.0, 0.0), (0.25, -0.75)], ids=["scaled", "shifted"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("form", "shape"), CASES)
def test_each_run_gets_its_own_noise_to_the_bit(
    form: Form, shape: tuple[int, ...], dtype: torch.dtype, shifts: tuple[float, float]
) -> None:
    x = torch.randn(len(KEYS), *shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    rates = [(0.3, 20_000, 1.7), (0.8, 50_001, 4.1), (0.0, 9, 3.0), (1.0, 9, 3.0)]
    shared = Noise(form, 0, 0.0, *shifts, third=3 << 24 | 2, first_row=5)
    noises = [shared._replace(threshold=threshold, scale=scale) for _, threshold, scale in rates]
    numbers = torch.stack([pack_noise(p, noise) for (p, _, _), noise in zip(rates, noises, strict=True)])
    keys = torch.tensor([_signed(key) for key in KEYS])
    for linear in (False, True):
        found = add_noise_of_runs(x, keys, numbers, torch.tensor(6), shared, linear=linear)
        assert found.dtype == dtype
        for run in (0, 1):
            noise = noises[run].linear() if linear else noises[run]
            assert torch.equal(found[run], add_noise_by_operations(x[run], KEYS[run], 6, noise))
        assert torch.equal(found[2], x[2])
        assert torch.equal(found[3], x[3] * 0.0)


@pytest.mark.parametrize("form", [Form.ELEMENTS, Form.CHANNELS, Form.ROWS, Form.GAUSSIAN])
def test_off_the_processor_nothing_is_read_back(form: Form) -> None:
    x = torch.ones(2, 4, 6, 3, 3, device="meta", requires_grad=True)
    noise = Noise(form, 1 << 15, 2.0, 0.5, -0.5, 1 << 24)
    numbers = torch.stack([pack_noise(0.5, noise)] * 2).to("meta")
    place = Place(torch.tensor(3, device="meta"), form, 1 << 24)
    keys = torch.tensor([1, 2]).to("meta")
    y = torch.vmap(lambda x, key, numbers: noisy_by_run(x, key, numbers, place))(x, keys, numbers)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.shape == y.shape == x.shape
    assert gradient.is_meta
