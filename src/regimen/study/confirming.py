"""Recipe against baseline where the search never looked: fresh pairs, fresh rows if any, and the test part."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.data import METRICS, Preparation, SamplePreparation, Samples, Structure, Table
from regimen.records import ConfirmationRecord, Interval, RunResult, TestRecord
from regimen.run import Run
from regimen.stats import crossed_interval, deleted_together, effective_groups, jackknife_se, t_interval
from regimen.study.judging import metrics

Floats = npt.NDArray[np.float64]
Outputs = npt.NDArray[np.float32]
GROUPS, STRETCHES = 100, 20
# Metrics that are not defined without rows of a class.
NEEDS_EVERY_CLASS = frozenset({"roc_auc"})
# Metrics of each class by itself, whatever the shares of the classes.
OF_EACH_CLASS = NEEDS_EVERY_CLASS | {"balanced_accuracy", "f1_macro"}


def part_metric(run: Run, outputs: Outputs, part: str) -> Callable[[npt.NDArray[np.int64]], float]:
    """Return a function from kept rows of a part (indices into it) to the metric of the run's outputs on them."""
    rows = getattr(run.split, part)
    targets = run.data.y[rows]
    if isinstance(run.data, Table) and run.data.task == "regression":
        predictions = Preparation.fit(run.data, run.split.train, run.recipe.input_scaling).predictions(outputs)
    elif isinstance(run.data, Samples):
        predictions = SamplePreparation.fit(run.data, run.split.train).predictions(outputs)
    else:
        predictions = outputs.astype(np.float64)  # logits as they are: no preparation would tell more
    function = METRICS[run.metric].function
    weights = None if run.data.weights is None else run.data.weights.of(rows)
    return lambda kept: function(targets[kept], predictions[kept], None if weights is None else weights[kept])


def compare_on_rows(
    runs: Sequence[tuple[Run, Run]], results: Sequence[tuple[RunResult, RunResult]], part: str
) -> tuple[float, float, float, Interval]:
    """Compare baseline and recipe on one fixed set of rows over all pairs.

    Args:
        runs: (baseline, recipe) of each pair; the rows of `part` are the same in all.
        results: Their results, with outputs.
        part: `validation` or `test`.

    Returns:
        Mean metric of the baseline and of the recipe, the mean difference (> 0 better) and its 95 % interval, which
        covers both other keys and other rows.
    """
    sign = 1.0 if METRICS[runs[0][0].metric].higher_is_better else -1.0
    evaluate = [
        (part_metric(base, _outputs(base_result, part), part), part_metric(recipe, _outputs(result, part), part))
        for (base, recipe), (base_result, result) in zip(runs, results, strict=True)
    ]
    n_rows = len(getattr(runs[0][0].split, part))
    everything = np.arange(n_rows)
    values = np.array([[base(everything), recipe(everything)] for base, recipe in evaluate])
    differences = sign * (values[:, 1] - values[:, 0])

    def mean_difference(kept: npt.NDArray[np.int64]) -> float:
        return sign * math.fsum(recipe(kept) - base(kept) for base, recipe in evaluate) / len(evaluate)

    data, rows = runs[0][0].data, getattr(runs[0][0].split, part)
    targets = data.y[rows]
    # Differences of 0 in all pairs are not enough: on other rows as many won as lost may be more or fewer.
    same = all(base is recipe for base, recipe in results)
    order = order_left_out(targets, runs[0][0].metric)
    fixed = rows_alone(targets) if runs[0][0].metric in NEEDS_EVERY_CLASS else ()
    left_out: dict[str, Any] = {"groups": GROUPS, "order": order, "fixed": fixed}
    left_out["clusters"] = clusters_of(data.structure, rows)
    row_se = 0.0 if same else jackknife_se(mean_difference, n_rows, **left_out)
    together = deleted_together(n_rows, **left_out)
    counted = effective_groups(together, None if data.weights is None else data.weights.of(rows))
    interval = crossed_interval(differences, row_se, groups=counted)
    return float(values[:, 0].mean()), float(values[:, 1].mean()), float(differences.mean()), interval


def order_left_out(targets: npt.NDArray[Any], metric: str) -> npt.NDArray[np.int64]:
    """Return the order in which the jackknife deals rows to its groups: a random one, always the same.

    Dealt in the order of their targets, or of a file, groups would be alike in whatever depends on that, and the
    standard error would leave it out: of 400 to 2,000 rows of a regression, intervals missed 20 to 53 % of true
    differences. Metrics of each class by itself do not depend on the shares of the classes: for them the classes are
    dealt one after the other, so that no group takes all rows of a class that has two.

    Example:
        >>> order_left_out(np.array([1, 0, 1, 0]), "roc_auc").tolist()
        [1, 3, 2, 0]
    """
    order = np.random.default_rng(0).permutation(len(targets))
    return order[np.argsort(targets[order], kind="stable")] if metric in OF_EACH_CLASS else order


def clusters_of(structure: Structure | None, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Return which of the rows depend on each other: those of one group, or of one of 20 stretches of time.

    Stretches have equally many different times. They are long, because what is near in time is alike; with 20 of them
    the standard error is known to 16 %.

    Example:
        >>> structure = Structure(by="time", column="day", values=np.arange(40))
        >>> clusters_of(structure, np.arange(40))[:5].tolist()
        [0, 0, 1, 1, 2]
    """
    if structure is None:
        return None
    values = structure.values[rows]
    if structure.by == "group":
        return values
    times, ranks = np.unique(values, return_inverse=True)
    return ranks.reshape(-1) * min(STRETCHES, len(times)) // len(times)


def rows_alone(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the positions of the targets that no other row shares.

    Example:
        >>> rows_alone(np.array([0, 1, 0, 2])).tolist()
        [1, 3]
    """
    _, first, counts = np.unique(targets, return_index=True, return_counts=True)
    return np.sort(first[counts == 1])


def _outputs(result: RunResult, part: str) -> Outputs:
    if result.outputs is None:
        raise ValueError(f"run {result.identity} was trained without keeping its outputs")
    return result.outputs[part]


def confirm(
    runs: Sequence[tuple[Run, Run]],
    results: Sequence[tuple[RunResult, RunResult]],
    *,
    same_rows: bool,
    search_delta: float,
    model_metric: float,
) -> ConfirmationRecord:
    """Return the confirmation of a recipe.

    Args:
        runs: (baseline, recipe) of each fresh pair.
        results: Their results, with outputs.
        same_rows: Whether the validation rows are the same in every pair, because they were set aside before the
            search or given as a file: then all pairs share what those rows favour.
        search_delta: What the search promised.
        model_metric: Metric of the saved model on the test part.
    """
    sign = 1.0 if METRICS[runs[0][0].metric].higher_is_better else -1.0
    base = metrics([first for first, _ in results])
    recipe = metrics([second for _, second in results])
    differences = sign * (recipe - base)
    interval = compare_on_rows(runs, results, "validation")[3] if same_rows else t_interval(differences)
    test_base, test_recipe, test_delta, test_interval = compare_on_rows(runs, results, "test")
    return ConfirmationRecord(
        pairs=len(runs),
        baseline=float(base.mean()),
        recipe=float(recipe.mean()),
        delta=float(differences.mean()),
        ci=interval,
        search_delta=search_delta,
        test=TestRecord(
            rows=len(runs[0][0].split.test),
            baseline=test_base,
            recipe=test_recipe,
            delta=test_delta,
            ci=test_interval,
            model=model_metric,
        ),
    )
