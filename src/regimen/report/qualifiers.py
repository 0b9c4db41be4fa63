"""The sentences that qualify the verdict of a study: what the baseline does wrong, and how far the verdict reaches."""

import math
import statistics

from regimen.records import Results
from regimen.report.quantities import MetricFormat, finite, finite_interval, given_validation, loss, plural
from regimen.report.sentence import overfitting, recommended, standing

# The p below which the effect of an arm holds on new rows, that of verdicts.
NEW_ROWS_P = 0.05
# A loss of the recipe this much above the baseline's is worth a word: seeds alone move it by a few percent.
WORSE_LOSS = 1.1


def qualifiers(results: Results) -> list[str]:
    """Return the sentences below the verdict: what the baseline does wrong, and how far the verdict reaches."""
    baseline, found = results.baseline, []
    gap = finite_interval(baseline.gap_ci)
    if finite(baseline.gap) is not None:
        span = f" (95 % interval {loss(gap[0])} to {loss(gap[1])})" if gap else ""
        found.append(
            f"The baseline {overfitting(results)}: its validation loss is "
            f"{loss(baseline.validation_loss)} where its training loss is {loss(baseline.train_loss)}, a gap of "
            f"{loss(baseline.gap)}{span}."
        )
    late = finite(baseline.late_loss)
    if late is not None:
        share = f"{abs(late) * 100:.0f} % {'above' if late >= 0 else 'below'} that"
        said = share if abs(late) >= 0.005 else "within 1 % of that"
        # Of another run, not of another epoch of this one: a run that stops early gives up rows for it.
        found.append(f"At its last epoch that loss is {said} of runs that stop early, on fewer training rows.")
    reach = _reach(results)
    return [*found, *cautions(results), *([reach] if reach else [])]


def cautions(results: Results) -> list[str]:
    """Return what must be said beside the verdict.

    A baseline that did not learn, a recipe with worse probabilities, a test part that speaks against the recipe.
    """
    found, baseline, test = [], results.baseline, results.confirmation.test
    guess = guessing_loss(results)
    if finite(baseline.train_loss) is not None and baseline.train_loss >= guess:
        found.append(
            f"The baseline did not learn: its training loss of {loss(baseline.train_loss)} is no better than that of a "
            f"constant guess ({loss(guess)}); lower the learning rate, or train longer, before comparing with it."
        )
    before, after = (_confirmed_loss(results, arm) for arm in ("baseline", "recipe"))
    judged_otherwise = results.data.task == "classification" and results.design.metric != "log_loss"
    if judged_otherwise and before and after and after > WORSE_LOSS * before:
        found.append(
            f"The recipe is less sure of its answers: its validation loss is {loss(after)} nats, the baseline's "
            f"{loss(before)}; if you use the probabilities, study with --metric log_loss."
        )
    interval = finite_interval(test.ci)
    if recommended(results) and test.rows > 0 and interval is not None and interval[1] < 0:
        form = MetricFormat.of(results)
        found.append(
            f"On the test part, which no decision has touched, the recipe is worse than the baseline: by "
            f"{form.effect(-test.delta, sign=False, unit=True)} of {form.name} (95 % interval "
            f"{form.interval((-interval[1], -interval[0]), sign=False)}, {plural(test.rows, 'row')})."
        )
    return found


def guessing_loss(results: Results) -> float:
    """Return the training loss of the best constant guess, at most: ln(classes), or 1 for a standardized target."""
    return math.log(max(len(results.data.classes), 2)) if results.data.task == "classification" else 1.0


def _confirmed_loss(results: Results, arm: str) -> float | None:
    losses = [run.validation_loss for run in results.runs if run.phase == "confirm" and run.arm == arm]
    known = [value for value in losses if value is not None and finite(value) is not None]
    return statistics.fmean(known) if known else None


def _reach(results: Results) -> str:
    """Whether the verdict also covers new data: set-aside rows, or the wider interval, must exclude zero.

    The arm in the recipe is the best of all, so its wider interval has to be that of the whole family: where nothing
    holds on new rows, that of the best of 30 arms taken alone excludes zero in up to 40 % of studies (simulated).
    """
    if standing(results) not in ("confirmed", "weaker"):
        return ""
    if results.design.fresh == "rows":
        return (
            f"The confirmation used {_fresh(results)} that the search never saw, so the gain holds on {_new(results)}."
        )
    if given_validation(results):
        return (
            "Whether the gain holds on new data too is open, because the rows that confirmed the recipe, the given "
            "validation part, are those that chose it."
        )
    if results.design.division == "time":
        return (
            "Whether the gain holds on later rows too is open, because the confirmation used the same stretch of time."
        )
    alone = recommended(results)
    p = finite(alone[0].p_new_rows) if len(alone) == 1 else None
    family = plural(len(results.techniques), "setting")
    if p is not None and p < NEW_ROWS_P:
        return (
            f"The wider interval for new rows excludes zero even when adjusted over {family}, so the gain holds on "
            f"{_new(results)}."
        )
    return "Whether the gain holds on new data too is open, because the confirmation split the same rows again" + (
        f" and the wider interval for new rows, adjusted over {family}, includes zero." if p is not None else "."
    )


def _fresh(results: Results) -> str:
    return {"drawn": "rows", "group": "groups", "time": "later rows"}[results.design.division]


def _new(results: Results) -> str:
    drawn = "new data of this kind too"
    return {"drawn": drawn, "group": "new groups of this kind too", "time": "later rows too"}[results.design.division]
