"""How accurate and how fast `RegimenClassifier` is beside MLPClassifier and HistGradientBoostingClassifier of sklearn.

Five tables (digits, credit_g, phoneme, letter, adult), 10 stratified splits each, 80 % to fit and 20 % to score; all
contestants see the same rows of a split and the same seed, and follow each other within it. Everything is at its
defaults, except that `auto` runs a study of at most 60 seconds inside `fit`. MLPClassifier gets scaled numbers and
one-hot categories, as its documentation advises; gradient boosting gets categories as such.

    python benchmarks/bench_estimators.py                                       # all: some 3 hours, adult the most
    python benchmarks/bench_estimators.py --tables digits,phoneme --contestants default,mlp
    python benchmarks/bench_estimators.py --quick

Differences are in points of accuracy, contestant minus MLPClassifier, over the splits: mean, 95 % t interval, the one
for new rows (Nadeau and Bengio), and the p-value of a sign-flip permutation test. Seconds are those of `fit` from the
raw rows, preparation included; BLAS and PyTorch have --threads threads (1: the products are too small for more), the
native engine of `auto` one run on each core. Tables other than digits are read from $REGIMEN_DATA/tabular.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measure import ROOT, Record, arguments, chosen, names, ratio, summary
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from regimen import RegimenClassifier
from regimen.stats import new_rows_interval, sign_flip_p, t_interval

BASE = "mlp"
CONTESTANTS = ("default", "auto", BASE, "boosting")
TABLES = {"digits": "", "credit_g": "class", "phoneme": "class", "letter": "target", "adult": "income"}
QUICK_TABLES, QUICK_ROWS = ("digits",), 400
TEST = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A table and how to fit on it."""

    name: str
    x: pl.DataFrame
    y: np.ndarray[Any, Any]
    budget: str
    threads: int
    processes: int | None

    @property
    def numbers(self) -> list[int]:
        """Places of the columns of numbers."""
        return [i for i, kind in enumerate(self.x.dtypes) if kind.is_numeric()]

    @property
    def words(self) -> list[int]:
        """Places of the columns of text."""
        return [i for i, kind in enumerate(self.x.dtypes) if not kind.is_numeric()]


def read(name: str, rows: int | None) -> tuple[pl.DataFrame, np.ndarray[Any, Any]] | None:
    """Return columns and labels of a table, None where its file is not there."""
    if name == "digits":
        x, y = load_digits(return_X_y=True)
        frame = pl.DataFrame(x, schema=[f"pixel {i}" for i in range(x.shape[1])])
    else:
        folder = Path(os.environ.get("REGIMEN_DATA", ROOT.parent / "shared" / "data"))
        path = folder / "tabular" / f"{name}.csv"
        if not path.is_file():
            return None
        frame = pl.read_csv(path, null_values=["", "?", "NA"], infer_schema_length=None)
        y = frame[TABLES[name]].to_numpy()
        frame = frame.drop(TABLES[name])
    return frame[:rows], y[:rows]


def as_cells(frame: pl.DataFrame) -> np.ndarray[Any, Any]:
    """Return a frame as scikit-learn's own estimators take mixed columns: objects, NaN or 'missing' for no value."""
    columns = [
        cells.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(object)
        if cells.dtype.is_numeric()
        else cells.fill_null("missing").to_numpy().astype(object)
        for cells in frame
    ]
    return np.stack(columns, axis=1)


def default(job: Job, seed: int) -> Any:
    """Return RegimenClassifier as it is."""
    return RegimenClassifier(n_jobs=job.processes, random_state=seed)


def auto(job: Job, seed: int) -> Any:
    """Return RegimenClassifier with a study inside `fit`."""
    return RegimenClassifier(recipe="auto", budget=job.budget, n_jobs=job.processes, random_state=seed)


def mlp(job: Job, seed: int) -> Any:
    """Return scikit-learn's perceptron behind what prepares its inputs."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    prepared = make_column_transformer((numbers, job.numbers), (words, job.words))
    return make_pipeline(prepared, MLPClassifier(random_state=seed))


def boosting(job: Job, seed: int) -> Any:
    """Return scikit-learn's gradient boosting, which takes missing numbers and categories by itself."""
    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    prepared = make_column_transformer(("passthrough", job.numbers), (words, job.words))
    categories = range(len(job.numbers), len(job.numbers) + len(job.words))
    return make_pipeline(
        prepared, HistGradientBoostingClassifier(categorical_features=list(categories), random_state=seed)
    )


