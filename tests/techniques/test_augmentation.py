"""Augmentation as a whole: order, shapes, one picture for one row and epoch, and refusals."""

import pytest
import torch

from regimen.errors import OptionError, RecipeError
from regimen.techniques import (
    AUGMENTATIONS,
    Affine,
    Augmentation,
    CenterCrop,
    Cutout,
    Erasing,
    HorizontalFlip,
    PixelNoise,
    RandomCrop,
    RandomResizedCrop,
    Resize,
    Rotation,
    VerticalFlip,
    augment,
    output_shape,
)

KEY = 2027
EXAMPLES: dict[str, Augmentation] = {
    "resize": Resize(size=11),
    "center_crop": CenterCrop(size=(7, 9)),
    "random_crop": RandomCrop(size=(7, 8), padding=2),
    "random_resized_crop": RandomResizedCrop(size=(6, 10)),
    "horizontal_flip": HorizontalFlip(),
    "vertical_flip": VerticalFlip(),
    "rotation": Rotation(degrees=45.0),
    "affine": Affine(degrees=10.0, translate=(0.2, 0.3), scale=(0.7, 1.3), shear=(-5.0, 5.0, -9.0, 9.0)),
    "erasing": Erasing(p=0.7),
    "cutout": Cutout(size=4),
    "pixel_noise": PixelNoise(std=0.5),
}


def pictures(n: int, channels: int = 3, height: int = 8, width: int = 9) -> torch.Tensor:
    return torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(n))


def test_every_operation_has_an_example_here() -> None:
    assert {name: type(operation) for name, operation in EXAMPLES.items()} == AUGMENTATIONS


@pytest.mark.parametrize("operation", EXAMPLES.values(), ids=EXAMPLES)
def test_a_picture_is_the_same_alone_and_in_any_batch(operation: Augmentation) -> None:
    x, rows = pictures(37), torch.arange(100, 137)
    fill = [0.5, -1.0, 2.0]
    together = augment(x, [operation], key=KEY, rows=rows, epoch=3, fill=fill)
    shuffled = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    in_other_order = augment(x[shuffled], [operation], key=KEY, rows=rows[shuffled], epoch=3, fill=fill)
    assert torch.equal(in_other_order, together[shuffled])
    for i in (0, 20, 36):
        alone = augment(x[i : i + 1], [operation], key=KEY, rows=rows[i : i + 1], epoch=3, fill=fill)
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("operation", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("channels", [1, 3])
def test_memory_order_changes_no_pixel_and_is_kept(operation: Augmentation, channels: int) -> None:
    x, rows = pictures(5, channels), torch.arange(5)
    plain = augment(x, [operation], key=KEY, rows=rows, epoch=0, fill=[0.5] * channels)
    last = x.contiguous(memory_format=torch.channels_last)
    found = augment(last, [operation], key=KEY, rows=rows, epoch=0, fill=[0.5] * channels)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert plain.is_contiguous()
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("operation", EXAMPLES.values(), ids=EXAMPLES)
def test_the_announced_shape_is_the_shape_and_nothing_is_lost_to_the_batch(operation: Augmentation) -> None:
    x = pictures(4)
    found = augment(x, [operation], key=KEY, rows=torch.arange(4), epoch=0, fill=[0.0] * 3)
    assert tuple(found.shape) == (4, *output_shape([operation], (3, 8, 9)))
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"resize", "center_crop"}))
@pytest.mark.parametrize("change", [{"key": KEY + 1}, {"epoch": 1}, {"rows": torch.arange(64) + 64}])
def test_another_key_epoch_or_row_draws_anew(name: str, change: dict[str, object]) -> None:
    x = pictures(1).expand(64, -1, -1, -1)
    given = {"key": KEY, "epoch": 0, "rows": torch.arange(64), "fill": [0.0] * 3}
    once = augment(x, [EXAMPLES[name]], **given)
    assert torch.equal(once, augment(x, [EXAMPLES[name]], **given))
    assert not torch.equal(once, augment(x, [EXAMPLES[name]], **(given | change)))


