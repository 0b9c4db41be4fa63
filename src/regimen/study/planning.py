"""From options and a table to the plan: the family, the pairs, and what a budget of runs or seconds leaves of them."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from regimen import streams
from regimen.data import METRICS, Images, Samples, default_metric, find_metric
from regimen.data.metrics import MOST_EFFECT
from regimen.engine import against_native, choose_engine
from regimen.errors import OptionError
from regimen.models import OwnModule
from regimen.run import Run, recipe_to_dict
from regimen.study.family import DEFAULT_PAIRS, Breadth, Shape, candidate_arms, fit, full_shape, whole_repetitions
from regimen.study.layout import Layout
from regimen.study.ledger import Trains
from regimen.study.options import StudyOptions
from regimen.study.own_modules import Trial
from regimen.study.plan import BASELINE, Arm, Plan
from regimen.study.scored import check_scored_parts

# A plan for a budget in seconds leaves this share for what calibration cannot see: reading, statistics, the report.
RESERVE_SHARE, RESERVE_SECONDS = 0.03, 1.5
SHORT_EPOCHS, LONG_EPOCHS = 1, 5
# Calibration takes at most this share of the budget, after the first epoch of the baseline.
CALIBRATION_SHARE = 0.2
# A technique is priced at no more than this many usual runs, and at that if calibration did not reach it.
UNREACHED = 3.0


def make_plan(
    layout: Layout, options: StudyOptions, trainer: Trains, *, processes: int, started: float, command: str = ""
) -> Plan:
    """Return the plan of a study.

    Args:
        layout: The parts of the table.
        options: What the user asked for.
        trainer: Runs the calibration that a budget in seconds needs.
        processes: Runs trained at a time.
        started: `time.perf_counter()` when the study began; time spent since counts against a budget in seconds.
        command: Command line, for the record.

    Raises:
        OptionError: The options do not fit the data, or a part cannot be scored.
        BudgetError: The budget is too small for anything.
    """
    table = layout.table
    first = layout.search_pair(options.seed, 0)[1]
    baseline = options.recipe(len(first.train))
    model = options.network(table)
    metric = (default_metric(table) if options.metric is None else find_metric(options.metric, table.task)).name
    if options.smallest_effect is not None and options.smallest_effect >= 1 and METRICS[metric].unit == "points":
        raise OptionError(
            f"--smallest-effect: expected less than 1 for {metric}, which is between 0 and 1, got "
            f"{options.smallest_effect:g}; {options.smallest_effect / 100:g} is {options.smallest_effect:g} points"
        )
    pairs = whole_repetitions(options.pairs or DEFAULT_PAIRS, layout.folds)
    check_scored_parts(layout, metric, seed=options.seed, pairs=pairs)
    limit = options.limit
    probe = Run(recipe=baseline, model=model, data=table, split=first, key=0, metric=metric)
    trial = Trial.of(probe)
    choice = choose_engine(options.engine, options.device)
    fast = choice.name == "native" and against_native(probe, options.engine) is None
    breadth: Breadth = "all" if limit is not None else "settings" if fast else "first"
    arms, notes = candidate_arms(
        options.techniques,
        task=table.task,
        baseline=baseline,
        model=model,
        breadth=breadth,
        images=isinstance(table, Images),
        samples=table if isinstance(table, Samples) else None,
        refusal=None if trial is None else trial.refusal,
    )
    notes = [*(trial.notes if trial else ()), *notes]
    folds = layout.folds
    if limit is None:
        shape = full_shape(arms, options.pairs, folds)
    elif limit.unit == "runs":
        shape = fit(arms, options.pairs, lambda shape: shape.runs, limit.amount, folds=folds)
    else:
        costs = calibrate(probe, arms, trainer, allowance=CALIBRATION_SHARE * limit.amount)
        left = limit.amount * (1 - RESERVE_SHARE) - RESERVE_SECONDS - (time.perf_counter() - started)
        shape = fit(
            arms,
            options.pairs,
            lambda shape: seconds_of(shape, costs, processes),
            max(left, 0.0),
            unit="seconds",
            folds=folds,
        )
    if limit is not None and len(shape.arms) < len(arms):
        notes.append(f"the budget of {limit} leaves {len(shape.arms)} of {len(arms)} arms")
    if options.pairs is not None and shape.pairs != options.pairs:
        notes.append(f"{options.pairs} pairs were rounded up to {shape.pairs}, whole repetitions of {folds} folds")
    return Plan(
        data=table.name,
        digest=table.digest,
        model=model.name,
        baseline=recipe_to_dict(baseline),
        arms=shape.arms,
        pairs=shape.pairs,
        confirmation_pairs=shape.confirmation_pairs,
        combinations=shape.combinations,
        metric=metric,
        smallest_effect=options.smallest_effect,
        effect_at_most=MOST_EFFECT,
        fresh=layout.fresh,
        seed=options.seed,
        engine=choice.name,
        budget="" if limit is None else str(limit),
        notes=tuple(notes),
        command=command,
        reasons=choice.reasons,
        asked_engine=options.engine,
        device=options.device,
        given_validation=layout.given_validation,
        folds=folds,
        model_digest=model.digest if isinstance(model, OwnModule) else "",
    )


def calibrate(probe: Run, arms: Sequence[Arm], trainer: Trains, *, allowance: float = math.inf) -> dict[str, float]:
    """Return what one more run of each arm adds to the wall-clock seconds of a list of runs, by the arm's name.

    The baseline is trained for one epoch first, whatever it takes: that starts the processes too. Then each technique's
    first arm is trained for one epoch and for five, all side by side as in the study: the difference tells epochs from
    set-up, and the shares of the single runs tell dear techniques from cheap ones. Techniques that the allowance does
    not reach count as three times the baseline, which is what the dearest is priced at anyway.

    Args:
        probe: The baseline's first run.
        arms: The arms to price.
        trainer: Trains the runs.
        allowance: Seconds to spend after that first epoch.
    """
    firsts = {arm.technique: arm for arm in reversed(arms)}
    ordered = {arm.technique: firsts[arm.technique] for arm in arms}
    named = {BASELINE: probe.recipe} | {name: arm.recipe(probe.recipe) for name, arm in ordered.items()}
    names = list(named)

    def measure(chosen: Sequence[str], epochs: int, phase: int) -> tuple[float, list[float]]:
        runs = [
            replace(
                probe,
                recipe=named[name].replace(epochs=epochs),
                key=streams.run_key(0, pair=names.index(name), phase=phase),
            )
            for name in chosen
        ]
        began = time.perf_counter()
        results = trainer.train(runs)
        return time.perf_counter() - began, [result.seconds for result in results]

    # One epoch of each, whose times are thrown away: the processes start and prepare the table there. It also tells how
    # many techniques the epochs below leave time for; a list never takes more than doubles what is known to fit.
    _, [once] = measure([BASELINE], 1, phase=252)
    passes = 1 + SHORT_EPOCHS + LONG_EPOCHS
    reached, spent = 0, 0.0
    while reached < len(names):
        more = names[reached : max(1, 2 * reached)]
        expected = spent + (spent / reached if reached else once) * len(more)
        if (passes if reached else 1) * expected > allowance:
            break
        spent += measure(more, 1, phase=253)[0]
        reached += len(more)
    if passes * spent > allowance or not reached:
        costs = {BASELINE: once * probe.recipe.epochs}
    else:
        costs = _priced(measure, names[:reached], probe.recipe.epochs)
    unreached = UNREACHED * costs[BASELINE]
    return {BASELINE: costs[BASELINE]} | {arm.name: costs.get(arm.technique, unreached) for arm in arms}


def _priced(
    measure: Callable[[Sequence[str], int, int], tuple[float, list[float]]], names: Sequence[str], epochs: int
) -> dict[str, float]:
    """Return the seconds that a run of `epochs` adds, for each of `names`, from a short and a long list of them all."""
    short, _ = measure(names, SHORT_EPOCHS, 254)
    long, seconds = measure(names, LONG_EPOCHS, 255)
    per_epoch = max(long - short, 0.0) / (LONG_EPOCHS - SHORT_EPOCHS)
    total = max(short - per_epoch * SHORT_EPOCHS, 0.0) + per_epoch * epochs
    # One slow moment of a shared machine must not price a technique out: no share is taken for under half the median
    # or over three times it.
    usual = statistics.median(seconds)
    shares = [min(max(value, 0.5 * usual), UNREACHED * usual) for value in seconds]
    return {name: total * share / sum(shares) for name, share in zip(names, shares, strict=True)}


def seconds_of(shape: Shape, costs: dict[str, float], processes: int) -> float:
    """Return the seconds that a shape takes at most, given what each arm's run adds (see `calibrate`)."""
    arms = [costs[arm.name] for arm in shape.arms]
    dearest = max(arms)
    search = (costs[BASELINE] + sum(arms) + shape.combinations * dearest) * shape.pairs
    confirmation = (costs[BASELINE] + dearest) * shape.confirmation_pairs
    # The last run of a phase runs alone for half its time, and the final training has no company at all.
    phases = 2 + shape.combinations
    return search + confirmation + dearest * processes * (1.5 + 0.5 * phases)
