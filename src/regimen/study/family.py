"""Which arms a study tries, how many pairs each gets, and what fits into a budget."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regimen.data import Samples
from regimen.errors import BudgetError, OptionError, RecipeError
from regimen.models import ConvNet, Model, OwnModule
from regimen.records import Task
from regimen.report.quantities import duration
from regimen.run import Recipe
from regimen.run.inputs import require_inputs
from regimen.study.plan import Arm
from regimen.techniques import CATALOGUE, Technique, choose_techniques, fitted

DEFAULT_PAIRS = 10
# Below this many pairs no verdict is given: 2^7 sign vectors leave too little room for a family of ten.
PILOT_BELOW = 8
MIN_PAIRS = 3
DEFAULT_ARMS = 10
COMBINATIONS = 3
Breadth = Literal["first", "settings", "all"]


def candidate_arms(
    techniques: str | None,
    *,
    task: Task,
    baseline: Recipe,
    model: Model,
    breadth: Breadth,
    images: bool = False,
    samples: Samples | None = None,
    refusal: Callable[[Recipe], str | None] | None = None,
) -> tuple[list[Arm], list[str]]:
    """Return the arms worth trying, best first, and in words those that this baseline rules out.

    Args:
        techniques: `all`, names, or None for the first ten of the catalogue; named techniques come at all settings.
        task: Task of the table.
        baseline: Recipe that the arms change.
        model: The network.
        breadth: Without named techniques: `first` takes the first ten at their first setting, `settings` at all their
            settings, `all` appends the rest of the catalogue, for a budget to cut off.
        images: Whether the data are images, for which the catalogue has techniques of their own.
        samples: The data if they are samples, to which not everything can be done.
        refusal: Says of a network of the user's own why a recipe cannot be applied to it.

    Raises:
        OptionError: An unknown technique, or nothing is left to try.
    """
    own = isinstance(model, OwnModule)
    chosen = choose_techniques(techniques or "all", task, images=images, own=own)
    if techniques is None:
        # What a module has no place for takes none of the first places.
        chosen = tuple(
            one
            for one in chosen
            if not one.own_only or _ruled_out(_arm(one, 0, baseline.epochs), baseline, model, samples, refusal) is None
        )
    first = len(chosen) if techniques is not None else DEFAULT_ARMS
    ranked = sorted(
        (position >= first, setting > 0, setting, position)
        for position, technique in enumerate(chosen)
        for setting in range(len(technique.settings))
    )
    if techniques is None and breadth != "all":
        ranked = [place for place in ranked if not place[0] and (breadth == "settings" or not place[1])]
    tried = [_arm(chosen[position], setting, baseline.epochs) for _, _, setting, position in ranked]
    reasons = [_ruled_out(arm, baseline, model, samples, refusal) for arm in tried]
    arms = [arm for arm, reason in zip(tried, reasons, strict=True) if reason is None]
    named = [] if techniques is None else [name.strip() for name in techniques.split(",") if name.strip() != "all"]
    notes = [
        f"{name} is left out: {_not_for(CATALOGUE[name], task, images=images)}"
        for name in named
        if name and name not in {one.name for one in chosen}
    ]
    notes += _left_out(tried, reasons)
    if not arms:
        raise OptionError(f"--techniques: nothing is left to try: {'; '.join(notes)}")
    return arms, notes


def _not_for(technique: Technique, task: Task, *, images: bool) -> str:
    """Return why a technique does not apply to the data and the network."""
    if task not in technique.tasks:
        return f"it is not for {task}"
    return "it is for images" if technique.images_only and not images else "it is for modules of your own"


def _left_out(arms: Sequence[Arm], reasons: Sequence[str | None]) -> list[str]:
    """Return what is left out and why; a technique whose settings all are, for one reason, once."""
    of: dict[str, list[str | None]] = {}
    for arm, reason in zip(arms, reasons, strict=True):
        of.setdefault(arm.technique, []).append(reason)
    names = [
        arm.technique if len(of[arm.technique]) > 1 and set(of[arm.technique]) == {reason} else arm.name
        for arm, reason in zip(arms, reasons, strict=True)
    ]
    refused = [(name, reason) for name, reason in zip(names, reasons, strict=True) if reason is not None]
    return list(dict.fromkeys(f"{name} is left out: {reason}" for name, reason in refused))


def _arm(technique: Technique, setting: int, epochs: int) -> Arm:
    strength = technique.strength(setting)
    name = technique.name if len(technique.settings) == 1 else f"{technique.name}={strength:g}"
    changes = fitted(technique.settings[setting], epochs)
    return Arm(name=name, technique=technique.name, setting=changes, strength=strength)


def _ruled_out(
    arm: Arm,
    baseline: Recipe,
    model: Model,
    samples: Samples | None,
    refusal: Callable[[Recipe], str | None] | None,
) -> str | None:
    """Return why the arm cannot be tried over this baseline and model, None if it can."""
    try:
        recipe = arm.recipe(baseline)
        if samples is not None:
            require_inputs(recipe, samples)
    except RecipeError as error:
        return str(error)
    if recipe == baseline:
        return "the baseline has it already"
    if isinstance(model, OwnModule):
        return None if refusal is None else refusal(recipe)
    if recipe.dropout_kind != baseline.dropout_kind and not isinstance(model, ConvNet):
        return f"{model.name} has no convolution"
    if not model.hidden_layers and (recipe.rates != baseline.rates or recipe.normalization != baseline.normalization):
        return f"{model.name} has no hidden layer"
    return None


def combine(first: Recipe, arm: Arm) -> Recipe | None:
    """Return `first` with the arm's changes added, None if they contradict it.

    Raises nothing: a contradiction is an answer.
    """
    try:
        return arm.recipe(first)
    except RecipeError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How much is done: the arms of the search, the pairs, and the combinations tried at most."""

    arms: tuple[Arm, ...]
    pairs: int
    confirmation_pairs: int
    combinations: int

    @property
    def runs(self) -> int:
        """Return the largest number of runs."""
        return (1 + len(self.arms) + self.combinations) * self.pairs + 2 * self.confirmation_pairs + 1


