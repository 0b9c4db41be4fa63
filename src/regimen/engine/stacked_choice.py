"""Which runs are stacked, in which bundles, and why the others are not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from regimen.engine.devices import CPU, free_memory_of
from regimen.engine.stacked_bundles import MOST_RUNS, REFUSALS, bundled, family, in_words, is_reason
from regimen.engine.stacked_probe import Probe, probe, speed_up
from regimen.engine.surroundings import undisturbed
from regimen.run import Run

# Of the memory that is free, bundles that are trained at a time may take so much together.
MOST_MEMORY = 1 / 4
# `auto` asks a clock only where the answer can pay for the asking: so many runs of a family, steps of each, and steps
# of all in each process. It is asked about three steps of eight runs, and if those are not hopeless, of a whole bundle:
# five small networks gained nothing in bundles of eight, and two to four times the speed in bundles of 32.
FEWEST_RUNS, FEWEST_STEPS, FEWEST_STEPS_OF_ALL = 4, 8, 1000
MEASURED_RUNS, HOPELESS = 8, 0.6
# A clock on a busy machine errs by more than this, and the reference's results are exactly reproducible.
LEAST_GAIN = 1.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Stacking:
    """What is stacked of a list of runs.

    Attributes:
        bundles: Indices of the runs of each bundle.
        reasons: Of each run that is in none: why, or "" where `auto` did not try.
    """

    bundles: list[list[int]]
    reasons: dict[int, str]


@dataclass(kw_only=True)
class Chooser:
    """Decides which runs are stacked, and remembers what it found out about their family.

    Attributes:
        engine: `stacked` stacks all that it can, `auto` what trains faster so.
        processes: Bundles that are trained at a time, >= 1.
        device: Where bundles are trained. On another than the processor all are stacked that can be, one bundle at a
            time, whatever the clock says.
    """

    engine: str
    processes: int
    device: torch.device = CPU
    _probes: dict[tuple[object, ...], Probe] = field(default_factory=dict)
    _gains: dict[tuple[object, ...], float] = field(default_factory=dict)

    def stacking(self, runs: Sequence[Run]) -> Stacking:
        """Return what is stacked of `runs`."""
        families: dict[tuple[object, ...], list[int]] = {}
        for index, run in enumerate(runs):
            families.setdefault(family(run), []).append(index)
        bundles: list[list[int]] = []
        reasons: dict[int, str] = {}
        for which, indices in families.items():
            alike = [runs[index] for index in indices]
            with undisturbed():
                reason = self._against(which, alike)
            if reason is None:
                bundles += [[indices[i] for i in bundle] for bundle in self._divided(which, alike)]
            else:
                reasons |= dict.fromkeys(indices, reason)
        return Stacking(bundles=bundles, reasons=reasons)

    def _against(self, which: tuple[object, ...], runs: Sequence[Run]) -> str | None:
        """Return why runs of a family are not stacked, or None if they are."""
        if self._by_the_clock and not self._worth_asking(runs):
            return ""
        if which not in self._probes:
            self._probes[which] = probe(runs, self.device)
        reason = self._probes[which].reason
        if reason:
            return f"stacked: {reason}"
        if not self._by_the_clock:
            return None
        if which not in self._gains:
            try:
                self._gains[which] = self._gain(which, runs)
            except (MemoryError, *REFUSALS) as error:
                if not is_reason(error, runs[0]):
                    raise
                self._probes[which] = Probe(reason=in_words(error))
                return f"stacked: {in_words(error)}"
        gain = self._gains[which]
        return None if gain >= LEAST_GAIN else f"stacked: {gain:.2g} times as fast as one run after the other"

    @property
    def _by_the_clock(self) -> bool:
        return self.engine == "auto" and self.device == CPU

    def _gain(self, which: tuple[object, ...], runs: Sequence[Run]) -> float:
        """Return how many times as fast the largest bundle is as its runs one after the other."""
        bundle = max(self._divided(which, runs), key=len)
        gain = speed_up([runs[i] for i in bundle[:MEASURED_RUNS]])
        if len(bundle) > MEASURED_RUNS and gain > HOPELESS:
            gain = speed_up([runs[i] for i in bundle])
        return gain

    def _worth_asking(self, runs: Sequence[Run]) -> bool:
        recipe = runs[0].recipe
        epochs = [run.recipe.epochs for run in runs]
        steps = -(-len(runs[0].split.train) // recipe.batch_size)
        return (
            len(runs) >= FEWEST_RUNS
            and steps * min(epochs) >= FEWEST_STEPS
            and steps * sum(epochs) >= FEWEST_STEPS_OF_ALL * self.processes
        )

    def _most(self, which: tuple[object, ...]) -> int:
        """Return how many runs of a family may be in a bundle."""
        room = MOST_MEMORY * free_memory_of(self.device) / self.at_a_time
        return max(1, min(MOST_RUNS, int(room / max(self._probes[which].bytes_per_run, 1))))

    def _divided(self, which: tuple[object, ...], runs: Sequence[Run]) -> list[list[int]]:
        return bundled(runs, self._most(which), self.at_a_time)

    @property
    def at_a_time(self) -> int:
        """Bundles that are trained at a time."""
        return self.processes if self.device == CPU else 1
