"""The pictures have the report's look, and the same picture gives the same files."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from PIL import Image

from regimen.errors import StoreError
from regimen.experiments import pictures


def drawn() -> Figure:
    with pictures.look():
        figure, (left, right) = pictures.canvas(1, 2)
        pictures.line(left, range(3), [3, 1, 2], label="test, eval mode")
        pictures.spread(left, range(3), [[1, 2, 3], [2, 3, 4]], label="training", training=True)
        pictures.label(left, x="epoch", y="loss (nats)", title="digits")
        pictures.legend(left)
        pictures.points(right, [0, 1], [0, 1], filled=False)
    return figure


def test_the_colours_are_those_of_the_report() -> None:
    css = (Path(pictures.__file__).parents[1] / "report" / "page.css").read_text()
    assert f"--best: {pictures.BLUE};" in css
    assert f"--hurts: {pictures.ORANGE};" in css
    assert len(set(pictures.SERIES)) == 8


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pictures.save(drawn(), tmp_path / name)
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_picture_is_written_as_svg_with_real_text_and_as_png(tmp_path: Path) -> None:
    svg, png = pictures.save(drawn(), tmp_path / "curves")
    text = svg.read_text()
    assert ">loss (nats)</text>" in text
    assert "<dc:date>" not in text
    with Image.open(png) as image:
        assert image.size == (round(7.6 * 160), round(3.3 * 160))
    assert {path.name for path in tmp_path.iterdir()} == {"curves.svg", "curves.png"}


def test_the_name_of_the_upright_axis_lies_inside_the_picture(tmp_path: Path) -> None:
    with pictures.look():
        figure, (axes,) = pictures.canvas()
        pictures.label(axes, y="loss")
        figure.canvas.draw()
        box = axes.yaxis.get_label().get_window_extent()
    assert box.y1 <= figure.bbox.y1


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(rcParams)
    drawn()
    assert dict(rcParams) == before


def test_the_band_of_a_logarithmic_axis_stays_above_zero() -> None:
    with pictures.look():
        _, (axes,) = pictures.canvas()
        axes.set_yscale("log")
        pictures.spread(axes, [0, 1], [[1e-6, 1.0], [1.0, 1.0]])
        lowest = min(np.asarray(path.vertices)[:, 1].min() for path in axes.collections[0].get_paths())
    assert lowest == 1e-6


@pytest.mark.parametrize(
    ("values", "within", "ends"),
    [([[99.0], [100.0]], pictures.PER_CENT, (98.79, 100.0)), ([[0.1], [1.0]], (0.0, np.inf), (0.0, 1.186))],
    ids=["accuracy", "loss"],
)
def test_a_band_stays_within_the_range_of_what_is_drawn(
    values: list[list[float]], within: tuple[float, float], ends: tuple[float, float]
) -> None:
    with pictures.look():
        _, (axes,) = pictures.canvas()
        pictures.spread(axes, [0, 1], np.repeat(values, 2, axis=1), within=within)
        heights = np.concatenate([np.asarray(path.vertices)[:, 1] for path in axes.collections[0].get_paths()])
    assert (heights.min(), heights.max()) == pytest.approx(ends, abs=0.01)


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        pictures.save(drawn(), tmp_path / "missing" / "curves")