def test_operations_act_in_their_order_and_one_used_twice_draws_twice() -> None:
    x, rows = pictures(1).expand(200, -1, -1, -1), torch.arange(200)
    given = {"key": KEY, "rows": rows, "epoch": 0, "fill": [0.0] * 3}
    shapes = [
        tuple(augment(x[:1], order, **(given | {"rows": rows[:1]})).shape[2:])
        for order in ([Resize(size=4), CenterCrop(size=6)], [CenterCrop(size=6), Resize(size=4)])
    ]
    assert shapes == [(6, 6), (4, 4)]
    twice = augment(x, [HorizontalFlip(), HorizontalFlip()], **given)
    flipped = (twice != x).flatten(1).any(1)
    assert flipped.any(), "with the same draws, two flips would always cancel"
    assert not flipped.all()


def test_no_operation_leaves_the_batch_alone_and_none_writes_into_it() -> None:
    x = pictures(6)
    before = x.clone()
    assert torch.equal(augment(x, [], key=KEY, rows=torch.arange(6), epoch=0, fill=[0.0] * 3), x)
    for operation in EXAMPLES.values():
        augment(x, [operation], key=KEY, rows=torch.arange(6), epoch=0, fill=[9.0] * 3)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 8, 9)}, "expected float32 [n, channels, height, width]"),
        ({"x": torch.zeros(2, 3, 8, 9, dtype=torch.uint8)}, "got torch.uint8"),
        ({"rows": torch.arange(3)}, "expected int64 rows [2]"),
        ({"rows": torch.zeros(2)}, "got torch.float32 [2]"),
        ({"fill": [0.0]}, "fill: expected 3 values"),
        ({"operations": [RandomCrop(size=(8, 12), padding=1)]}, "at most 10x11 pixels"),
        ({"rows": torch.tensor([0, -1]), "operations": [HorizontalFlip()]}, "random stream exhausted"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    given = {"x": pictures(2), "operations": [], "key": KEY, "rows": torch.arange(2), "epoch": 0, "fill": [0.0] * 3}
    given |= change
    with pytest.raises(OptionError) as caught:
        augment(given.pop("x"), given.pop("operations"), **given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("resize", {"size": 0}, "augmentation.size: expected a whole number in [1, 65536], got 0"),
        ("resize", {"size": (3, 4, 5)}, "expected a number of pixels or [height, width], got [3, 4, 5]"),
        ("center_crop", {"size": 2.5}, "got 2.5"),
        ("random_crop", {"size": 8, "padding": -1}, "augmentation.padding"),
        ("random_resized_crop", {"size": 8, "scale": (0.0, 1.0)}, "augmentation.scale"),
        ("random_resized_crop", {"size": 8, "scale": (0.9, 0.1)}, "smallest value first"),
        ("random_resized_crop", {"size": 8, "ratio": 0.5}, "expected two numbers"),
        ("horizontal_flip", {"p": 1.5}, "augmentation.p: expected a number in [0, 1], got 1.5"),
        ("vertical_flip", {"p": "often"}, "augmentation.p"),
        ("rotation", {"degrees": -5.0}, "augmentation.degrees"),
        ("rotation", {"degrees": (10.0, -10.0)}, "smallest value first"),
        ("affine", {"translate": 0.1}, "expected two shares [width, height]"),
        ("affine", {"translate": (0.1, 2.0)}, "augmentation.translate"),
        ("affine", {"scale": (0.0, 1.0)}, "augmentation.scale"),
        ("affine", {"shear": 90.0}, "augmentation.shear"),
        ("affine", {"shear": (1.0, 2.0, 3.0)}, "augmentation.shear"),
        ("erasing", {"scale": (0.1, 1.1)}, "augmentation.scale"),
        ("cutout", {"size": 0}, "augmentation.size"),
        ("pixel_noise", {"std": 0.0}, "augmentation.std"),
    ],
)
def test_impossible_values_are_refused(name: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        AUGMENTATIONS[name](**values)
    assert message in str(caught.value)
