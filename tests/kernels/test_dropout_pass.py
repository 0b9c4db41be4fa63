"""One pass of noise in C++ equals masks and products by PyTorch to the bit, on every instruction set."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from regimen.errors import EngineError, OptionError
from regimen.kernels import (
    Form,
    Noise,
    add_noise,
    dropout_mask,
    dropout_native,
    keep_scale,
    keep_threshold,
    native,
    native_types,
)
from regimen.kernels.dropout_native import prepare_pass
from regimen.kernels.dropout_operations import add_noise_by_operations
from regimen.streams import Purpose, counter3, normal, philox

KEY = 0xDEADBEEF_12345678
STEP = 4_000_000_000
THIRD = counter3(Purpose.MASK, site=3, call=2)
FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# Vector widths and one beside them, the eight features of a counter, and primes.
SIZES = [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 131]


def masking(form: Form, p: float = 0.3, *, first_row: int = 0) -> Noise:
    return Noise(form, keep_threshold(p), keep_scale(p), 0.0, 0.0, THIRD, first_row)


def shifting(form: Form) -> Noise:
    return Noise(form, keep_threshold(0.3), 1.1, 0.3, -1.2, THIRD)


def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def mask_of(rows: int, features: int, dtype: torch.dtype, p: float = 0.3) -> Tensor:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return dropout_mask(KEY, p, rows=rows, features=features, step=STEP, site=3, call=2, dtype=wide)[0]


def same(a: Tensor, b: Tensor) -> bool:
    """Equal with the signs of zeros; of NaN only that both are."""
    numbers = a.dtype == b.dtype and torch.equal(a.isnan(), b.isnan())
    return (
        numbers and torch.equal(a.nan_to_num(nan=1.0), b.nan_to_num(nan=1.0)) and torch.equal(a.signbit(), b.signbit())
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("features", SIZES)
def test_elements_are_the_input_times_the_mask(isa: str, features: int, dtype: torch.dtype) -> None:
    for rows in (1, 5):
        x = numbers(rows, features, dtype=dtype)
        expected = (x * mask_of(rows, features, dtype)).to(dtype)
        assert same(add_noise(x, KEY, STEP, masking(Form.ELEMENTS)), expected)
        assert same(add_noise(y := x.clone(), KEY, STEP, masking(Form.ELEMENTS), y), expected)


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.731, 0.9999999])
def test_every_rate_has_its_mask(isa: str, p: float) -> None:
    x = numbers(40, 999)
    assert same(add_noise(x, KEY, STEP, masking(Form.ELEMENTS, p)), x * mask_of(40, 999, x.dtype, p))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", [1e-9, 0.3])
def test_all_numbers_of_the_half_types_are_rounded_once_to_nearest_even(isa: str, p: float, dtype: torch.dtype) -> None:
    """Subnormal numbers, infinities and NaN among them; what overflows becomes infinite."""
    x = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(dtype)[None]
    expected = (x.float() * mask_of(1, 1 << 16, dtype, p)).to(dtype)
    found = add_noise(x, KEY, STEP, masking(Form.ELEMENTS, p))
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.nan_to_num(nan=1.0), expected.nan_to_num(nan=1.0))


def test_numbers_that_are_not_finite_pass_as_through_a_product(isa: str) -> None:
    """A dropped NaN or infinity stays NaN, so that a diverged network is seen to have diverged."""
    x = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-45, -1e-45, 3e38]).repeat(3, 16)
    assert same(add_noise(x, KEY, STEP, masking(Form.ELEMENTS)), x * mask_of(3, 128, x.dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", ["channels first", "channels last"])
@pytest.mark.parametrize(
    "shape", [(2, 8, 3, 3), (3, 16, 4, 4), (2, 24, 7, 7), (1, 3, 5, 5), (2, 8, 1, 1), (2, 16, 2, 3, 3)]
)
def test_elements_of_images_and_volumes_are_numbered_channels_last_in_both_layouts(
    isa: str, shape: tuple[int, ...], layout: str, dtype: torch.dtype
) -> None:
    x = numbers(*shape, dtype=dtype)
    last = (shape[0], *shape[2:], shape[1])
    mask = mask_of(shape[0], math.prod(shape[1:]), dtype).reshape(last).movedim(-1, 1)
    expected = (x * mask).to(dtype)
    if layout == "channels last":
        x = x.to(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    y = add_noise(x, KEY, STEP, masking(Form.ELEMENTS))
    assert same(y, expected)
    assert y.stride() == torch.empty_like(x).stride()
    assert same(add_noise(x, KEY, STEP, masking(Form.ELEMENTS), x), expected)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", ["channels first", "channels last"])
@pytest.mark.parametrize("shape", [(2, 8, 3, 3), (1, 131, 5, 4), (3, 3, 1, 1), (2, 65, 2, 2, 5)])
def test_channels_share_a_value_in_both_layouts(
    isa: str, shape: tuple[int, ...], layout: str, dtype: torch.dtype
) -> None:
    x = numbers(*shape, dtype=dtype)
    mask = mask_of(shape[0], shape[1], dtype).reshape(*shape[:2], *(1,) * (len(shape) - 2))
    expected = (x * mask).to(dtype)
    if layout == "channels last":
        x = x.to(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    assert same(add_noise(x, KEY, STEP, masking(Form.CHANNELS)), expected)


@pytest.mark.parametrize("shape", [(1,), (7,), (5, 3), (4, 8, 2, 3)])
def test_rows_share_the_value_of_their_first_feature(isa: str, shape: tuple[int, ...]) -> None:
    x = numbers(*shape)
    mask = mask_of(shape[0], 1, x.dtype).reshape(-1, *(1,) * (len(shape) - 1))
    assert same(add_noise(x, KEY, STEP, masking(Form.ROWS)), x * mask)
    if len(shape) == 4:
        assert same(add_noise(x.to(memory_format=torch.channels_last), KEY, STEP, masking(Form.ROWS)), x * mask)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("form", [Form.ELEMENTS, Form.CHANNELS, Form.ROWS])
def test_shifts_are_added_to_the_rounded_product(isa: str, form: Form, dtype: torch.dtype) -> None:
    """Not fused into one rounding, which instruction sets without it could not follow."""
    for x in (numbers(6, 37, dtype=dtype), numbers(3, 24, 5, 5, dtype=dtype)):
        assert same(add_noise(x, KEY, STEP, shifting(form)), add_noise_by_operations(x, KEY, STEP, shifting(form)))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("form", [Form.ELEMENTS, Form.CHANNELS, Form.ROWS, Form.GAUSSIAN])
@pytest.mark.parametrize("shape", [(3, 5000), (1, 20000), (700, 33), (2, 16, 33, 9)])
def test_two_threads_give_the_bits_of_one(
    isa: str, form: Form, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = numbers(*shape)
    alone = add_noise(x, KEY, STEP, masking(form))
    monkeypatch.setattr(dropout_native, "THREADED_ELEMENTS", 1)
    assert torch.equal(add_noise(x, KEY, STEP, masking(form)), alone)


@pytest.mark.parametrize("first_row", [1, 1000, (1 << 32) - 4])
@pytest.mark.parametrize("form", [Form.ELEMENTS, Form.CHANNELS, Form.ROWS])
def test_rows_of_a_later_micro_batch_are_those_of_the_whole(isa: str, form: Form, first_row: int) -> None:
    x = numbers(4, 19)
    noise = masking(form, first_row=first_row)
    found = add_noise(x, KEY, STEP, noise)
    assert same(found, add_noise_by_operations(x, KEY, STEP, noise))
    if first_row == 1:
        whole = add_noise(numbers(1, 19).expand(5, 19), KEY, STEP, masking(form)) != 0
        assert torch.equal(whole[1:], found != 0)


@pytest.mark.parametrize("form", [Form.ELEMENTS, Form.CHANNELS, Form.GAUSSIAN])
def test_tensors_of_any_strides_are_read_by_their_logical_places(isa: str, form: Form) -> None:
    whole = numbers(8, 12, 6, 5)
    for x in (whole.transpose(1, 2), whole[::2, 1:9], whole.movedim(0, -1), whole[:1].expand(4, 12, 6, 5), whole[0]):
        found = add_noise(x, KEY, STEP, masking(form))
        assert torch.equal(found, add_noise(x.contiguous(), KEY, STEP, masking(form)))
        assert found.stride() == torch.empty_like(x).stride()


def test_a_negated_view_is_read_with_its_sign(isa: str) -> None:
    x = torch.complex(numbers(3, 8), numbers(3, 8)).conj().imag
    assert x.is_neg()
    expected = x * mask_of(3, 8, x.dtype)
    assert same(add_noise(x, KEY, STEP, masking(Form.ELEMENTS)), expected)
    assert same(add_noise(x, KEY, STEP, masking(Form.ELEMENTS), x), expected)
    dense = torch._neg_view(numbers(3, 8))
    assert same(add_noise(dense, KEY, STEP, masking(Form.ELEMENTS), dense), -numbers(3, 8) * mask_of(3, 8, x.dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("features", [1, 4, 63, 2000])
def test_gaussian_factors_agree_with_the_reference_to_four_ulp_of_the_normal(
    isa: str, features: int, dtype: torch.dtype
) -> None:
    scale, rows = 0.7, 3
    noise = Noise(Form.GAUSSIAN, 0, scale, 0.0, 0.0, THIRD)
    blocks = torch.arange(-(-features // 4))
    words = torch.stack(philox(KEY, blocks, torch.arange(rows)[:, None], STEP, THIRD), dim=-1).flatten(-2)
    drawn = (scale * normal(words))[:, :features]
    x = torch.ones(rows, features, dtype=dtype)
    found, exact = add_noise(x, KEY, STEP, noise).double(), 1.0 + drawn
    # The normal's error, that of the sum in float32, and the rounding to the type itself.
    allowed = 4 * torch.finfo(torch.float32).eps * drawn.abs() + torch.finfo(torch.float32).eps * exact.abs()
    allowed += torch.finfo(dtype).eps * exact.abs() + torch.finfo(dtype).smallest_normal
    assert ((found - exact).abs() <= allowed).all()


@given(
    st.integers(1, 3), st.integers(1, 40), st.sampled_from([Form.ELEMENTS, Form.CHANNELS]), st.integers(0, 2**64 - 1)
)
def test_by_operations_and_by_the_kernels_every_shape_is_the_same(rows: int, width: int, form: Form, key: int) -> None:
    for shape in ((rows, width), (rows, width, 3), (rows, width, 2, 3), (rows, width, 1, 2, 2)):
        x = numbers(*shape)
        assert same(add_noise(x, key, 7, masking(form)), add_noise_by_operations(x, key, 7, masking(form)))


class WithoutFloat64(TorchDispatchMode):
    """A device that has no float64, as Apple's GPUs."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if any(isinstance(one, Tensor) and one.dtype == torch.float64 for one in tree_leaves(result)):
            raise TypeError(f"{func}: no float64 here")
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("form", [Form.ELEMENTS, Form.CHANNELS, Form.ROWS])
@pytest.mark.parametrize("noise", [masking, shifting])
def test_masks_by_operations_need_no_float64(noise: Callable[[Form], Noise], form: Form, dtype: torch.dtype) -> None:
    x = numbers(3, 8, 5, dtype=dtype)
    with WithoutFloat64():
        y = add_noise_by_operations(x, KEY, STEP, noise(form))
    assert same(y, add_noise(x, KEY, STEP, noise(form)))


