"""The plain-PyTorch script for images: convolutional networks, augmentation, cutmix, on torch alone."""

import ast
import builtins
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regimen.data import Split, from_images, prepare
from regimen.engine import train_one
from regimen.models import MLP, ConvNet, Convolution, build
from regimen.models.names import Model
from regimen.run import Recipe, Run, plain_pytorch, recipe_from_dict
from regimen.run.code_images import augmentation_lines, needs_black
from regimen.run.run import layers_of
from regimen.streams import permutation
from regimen.techniques import (
    CATALOGUE,
    EMA,
    SGD,
    Affine,
    Augmentation,
    CenterCrop,
    Cutout,
    EarlyStopping,
    Erasing,
    HorizontalFlip,
    PixelNoise,
    RandomCrop,
    RandomResizedCrop,
    Resize,
    Rotation,
    VerticalFlip,
    augment,
)

from .recipes import only_torch
from .test_code_against_engine import started_from

SHAPE = (3, 12, 10)
NET = ConvNet(convolutions=(Convolution(channels=4), Convolution(channels=5, pool=2)), hidden=(6,))
BASE = Recipe(epochs=2, batch_size=8, lr=0.01)
OPERATIONS: dict[str, tuple[Augmentation, ...]] = {
    "flips": (HorizontalFlip(), VerticalFlip(p=0.25)),
    "noise": (PixelNoise(std=0.1),),
    "rotation": (Rotation(degrees=15.0),),
    "rotation to one side": (Rotation(degrees=(0.0, 30.0)),),
    "shift": (Affine(translate=(0.2, 0.1)),),
    "crop": (RandomCrop(size=(12, 10), padding=2),),
    "resize and crops": (Resize(size=(16, 14)), CenterCrop(size=(14, 12)), RandomCrop(size=(12, 10))),
    "cutout": (Cutout(size=3),),
    "all that is left out": (RandomResizedCrop(size=(12, 10)), Erasing(), Affine(shear=10.0)),
}
RECIPES: dict[str, Recipe] = {
    "plain": BASE,
    "elements": BASE.replace(dropout=0.3, input_dropout=0.1),
    "channels": BASE.replace(dropout=0.3, dropout_kind="channel", normalization="batch", averaging=EMA(decay=0.9)),
    "layer norm": BASE.replace(normalization="layer", initialization="he_normal"),
    "cutmix": BASE.replace(cutmix=1.0, input_noise=0.1, max_norm=1.0),
    "mixup behind augmentation": BASE.replace(mixup=0.2, augmentation=OPERATIONS["rotation"]),
    "early stopping": BASE.replace(early_stopping=EarlyStopping(patience=2), augmentation=OPERATIONS["cutout"]),
} | {name: BASE.replace(augmentation=operations) for name, operations in OPERATIONS.items()}
every_recipe = pytest.mark.parametrize("recipe", [pytest.param(recipe, id=name) for name, recipe in RECIPES.items()])


def script(recipe: Recipe, model: Model = NET) -> str:
    return plain_pytorch(recipe, model, inputs=SHAPE, outputs=3, task="classification")


def execute(code: str, rows: int = 25) -> dict[str, Any]:
    torch.manual_seed(3)
    names: dict[str, Any] = {
        "__builtins__": vars(builtins) | {"__import__": only_torch},
        "x_train": torch.randn(rows, *SHAPE),
        "y_train": torch.arange(rows) % 3,
    }
    exec(compile(code, "<script>", "exec"), names)
    return names


@every_recipe
@pytest.mark.parametrize("model", [NET, MLP(hidden=(4,))], ids=["cnn", "mlp"])
def test_the_script_trains_on_torch_alone_and_leaves_the_layers_of_the_saved_network(
    recipe: Recipe, model: Model
) -> None:
    trained = execute(script(recipe, model))["model"]
    assert not any(module.training for module in trained.modules())
    assert all(value.isfinite().all() for value in trained.state_dict().values())
    ours = build(layers_of(model, recipe, SHAPE, 3), key=1)
    trained.load_state_dict(ours.state_dict(), strict=True)
    kinds = [type(layer).__name__ for layer in ours]
    assert [type(layer).__name__ for layer in trained] == kinds
    x = torch.randn(5, *SHAPE)
    torch.testing.assert_close(trained(x), ours.eval()(x))


