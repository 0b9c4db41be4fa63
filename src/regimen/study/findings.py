"""What a study found, from its parts to the one record that is stored and reported."""

import statistics
from dataclasses import dataclass

from regimen import __version__
from regimen.data import METRICS, Samples, prepare
from regimen.records import (
    BaselineRecord,
    ConfirmationRecord,
    DataRecord,
    DesignRecord,
    ModelRecord,
    RecipeRecord,
    Results,
    Rows,
    TechniqueRecord,
)
from regimen.run import Recipe, SavedModel, plain_pytorch, recipe_to_toml
from regimen.study.environment import environment, trained_by
from regimen.study.family import PILOT_BELOW
from regimen.study.judging import mean_curves
from regimen.study.layout import Layout
from regimen.study.ledger import Ledger, Phase
from regimen.study.plan import BASELINE, RECIPE, Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a study leaves: the results and the trained model."""

    results: Results
    model: SavedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What the search found; `smallest_effect` is resolved, in units of the metric."""

    baseline: BaselineRecord
    techniques: tuple[TechniqueRecord, ...]
    smallest_effect: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The recipe that goes into the confirmation, the arms it combines, and the difference the search promises."""

    recipe: Recipe
    arms: tuple[str, ...] = ()
    delta: float = 0.0


def assemble(
    layout: Layout,
    plan: Plan,
    ledger: Ledger,
    *,
    search: Search,
    choice: Choice,
    confirmation: ConfirmationRecord,
    seconds: float,
) -> Results:
    """Return the content of `results.json`.

    Args:
        layout: The parts of the table.
        plan: What was planned.
        ledger: All runs.
        search: What the search found.
        choice: The recipe that was confirmed.
        confirmation: Its confirmation.
        seconds: Wall-clock seconds of the study.
    """
    table, entries = layout.table, ledger.entries
    first = entries[0].run
    prepared = prepare(table, first.split, first.recipe.input_scaling)
    metric, structure = METRICS[plan.metric], table.structure
    # Groups and times make pairs of different size.
    splits = [entry.run.split for entry in entries if entry.phase == "search" and entry.arm == BASELINE]
    curves = {arm: mean_curves(ledger.of("search", arm)) for arm in (BASELINE, *(arm.name for arm in plan.arms))}
    if choice.arms:
        # On the search's pairs, like all other curves.
        phase: Phase = "search" if len(choice.arms) == 1 else "combine"
        curves[RECIPE] = mean_curves(ledger.of(phase, " + ".join(choice.arms)))
    return Results(
        regimen=__version__,
        data=DataRecord(
            name=table.name,
            task=table.task,
            rows=Rows(
                train=round(statistics.fmean(len(split.train) for split in splits)),
                validation=round(statistics.fmean(len(split.validation) for split in splits)),
                test=len(layout.test),
            ),
            features=prepared.features,
            classes=table.classes,
            target=table.target,
            notes=(*table.notes, *layout.notes(plan.seed, plan.pairs)),
            sample="x".join(map(str, table.shape)) if isinstance(table, Samples) else "",
            weights="" if table.weights is None else table.weights.column,
        ),
        model=ModelRecord(
            name=plan.model,
            parameters=sum(p.numel() for p in first.network(prepared.inputs, prepared.outputs).parameters()),
        ),
        design=DesignRecord(
            pairs=plan.pairs,
            epochs=plan.recipe.epochs,
            runs=len(entries),
            steps=sum(entry.result.steps for entry in entries),
            engine=plan.engine,
            seconds=seconds,
            metric=plan.metric,
            smallest_effect=search.smallest_effect,
            pilot=plan.pairs < PILOT_BELOW,
            fresh=plan.fresh,
            metric_unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            set_aside=0 if layout.aside is None else len(layout.aside),
            division="drawn" if structure is None else structure.by,
            division_column="" if structure is None else structure.column,
            folds=plan.folds,
        ),
        plan=plan.to_dict(),
        baseline=search.baseline,
        techniques=search.techniques,
        recipe=RecipeRecord(
            toml=recipe_to_toml(choice.recipe),
            code=plain_pytorch(
                choice.recipe,
                first.model,
                inputs=prepared.inputs,
                outputs=prepared.outputs,
                task=table.task,
                data=table,
            ),
            arms=choice.arms,
        ),
        confirmation=confirmation,
        runs=tuple(entry.record() for entry in entries),
        curves=curves,
        environment=environment() | {"trained_by": trained_by(entry.result for entry in entries)},
    )
