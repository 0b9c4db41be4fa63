"""The verdict of a study in one plain sentence, and how far its evidence goes."""

from typing import Literal

from regimen.records import Results, TechniqueRecord
from regimen.report.names import labels
from regimen.report.quantities import MetricFormat, finite, finite_interval, loss, plural, probability

Standing = Literal["empty", "pilot", "none", "promised", "confirmed", "weaker", "unproven", "worse"]

# Limits of `regimen.stats.gaps`, which needs SciPy: the share of the validation loss, and of late epochs in it.
RELATIVE_GAP, LATE_EXCESS = 0.10, 0.05

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


def overfitting(results: Results) -> str:
    """Return "overfits", "does not overfit", or "is not shown to overfit" where the intervals leave both possible."""
    baseline = results.baseline
    if baseline.overfits:
        return "overfits"
    gap, late = finite_interval(baseline.gap_ci), finite_interval(baseline.late_loss_ci)
    small = gap is not None and gap[1] <= RELATIVE_GAP * baseline.validation_loss
    return "does not overfit" if small and (late is None or late[1] <= LATE_EXCESS) else "is not shown to overfit"


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


def _need(results: Results) -> str:
    if results.baseline.overfits:
        return "On this table your network needs"
    return f"On this table your network {overfitting(results)}, yet it gains from"


def _overfitting(results: Results) -> str:
    if not results.baseline.overfits:
        return overfitting(results)
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
        f"On this table your network {overfitting(results)} and {tried} tried is shown to improve {form.name}, "
        f"so {end}: {tally}."
    )