@every_recipe
def test_the_script_keeps_to_lines_of_100_and_uses_every_name_it_makes(recipe: Recipe) -> None:
    code = script(recipe)
    assert max(map(len, code.splitlines())) <= 100
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    assert made <= {node.id for node in names if isinstance(node.ctx, ast.Load)} | {"epoch"}


def test_the_script_says_which_numbers_scale_the_pixels() -> None:
    first = script(Recipe(input_scaling=((0.5, 0.4, 0.3), (0.2, 0.2, 0.1)))).splitlines()[0]
    assert first.endswith("12, 10], pixels from 0 to 1 minus (0.5, 0.4, 0.3), over (0.2, 0.2, 0.1).")
    many = plain_pytorch(
        Recipe(input_scaling=((0.5,) * 9, (0.2,) * 9)), MLP(), inputs=9, outputs=2, task="classification"
    )
    assert "numeric columns centered and scaled." in many


def test_the_script_of_the_plain_baseline_on_images_is_this_one() -> None:
    code = plain_pytorch(Recipe(), ConvNet(), inputs=(1, 28, 28), outputs=10, task="classification")
    assert code.splitlines()[:11] == [
        "# x_train: float32 [rows, 1, 28, 28], each channel scaled to mean 0 and variance 1 over these rows.",
        "# y_train: int64 [rows], class codes from 0 to 9.",
        "import torch",
        "from torch import nn",
        "",
        "model = nn.Sequential(",
        "    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),",
        "    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),",
        "    nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),",
        "    nn.Flatten(), nn.Linear(3136, 100), nn.ReLU(),",
        "    nn.Linear(100, 10),",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": SGD(momentum=0.9), "normalization": "layer", "max_norm": 0.5, "l1": 0.01},
        {"optimizer": SGD(momentum=0.9), "normalization": "batch", "averaging": EMA(decay=0.9)},
        {"augmentation": (HorizontalFlip(p=1.0), Rotation(degrees=(20.0, 20.0))), "weight_decay": 0.1},
    ],
    ids=["plain", "norms and penalties", "batch norm and average", "augmentation"],
)
def test_the_script_trains_the_engines_network_in_the_same_order_from_the_same_weights(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, rows = np.random.default_rng(1), np.arange(33)
    pixels = source.integers(0, 256, (33, *SHAPE)).astype(np.uint8)
    pixels[0] = 0  # black is known where it occurs
    images = from_images(pixels, rows % 3)
    recipe = BASE.replace(**changes)
    run = Run(recipe=recipe, model=NET, data=images, split=Split(train=rows, validation=rows[:0], test=rows[:0]),
              key=4, metric="accuracy")  # fmt: skip
    prepared = prepare(images, run.split)
    orders = iter([permutation(run.key, 33, epoch=epoch) for epoch in range(recipe.epochs)])
    monkeypatch.setattr(torch, "randperm", lambda count: next(orders))
    names = {
        "x_train": prepared.scaled(prepared.x["train"]), "y_train": prepared.y["train"],
        "initial": run.network(SHAPE, 3).state_dict(),
    }  # fmt: skip
    exec(started_from(script(recipe), "initial"), names)
    trained = names["model"].state_dict()  # type: ignore[attr-defined]
    expected = train_one(run, keep=("weights",)).weights
    assert expected is not None
    for name, value in expected.items():
        torch.testing.assert_close(trained[name], torch.from_numpy(value), rtol=1e-4, atol=1e-5)


# --- augmentation -----------------------------------------------------------------------------------------------------


def transformed(operations: tuple[Augmentation, ...], x: Tensor, black: Tensor) -> Tensor:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "x": x, "black": black[:, None, None]}
    exec("\n".join(augmentation_lines(operations, tuple(x.shape[1:]))), names)
    result: Tensor = names["x"]
    return result


def augmented(operations: tuple[Augmentation, ...], x: Tensor, black: Tensor) -> Tensor:
    return augment(x, operations, key=1, rows=torch.arange(len(x)), epoch=0, fill=black)


