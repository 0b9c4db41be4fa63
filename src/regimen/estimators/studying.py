"""The study inside `fit` with `recipe="auto"`: of all rows, or of as many as the budget has time for."""

import math
import time
from dataclasses import replace

import numpy as np

from regimen import streams
from regimen.data import Table, pair_split
from regimen.data.naming import counted
from regimen.errors import BudgetError
from regimen.estimators.training import FINAL, part_of
from regimen.report.sentence import verdict_sentence
from regimen.study import Study, StudyOptions
from regimen.study.findings import Findings
from regimen.study.options import Budget

# Of the rows that a proportion gives: the clock of the first study may have been a quick one. And of those a quarter,
# so that several techniques are tried where the smallest study tries one.
CAUTION, BREADTH = 0.7, 0.25
# Fewer rows tell too little about the techniques that all of them need.
FEWEST_ROWS = 500


def study_within(table: Table, options: StudyOptions) -> tuple[Findings, tuple[str, ...]]:
    """Return what a study of the rows finds, and what there is to say about it: its verdict, its extent.

    Where a budget in seconds is too small for the smallest study of all rows, a random part of them is studied that
    leaves time for several techniques. The second attempt has what the first left, at least half of the budget, so both
    together take up to one and a half times it.

    Args:
        table: The rows that may choose the recipe.
        options: Of the study.

    Raises:
        BudgetError: The budget is one of runs, or too small for 500 rows.
    """
    started = time.perf_counter()
    try:
        return _with_notes(Study(data=table, options=options).run())
    except BudgetError as error:
        limit = options.limit
        rows = CAUTION * table.n * error.room / error.least
        if limit is None or limit.unit != "s" or rows < FEWEST_ROWS:
            raise
    left = max(limit.amount - (time.perf_counter() - started), limit.amount / 2)
    share = max(BREADTH * rows, FEWEST_ROWS) / table.n
    key = streams.run_key(options.seed, pair=0, phase=FINAL)
    part = pair_split(table, np.arange(table.n), key, validation_fraction=share).validation
    shorter = replace(options, budget=Budget(math.ceil(left), "s"))
    note = f"a budget of {limit} has time for a study of {len(part):,} of {table.n:,} rows; all are trained on"
    return _with_notes(Study(data=part_of(table, part), options=shorter).run(), note)


def _with_notes(findings: Findings, *notes: str) -> tuple[Findings, tuple[str, ...]]:
    results = findings.results
    tried = counted(len(results.techniques), "setting")
    verdict = f"the study of {tried} on {results.design.pairs} pairs says: {verdict_sentence(results)}"
    return findings, (*notes, verdict)
