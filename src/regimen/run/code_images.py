"""Lines of plain PyTorch that augment a batch of images `x`; `black` holds what a black pixel of each channel is."""

import dataclasses
import textwrap

from regimen.run.code_text import LINE_LENGTH, call, literal
from regimen.techniques import (
    Affine,
    Augmentation,
    CenterCrop,
    Cutout,
    HorizontalFlip,
    PixelNoise,
    RandomCrop,
    Resize,
    Rotation,
    VerticalFlip,
)

Shape = tuple[int, int, int]
# Written where they are needed: black is the darkest value that the training images have.
BLACK = "black = x_train.amin((0, 2, 3), keepdim=True)"
# Letters of a line of comment, which stands eight deep in the loops.
COMMENT = LINE_LENGTH - 8
SAMPLE = "x = nn.functional.grid_sample(x - black, grid, align_corners=False) + black"


def augmentation_lines(operations: tuple[Augmentation, ...], shape: tuple[int, ...]) -> list[str]:
    """Return the lines that transform a batch `x` of images of `shape`, first operation first.

    An operation whose code is longer than a script can bear is named in a comment: the script then trains without it.

    Example:
        >>> augmentation_lines((HorizontalFlip(),), (1, 8, 8))
        ['x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)']
    """
    lines: list[str] = []
    channels, height, width = shape
    for operation in operations:
        lines += _lines(operation, (channels, height, width))
        channels, height, width = operation.output_shape((channels, height, width))
    return lines


def needs_black(operations: tuple[Augmentation, ...]) -> bool:
    """Return whether the lines of the operations read `black`."""
    return any("black" in line for line in augmentation_lines(operations, (1, 1 << 15, 1 << 15)))


def _lines(operation: Augmentation, shape: Shape) -> list[str]:
    _, height, width = shape
    match operation:
        case HorizontalFlip(p=p) | VerticalFlip(p=p):
            axis = 3 if isinstance(operation, HorizontalFlip) else 2
            return [f"x = torch.where(torch.rand(len(x), 1, 1, 1) < {literal(p)}, x.flip({axis}), x)"]
        case PixelNoise(std=std):
            return [f"x = x + {literal(std)} * torch.randn_like(x)"]
        case Resize():
            _, rows, columns = operation.output_shape(shape)
            size = [f"({rows}, {columns})", 'mode="bilinear"', "antialias=True"]
            return call("x = nn.functional.interpolate", ["x", *size])
        case CenterCrop() if min(height - _sides(operation)[0], width - _sides(operation)[1]) >= 0:
            rows, columns = _sides(operation)
            top, left = round((height - rows) / 2), round((width - columns) / 2)
            return [f"x = x[:, :, {top}:{top + rows}, {left}:{left + columns}]"]
        case RandomCrop():
            return _random_crop(operation, shape)
        case Cutout(size=size):
            return _cutout(size, shape)
        case Rotation(degrees=degrees):
            return _rotation(degrees, shape)
        case Affine(degrees=0, scale=(1, 1), shear=0, translate=translate):
            return _shift(translate, shape)
        case _:
            left_out = f"Left out here, done by `regimen train`: {_described(operation)}."
            return textwrap.wrap(left_out, COMMENT, initial_indent="# ", subsequent_indent="# ")


def _described(operation: Augmentation) -> str:
    fields = (f"{field.name} {literal(getattr(operation, field.name))}" for field in dataclasses.fields(operation))
    return f"{operation.name.replace('_', ' ')} with {', '.join(fields)}"


def _sides(operation: CenterCrop | RandomCrop) -> tuple[int, int]:
    return operation.size if isinstance(operation.size, tuple) else (operation.size, operation.size)


def _random_crop(operation: RandomCrop, shape: Shape) -> list[str]:
    rows, columns = _sides(operation)
    border = operation.padding
    down, right = shape[1] + 2 * border - rows, shape[2] + 2 * border - columns
    pads = f"nn.functional.pad(x - black, [{border}] * 4) + black" if border else "x"
    return [
        f"padded, places = {pads}, torch.rand(len(x), 2)",
        f"corners = (places * torch.tensor([{down + 1}, {right + 1}])).long().tolist()",
        "x = torch.stack([",
        f"    one[:, top : top + {rows}, left : left + {columns}]",
        "    for one, (top, left) in zip(padded, corners)",
        "])",
    ]


def _cutout(size: int, shape: Shape) -> list[str]:
    _, height, width = shape
    return [
        f"row, column = torch.arange({height})[:, None], torch.arange({width})",
        f"top = torch.randint({height}, (len(x), 1, 1, 1)) - {size // 2}",
        f"left = torch.randint({width}, (len(x), 1, 1, 1)) - {size // 2}",
        f"inside = (row >= top) & (row < top + {size}) & (column >= left) & (column < left + {size})",
        "x = torch.where(inside, black, x)",
    ]


def _rotation(degrees: float | tuple[float, float], shape: Shape) -> list[str]:
    low, high = degrees if isinstance(degrees, tuple) else (-degrees, degrees)
    _, height, width = shape
    # grid_sample counts in half heights and half widths.
    across = "" if height == width else f" * {height} / {width}"
    down = "" if height == width else f" * {width} / {height}"
    return [
        f"angle = torch.deg2rad(torch.empty(len(x)).uniform_({literal(float(low))}, {literal(float(high))}))",
        "cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(len(x))",
        f"turn = torch.stack([cos, -sin{across}, zero, sin{down}, cos, zero], 1).view(-1, 2, 3)",
        "grid = nn.functional.affine_grid(turn, x.shape, align_corners=False)",
        SAMPLE,
    ]


def _shift(translate: tuple[float, float], shape: Shape) -> list[str]:
    _, height, width = shape
    across, down = literal(float(translate[0])), literal(float(translate[1]))
    return [
        f"reach = torch.tensor([{across} * {width}, {down} * {height}])",
        "pixels = ((2 * torch.rand(len(x), 2) - 1) * reach).round()",
        "move = torch.eye(2, 3).repeat(len(x), 1, 1)",
        f"move[:, :, 2] = -2 * pixels / torch.tensor([{width}, {height}])",
        "grid = nn.functional.affine_grid(move, x.shape, align_corners=False)",
        SAMPLE,
    ]


def cutmix_lines(alpha: float) -> list[str]:
    """Return the lines that paste a rectangle of each image's partner in, and leave the share kept in `lam`.

    Args:
        alpha: Shape of the Beta distribution, > 0.
    """
    beta = f"torch.distributions.Beta({literal(float(alpha))}, {literal(float(alpha))})"
    return [
        f"lam = {beta}.sample()",
        "height, width = x.shape[2:]",
        "sides = [int(height * (1 - lam) ** 0.5), int(width * (1 - lam) ** 0.5)]",
        "row, column = int(height * torch.rand(())), int(width * torch.rand(()))",
        "top, left = row - sides[0] // 2, column - sides[1] // 2",
        "bottom, right = min(top + sides[0], height), min(left + sides[1], width)",
        "top, left = max(top, 0), max(left, 0)",
        "x = x.clone()",
        "x[:, :, top:bottom, left:right] = x[partners, :, top:bottom, left:right]",
        "lam = 1 - (bottom - top) * (right - left) / (height * width)",
    ]