def batch(shape: tuple[int, ...] = SHAPE, rows: int = 64) -> tuple[Tensor, Tensor]:
    """Return images and the value of black, which is their smallest in each channel."""
    x = torch.rand(rows, *shape, generator=torch.Generator().manual_seed(2))
    return x, x.amin((0, 2, 3))


@pytest.mark.parametrize(
    "operations",
    [
        (HorizontalFlip(p=1.0),),
        (VerticalFlip(p=1.0),),
        (Rotation(degrees=(25.0, 25.0)),),
        (Rotation(degrees=(-25.0, -25.0)), HorizontalFlip(p=1.0)),
        (Resize(size=(17, 9)),),
        (CenterCrop(size=(7, 8)),),
        (RandomCrop(size=(16, 14), padding=2),),
        (Affine(translate=(0.0, 0.0)),),
    ],
    ids=lambda operations: "+".join(operation.name for operation in operations),
)
def test_lines_without_chance_do_what_the_engine_does(operations: tuple[Augmentation, ...]) -> None:
    x, black = batch()
    torch.testing.assert_close(transformed(operations, x, black), augmented(operations, x, black), rtol=1e-4, atol=1e-5)


def test_a_crop_is_a_window_of_the_image_in_a_black_frame() -> None:
    x, black = batch()
    found = transformed((RandomCrop(size=(12, 10), padding=3),), x, black)
    framed = nn.functional.pad(x - black[:, None, None], [3] * 4) + black[:, None, None]
    windows = framed.unfold(2, 12, 1).unfold(3, 10, 1)  # [rows, channels, 7, 7, 12, 10]
    places = (windows == found[:, :, None, None]).all(dim=(1, 4, 5))
    assert (places.flatten(1).sum(1) >= 1).all()
    assert len(places.nonzero()[:, 1:].unique(dim=0)) > 20  # of 49, in 64 draws


def test_a_shift_moves_by_whole_pixels_within_its_reach() -> None:
    torch.manual_seed(1)
    x, black = batch((1, 10, 10), rows=400)
    found = transformed((Affine(translate=(0.2, 0.1)),), x, black)
    moved = {
        (down, right): nn.functional.pad(x - black, [right, -right, down, -down]) + black
        for down in range(-1, 2)
        for right in range(-2, 3)
    }
    used = {
        place
        for image in range(len(x))
        for place, all_of_them in moved.items()
        if torch.allclose(found[image], all_of_them[image], atol=1e-4)
    }
    assert used == set(moved)  # each image is one of them, and each of the 15 occurs
    assert all(any(torch.allclose(found[i], whole[i], atol=1e-4) for whole in moved.values()) for i in range(len(x)))


def test_a_cutout_blackens_a_square_that_may_lie_partly_outside() -> None:
    x, black = batch()
    found = transformed((Cutout(size=5),), x, black)
    changed = (found != x).any(1)
    assert torch.equal(found[:, :, :, :], torch.where(changed[:, None], black[:, None, None], x))
    sizes = changed.sum((1, 2))
    assert sizes.max() == 25 and sizes.min() >= 9


def test_flips_and_noise_follow_their_chance_and_spread() -> None:
    x, black = batch()
    many = x.repeat(30, 1, 1, 1)
    flipped = (transformed((HorizontalFlip(p=0.25),), many, black) != many).any(dim=(1, 2, 3)).float().mean()
    assert abs(float(flipped) - 0.25) < 0.05  # five standard errors of 1,920 draws
    noise = transformed((PixelNoise(std=0.3),), many, black) - many
    assert float(noise.std()) == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize("operation", OPERATIONS["all that is left out"], ids=lambda operation: operation.name)
def test_what_is_left_out_is_named_in_a_comment(operation: Augmentation) -> None:
    lines = augmentation_lines((operation,), SHAPE)
    assert all(line.startswith("# ") for line in lines)
    assert lines[0].startswith(f"# Left out here, done by `regimen train`: {operation.name.replace('_', ' ')} with ")
    assert not needs_black((operation,))


def test_every_augmentation_that_a_study_tries_is_named_or_written_in_its_script() -> None:
    written = 0
    for technique in CATALOGUE.values():
        for setting in technique.settings:
            if "augmentation" in setting:
                code = script(recipe_from_dict(setting, base=BASE))
                written += "Left out" not in code
    assert written >= 9
