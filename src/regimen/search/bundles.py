"""Trials in bundles: ask for many, train them together pair by pair, let the hopeless go, tell what is left."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from regimen.errors import OptionError, RecipeError
from regimen.records import RunResult
from regimen.run import Recipe, recipe_from_toml, recipe_to_toml
from regimen.search.choices import require_plain_choices
from regimen.search.exhaustion import EXHAUSTED, exhausted, exhaustive, sampler_name, tried
from regimen.search.owners import OWNER, elsewhere, owner
from regimen.search.rounds import ROUND, Round
from regimen.search.space import Space
from regimen.search.storage import BASELINE_VALUES, RECIPE, REFUSED, fail, finished, sole_writer, tell
from regimen.study.ledger import Ledger
from regimen.study.own_modules import Trial as OwnModuleTrial
from regimen.study.phases import Phases
from regimen.study.plan import BASELINE

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial, Trial


@dataclass(kw_only=True)
class Candidate:
    """A trial under way: its recipe, or why it has none, and the metric on each pair so far, by number of the pair."""

    trial: "Trial"
    recipe: Recipe
    refusal: str = ""
    values: dict[int, float] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Return the number of the trial."""
        return self.trial.number

    @property
    def arm(self) -> str:
        """Return what its runs are called."""
        return f"trial {self.number}"


