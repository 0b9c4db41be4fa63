"""The look of the pictures: the report's colours, lines and grid in matplotlib, and files equal from run to run."""

import io
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib import rcsetup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regimen.errors import StoreError

# Points at which a caption-sized text of 12 pixels stands beside the 16 of the page, at 100 pixels an inch.
TEXT = 9.0
WIDTH, HEIGHT = 7.6, 3.3  # inches of one row of panels: the report's 760 pixels
DPI = 160
# Line widths of page.css, in points: `.line`, `.line.training`, `.line.thin`, `.line.response`.
THICK, TRAINING, THIN = 1.9, 1.4, 0.9
DASHES = (0, (4, 2.6))
SPREAD = 0.14  # opacity of `.spread`
PER_CENT = (0.0, 100.0)  # what accuracies lie within


@cache
def palette() -> dict[str, str]:
    """Return the colours of the report's light page by their names in page.css, such as `best` and `hurts`."""
    style = resources.files("regimen.report").joinpath("page.css").read_text(encoding="utf-8")
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style.partition("}")[0]))


BLUE, ORANGE, GRAY = palette()["best"], palette()["hurts"], palette()["base"]
INK, SOFT, PAPER, GRID, ZONE, ZERO = (palette()[name] for name in ("ink", "soft", "paper", "grid", "zone", "zero"))
# For more lines than the report ever compares: told apart by lightness too, so that no colour vision is needed.
SERIES = (BLUE, ORANGE, GRAY, "#1f8a70", "#7b4fb3", "#a9791c", "#c0437f", INK)
SHADES = LinearSegmentedColormap.from_list("regimen", ["#b9d3ea", BLUE, "#052a4d"])


@contextmanager
def look() -> Iterator[None]:
    """Draw everything inside in the report's look; figures must be made inside too."""
    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans",  # comes with matplotlib, so that text has one width everywhere
        "font.size": TEXT,
        "text.color": INK,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "axes.edgecolor": ZERO,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.labelcolor": SOFT,
        "axes.labelsize": TEXT - 0.5,
        "axes.titlesize": TEXT + 0.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.prop_cycle": rcsetup.cycler(color=list(SERIES)),
        "axes.unicode_minus": True,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.color": ZERO,
        "xtick.labelcolor": SOFT,
        "xtick.labelsize": TEXT - 0.5,
        "ytick.labelcolor": SOFT,
        "ytick.labelsize": TEXT - 0.5,
        "ytick.major.size": 0,
        "ytick.minor.size": 0,
        "legend.frameon": False,
        "legend.fontsize": TEXT - 0.5,
        "legend.labelcolor": INK,
        "lines.linewidth": THICK,
        "lines.solid_capstyle": "round",
        "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
        "svg.hashsalt": "regimen",
    }
    with matplotlib.rc_context(style):
        yield


def canvas(
    rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, row by row; `options` are those of `Figure.subplots` (`sharey=True`).

    Args:
        rows: Rows of panels.
        columns: Panels in a row.
        width: Inches.
        height: Inches; by default 3.3 for one row, 2.7 for each of several.
        options: For `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height or (HEIGHT if rows == 1 else 2.7 * rows)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(panels.flat)


def label(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> None:
    """Name the axes, with units, and the panel; the name of the upright axis lies above it, as in the report."""
    axes.set_xlabel(x)
    if x.startswith("epoch"):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if y:
        axes.set_ylabel(y, rotation=0, ha="left", va="bottom")
        axes.yaxis.set_label_coords(0.0, 1.02)
    if title or y:
        # A blank title keeps the room that the name above the axis needs.
        axes.set_title(title or " ", pad=20 if y and title else 8)


def line(
    axes: Axes,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    label: str = "",
    color: str = BLUE,
    training: bool = False,
    thin: bool = False,
) -> None:
    """Draw a line: solid for what was not trained on, dashed for `training` data, `thin` for what stands behind."""
    axes.plot(
        np.asarray(x),
        np.asarray(y),
        color=color,
        label=label or "_",
        linestyle=DASHES if training else "-",
        linewidth=THIN if thin else TRAINING if training else THICK,
    )


def points(
    axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, *, filled: bool = True, color: str = GRAY, label: str = ""
) -> None:
    """Draw points: filled for those trained on, open for those held out."""
    axes.plot(
        np.asarray(x),
        np.asarray(y),
        "o",
        color=color,
        label=label or "_",
        markersize=3.2,
        alpha=0.55 if filled else 1.0,
        markerfacecolor=color if filled else PAPER,
    )


def spread(
    axes: Axes,
    x: npt.ArrayLike,
    curves: npt.ArrayLike,
    *,
    label: str = "",
    color: str = BLUE,
    training: bool = False,
    within: tuple[float, float] = (0.0, math.inf),
) -> None:
    """Draw the mean of several curves `[repetitions, points]` with a band of one standard deviation around it.

    The band does not leave `within`, the range of what is drawn: no accuracy is above 100 %.
    """
    values = np.asarray(curves, dtype=np.float64)
    mean = values.mean(axis=0)
    line(axes, x, mean, label=label, color=color, training=training)
    if len(values) > 1:
        around = values.std(axis=0, ddof=1)
        low = np.maximum(mean - around, within[0])
        if axes.get_yscale() == "log":  # where the mean is smaller than its spread, the band would reach below zero
            low = np.maximum(low, values.min(axis=0))
        high = np.minimum(mean + around, within[1])
        axes.fill_between(np.asarray(x), low, high, color=color, alpha=SPREAD, linewidth=0)


def legend(axes: Axes, **options: Any) -> None:
    """Show the legend of a panel, without a frame; `options` are those of `Axes.legend`."""
    axes.legend(**options)


def shades(count: int) -> list[str]:
    """Return colours from light to dark for values in order, such as dropout rates.

    Example:
        >>> len(shades(5))
        5
    """
    return [to_hex(SHADES(i / max(count - 1, 1))) for i in range(count)]


def image(axes: Axes, pixels: npt.ArrayLike, *, title: str = "", low: float = 0.0, high: float = 1.0) -> None:
    """Show one image, `[height, width]` from `low` (black) to `high` (white) or `[height, width, 3]`, without axes."""
    values: npt.NDArray[Any] = np.asarray(pixels)
    axes.imshow(values, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=TEXT - 1, fontweight="normal", loc="center", pad=3)


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write `stem`.svg and `stem`.png, each whole or not at all, and return their paths; no date enters them.

    Raises:
        StoreError: A file cannot be written.
    """
    paths = stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png")
    for path, metadata in zip(paths, ({"Date": None, "Creator": "regimen"}, {"Software": "regimen"}), strict=True):
        content = io.BytesIO()
        with look():
            figure.savefig(content, format=path.suffix[1:], dpi=DPI, metadata=metadata)
        # Arranging takes as long as drawing; both files are arranged alike.
        figure.set_layout_engine("none")
        draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            draft.write_bytes(content.getvalue())
            os.replace(draft, path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}; choose another place") from error
        finally:
            draft.unlink(missing_ok=True)
    return paths
