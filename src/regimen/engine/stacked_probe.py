"""Whether runs can be stacked: one step of two of them in a bundle, compared with the reference engine's, in memory."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regimen import streams
from regimen.data import Images
from regimen.engine.devices import CPU
from regimen.engine.reference import Training
from regimen.engine.stacked import Bundle
from regimen.engine.stacked_bundles import REFUSALS, in_words, is_reason
from regimen.engine.stacked_structure import why_not_stackable
from regimen.engine.stacked_training import StackedTraining
from regimen.models.plain_attributes import changed_attributes, plain_attributes
from regimen.nn import step as dropout_step
from regimen.run import Run
from regimen.techniques import mixup_weights

# Of the norm of a gradient. Rounding makes 1e-6 of it, but may also send what a max pool lets through to a neighbour
# that is as large: 1e-3 in a convolutional network. Another mask, slope or weight makes a multiple of this.
TOLERANCE = 1e-2
# The same, of the largest gradient of all, for parameters whose gradient is nothing but rounding, such as a bias before
# batch normalization.
FLOOR = 1e-4
# Of outputs and buffers, by element.
CLOSE = 1e-3
ROWS = 8
# Parameters, gradients, two moments, an average, a snapshot, and two for what is worked out on the way.
COPIES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What a probe found.

    Attributes:
        reason: Why the runs are not stacked; empty if they may be.
        bytes_per_run: Memory that each run of a bundle takes, about.
    """

    reason: str = ""
    bytes_per_run: int = 0


def probe(runs: Sequence[Run], device: torch.device = CPU) -> Probe:
    """Return whether runs of one family can be stacked, and what memory each takes.

    Compared are the outputs in eval mode, the gradients of every parameter after a step on the first batch, and the
    buffers: a mistake in either would change what is trained.

    Args:
        runs: At least one, of one `family`.
        device: Where the bundle is trained. The reference engine computes on the processor.
    """
    first = runs[0]
    pair = [first, next((run for run in runs if run.key != first.key), runs[-1])][: len(runs)]
    # What a network draws beside the streams must not move the caller's generator.
    with torch.random.fork_rng(devices=[]):
        members = [StackedTraining(run, ()) for run in pair]
        reason = why_not_stackable(members[0].network)
        if reason is None and len({member.structure for member in members}) > 1:
            reason = "its networks differ in more than parameters, buffers and rates"
        if reason is not None:
            return Probe(reason=reason)
        references = [_Reference(run, ()) for run in pair]
        before = plain_attributes(references[0].network)
        expected = [reference.looked_at() for reference in references]
        changed = changed_attributes(before, plain_attributes(references[0].network))
        if changed:
            return Probe(reason=f"its forward changes {changed[0]}, which the runs of a bundle would share")
        try:
            found = _looked_at(Bundle(members, device))
        except (MemoryError, *REFUSALS) as error:
            if not is_reason(error, first, device):
                raise
            return Probe(reason=in_words(error))
    missing = [name for name, value in expected[0].items() if value is None]
    if missing:
        return Probe(reason=f"a parameter gets no gradient ({missing[0].removeprefix('gradient of ')})")
    for run, theirs in enumerate(expected):
        apart = _apart({name: values[run] for name, values in found.items()}, theirs)
        if apart:
            return Probe(reason=f"one step of it differs from the reference engine's ({apart})")
    return Probe(bytes_per_run=references[0].bytes)


def _apart(found: dict[str, Tensor], expected: dict[str, Any]) -> str | None:
    """Return the name of the first thing that differs by more than rounding, None if nothing does."""
    largest = max(float(value.double().norm()) for name, value in expected.items() if name.startswith("gradient"))
    for name, value in expected.items():
        ours, wide = found[name].double(), value.double()
        # What is not finite here is not finite there, and is found by training.
        if ours.shape == wide.shape and not bool(wide.isfinite().all()):
            continue
        if ours.shape != wide.shape or not bool(ours.isfinite().all()):
            return name
        apart = ours - wide
        if name.startswith("gradient"):
            close = float(apart.norm()) <= TOLERANCE * float(wide.norm()) + FLOOR * largest
        else:
            close = not wide.numel() or float(apart.abs().max()) <= CLOSE * float(wide.abs().max()) + 1e-6
        if not close:
            return name
    return None


class _Reference(Training):
    """A run of the reference engine, of which single steps are taken."""

    bytes = 0

    def steps(self) -> Iterator[None]:
        """Take a step before each yield, epoch after epoch."""
        self.network.train()
        for epoch in count():
            order = streams.permutation(self.run.key, len(self.x), epoch=epoch)
            first, y, lam = epoch * len(self.slices), self.y[order], np.ones(len(self.slices))
            if self.recipe.mixup:
                lam = mixup_weights(self.run.key, self.recipe.mixup, step=first, steps=len(self.slices))
            for i, (rows, x) in enumerate(zip(self.slices, self._batches(order, epoch), strict=True)):
                with dropout_step(self.network, first + i):
                    self._step(first + i, x, y[rows], float(lam[i]))
                yield

    def looked_at(self) -> dict[str, Tensor | None]:
        """Return outputs before a step, and gradients and buffers after it."""
        self.network.eval()
        with torch.no_grad():
            outputs = self._forward(self.x[:ROWS])
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            next(self.steps())
        parameters = COPIES * sum(p.numel() * p.element_size() for p in self.network.parameters())
        # Gradients of activations take about as much as the activations.
        self.bytes = 2 * sum(kept.values()) + parameters + self._data_bytes()
        found: dict[str, Tensor | None] = {"outputs": outputs}
        found |= {f"gradient of {name}": p.grad for name, p in self.network.named_parameters() if p.requires_grad}
        return found | {f"buffer {name}": buffer for name, buffer in self.network.named_buffers()}

    def _data_bytes(self) -> int:
        """Return the bytes of rows that a run has for itself, at most: pixels of its pair, or a table in its order."""
        parts = [x.nbytes for x in self.data.x.values()] if isinstance(self.run.data, Images) else [2 * self.x.nbytes]
        return sum(parts)


def _looked_at(bundle: Bundle) -> dict[str, Tensor]:
    """Return the same of a bundle, stacked."""
    bundle.base.eval()
    with torch.no_grad():
        rows = torch.stack([member.data.scaled(member.x[:ROWS]).contiguous() for member in bundle.members])
        outputs = bundle.forward(bundle.parameters, bundle.buffers, rows.to(bundle.device))
    bundle.base.train()
    _, gradients = bundle.train_step(0, [next(member.epoch(0)) for member in bundle.members])
    found = {"outputs": outputs}
    found |= {f"gradient of {name}": values for name, values in bundle.layout.split(gradients).items()}
    found |= {f"buffer {name}": values for name, values in bundle.buffers.items()}
    return {name: values.cpu() for name, values in found.items()}


def speed_up(runs: Sequence[Run], *, steps: int = 2) -> float:
    """Return how many times as fast a step of a bundle is as the same steps one run after the other.

    Both are taken in this process, the best of `steps` after a first one that warms up.

    Args:
        runs: Of one family that can be stacked, with at least `steps` + 1 optimizer steps each.
        steps: How many are measured, >= 1.
    """
    bundle = Bundle([StackedTraining(run, ()) for run in runs])
    alone = _best(_Reference(runs[0], ()).steps(), steps)
    return alone * len(runs) / _best(chain.from_iterable(map(bundle.steps, count())), steps)


def _best(steps: Iterator[None], count: int) -> float:
    next(steps)
    times = [time.perf_counter()]
    for _ in islice(steps, count):
        times.append(time.perf_counter())
    return float(np.diff(times).min())
