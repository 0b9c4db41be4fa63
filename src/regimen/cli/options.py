"""Values that options take, each refused with what was expected, and the options that several commands share."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regimen.errors import nearest

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # no generic before click 8.4


class Value(ParamType):
    """A value whose name stands in the help as it is written here; click's own types shout."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help shows for the value."""
        return self.name


class Whole(Value):
    """A whole number, at least `low`."""

    def __init__(self, metavar: str = "N", *, low: int | None = None) -> None:
        self.name, self.low = metavar, low

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or refuse the text."""
        if isinstance(value, int):
            return value
        expected = "expected a whole number" + ("" if self.low is None else f" of at least {self.low}")
        # int() alone would also take 1_000 and Arabic digits; a seed of thousands of digits is refused further down.
        if not re.fullmatch(r"[+-]?[0-9]{1,30}", value.strip()):
            self.fail(f"{expected}, got {value!r}", param, ctx)
        number = int(value)
        if self.low is not None and number < self.low:
            self.fail(f"{expected}, got {value!r}", param, ctx)
        return number


class InputShape(Value):
    """The shape of one input of a network: `64`, or `1x28x28` for channels, height and width."""

    name = "N|CxHxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the shape, or refuse the text."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9}x[0-9]{1,9})?", value.strip()) or 0 in (
            shape := tuple(map(int, value.strip().split("x")))
        ):
            self.fail(
                f"expected a number of columns, or channels, height and width as 1x28x28, got {value!r}", param, ctx
            )
        return shape


class Positive(Value):
    """A finite number above zero."""

    name = "X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or refuse the text."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"expected a number above 0, got {value!r}", param, ctx)
        return number


class Name(Value):
    """One of a few names."""

    def __init__(self, *names: str) -> None:
        self.names, self.name = names, "|".join(names)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or refuse it and offer the nearest."""
        if value not in self.names:
            self.fail(f"no such value {value!r}{nearest(value, self.names)}", param, ctx)
        return str(value)


class Text(Value):
    """Any text that can be stored: a name or a path."""

    def __init__(self, metavar: str) -> None:
        self.name = metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or refuse one that is empty or no UTF-8 (a file name of another encoding, say)."""
        if not value.strip():
            self.fail(f"expected {self.name}, got {value!r}", param, ctx)
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail(f"expected text in UTF-8, got {value!r}; rename the file", param, ctx)
        return str(value)


class Names(Text):
    """Names separated by commas; one that holds a comma itself stands in double quotes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the names as a tuple, or refuse an empty one."""
        import csv

        if isinstance(value, tuple):
            return value
        text = super().convert(value, param, ctx)
        names = tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)))
        if not all(names):
            self.fail(f"expected names between the commas, got {value!r}", param, ctx)
        return names


def apply(options: Sequence[Callable[[Decorated], Decorated]]) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds all `options`, so that help lists them in this order."""

    def decorate(function: Decorated) -> Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


class Pixels(Value):
    """Height and width in pixels: `32`, or `48x64`."""

    name = "N|HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or refuse it."""
        if not re.fullmatch(r"[1-9][0-9]{0,3}(x[1-9][0-9]{0,3})?", value.strip()):
            self.fail(f"expected pixels as 32 or, height before width, 48x64, got {value!r}", param, ctx)
        return str(value.strip())


DATA = Text("a bundled table, a file, or a folder of images")

data_options = apply(
    [
        click.argument("data", metavar="DATA", type=DATA),
        click.option("--target", type=Text("COL"), help="Column to predict; bundled tables and images know theirs."),
        click.option(
            "--task",
            type=Name("classification", "regression"),
            help="What kind of target it is. [default: read from the column]",
        ),
        click.option("--ignore", type=Names("COL,…"), help="Columns to leave out."),
        click.option("--test", type=Text("FILE"), help="Rows of the test part. [default: 20 % of DATA, or its own]"),
        click.option(
            "--validation", type=Text("FILE"), help="Rows of the validation part. [default: drawn for each pair]"
        ),
        click.option("--group", type=Text("COL"), help="Rows with the same value here stay together, in one part."),
        click.option("--time", type=Text("COL"), help="Numbers or dates; the network is scored on later rows only."),
        click.option("--weights", type=Text("COL"), help="How much each row counts, in training and in scores."),
        click.option("--image-size", type=Pixels(), help="Size of images in pixels. [default: that of most of them]"),
    ]
)

machine_options = apply(
    [
        click.option("--engine", type=Text("NAME"), help="auto, native, stacked or reference. [default: auto]"),
        click.option(
            "--device",
            type=Name("auto", "cpu", "cuda"),
            help="auto and cpu: the CPU; cuda: the graphics card. [default: auto]",
        ),
        click.option("--processes", type=Whole(low=1), help="Runs trained at a time. [default: one for each core]"),
        click.option(
            "--seed", type=Whole("S", low=0), help="From 0 to 2^64 - 1; the test part ignores it. [default: 0]"
        ),
    ]
)
