"""Part E.5: the learning rate: too large, right, too small; its schedules; and a loop that forgets to step."""

import warnings
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.optim import lr_scheduler

from regimen.experiments import pictures
from regimen.experiments.context import Context, Listing, Outcome, Picture
from regimen.experiments.curve_pictures import whole_epochs
from regimen.experiments.kept import kept
from regimen.experiments.posted_network import PostedRun, posted
from regimen.experiments.records import Row, Variant
from regimen.experiments.technique_lab import Lab, Results, accuracy_text
from regimen.records import RunResult
from regimen.techniques import ExponentialLR, MultiStepLR, Schedule, StepLR, learning_rates

RATES = {"too small, 0.001": 1e-3, "right, 0.1": 0.1, "too large, 3": 3.0}
PASTED = (2.4497, 0.0016)
EPOCHS = 30
SCHEDULES: Mapping[str, Schedule] = {
    "StepLR(step_size=10, gamma=0.1)": StepLR(step_size=10, gamma=0.1),
    "MultiStepLR(milestones=[5, 20], gamma=0.1)": MultiStepLR(milestones=(5, 20), gamma=0.1),
    "ExponentialLR(gamma=0.99)": ExponentialLR(gamma=0.99),
}


def learning_rate(context: Context) -> Outcome:
    """Return E.5: curves of three rates, the rate of every epoch under each schedule, and what the post's loop does."""
    lab = Lab.of(context)
    short = {} if context.size == "quick" else {"images": 12_800, "epochs": 2}
    unstepped, stepped = (PostedRun.at(context.size, stepped=does, **short) for does in (False, True))
    with kept(context) as store:
        without, with_step = posted(store, unstepped, share=0.2), posted(store, stepped, share=0.2)
        results = lab.results(store, {name: lab.recipe(lr=rate) for name, rate in RATES.items()}, share=0.5)
    right = {name: learning_rates(one, 0.1, epochs=EPOCHS, steps_per_epoch=1) for name, one in SCHEDULES.items()}
    early, warned = posted_rates()
    rows = [
        *_loss_rows(unstepped, without, with_step),
        *lab.accuracy_rows("E.5", results),
        *_rate_rows(right, early),
    ]
    shown = (
        lab.curve_picture("curves", results, "Three learning rates. A run that diverged is named in the legend."),
        _schedule_picture(right, early),
    )
    context.advance(0.1)
    remarks = (*_remarks(without, results, warned), *store.remarks())
    return Outcome(rows=tuple(rows), pictures=shown, remarks=remarks, listings=(_listing(right, early),))


def posted_rates() -> tuple[dict[str, np.ndarray], str]:
    """Return the rate of every epoch when the scheduler is stepped at its start, as posted, and PyTorch's warning."""
    found, said = {}, ""
    for name in SCHEDULES:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = _scheduler(name, optimizer)
        rates = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(EPOCHS):
                scheduler.step()
                rates.append(optimizer.param_groups[0]["lr"])
        found[name] = np.array(rates)
        said = said or next((str(one.message).partition(". ")[0] for one in caught), "")
    return found, said


def _scheduler(name: str, optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
    if name.startswith("Step"):
        return lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.1)
    if name.startswith("Multi"):
        return lr_scheduler.MultiStepLR(optimizer, milestones=[5, 20], gamma=0.1)
    return lr_scheduler.ExponentialLR(optimizer, gamma=0.99)


def _loss_rows(run: PostedRun, without: RunResult, with_step: RunResult) -> list[Row]:
    rows = [
        Row(
            part="E.5",
            variant="as_posted",
            quantity=f"{place} printed loss, optimizer.step() missing{run.note}",
            unit="nats",
            posted=pasted,
            measured=without.curves.train_loss[index],
        )
        for place, index, pasted in (("first", 0, PASTED[0]), ("last", -1, PASTED[1]))
    ]
    moved = [result.curves.validation_loss[-1] for result in (without, with_step)]
    rows.append(
        Row(
            part="E.5",
            variant="corrected",
            quantity=f"test loss with optimizer.step() minus without, at rate 2e-4{run.note}",
            unit="nats",
            posted=None,
            measured=moved[1] - moved[0],
        )
    )
    return rows


def _rate_rows(right: Mapping[str, np.ndarray], early: Mapping[str, np.ndarray]) -> list[Row]:
    ways: tuple[tuple[Variant, str, Mapping[str, np.ndarray]], ...] = (
        ("as_posted", "stepped before the epoch", early),
        ("corrected", "stepped after the epoch", right),
    )
    return [
        Row(
            part="E.5",
            variant=variant,
            quantity=f"learning rate of epoch {epoch}, {name}, {how}",
            unit="",
            posted=None,
            measured=float(rates[name][epoch - 1]),
        )
        for name in right
        for epoch in (1, 10, EPOCHS)
        for variant, how, rates in ways
    ]


def _schedule_picture(right: Mapping[str, np.ndarray], early: Mapping[str, np.ndarray]) -> Picture:
    epochs = np.arange(1, EPOCHS + 1)
    with pictures.look():
        figure, panels = pictures.canvas(1, 3, height=3.2)
        for axes, name in zip(panels, right, strict=True):
            axes.step(epochs, early[name], where="mid", color=pictures.ORANGE, label="as posted: step before the epoch")
            axes.step(epochs, right[name], where="mid", color=pictures.BLUE, label="corrected: step after it")
            kind, _, arguments = name.partition("(")
            pictures.label(axes, x=f"epoch ({arguments.rstrip(')')})", y="learning rate", title=kind)
            if kind != "ExponentialLR":
                axes.set_yscale("log")
            whole_epochs(axes)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return Picture(
        name="schedules",
        caption="Learning rate in every epoch, starting from 0.1. Stepped at the start of an epoch, as posted, every "
        "drop comes one epoch early, and with ExponentialLR the first epoch never gets the rate that was asked for.",
        figure=figure,
    )


def _listing(right: Mapping[str, np.ndarray], early: Mapping[str, np.ndarray]) -> Listing:
    lines = []
    for name in right:
        lines += [name, f"{'epoch':>6}  {'stepped before':>16}  {'stepped after':>16}"]
        lines += [
            f"{epoch:>6}  {before:>16.10g}  {after:>16.10g}"
            for epoch, (before, after) in enumerate(zip(early[name], right[name], strict=True), start=1)
        ]
        lines.append("")
    return Listing(title="The learning rate of every epoch", text="\n".join(lines).rstrip())


def _remarks(without: RunResult, results: Results, warned: str) -> tuple[str, ...]:
    losses = without.curves.train_loss
    diverged = {name: sum(r.status == "diverged" for r in of_keys) for name, of_keys in results.items()}
    words = [
        f"{name}: {accuracy_text(of_keys)}"
        + (f" ({diverged[name]} of {len(of_keys)} diverged)" if diverged[name] else "")
        for name, of_keys in results.items()
    ]
    return (
        "optimizer.step() is missing in this part of the post, so no weight ever changes: the losses measured are "
        f"{losses[0]:.4f} and {losses[-1]:.4f}, those of a network that guesses (ln 10 = 2.3026). The pasted losses, "
        f"{PASTED[0]} falling to {PASTED[1]}, cannot be the output of the printed code; where they come from is not "
        "explained.",
        "The scheduler is stepped at the start of the epoch. Then every drop comes one epoch early; PyTorch warns"
        + (f': "{warned}".' if warned else "."),
        f"Test accuracy of the three rates: {'; '.join(words)}. Explanation: a rate that is too small takes the same "
        f"way in shorter steps; one that is too large jumps over the minimum.",
    )
