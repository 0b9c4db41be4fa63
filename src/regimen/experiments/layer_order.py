"""Part C, the order: is dropout before an activation the same as after it?"""

from dataclasses import dataclass

import torch
from torch import nn

from regimen.experiments import pictures
from regimen.experiments.context import Listing, Picture
from regimen.experiments.records import Row
from regimen.nn import Dropout

ACTIVATIONS: dict[str, nn.Module] = {
    "ReLU": nn.ReLU(),
    "leaky ReLU": nn.LeakyReLU(0.1),
    "tanh": nn.Tanh(),
    "GELU": nn.GELU(),
    "SiLU": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(),
}
RATE, SEED, SHAPE = 0.5, 1, (20, 16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Dropout after an activation against dropout before it, for one mask.

    Attributes:
        at_zero: f(0): what a dropped element becomes when dropout comes first.
        dropped: Largest difference of the two orders where the element is dropped.
        kept: The same where it is kept.
        another_mask: Share of elements in which the two orders differ when each draws its own mask.
    """

    name: str
    at_zero: float
    dropped: float
    kept: float
    another_mask: float


def compare(name: str, *, layer: type[nn.Dropout] = Dropout) -> Order:
    """Return the comparison for one activation, on a 20x16 normal tensor with p = 0.5.

    Example:
        >>> compare("ReLU").dropped, compare("ReLU").kept, compare("sigmoid").dropped
        (0.0, 0.0, 0.5)
    """
    activation, dropout = ACTIVATIONS[name], layer(RATE)
    torch.manual_seed(SEED)
    x = torch.randn(SHAPE)
    torch.manual_seed(SEED)
    after = dropout(activation(x))
    elsewhere = activation(dropout(x))  # the post's way: the generator has moved on, so this is another mask
    torch.manual_seed(SEED)
    before = activation(dropout(x))
    torch.manual_seed(SEED)
    gone = dropout(torch.ones(SHAPE)) == 0
    difference = (after - before).abs()
    return Order(
        name=name,
        at_zero=float(activation(torch.zeros(()))),
        dropped=float(difference[gone].max()),
        kept=float(difference[~gone].max()),
        another_mask=float((after != elsewhere).double().mean()),
    )


def order_rows(orders: list[Order]) -> list[Row]:
    """Return what the post's cell shows, and what it would show with the seed set twice."""
    first = orders[0]
    rows = [
        Row(
            part="C.2",
            variant="as_posted",
            quantity=f"elements in which the orders differ, {first.name}, seeded once, drawn twice",
            unit="%",
            posted=None,
            measured=100 * first.another_mask,
        )
    ]
    for order in orders:
        for where, value in (("dropped", order.dropped), ("kept", order.kept)):
            quantity = f"largest difference of the orders, {order.name}, same mask, {where} elements"
            rows.append(Row(part="C.2", variant="corrected", quantity=quantity, unit="", posted=None, measured=value))
    return rows


def order_remarks(orders: list[Order]) -> tuple[str, ...]:
    """Return the rule, and what is wrong with the post's cell."""
    free = [order.name for order in orders if order.dropped == 0 and order.kept == 0]
    vanishing = [order.name for order in orders if order.dropped == 0 and order.kept > 0]
    never = [order.name for order in orders if order.dropped > 0]
    return (
        f"The post seeds once and draws twice, so its two results have different masks and differ in "
        f"{100 * orders[0].another_mask:.1f} % of the elements even for ReLU; seeded before each, they are equal.",
        f"The order is free for {' and '.join(free)}: f(0) = 0, and f(c x) = c f(x) for c > 0. With f(0) = 0 alone "
        f"({', '.join(vanishing)}) dropped elements are 0 either way, but survivors differ. For {' and '.join(never)} "
        "dropout before the activation drops nothing: f(0) is left. So place dropout after the activation.",
    )


def order_listing(orders: list[Order]) -> Listing:
    """Return the rule as a table."""
    head = f"{'activation':<12}{'f(0)':>8}{'f(cx) = c f(x)':>16}{'dropped differ by':>19}{'kept differ by':>16}  order"
    lines = [
        f"{order.name:<12}{order.at_zero:>8.4f}{'yes' if order.kept == 0 else 'no':>16}{order.dropped:>19.4f}"
        f"{order.kept:>16.4f}  {'free' if order.dropped == order.kept == 0 else 'activation, then dropout'}"
        for order in orders
    ]
    return Listing(
        title="Dropout before or after the activation (p = 0.5, the same mask)", text="\n".join([head, *lines])
    )


def order_picture() -> Picture:
    """Return both orders as functions of the input, for elements that are kept and dropped."""
    x = torch.linspace(-3, 3, 121)
    with pictures.look():
        figure, panels = pictures.canvas(2, 4, height=4.6, sharex=True)
        for axes, (name, activation) in zip(panels, ACTIVATIONS.items(), strict=False):
            with torch.no_grad():
                first, later = activation(x) / (1 - RATE), activation(x / (1 - RATE))
                nothing = float(activation(torch.zeros(())))
            pictures.line(axes, x, first, label="kept, activation then dropout")
            pictures.line(axes, x, later, color=pictures.ORANGE, training=True, label="kept, dropout then activation")
            axes.plot(
                [-3, 3], [0, 0], color=pictures.BLUE, linewidth=pictures.THIN, label="dropped, activation then dropout"
            )
            axes.plot(
                [-3, 3],
                [nothing] * 2,
                color=pictures.ORANGE,
                linewidth=pictures.THIN,
                linestyle=pictures.DASHES,
                label="dropped, dropout then activation",
            )
            pictures.label(axes, x="x", y="output", title=name)
        handles, labels = panels[0].get_legend_handles_labels()
        panels[-1].set_axis_off()
        panels[-1].legend(handles, [label.replace(", ", ",\n") for label in labels], loc="center left", borderaxespad=0)
        for axes in panels[:3]:
            axes.set_xlabel("")
        panels[3].tick_params(labelbottom=True)
    return Picture(
        name="order",
        caption="Train mode, p = 0.5: what becomes of an input x in either order. The lines lie on each other where "
        "the order is free (ReLU, leaky ReLU). Where the dashed thin line is not at 0, dropout before the activation "
        "drops nothing.",
        figure=figure,
    )