@dataclass(kw_only=True)
class Bundles:
    """Brings a study of Optuna to so many trials, from wherever an interruption has left it.

    Attributes:
        study: Asks and is told.
        space: From a trial to a recipe.
        phases: Makes the runs.
        ledger: Trains them.
        size: Trials that are asked for at a time.
        sole: Whether it is sure that no other process is searching the study.
    """

    study: "OptunaStudy"
    space: Space
    phases: Phases
    ledger: Ledger
    size: int
    sole: bool = False
    _held: "list[Trial]" = field(default_factory=list, init=False)
    _exhausted: bool = field(default=False, init=False)

    def train(self, trials: int) -> list[float]:
        """Go on until so many trials are complete or pruned, and return the baseline's metric on each pair.

        Raises:
            OptionError: The space does not give a recipe.
            StoreError: Another process has finished trials of this one, or the storage failed.
        """
        from regimen.search.repeating import repeating

        self._exhausted = exhausted(self.study)
        with sole_writer(self.study), self._released(), repeating(self.study):
            return self._bring_to(trials)

    def runs_left(self, trials: int) -> int:
        """Return the largest number of runs that `train` can take."""
        pairs, left = self.phases.plan.pairs, max(0, trials - len(finished(self.study)))
        reported = sum(len(trial.intermediate_values) for trial in self._round(left).under_way[:left])
        return pairs * (left + (BASELINE_VALUES not in self.study.user_attrs)) - reported

    def _bring_to(self, trials: int) -> list[float]:
        stored: Mapping[str, Sequence[float]] = self.study.user_attrs
        baseline = list(stored.get(BASELINE_VALUES, ()))
        while True:
            left = max(0, trials - len(finished(self.study)))
            current = self._round(left)
            if baseline and (not left or (self._exhausted and not current.under_way)):
                return baseline
            found = self._train(self._fill(current, left), current, with_baseline=not baseline)
            if not baseline:
                self.phases.check_baseline(found)
                baseline = [result.metric for result in found]
                self.study.set_user_attr(BASELINE_VALUES, baseline)

    def _round(self, left: int) -> Round:
        trials = self.study.get_trials(deepcopy=False)
        if not self.sole:
            trials = [trial for trial in trials if trial.state.is_finished() or not elsewhere(trial)]
        return Round.of(trials, size=min(self.size, left))

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Leave what is under way to whoever goes on with it, should anything end this."""
        from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

        try:
            yield
        except BaseException:
            for trial in self._held:
                with suppress(UpdateFinishedTrialError, StorageInternalError):
                    trial.set_user_attr(OWNER, None)
            raise

    def _fill(self, current: Round, left: int) -> list[Candidate]:
        """Return the trials of a round: those that are under way, and as many new ones as it misses."""
        self._held.clear()
        bundle: list[Candidate] = []
        for trial, stored in self._trials(current, left):
            self._held.append(trial)
            trial.set_user_attr(OWNER, owner())
            trial.set_user_attr(ROUND, [current.index, current.size])
            candidate = Candidate(trial=trial, recipe=self.phases.plan.recipe)
            if stored is not None and RECIPE in stored.user_attrs:
                candidate.recipe = recipe_from_toml(stored.user_attrs[RECIPE])
                candidate.values |= stored.intermediate_values
                bundle.append(candidate)
                continue
            self._choose(candidate)
            if exhaustive(self.study) and tried(self.study, candidate.number):
                # It begins again: all that is left is under way, and with nothing under way nothing is left.
                fail(self.study, candidate.number)
                self._exhaust(not bundle)
                break
            if candidate.refusal:
                # Told as pruned, so that the sampler avoids its like.
                trial.set_user_attr(REFUSED, candidate.refusal)
                self._tell(candidate, pruned=True)
            else:
                trial.set_user_attr(RECIPE, recipe_to_toml(candidate.recipe))
                bundle.append(candidate)
        return bundle

    def _trials(self, current: Round, left: int) -> "Iterator[tuple[Trial, FrozenTrial | None]]":
        """Yield the trials of a round, with what is stored of those that an interruption has left under way."""
        from optuna.trial import Trial

        for stored in current.under_way[:left]:
            yield Trial(self.study, stored._trial_id), stored
        for _ in range(min(current.missing, left - len(current.under_way))):
            if self._exhausted:
                break
            yield self.study.ask(), None

    def _choose(self, candidate: Candidate) -> None:
        """Give a candidate the recipe that the space makes of its trial, or the reason why it has none."""
        try:
            candidate.recipe = self.space(candidate.trial, self.phases.plan.recipe)
            if isinstance(candidate.recipe, Recipe):
                self._require(candidate)
        except (RecipeError, OptionError) as error:
            candidate.refusal = str(error)
        except ValueError as error:
            # So Optuna says that a parameter has other choices, or is of another kind, than in an earlier trial.
            raise OptionError(
                f"space: trial {candidate.number} raised ValueError: {error}; give every parameter the same kind and "
                "choices in all trials, or choose another study_name or folder for another space"
            ) from error
        require_plain_choices(candidate.trial)
        if not isinstance(candidate.recipe, Recipe):
            raise OptionError(f"space: expected a function that returns a Recipe, got {candidate.recipe!r} from it")

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

    def _train(self, bundle: list[Candidate], current: Round, *, with_baseline: bool) -> list[RunResult]:
        """Train candidates pair by pair until each is told; return the results of the baseline, where it is trained."""
        baseline: list[RunResult] = []
        alive = bundle
        for pair in range(self.phases.plan.pairs):
            arms = [(BASELINE, self.phases.plan.recipe)] if with_baseline else []
            arms += [(candidate.arm, candidate.recipe) for candidate in alive if pair not in candidate.values]
            results = self.ledger.execute("search", self.phases.pair_jobs(pair, arms)) if arms else []
            if with_baseline:
                baseline.append(results.pop(0))
            alive = [candidate for candidate in alive if self._goes_on(candidate, pair, results, current)]
        for candidate in alive:
            self._tell(candidate, pruned=False)
        return baseline

    def _goes_on(self, candidate: Candidate, pair: int, results: list[RunResult], current: Round) -> bool:
        """Report a pair of a candidate, the first of the results unless it is known; tell and drop a hopeless one."""
        known = pair in candidate.values
        if not known:
            candidate.values[pair] = results.pop(0).metric
            candidate.trial.report(candidate.values[pair], step=pair)
        # On the last pair there is nothing left to save, and a mean over all pairs says more. And before an
        # interruption the pruner saw less: what it left alone then is not shown to it again.
        passed = known and (pair, candidate.number) < current.latest
        if passed or pair + 1 == self.phases.plan.pairs or not candidate.trial.should_prune():
            return True
        self._tell(candidate, pruned=True)
        return False

    def _tell(self, candidate: Candidate, *, pruned: bool) -> None:
        # No Optuna study takes NaN, and a search for the best need not know which way of failing is worse.
        mean = math.fsum(candidate.values.values()) / len(candidate.values) if candidate.values else math.nan
        going_on = tell(self.study, candidate.number, None if pruned or not math.isfinite(mean) else mean)
        self._exhaust(not going_on)

    def _exhaust(self, exhausted: bool) -> None:
        if exhausted and not self._exhausted:
            self._exhausted = True
            self.study.set_user_attr(EXHAUSTED, sampler_name(self.study))
