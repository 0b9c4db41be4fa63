"""The phases of a study, in order, by its plan: search, combination, confirmation, final training."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regimen.data import METRICS, Split, smallest_effect
from regimen.errors import EngineError
from regimen.models import Model, parse_model
from regimen.records import ConfirmationRecord, RunResult
from regimen.run import Recipe, Run, SavedModel
from regimen.study.confirming import confirm, part_metric
from regimen.study.family import combine
from regimen.study.findings import Choice, Findings, Search, assemble
from regimen.study.judging import judge_arms, judge_baseline, metrics
from regimen.study.layout import Layout, final_key
from regimen.study.ledger import Job, Ledger, Watch
from regimen.study.plan import BASELINE, RECIPE, Arm, Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Final:
    """The saved model and its metric on the test part."""

    model: SavedModel
    metric: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Conclusion:
    """What a recipe was confirmed to do, and the network that was trained with it."""

    confirmation: ConfirmationRecord
    model: SavedModel


@dataclass(frozen=True, kw_only=True)
class Phases:
    """One study under way.

    Attributes:
        layout: The parts of the table.
        plan: What to do.
        ledger: Trains and remembers.
        watch: Is told of the progress.
        model: The network; None takes the described one that the plan names.
    """

    layout: Layout
    plan: Plan
    ledger: Ledger
    watch: Watch
    model: Model | None = None

    def findings(self, started: float) -> Findings:
        """Go through all phases; `started` is the `time.perf_counter()` of the study's begin, as if uninterrupted."""
        search = self._search()
        choice = self._combine(search)
        concluded = self.conclude(choice.recipe, search_delta=choice.delta)
        seconds = time.perf_counter() - started
        results = assemble(
            self.layout,
            self.plan,
            self.ledger,
            search=search,
            choice=choice,
            confirmation=concluded.confirmation,
            seconds=seconds,
        )
        return Findings(results=results, model=concluded.model)

    def conclude(self, recipe: Recipe, *, search_delta: float) -> Conclusion:
        """Confirm a recipe against the baseline on fresh pairs and the test part, and train the network to keep.

        Args:
            recipe: What was chosen on the pairs of the search.
            search_delta: Mean difference to the baseline that it had there, > 0 when better.
        """
        pairs = self._confirmation_runs(recipe)
        confirmed = self._train_confirmation(pairs)
        final = self._final(recipe, [result for _, result in confirmed])
        confirmation = confirm(
            pairs,
            confirmed,
            same_rows=self.layout.aside is not None or self.layout.given_validation,
            search_delta=search_delta,
            model_metric=final.metric,
        )
        return Conclusion(confirmation=confirmation, model=final.model)

    @cached_property
    def network(self) -> Model:
        """The network that is studied."""
        return parse_model(self.plan.model) if self.model is None else self.model

    def _make(self, recipe: Recipe, split: Split, key: int) -> Run:
        return Run(
            recipe=recipe,
            model=self.network,
            data=self.layout.table,
            split=split,
            key=key,
            metric=self.plan.metric,
        )

    @cached_property
    def _search_pairs(self) -> list[tuple[int, Split]]:
        """Key and split of each pair of the search, drawn once for all arms."""
        return [self.layout.search_pair(self.plan.seed, pair) for pair in range(self.plan.pairs)]

    def _rows_of_a_pair(self) -> tuple[int, int]:
        """Return the training and validation rows of a pair, in the mean where groups or times make them differ."""
        splits = [split for _, split in self._search_pairs]
        train = statistics.fmean(len(split.train) for split in splits)
        return round(train), round(statistics.fmean(len(split.validation) for split in splits))

    def _search_jobs(self, arms: Sequence[tuple[str, Recipe]]) -> list[Job]:
        """Return every arm on every pair, pair by pair: a worker then prepares the rows of a split once for all."""
        return [job for pair in range(self.plan.pairs) for job in self.pair_jobs(pair, arms)]

    def pair_jobs(self, pair: int, arms: Sequence[tuple[str, Recipe]]) -> list[Job]:
        """Return every named recipe on one pair of the search."""
        key, split = self._search_pairs[pair]
        return [Job(name, pair, self._make(recipe, split, key)) for name, recipe in arms]

    def _search(self) -> Search:
        """Train the baseline and every arm on the same pairs, and judge the family."""
        recipe = self.plan.recipe
        jobs = self._search_jobs([(BASELINE, recipe), *((arm.name, arm.recipe(recipe)) for arm in self.plan.arms)])
        self.ledger.execute("search", jobs)
        baseline = self.ledger.of("search", BASELINE)
        self.check_baseline(baseline)
        n_train, n_validation = self._rows_of_a_pair()
        mean = float(metrics(baseline).mean())
        effect = self.plan.smallest_effect or smallest_effect(
            METRICS[self.plan.metric], mean, n_validation, most=self.plan.effect_at_most
        )
        stopping = next((arm for arm in self.plan.arms if arm.technique == "early_stopping"), None)
        return Search(
            baseline=judge_baseline(
                baseline,
                self.ledger.of("search", stopping.name) if stopping else None,
                guess=math.log(len(self.layout.table.classes)) if self.layout.table.classes else 1.0,
            ),
            techniques=judge_arms(
                self.plan.arms,
                baseline,
                [self.ledger.of("search", arm.name) for arm in self.plan.arms],
                higher_is_better=METRICS[self.plan.metric].higher_is_better,
                smallest_effect=effect,
                n_train=n_train,
                n_validation=n_validation,
                new_rows_known=self.layout.new_rows_known,
            ),
            smallest_effect=effect,
        )

    def check_baseline(self, baseline: Sequence[RunResult]) -> None:
        """Refuse a baseline that never trained, and note one that sometimes did not.

        Raises:
            EngineError: Every run diverged.
        """
        diverged = sum(result.status == "diverged" for result in baseline)
        if diverged == len(baseline):
            raise EngineError(
                f"the baseline diverged in all {diverged} pairs (its loss was not finite): there is nothing to compare "
                f"with; lower --lr (now {self.plan.recipe.lr:g}) or give another --baseline"
            )
        if diverged:
            self.watch.note(
                f"the baseline diverged in {diverged} of {len(baseline)} pairs, which count as constant guesses"
            )

    def _combine(self, search: Search) -> Choice:
        """Add helpful arms one by one, best first, as long as the mean over the search's pairs rises."""
        arms = {arm.name: arm for arm in self.plan.arms}
        helpful = sorted((t for t in search.techniques if t.verdict == "helps"), key=lambda t: -t.delta)
        baseline = self.plan.recipe
        if not helpful:
            return Choice(recipe=baseline)
        sign = 1.0 if METRICS[self.plan.metric].higher_is_better else -1.0
        best = Choice(recipe=arms[helpful[0].arm].recipe(baseline), arms=(helpful[0].arm,), delta=helpful[0].delta)
        tried = 0
        for record in helpful[1:]:
            candidate = self._joined(best, arms[record.arm])
            if candidate is None or tried == self.plan.combinations:
                continue
            tried += 1
            name = " + ".join((*best.arms, record.arm))
            found = metrics(self.ledger.execute("combine", self._search_jobs([(name, candidate)])))
            delta = float((sign * (found - metrics(self.ledger.of("search", BASELINE)))).mean())
            if delta > best.delta:
                best = Choice(recipe=candidate, arms=(*best.arms, record.arm), delta=delta)
            self.watch.note(f"{name}: {'kept' if best.recipe == candidate else 'no better than without'}")
        return best

    def _joined(self, choice: Choice, arm: Arm) -> Recipe | None:
        """Return the recipe with the arm added, None if it sets what an arm of the choice has set.

        Operations on images add up, as long as they are of different techniques.
        """
        chosen = [other for other in self.plan.arms if other.name in choice.arms]
        taken = {key for other in chosen for key in other.setting} - {"augmentation"}
        again = any(other.technique == arm.technique for other in chosen)
        return None if again or taken & set(arm.setting) else combine(choice.recipe, arm)

    def _confirmation_runs(self, recipe: Recipe) -> list[tuple[Run, Run]]:
        pairs = []
        for pair in range(self.plan.confirmation_pairs):
            key, split = self.layout.confirmation_pair(self.plan.seed, pair)
            pairs.append((self._make(self.plan.recipe, split, key), self._make(recipe, split, key)))
        return pairs

    def _train_confirmation(self, pairs: Sequence[tuple[Run, Run]]) -> list[tuple[RunResult, RunResult]]:
        same = pairs[0][0].recipe == pairs[0][1].recipe
        jobs = [Job(BASELINE, i, base) for i, (base, _) in enumerate(pairs)]
        if not same:
            jobs = [job for i, (_, run) in enumerate(pairs) for job in (jobs[i], Job(RECIPE, i, run))]
        self.ledger.execute("confirm", jobs, keep=("outputs",))
        baseline = self.ledger.of("confirm", BASELINE)
        recipe = baseline if same else self.ledger.of("confirm", RECIPE)
        return list(zip(baseline, recipe, strict=True))

    def _final(self, recipe: Recipe, confirmed: Sequence[RunResult]) -> Final:
        """Train the recipe on all rows but the test part, for the median returned epoch of the confirmation.

        A schedule of learning rates, and averaging of weights, are laid out over that number of epochs: with early
        stopping the saved model then follows a shorter curve than the runs that were confirmed.
        """
        epochs = median_epoch(confirmed)
        settled = recipe.replace(early_stopping=None, epochs=epochs) if recipe.early_stopping else recipe
        run = self._make(settled, self.layout.final_split(), final_key(self.plan.seed))
        [result] = self.ledger.execute("final", [Job(RECIPE, 0, run)], keep=("outputs", "weights"))
        if result.status == "diverged":
            raise EngineError(
                f"the final training diverged: {result.message}; the search is kept in the study's folder"
            )
        if result.outputs is None or result.weights is None:
            raise EngineError("the final training returned no network")
        metric = part_metric(run, result.outputs["test"], "test")(np.arange(len(run.split.test)))
        return Final(model=SavedModel.of(run, [result.weights]), metric=metric)


def median_epoch(results: Sequence[RunResult]) -> int:
    """Return the median of the epochs that runs returned to; one that did not finish counts only if none did."""
    finished = [result.epoch for result in results if result.status not in ("diverged", "failed")]
    return max(1, round(statistics.median(finished or [result.epoch for result in results])))
