"""The plan of a study: fixed, stored before the first run, and followed whatever happens afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from regimen.records import Fresh
from regimen.run import Recipe, recipe_from_dict

BASELINE = "baseline"
RECIPE = "recipe"


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One technique at one setting.

    Attributes:
        name: Unique within the study.
        technique: Name in the catalogue.
        setting: Changes to the baseline recipe.
        strength: The setting as one number, None where it has none.
    """

    name: str
    technique: str
    setting: dict[str, Any]
    strength: float | None = None

    def recipe(self, baseline: Recipe) -> Recipe:
        """Return the baseline with the arm's changes; what the arm does to images comes after what is done already.

        An operation of a kind that the baseline has takes its place.
        """
        recipe = recipe_from_dict(self.setting, base=baseline)
        if "augmentation" not in self.setting:
            return recipe
        own = {type(operation): operation for operation in recipe.augmentation}
        before = [own.pop(type(operation), operation) for operation in baseline.augmentation]
        return recipe.replace(augmentation=(*before, *own.values()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything a study will do, decided before its first run.

    Attributes:
        data: Name of the table.
        digest: SHA-256 of the table's content; a resumed study must find the same.
        model: Name of the model.
        baseline: Baseline recipe, as plain values.
        arms: The family of hypotheses: every arm that is tested.
        pairs: Pairs of the search.
        confirmation_pairs: Pairs of the confirmation.
        combinations: Combinations of helpful arms that are tried at most.
        metric: Name of the metric.
        smallest_effect: In units of the metric; None is the default rule.
        effect_at_most: What the default rule never exceeds for metrics whose best value is 1; None in plans that were
            made before there was such a bound, which go on to be judged without.
        fresh: Whether the confirmation has `rows` of its own, or only `seeds`.
        seed: Of all keys and splits.
        engine: Which engine trains; a resumed study must have the same.
        given_validation: Whether the validation part is given, the same rows in every pair of the search.
        asked_engine: What the user asked for; `auto` sends single runs elsewhere where another engine is better.
        device: Where bundles of the stacked engine train; a resumed study may name another.
        model_digest: Digest of a network of the user's own, empty for a described one.
        folds: Pairs are so many folds of repeated cross-validation; 0 for pairs that are drawn alone.
        budget: As the user wrote it, empty for none.
        notes: Decisions, in words: arms left out and why.
        command: Command line to repeat the study, where there is one.
    """

    data: str
    digest: str
    model: str
    baseline: dict[str, Any]
    arms: tuple[Arm, ...]
    pairs: int
    confirmation_pairs: int
    combinations: int
    metric: str
    smallest_effect: float | None
    fresh: Fresh
    seed: int
    engine: str
    budget: str = ""
    notes: tuple[str, ...] = ()
    command: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    asked_engine: str = "auto"
    device: str = "auto"
    given_validation: bool = False
    folds: int = 0
    model_digest: str = ""
    effect_at_most: float | None = None

    @property
    def recipe(self) -> Recipe:
        """Return the baseline recipe."""
        return recipe_from_dict(self.baseline)

    @property
    def runs(self) -> int:
        """Return the largest number of runs that the plan can take."""
        search = (1 + len(self.arms)) * self.pairs
        return search + self.combinations * self.pairs + 2 * self.confirmation_pairs + 1

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Plan":
        """Return the plan that `to_dict` wrote."""
        return msgspec.convert(values, type=cls)
