"""Trials in bundles: ask for many, train them together pair by pair, let the hopeless go, tell what is left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from regimen.errors import OptionError, RecipeError
from regimen.records import RunResult
from regimen.run import Recipe, recipe_to_toml
from regimen.search.owners import OWNER, owner
from regimen.search.space import Space
from regimen.search.storage import BASELINE_VALUES, RECIPE, REFUSED, abandon, finished, sole_writer, tell
from regimen.study.ledger import Ledger
from regimen.study.own_modules import Trial as OwnModuleTrial
from regimen.study.phases import Phases
from regimen.study.plan import BASELINE

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy
    from optuna.trial import Trial


@dataclass(kw_only=True)
class Candidate:
    """A trial under way: its recipe, and the metric on each pair so far."""

    trial: "Trial"
    recipe: Recipe
    values: list[float] = field(default_factory=list)

    @property
    def arm(self) -> str:
        """Return what its runs are called."""
        return f"trial {self.trial.number}"


@dataclass(kw_only=True)
class Bundles:
    """Brings a study of Optuna to so many trials.

    Attributes:
        study: Asks and is told.
        space: From a trial to a recipe.
        phases: Makes the runs.
        ledger: Trains them.
        size: Trials that are asked for at a time.
        exhausted: Whether the sampler has tried all there is, as one of a grid may.
    """

    study: "OptunaStudy"
    space: Space
    phases: Phases
    ledger: Ledger
    size: int
    exhausted: bool = False

    def train(self, trials: int) -> list[float]:
        """Go on until so many trials are complete or pruned, and return the baseline's metric on each pair.

        Raises:
            OptionError: The space does not give a recipe.
            StoreError: Another process has finished trials of this one.
        """
        with sole_writer(self.study):
            return self._bring_to(trials)

    def _bring_to(self, trials: int) -> list[float]:
        stored: Mapping[str, Sequence[float]] = self.study.user_attrs
        baseline = list(stored.get(BASELINE_VALUES, ()))
        while not baseline or not (self.exhausted or len(finished(self.study)) >= trials):
            left = trials - len(finished(self.study))
            asked: list[Candidate] = []
            try:
                for _ in range(min(left, self.size)):
                    self._ask(asked)
                found = self._train(asked, with_baseline=not baseline)
            finally:
                # Whoever is told has left the list. After an interruption none may stay under way: a sampler would keep
                # clear of it for ever.
                for candidate in asked:
                    abandon(self.study, candidate.trial)
            if not baseline:
                self.phases.check_baseline(found)
                baseline = [result.metric for result in found]
                self.study.set_user_attr(BASELINE_VALUES, baseline)
        return baseline

    def _ask(self, asked: list[Candidate]) -> None:
        """Ask for one trial; one whose recipe is impossible counts as pruned, so that the sampler avoids its like."""
        trial = self.study.ask()
        candidate = Candidate(trial=trial, recipe=self.phases.plan.recipe)
        asked.append(candidate)
        trial.set_user_attr(OWNER, owner())
        try:
            candidate.recipe = self.space(trial, self.phases.plan.recipe)
            if isinstance(candidate.recipe, Recipe):
                self._require(candidate)
        except (RecipeError, OptionError) as error:
            trial.set_user_attr(REFUSED, str(error))
            self._tell(asked, candidate, pruned=True)
            return
        except ValueError as error:
            # So Optuna says that a parameter has other choices, or is of another kind, than in an earlier trial.
            raise OptionError(
                f"space: trial {trial.number} raised ValueError: {error}; give every parameter the same kind and "
                "choices in all trials, or choose another study_name or folder for another space"
            ) from error
        if not isinstance(candidate.recipe, Recipe):
            raise OptionError(f"space: expected a function that returns a Recipe, got {candidate.recipe!r} from it")
        trial.set_user_attr(RECIPE, recipe_to_toml(candidate.recipe))

    def _require(self, candidate: Candidate) -> None:
        """Refuse a recipe that does not fit data or network.

        Raises:
            RecipeError: It does something that the data have not.
            OptionError: It wishes something that has no place in the network.
        """
        [job] = self.phases.pair_jobs(0, [(candidate.arm, candidate.recipe)])
        if self._own is not None:
            self._own.check.adapted(job.run.recipe)

    @cached_property
    def _own(self) -> OwnModuleTrial | None:
        """What tries recipes on a module of the user's own; None for described networks, whose runs try them."""
        [job] = self.phases.pair_jobs(0, [(BASELINE, self.phases.plan.recipe)])
        return OwnModuleTrial.of(job.run)

    def _train(self, alive: list[Candidate], *, with_baseline: bool) -> list[RunResult]:
        """Train candidates pair by pair until each is told; return the results of the baseline, where it is trained."""
        baseline: list[RunResult] = []
        pairs = self.phases.plan.pairs
        for pair in range(pairs):
            arms = [(candidate.arm, candidate.recipe) for candidate in alive]
            jobs = self.phases.pair_jobs(pair, [(BASELINE, self.phases.plan.recipe), *arms] if with_baseline else arms)
            if not jobs:
                break
            results = self.ledger.execute("search", jobs)
            if with_baseline:
                baseline.append(results.pop(0))
            for candidate, result in zip(list(alive), results, strict=True):
                candidate.values.append(result.metric)
                candidate.trial.report(result.metric, step=pair)
                # On the last pair there is nothing left to save, and a mean over all pairs says more.
                if pair + 1 < pairs and candidate.trial.should_prune():
                    self._tell(alive, candidate, pruned=True)
        for candidate in list(alive):
            self._tell(alive, candidate, pruned=False)
        return baseline

    def _tell(self, alive: list[Candidate], candidate: Candidate, *, pruned: bool) -> None:
        """Take a candidate from the list and tell the study of it."""
        # No Optuna study takes NaN, and a search for the best need not know which way of failing is worse.
        mean = math.fsum(candidate.values) / len(candidate.values) if candidate.values else math.nan
        alive.remove(candidate)
        going_on = tell(self.study, candidate.trial.number, None if pruned or not math.isfinite(mean) else mean)
        self.exhausted |= not going_on
