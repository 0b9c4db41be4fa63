"""From options and a table to the plan: the family, the pairs, and what a budget of runs or seconds leaves of them."""

import statistics
import time
from collections.abc import Sequence

from regimen import streams
from regimen.data import default_metric, find_metric
from regimen.engine import choose_engine, why_not
from regimen.run import Recipe, Run, recipe_to_dict
from regimen.study.family import Breadth, Shape, candidate_arms, fit, full_shape
from regimen.study.layout import Layout, search_key
from regimen.study.ledger import Trains
from regimen.study.options import StudyOptions
from regimen.study.plan import BASELINE, Arm, Plan

# A plan for a budget in seconds leaves this share for what calibration can not see: reading, statistics, the report.
RESERVE_SHARE, RESERVE_SECONDS = 0.05, 1.0
CALIBRATION_EPOCHS = 2


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
        OptionError: The options do not fit the data, or the budget is too small for anything.
    """
    table = layout.table
    first = layout.search_split(search_key(options.seed, 0))
    baseline = options.recipe(len(first.train))
    model = options.network
    metric = (default_metric(table) if options.metric is None else find_metric(options.metric, table.task)).name
    limit = options.limit
    probe = Run(recipe=baseline, model=model, data=table, split=first, key=0, metric=metric)
    choice = choose_engine(options.engine)
    fast = choice.name == "native" and why_not(probe) is None
    breadth: Breadth = "all" if limit is not None else "settings" if fast else "first"
    arms, notes = candidate_arms(options.techniques, task=table.task, baseline=baseline, model=model, breadth=breadth)
    if limit is None:
        shape = full_shape(arms, options.pairs)
    elif limit.unit == "runs":
        shape = fit(arms, options.pairs, lambda shape: shape.runs, limit.amount)
    else:
        costs = calibrate(probe, arms, trainer, processes=processes)
        left = limit.amount * (1 - RESERVE_SHARE) - RESERVE_SECONDS - (time.perf_counter() - started)
        shape = fit(
            arms, options.pairs, lambda shape: seconds_of(shape, costs, processes), max(left, 0.0), unit="seconds"
        )
    if limit is not None and len(shape.arms) < len(arms):
        notes.append(f"the budget of {limit} leaves {len(shape.arms)} of {len(arms)} arms")
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
        fresh=layout.fresh,
        seed=options.seed,
        engine=choice.name,
        budget="" if limit is None else str(limit),
        notes=tuple(notes),
        command=command,
        reasons=choice.reasons,
    )


def calibrate(probe: Run, arms: Sequence[Arm], trainer: Trains, *, processes: int) -> dict[str, float]:
    """Return the seconds that a whole run of each arm takes, from two epochs of each technique's first arm.

    The runs train side by side as they will in the study. Setup is told from epochs by a run of one epoch less.
    """
    baseline = probe.recipe
    firsts = {arm.technique: arm for arm in reversed(arms)}
    named: dict[str, Recipe] = {BASELINE: baseline} | {name: arm.recipe(baseline) for name, arm in firsts.items()}
    keys = [streams.run_key(0, pair=i, phase=255) for i in range(len(named) + processes)]

    def variant(recipe: Recipe, key: int) -> Run:
        short = recipe.replace(epochs=CALIBRATION_EPOCHS)
        return Run(recipe=short, model=probe.model, data=probe.data, split=probe.split, key=key, metric=probe.metric)

    # The first runs start the processes and prepare the table there; their times are thrown away.
    trainer.train([variant(baseline, key) for key in keys[:processes]])
    results = trainer.train(
        [variant(recipe, key) for recipe, key in zip(named.values(), keys[processes:], strict=True)]
    )
    per_epoch = [result.seconds / CALIBRATION_EPOCHS for result in results]
    usual = statistics.median(per_epoch)
    measured = dict(zip(named, per_epoch, strict=True))
    # One slow moment of a shared machine must not price a technique out: nothing is taken for cheaper than half the
    # median or dearer than three times it.
    seconds = {name: min(max(value, 0.5 * usual), 3.0 * usual) * baseline.epochs for name, value in measured.items()}
    return {BASELINE: seconds[BASELINE]} | {arm.name: seconds[arm.technique] for arm in arms}


def seconds_of(shape: Shape, costs: dict[str, float], processes: int) -> float:
    """Return the seconds that a shape takes at most, given those of each arm's run."""
    arms = [costs[arm.name] for arm in shape.arms]
    dearest = max(arms)
    search = (costs[BASELINE] + sum(arms) + shape.combinations * dearest) * shape.pairs
    confirmation = (costs[BASELINE] + dearest) * shape.confirmation_pairs
    # The last run of a phase may run alone: half a run is lost in each.
    phases = 3 + shape.combinations
    return (search + confirmation) / processes + dearest * (1 + 0.5 * phases)
