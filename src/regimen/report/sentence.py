"""The verdict of a study in one plain sentence, and the few sentences that qualify it."""

import math
import statistics
from typing import Literal

from regimen.records import Results, TechniqueRecord
from regimen.report.names import labels
from regimen.report.quantities import (
    MetricFormat,
    finite,
    finite_interval,
    given_validation,
    loss,
    plural,
    probability,
)

Standing = Literal["empty", "pilot", "none", "promised", "confirmed", "weaker", "unproven", "worse"]

# The p below which the effect of an arm holds on new rows, that of verdicts.
NEW_ROWS_P = 0.05
# A loss of the recipe this much above the baseline's is worth a word: seeds alone move it by a few percent.
WORSE_LOSS = 1.1

STANDING_WORDS: dict[Standing, str] = {
    "empty": "Nothing tried",
    "pilot": "Pilot, no verdict",
    "none": "Keep the baseline",
    "promised": "Not confirmed yet",
    "confirmed": "Confirmed",
    "weaker": "Confirmed, but weaker",
    "unproven": "Not confirmed",
    "worse": "Did not hold up",
}


def recommended(results: Results) -> tuple[TechniqueRecord, ...]:
    """Return the arms that the recipe combines; none if the recipe is the baseline."""
    by_arm = {technique.arm: technique for technique in results.techniques}
    return tuple(by_arm[arm] for arm in results.recipe.arms if arm in by_arm)


def recipe_label(results: Results) -> str:
    """Return the recommended arms in words, such as `dropout 0.3 with label smoothing 0.1`."""
    names = labels(results.techniques)
    parts = [names[one.arm] for one in recommended(results)]
    if len(parts) < 2:
        return "".join(parts)
    rest = parts[1:]
    return f"{parts[0]} with {', '.join(rest[:-1]) + ' and ' if rest[:-1] else ''}{rest[-1]}"


def standing(results: Results) -> Standing:
    """Return how far the evidence of the study goes.

    `weaker`: confirmed above zero, but the search promised more than the confirmation's interval holds or twice what
    came. `unproven`: the interval of the confirmation includes zero. `worse`: it lies below zero.
    """
    confirmation = results.confirmation
    interval = finite_interval(confirmation.ci)
    delta, promised = finite(confirmation.delta), finite(confirmation.search_delta)
    if not results.techniques:
        return "empty"
    if results.design.pilot:
        return "pilot"
    if not recommended(results):
        return "none"
    if confirmation.pairs < 1 or delta is None or interval is None:
        return "promised"
    if interval[0] <= 0:
        return "worse" if interval[1] < 0 else "unproven"
    return "weaker" if promised is not None and (promised > interval[1] or promised > 2 * delta) else "confirmed"


def verdict_sentence(results: Results, *, minus: str = "-") -> str:
    """Answer in one sentence which regularization the network needs, how strong, and how sure that is on this table.

    `minus` is the sign that negative numbers are written with.
    """
    form, state = MetricFormat.of(results, minus=minus), standing(results)
    confirmation, metric = results.confirmation, form.name
    recipe = recipe_label(results)
    pairs = plural(confirmation.pairs, "new pair")
    gain = form.effect(confirmation.delta, sign=False, unit=True)
    span = f"95 % interval {form.interval(confirmation.ci, sign=False)}"
    promised = form.effect(confirmation.search_delta, sign=False)
    match state:
        case "empty":
            return (
                "No technique was tried, so nothing can be said about regularization on this table: the baseline "
                f"reaches {metric} {form.level(results.baseline.mean)} and {_overfitting(results)}."
            )
        case "pilot":
            return _pilot(results, form)
        case "none":
            return _nothing(results, form)
        case "promised":
            best = recommended(results)[0]
            return (
                f"On this table the search points to {recipe}, at {form.effect(best.delta, unit=True)} of {metric} for "
                f"its strongest part (adjusted p {probability(best.p_adjusted)}), but no new pairs confirmed it yet."
            )
        case "unproven":
            return (
                f"On this table {recipe} is the best guess but not proven: the search promised {promised} and new "
                f"pairs gave {gain} of {metric} ({span}, {pairs}), so do not count on it."
            )
        case "worse":
            return (
                f"On this table keep the baseline: the search promised {promised} from {recipe}, but on new pairs it "
                f"changed {metric} by {form.effect(confirmation.delta, unit=True)} ({span}, {pairs})."
            )
        case "weaker":
            return (
                f"{_need(results)} {recipe}, though it helps less than the search promised: it improves {metric} by "
                f"{gain} ({span}, {pairs}), not by {promised}{_small(results, form)}."
            )
        case "confirmed":
            return (
                f"{_need(results)} {recipe}, which improves {metric} by {gain}, from "
                f"{form.level(confirmation.baseline)} to {form.level(confirmation.recipe)} "
                f"({span}, confirmed on {pairs}){_small(results, form)}."
            )