def full_shape(arms: Sequence[Arm], pairs: int | None, folds: int = 0) -> Shape:
    """Return the shape without a budget: all arms, ten pairs unless told otherwise, in whole repetitions of folds."""
    count = whole_repetitions(pairs or DEFAULT_PAIRS, folds)
    return Shape(arms=tuple(arms), pairs=count, confirmation_pairs=count, combinations=min(COMBINATIONS, len(arms) - 1))


def fit(
    arms: Sequence[Arm],
    pairs: int | None,
    cost: Callable[[Shape], float],
    limit: float,
    *,
    unit: str = "runs",
    folds: int = 0,
) -> Shape:
    """Return the richest shape whose `cost` is within `limit`, both in `unit`.

    Arms beyond the first ten are given up first, then combinations down to one, then arms down to three, then pairs
    down to eight, and then both until nothing is left but a pilot.

    Raises:
        BudgetError: Not even the smallest shape fits.

    Example:
        >>> arms = [Arm(name=n, technique=n, setting={}) for n in "abcdefghijkl"]
        >>> shape = fit(arms, None, lambda shape: shape.runs, 100)
        >>> shape.runs <= 100, len(shape.arms), shape.pairs
        (True, 5, 10)
    """
    shapes = _shapes(arms, pairs, folds)
    for shape in shapes:
        if cost(shape) <= limit:
            return shape
    least = min(map(cost, shapes))
    needed, room = (
        (duration(least), duration(limit))
        if unit == "seconds"
        else (f"{math.ceil(least)} {unit}", f"{math.floor(limit)}")
    )
    raise BudgetError(
        f"--budget: one technique alone takes {needed}, and there is room for {room}; raise it, or lower --epochs",
        least=least,
        room=limit,
    )


def whole_repetitions(pairs: int, folds: int) -> int:
    """Return the number of pairs, rounded up to whole repetitions of cross-validation; 0 folds are none.

    Example:
        >>> whole_repetitions(10, 4), whole_repetitions(10, 0)
        (12, 10)
    """
    return pairs if not folds else -(-pairs // folds) * folds


def _shapes(arms: Sequence[Arm], pairs: int | None, folds: int) -> list[Shape]:
    """Return all shapes from the richest to the poorest."""
    counts = [pairs] if pairs else [DEFAULT_PAIRS, PILOT_BELOW, *range(PILOT_BELOW - 1, MIN_PAIRS - 1, -1)]
    counts = list(dict.fromkeys(whole_repetitions(count, folds) for count in counts))
    shapes = []
    for count in counts:
        fewest = min(3, len(arms)) if count >= PILOT_BELOW and not pairs else 1
        for kept in range(len(arms), fewest - 1, -1):
            most = min(COMBINATIONS, kept - 1)
            for combinations in range(most, min(1, most) - 1, -1) if kept <= DEFAULT_ARMS else [most]:
                shape = full_shape(arms[:kept], count)
                shapes.append(replace(shape, combinations=combinations))
    return shapes