@pytest.mark.parametrize("forced", ["", "none"])
def test_what_does_not_fit_in_the_counter_is_refused(forced: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if forced:
        monkeypatch.setenv("REGIMEN_ISA", forced)
    x = torch.ones(2, 8)
    with pytest.raises(OptionError, match="random stream exhausted"):
        add_noise(x, KEY, 0, masking(Form.ELEMENTS, first_row=(1 << 32) - 1))
    with pytest.raises(OptionError, match="random stream exhausted"):
        add_noise(x, KEY, 1 << 32, masking(Form.ELEMENTS))


def test_features_are_refused_where_the_counter_of_their_form_is_full() -> None:
    """A counter serves eight elements, but four normal numbers: theirs would come round at half as many features."""
    for form, most in ((Form.ELEMENTS, (1 << 35) - 1), (Form.GAUSSIAN, (1 << 34) - 1)):
        prepare_pass(torch.empty(1, most, device="meta"), KEY, 0, masking(form))
        for draw in (prepare_pass, add_noise_by_operations):
            with pytest.raises(OptionError, match="random stream exhausted"):
                draw(torch.empty(1, most + 1, device="meta"), KEY, 0, masking(form))


def test_tensors_without_numbers_keep_their_shape_and_device() -> None:
    assert add_noise(torch.ones(3, 4, device="meta"), KEY, 0, masking(Form.ELEMENTS)).is_meta
    assert add_noise(torch.ones(3, 0), KEY, 0, masking(Form.ELEMENTS)).shape == (3, 0)


def test_a_library_whose_structure_of_a_pass_is_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    built = [isa for isa in native.ISAS if native._file(isa)]
    if not built:
        pytest.skip("no kernels are built; scripts/build_native.sh builds them")
    monkeypatch.setattr(native_types, "DROPOUT_BYTES", native_types.DROPOUT_BYTES + 8)
    native.load_kernels.cache_clear()
    with pytest.raises(EngineError, match="was built from other sources than this package"):
        native.load_kernels(built[0])
