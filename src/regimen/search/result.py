"""What a search leaves: the recipe, what the search promised of it, what was confirmed, and the network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from regimen.data import METRICS
from regimen.records import ConfirmationRecord, Fresh, Interval
from regimen.report.quantities import METRIC_NAMES, duration, fixed, plural
from regimen.run import Recipe, SavedModel, recipe_to_toml
from regimen.search.storage import RECIPE, REFUSED

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial

TrialState = Literal["complete", "pruned", "refused"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """One configuration that was tried.

    Attributes:
        number: In Optuna's study.
        state: `complete`: trained on all pairs; `pruned` before that; `refused`: an impossible recipe.
        values: Metric on each pair that was trained, by the number of the pair.
        mean: Mean of `values`, NaN without any.
        parameters: What the sampler chose.
        recipe: The recipe in TOML, empty for a refused trial.
        refusal: Why a trial was refused.
        feasible: Whether it keeps the constraints that it was given in Optuna, as a recipe that is to win must.
    """

    number: int
    state: TrialState
    values: dict[int, float]
    mean: float
    parameters: dict[str, Any]
    recipe: str
    refusal: str = ""
    feasible: bool = True


def trial_record(trial: "FrozenTrial") -> TrialRecord:
    """Return what Optuna has stored of a finished trial."""
    refusal = trial.user_attrs.get(REFUSED, "")
    values = trial.intermediate_values
    return TrialRecord(
        number=trial.number,
        state="refused" if refusal else "complete" if trial.state.name == "COMPLETE" else "pruned",
        values=dict(values),
        mean=math.fsum(values.values()) / len(values) if values else math.nan,
        parameters=dict(trial.params),
        recipe=trial.user_attrs.get(RECIPE, ""),
        refusal=refusal,
        feasible=all(value <= 0 for value in _constraints(trial)),
    )


def _constraints(trial: "FrozenTrial") -> tuple[float, ...]:
    """Return what a trial's constraints came to, above zero where one is violated; Optuna 4 gives them no names."""
    named: Mapping[str, float] | None = getattr(trial, "constraints", None)
    return tuple(trial.system_attrs.get("constraints") or ()) if named is None else tuple(named.values())


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        recipe: The best recipe of the search; the baseline itself where no trial was better.
        trial: Number of the trial that it comes from, None for the baseline.
        baseline: What it is compared with.
        metric: Name of the metric.
        values: Mean metric of baseline and recipe over the pairs of the search.
        promised: Mean difference over these pairs, > 0 when better: too good, since the best of many was picked on it.
        confirmation: Recipe against baseline on fresh pairs and on the test part, touched once.
        fresh: Whether the confirmation had `rows` of its own, or only `seeds`.
        model: The network, trained with the recipe on all rows but the test part.
        trials: All configurations, in the order in which they were asked for.
        pairs: Pairs of the search.
        runs: Networks in this search, those that were found in the folder included.
        seconds: Wall-clock seconds.
        study: Optuna's study.
    """

    recipe: Recipe
    trial: int | None
    baseline: Recipe
    metric: str
    values: tuple[float, float]
    promised: float
    confirmation: ConfirmationRecord
    fresh: Fresh
    model: SavedModel
    trials: tuple[TrialRecord, ...]
    pairs: int
    runs: int
    seconds: float
    study: "OptunaStudy"

    @property
    def toml(self) -> str:
        """Return the recipe as TOML, as `regimen train --recipe` reads it."""
        return recipe_to_toml(self.recipe)

    def count(self, state: TrialState) -> int:
        """Return how many trials ended in that way."""
        return sum(trial.state == state for trial in self.trials)

    def __str__(self) -> str:
        """Return in a few lines what was tried, promised and confirmed."""
        points = METRICS[self.metric].unit == "points"

        def shown(delta: float) -> str:
            return fixed(100 * delta, 1, sign=True) if points else f"{delta:+.3g}"

        def effect(delta: float, interval: Interval) -> str:
            return f"{shown(delta)}{' points' * points}, 95 % interval {shown(interval[0])} to {shown(interval[1])}"

        confirmed, tested = self.confirmation, self.confirmation.test
        name = METRIC_NAMES.get(self.metric, self.metric.replace("_", " "))
        fresh = f"fresh {self.fresh}, {plural(confirmed.pairs, 'pair')}"
        against = sum(not trial.feasible for trial in self.trials)
        violating = f", {against} against a constraint" if against else ""
        lines = [
            f"{plural(len(self.trials), 'trial')} on {plural(self.pairs, 'pair')}: {self.count('complete')} complete, "
            f"{self.count('pruned')} pruned, {self.count('refused')} refused{violating}; {plural(self.runs, 'run')} in "
            f"{duration(self.seconds)}",
            "no trial was better than the baseline, which is the recipe"
            if self.trial is None
            else f"the best is trial {self.trial}; effect on {name} over the baseline, above zero is better:",
            f"  promised by the search  {shown(self.promised)}{' points' * points}",
            f"  confirmed ({fresh})  {effect(confirmed.delta, confirmed.ci)}",
            f"  test part ({plural(tested.rows, 'row')})  {effect(tested.delta, tested.ci)}",
        ]
        return "\n".join(lines)