def qualifiers(results: Results) -> list[str]:
    """Return the sentences below the verdict: what the baseline does wrong, and how far the verdict reaches."""
    baseline, found = results.baseline, []
    gap = finite_interval(baseline.gap_ci)
    if finite(baseline.gap) is not None:
        span = f" (95 % interval {loss(gap[0])} to {loss(gap[1])})" if gap else ""
        found.append(
            f"The baseline {'overfits' if baseline.overfits else 'does not overfit'}: its validation loss is "
            f"{loss(baseline.validation_loss)} where its training loss is {loss(baseline.train_loss)}, a gap of "
            f"{loss(baseline.gap)}{span}."
        )
    late = finite(baseline.late_loss)
    if late is not None:
        share = f"{abs(late) * 100:.0f} % {'above' if late >= 0 else 'below'} that"
        said = share if abs(late) >= 0.005 else "within 1 % of that"
        found.append(f"At its last epoch that loss is {said} of the epoch which early stopping chooses.")
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


def _need(results: Results) -> str:
    if results.baseline.overfits:
        return "On this table your network needs"
    return "On this table your network does not overfit, yet it gains from"


def _overfitting(results: Results) -> str:
    if not results.baseline.overfits:
        return "does not overfit"
    return f"overfits (validation loss {loss(results.baseline.gap)} above training loss)"


def _small(results: Results, form: MetricFormat) -> str:
    smallest = finite(results.design.smallest_effect)
    if smallest is None or results.confirmation.delta >= smallest:
        return ""
    return f", a gain below the smallest effect of interest of {form.effect(smallest, sign=False, unit=True)}"


def _pilot(results: Results, form: MetricFormat) -> str:
    start = f"This pilot of {plural(results.design.pairs, 'pair')} is too small for a verdict on this table:"
    end = "run at least 8 pairs to know"
    judged = [one for one in results.techniques if finite(one.delta) is not None]
    best = max(judged, key=lambda one: one.delta, default=None)
    if best is None or best.delta <= 0:
        return f"{start} so far no setting does better than the baseline; {end}."
    span = finite_interval(best.ci)
    return (
        f"{start} so far {labels(results.techniques)[best.arm]} looks best, at {form.effect(best.delta, unit=True)} of "
        f"{form.name}{f' (95 % interval {form.interval(span, sign=False)})' if span else ''}; {end}."
    )


def _nothing(results: Results, form: MetricFormat) -> str:
    judged = [one for one in results.techniques if finite(one.delta) is not None]
    count = {verdict: sum(one.verdict == verdict for one in judged) for verdict in ("equivalent", "hurts", "unclear")}
    lost = len(results.techniques) - len(judged)
    smallest = form.effect(results.design.smallest_effect, sign=False, unit=True)
    pairs = plural(results.design.pairs, "pair")
    said = [
        f"{number} {one if number == 1 else many}"
        for number, one, many in (
            (count["equivalent"], f"makes no difference beyond {smallest}", f"make no difference beyond {smallest}"),
            (count["hurts"], "hurts", "hurt"),
            (count["unclear"], f"stays unclear after {pairs}", f"stay unclear after {pairs}"),
            (lost, "did not train", "did not train"),
        )
        if number
    ]
    if len(said) == 1 and results.techniques[1:]:
        said = [f"all {said[0]}"]
    tally = " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)
    tried = f"none of the {len(results.techniques)} settings" if results.techniques[1:] else "not the one setting"
    if results.baseline.overfits:
        return (
            f"On this table your network {_overfitting(results)}, but {tried} tried is shown to improve {form.name}: "
            f"{tally}."
        )
    end = "nothing here speaks for regularization" if count["unclear"] or lost else "it needs none of them"
    return (
        f"On this table your network does not overfit and {tried} tried is shown to improve {form.name}, "
        f"so {end}: {tally}."
    )
