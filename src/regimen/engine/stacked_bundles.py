"""Which runs are trained together, and what happens where memory is too small for all of them at once."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from regimen.engine.devices import CPU
from regimen.engine.reference import train_one
from regimen.engine.stacked import Bundle
from regimen.engine.stacked_training import StackedTraining
from regimen.engine.stacked_update import kind_of_step
from regimen.models import OwnModule
from regimen.records import RunResult
from regimen.run import Run

# More gain nothing: five small networks on digits took 1.7 to 4.0 times less a step in bundles of 32 than one run after
# the other, 1.5 to 4.3 times less in bundles of 64 (one thread of a busy machine).
MOST_RUNS = 32
# What `torch.vmap` raises where it cannot follow, and what a module raises when it is given its tensors.
REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
OUT_OF_MEMORY = "memory ran out"
IN_WORDS = {
    "data-dependent control flow": "its forward decides by the values of tensors, which differ from run to run",
    "calling .item()": "its forward reads numbers out of tensors, which differ from run to run",
    "randomness": "it draws random numbers of its own from PyTorch's generator",
    "inplace arithmetic": "its forward writes into a tensor that all runs share",
}


def family(run: Run) -> tuple[object, ...]:
    """Return what a run must have in common with others to be trained with them, as far as that can be told ahead.

    Keys, rates above 0, learning rates, strengths, schedules, epochs and kinds of mixing may differ.
    """
    recipe, split = run.recipe, run.split
    dropped = tuple(rate > 0.0 for rate in recipe.rates)
    return (
        run.model,
        run.data.digest,
        len(split.train),
        len(split.validation),
        len(split.test),
        recipe.batch_size,
        recipe.early_stopping is None,
        recipe.averaging is None,
        recipe.normalization,
        recipe.dropout_kind,
        recipe.input_dropout > 0.0,
        recipe.drop_path > 0.0,
        # One rate for all and one for each are the same.
        (True,) if dropped and all(dropped) else dropped,
        kind_of_step(recipe.optimizer),
        recipe.decay_bias_and_norm,
    )


def bundled(runs: Sequence[Run], most: int, processes: int) -> list[list[int]]:
    """Divide runs of one family into bundles, runs of one split beside each other; return their indices.

    Args:
        runs: Of one family.
        most: Runs in a bundle, >= 1.
        processes: Bundles that are trained at a time, >= 1: none of them shall have nothing to do.
    """
    order = sorted(range(len(runs)), key=lambda run: runs[run].split.digest)
    bundles = max(-(-len(runs) // most), min(processes, len(runs)))
    bounds = [len(runs) * i // bundles for i in range(bundles + 1)]
    return [order[a:b] for a, b in pairwise(bounds)]


def train_stacked(
    runs: Sequence[Run], keep: Collection[str] = (), device: torch.device = CPU
) -> Iterator[tuple[int, RunResult]]:
    """Train a bundle; yield index and result of each run as it ends, in any order.

    Where memory runs out, what is not finished is trained anew in two halves; a run that needs more than there is even
    alone is left to the reference engine, as is what a module of the user's own refuses after the first steps.

    Args:
        runs: Of one family.
        keep: `outputs`, `weights` or both, see `train_one`.
        device: Where the bundle is trained; the reference engine trains on the processor.
    """
    waiting = [list(range(len(runs)))]
    while waiting:
        left = waiting.pop()
        why = ""
        try:
            for position, result in _trained([runs[index] for index in left], keep, device):
                yield left[position], result
                left[position] = -1
        except (MemoryError, *REFUSALS) as error:
            if not is_reason(error, runs[0], device):
                raise
            why = in_words(error)
        # Only here: as long as the error is handled, its traceback keeps the bundle's tensors alive.
        left = [index for index in left if index >= 0]
        if why == OUT_OF_MEMORY and len(left) > 1:
            waiting += [left[len(left) // 2 :], left[: len(left) // 2]]
        else:
            for index in left:
                yield index, replace(train_one(runs[index], keep=keep), why=f"stacked: {why}")


def _trained(runs: Sequence[Run], keep: Collection[str], device: torch.device) -> Iterator[tuple[int, RunResult]]:
    """Yield place and result of each run; those whose networks turn out to differ are trained apart."""
    alike: dict[tuple[object, ...], list[tuple[int, StackedTraining]]] = {}
    for position, run in enumerate(runs):
        member = StackedTraining(run, keep)
        alike.setdefault((member.lengths, member.structure), []).append((position, member))
    while alike:
        _, group = alike.popitem()
        places = {id(member): position for position, member in group}
        for member, result in Bundle([member for _, member in group], device).results():
            yield places[id(member)], result


def is_reason(error: BaseException, run: Run, device: torch.device = CPU) -> bool:
    """Return whether an error, of `REFUSALS` or of memory, only says that runs like this one are not stacked.

    What a module of the user's own does nobody knows ahead, nor what a graphics card lacks; a described network that
    raises on the processor is a bug of ours, which no reason shall hide.
    """
    return is_out_of_memory(error) or isinstance(run.model, OwnModule) or device != CPU


def in_words(error: BaseException) -> str:
    """Return why a bundle could not be trained."""
    text = str(error).strip()
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    if without_rule := re.search(r"(aten::\w+(\.\w+)?).* vmap fallback|not implemented for (aten::\w+(\.\w+)?)", text):
        return f"torch.vmap has no rule for {without_rule[1] or without_rule[3]}"
    known = next((words for part, words in IN_WORDS.items() if part in text), None)
    return known or f"torch.vmap cannot run it ({type(error).__name__}: {text.splitlines()[0][:150] if text else ''})"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, of the processor or of a graphics card.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
        True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "out of memory", "not enough memory")
    )