MAKERS: dict[str, Callable[[Job, int], Any]] = {"default": default, "auto": auto, BASE: mlp, "boosting": boosting}


def fitted(name: str, job: Job, train: Sequence[int], test: Sequence[int], seed: int) -> tuple[float, float]:
    """Return accuracy and the seconds of `fit` of one contestant on one split."""
    model = MAKERS[name](job, seed)
    own = name in ("default", "auto")
    rows, tested = job.x[train], job.x[test]
    x, x_test = (rows, tested) if own else (as_cells(rows), as_cells(tested))
    with threadpool_limits(None if name == "boosting" else job.threads):
        started = time.perf_counter()
        model.fit(x, job.y[train])
        seconds = time.perf_counter() - started
    return float((model.predict(x_test) == job.y[test]).mean()), seconds


def measure(job: Job, contestants: Sequence[str], splits: int) -> dict[str, list[tuple[float, float]]]:
    """Return accuracy and seconds of each contestant on each split."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    divide = StratifiedShuffleSplit(n_splits=splits, test_size=TEST, random_state=0)
    for seed, (train, test) in enumerate(divide.split(np.zeros(len(job.y)), job.y)):
        for name in contestants:
            found[name].append(fitted(name, job, train, test, seed))
        print(f"{job.name}: split {seed + 1} of {splits}", file=sys.stderr, flush=True)
    return found


def row(job: Job, name: str, found: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """Return the figures of one contestant on one table."""
    scores, seconds = ([one[i] for one in found[name]] for i in (0, 1))
    figures = {
        "table": job.name,
        "rows": len(job.y),
        "contestant": name,
        "accuracy": statistics.fmean(scores),
        "fit_seconds": summary(seconds),
        "accuracies": scores,
    }
    if name == BASE or BASE not in found or len(scores) < 2:
        return figures
    base = [one[0] for one in found[BASE]]
    points = [100 * (mine - theirs) for mine, theirs in zip(scores, base, strict=True)]
    tested = round(TEST * len(job.y))
    return figures | {
        "difference": statistics.fmean(points),
        "ci": list(t_interval(points)),
        "ci_new_rows": list(new_rows_interval(points, n_train=len(job.y) - tested, n_validation=tested)),
        "p": sign_flip_p(points),
        "times_faster": ratio([one[1] for one in found[BASE]], seconds),
    }


def main(given: Sequence[str] | None = None) -> None:
    """Measure, and store."""
    parser = arguments(__doc__ or "", CONTESTANTS, repeats=10)
    parser.add_argument("--tables", type=names, help=f"only these: {','.join(TABLES)}")
    parser.add_argument("--threads", type=int, default=1, help="of BLAS and PyTorch; default 1")
    parser.add_argument("--processes", type=int, help="networks that `auto` trains at a time; default one on each core")
    options = chosen(parser, given)
    tables = options.tables or (QUICK_TABLES if options.quick else tuple(TABLES))
    if unknown := set(tables) - set(TABLES):
        parser.error(f"--tables: no such {', '.join(sorted(unknown))}; there are {','.join(TABLES)}")
    options.partial = options.partial or options.tables is not None
    torch.set_num_threads(options.threads)
    record = Record("estimators", "accuracy and seconds of fit", options, ["scikit-learn"])
    RegimenClassifier(epochs=1).fit(np.random.default_rng(0).normal(size=(50, 2)), [0, 1] * 25)  # modules are loaded
    for name in tables:
        data = read(name, QUICK_ROWS if options.quick else None)
        if data is None:
            print(f"{name} is left out: there is no file $REGIMEN_DATA/tabular/{name}.csv", file=sys.stderr)
            continue
        budget = "21runs" if options.quick else "60s"
        job = Job(name=name, x=data[0], y=data[1], budget=budget, threads=options.threads, processes=options.processes)
        found = measure(job, options.contestants, options.repeats)
        for contestant in options.contestants:
            record.add(**row(job, contestant, found))
        record.store(
            threads=options.threads, processes=options.processes
        )  # after each table: the next may take an hour


if __name__ == "__main__":
    main()
