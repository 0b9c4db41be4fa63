"""Part C, the definition: what is dropped, how survivors grow, when masks change, and how the layer is turned off."""

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage
from torch import Tensor, nn

from regimen.experiments import pictures
from regimen.experiments.context import Context, Listing, Picture
from regimen.experiments.records import Row
from regimen.kernels import effective_p
from regimen.nn import Dropout

LAYERS: dict[str, type[nn.Dropout] | type[Dropout]] = {"torch.nn": nn.Dropout, "regimen.nn": Dropout}
# The rate and the input's shape of the post's two examples.
EXAMPLES = {0.2: (20, 16), 0.9: (10, 2)}
SEED = 1


def example(rate: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the normal input of an example, and what each layer makes of it in train mode.

    A seed that leaves nothing of 20 elements at rate 0.9 would show no factor: the first with a survivor is taken.
    """
    for seed in range(SEED, SEED + 100):
        torch.manual_seed(seed)
        x = torch.randn(*EXAMPLES[rate])
        outputs = {name: layer(rate)(x) for name, layer in LAYERS.items()}
        if all(int(output.count_nonzero()) > 0 for output in outputs.values()):
            break
    return x, outputs


def factor(x: Tensor, output: Tensor) -> float:
    """Return by what the survivors were multiplied."""
    kept = output != 0
    return float((output[kept].double() / x[kept].double()).mean())


def definition_rows(context: Context) -> list[Row]:
    """Return shares, factors and means over many forward calls, and what eval mode and `inplace` do."""
    calls = context.choose(quick=100, standard=1000)
    rows = []
    for rate, shape in EXAMPLES.items():
        x, outputs = example(rate)
        for name, layer in LAYERS.items():
            module = layer(rate)
            masks = torch.stack([module(torch.ones(shape)) for _ in range(calls)])
            dropped = (masks == 0).double().flatten(1).mean(1) * 100
            title = f"p = {rate:g} on {shape[0]}x{shape[1]}, {name}"
            rows.append(_over(f"dropped, {title}", dropped, unit="%"))
            posted = 10.0 if rate == 0.9 else None
            rows.append(_one(f"factor of the survivors, {title}", factor(x, outputs[name]), posted=posted))
            rows.append(_over(f"mean output for inputs of 1, {title}", masks.double().flatten(1).mean(1)))
    module = Dropout(0.2)
    x = torch.randn(*EXAMPLES[0.2])
    changed = torch.stack([(module(x) == 0) != (module(x) == 0) for _ in range(calls)])
    rows.append(
        _over(
            "elements whose fate differs between two calls, p = 0.2",
            changed.double().flatten(1).mean(1) * 100,
            unit="%",
        )
    )
    for name, layer in LAYERS.items():
        module_, y = layer(0.5), x.clone()
        off = float((module_.eval()(x) - x).abs().max())
        rows.append(_one(f"largest change in eval mode, p = 0.5, {name}", off))
        result = layer(0.5, inplace=True).train()(y)
        rows.append(
            _one(f"bytes that inplace adds, {name}", 0.0 if result.data_ptr() == y.data_ptr() else float(y.nbytes))
        )
    return rows


def definition_remarks() -> tuple[str, ...]:
    """Return why survivors grow, and why the two libraries differ in the fourth digit."""
    return (
        "p is the probability to be dropped, not to be kept. Survivors grow by 1/(1 - p), so that the expected output "
        "is the input and nothing needs scaling in eval mode, where the layer does nothing.",
        f"regimen.nn compares 16-bit numbers with a threshold: p = 0.9 means {effective_p(0.9):.6f}, and survivors "
        f"grow by {1 / (1 - effective_p(0.9)):.5f} instead of 10. The product of both is exactly 1, so the expected "
        "output is kept exactly.",
    )


def factor_listing() -> Listing:
    """Return the second example as a program prints it: 20 numbers, and what is left of them."""
    x, outputs = example(0.9)
    head = f"{'input':>20}" + "".join(f"{name:>24}" for name in outputs)
    lines = [head]
    for index, before in enumerate(x):
        cells = [before, *(output[index] for output in outputs.values())]
        lines.append(
            "".join(
                f"{'  '.join(f'{value:8.4f}' for value in cell.tolist()):>{20 if i == 0 else 24}}"
                for i, cell in enumerate(cells)
            )
        )
    return Listing(title="p = 0.9 on a 10x2 tensor, train mode", text="\n".join(lines))


def mask_picture() -> Picture:
    """Return the first example: the input, and what each layer leaves of it."""
    x, outputs = example(0.2)
    with pictures.look():
        figure, panels = pictures.canvas(1, 3, height=3.4)
        for axes, (title, values) in zip(panels, {"input": x, **outputs}.items(), strict=True):
            share = f", {100 * float((values == 0).double().mean()):.0f} % dropped" if title != "input" else ""
            shown = _tensor(axes, values.numpy(), f"{title}{share}")
        bar = figure.colorbar(shown, ax=panels, shrink=0.7, pad=0.02)
        bar.set_label("value of the element")
        bar.outline.set_visible(False)
    return Picture(
        name="masks",
        caption="Dropout with p = 0.2 on a 20x16 normal tensor, train mode. Black elements were dropped, the others "
        "grew by 1.25. Both layers draw from PyTorch's generator, each in its own way, so their masks differ.",
        figure=figure,
    )


def modes_picture() -> Picture:
    """Return three calls in train mode and one in eval mode on the same input of ones."""
    torch.manual_seed(SEED)
    layer, ones = Dropout(0.5), torch.ones(10, 10)
    with pictures.look():
        figure, panels = pictures.canvas(1, 4, height=2.4)
        for call, axes in enumerate(panels[:3], start=1):
            _tensor(axes, layer(ones).numpy(), f"train mode, call {call}")
        _tensor(panels[3], layer.eval()(ones).numpy(), "eval mode, any call")
    return Picture(
        name="modes",
        caption="The same layer, p = 0.5, on the same input of ones. train() turns it on: every call draws a mask "
        "anew, dropped elements are black, survivors are 2. eval() turns it off: the output is the input.",
        figure=figure,
    )


def _tensor(axes: Axes, values: npt.NDArray[np.float32], title: str) -> AxesImage:
    colors = LinearSegmentedColormap.from_list("signed", [pictures.ORANGE, pictures.PAPER, pictures.BLUE])
    colors.set_bad(pictures.INK)
    shown = axes.imshow(
        np.ma.masked_equal(values, 0.0), cmap=colors, vmin=-3, vmax=3, aspect="equal", interpolation="nearest"
    )
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=pictures.TEXT - 0.5)
    return shown


def _one(quantity: str, measured: float, *, posted: float | None = None, unit: str = "") -> Row:
    return Row(part="C.1", variant="corrected", quantity=quantity, unit=unit, posted=posted, measured=measured)


def _over(quantity: str, values: Tensor, *, unit: str = "") -> Row:
    return Row.over(values.tolist(), part="C.1", variant="corrected", quantity=quantity, unit=unit)
