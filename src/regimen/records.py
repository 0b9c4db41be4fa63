"""Frozen results as they are stored and reported, and their JSON (schema 1); no torch, so a report needs none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.errors import StoreError

SCHEMA = 1

Task = Literal["classification", "regression"]
Verdict = Literal["helps", "hurts", "equivalent", "unclear"]
Fresh = Literal["rows", "seeds"]
Division = Literal["drawn", "group", "time"]
Status = Literal["finished", "stopped", "diverged", "failed"]
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Losses and metric after every epoch, in eval mode; entry 0 belongs to the end of the first epoch."""

    train_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    metric: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """What one training gave.

    Attributes:
        identity: SHA-256 of all that defines the run (`Run.identity`).
        status: `finished`; `stopped` early; `diverged` (non-finite loss); `failed` (exception, see `message`).
        metric: The study's metric on the validation part at the returned epoch, in its own unit and direction.
        train_loss: Plain criterion in eval mode over the training part, at the returned epoch.
        validation_loss: The same over the validation part.
        epoch: Returned epoch, counted from 1.
        epochs_run: Epochs trained, `epoch` and those after it.
        steps: Optimizer steps taken.
        seconds: Seconds that the thread which trained it has computed; on a graphics card, its share of those that
            passed.
        curves: Per-epoch values.
        message: Why a run failed or diverged; empty otherwise.
        outputs: Raw network outputs by part, float32 `[rows, outputs]`, where they were asked for.
        weights: Parameters and buffers by `state_dict` name, where they were asked for.
        engine: Which engine trained it.
        why: Why that engine, where a faster one was there and could not train this run; empty otherwise.
    """

    identity: str
    status: Status
    metric: float
    train_loss: float
    validation_loss: float
    epoch: int
    epochs_run: int
    steps: int
    seconds: float
    curves: Curves = field(default_factory=Curves)
    message: str = ""
    outputs: Mapping[str, npt.NDArray[np.float32]] | None = None
    weights: Mapping[str, npt.NDArray[Any]] | None = None
    engine: str = "reference"
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Rows of each part; `train` and `validation` are those of one pair of the search."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """The data that were studied; `notes` are the decisions taken about them, in words.

    `sample` is the shape of one sample that the network is fed as it is, such as `8x8`; empty for tables and images.
    `weights` is the name of the column of weights by which rows count in training and in every loss and metric; empty
    where all count alike.
    """

    name: str
    task: Task
    rows: Rows
    features: int
    classes: tuple[str, ...]
    target: str = ""
    notes: tuple[str, ...] = ()
    sample: str = ""
    weights: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRecord:
    """The network that was studied."""

    name: str
    parameters: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignRecord:
    """How the study was done. `steps` counts optimizer steps over all `runs`; `smallest_effect` is in metric units.

    `metric_unit` says how metric values and deltas print: `points` (of 0..1, shown times 100), `target` (units of the
    target) or `plain`. `higher_is_better` gives the metric's own direction; every `delta` is > 0 when better. Rows are
    `drawn` into parts, or divided by the groups or times of `division_column`; with `folds` the pairs of the search are
    the folds of repeated cross-validation.
    """

    pairs: int
    epochs: int
    runs: int
    steps: int
    engine: str
    seconds: float
    metric: str
    smallest_effect: float
    pilot: bool
    fresh: Fresh
    metric_unit: Literal["points", "target", "plain"] = "points"
    higher_is_better: bool = True
    set_aside: int = 0
    division: Division = "drawn"
    division_column: str = ""
    folds: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineRecord:
    """The network without the techniques. `mean` and `sd` are of the metric over pairs; losses are means.

    `late_loss` is the relative excess of the last epoch's validation loss over that of the epoch chosen on the stop
    part, with its 95 % interval; null when no arm with early stopping was run.
    """

    mean: float
    sd: float
    train_loss: float
    validation_loss: float
    gap: float
    gap_ci: Interval
    overfits: bool
    late_loss: float | None = None
    late_loss_ci: Interval | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TechniqueRecord:
    """One arm of the search against the baseline, over shared pairs.

    Attributes:
        arm: Name of the arm in `runs` and `curves`.
        name: Technique, as in the catalogue.
        setting: What the arm changes in the baseline recipe.
        mean: Mean metric of the arm, in its own unit and direction.
        delta: Mean paired difference to the baseline, > 0 when better.
        ci: 95 % t interval of `delta`, per arm, unadjusted.
        ci_new_rows: The same widened for new rows (Nadeau and Bengio 2003); `ci` again where pairs say nothing of other
            rows: the validation rows were given (`plan.given_validation`), or rows are divided by time.
        p: Exact sign-flip permutation p-value, two-sided, unadjusted.
        p_adjusted: Max-|t| permutation over the family of all arms.
        p_new_rows: The same with the standard error of `ci_new_rows`: whether the effect holds on new rows, of the best
            of all arms too. Null where pairs say nothing of other rows, and in results of earlier versions.
        probability_of_improvement: Share of pairs in which the arm is better, ties counted half.
        gap: Mean validation loss minus mean training loss.
        pairs_needed: Pairs for 80 % power at the smallest effect of interest; null above 200.
        strength: The setting as one number for the response curve; null where it has none (a kind, not a rate).
        cost: Median seconds of the arm's runs over those of the baseline.
        diverged: Runs of the arm that diverged or failed.
    """

    arm: str
    name: str
    setting: dict[str, Any]
    mean: float
    delta: float
    ci: Interval
    ci_new_rows: Interval
    p: float
    p_adjusted: float
    probability_of_improvement: float
    gap: float
    verdict: Verdict
    pairs_needed: int | None
    strength: float | None = None
    cost: float = 1.0
    diverged: int = 0
    p_new_rows: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeRecord:
    """The recommended recipe, as TOML and as plain PyTorch; `arms` are the search's arms it combines."""

    toml: str
    code: str
    arms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRecord:
    """Baseline and recipe on the test part, touched once; `model` is the saved model's own metric there.

    `ci` of `delta` covers both the choice of test rows (jackknife) and the training keys.
    """

    rows: int
    baseline: float
    recipe: float
    delta: float
    ci: Interval
    model: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfirmationRecord:
    """The recipe against the baseline on pairs the search never saw; `search_delta` is what the search promised."""

    pairs: int
    baseline: float
    recipe: float
    delta: float
    ci: Interval
    search_delta: float
    test: TestRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One run as a row of the raw results. `seed` is the run key; `epoch` the returned epoch."""

    arm: str
    phase: Literal["search", "combine", "confirm", "final"]
    pair: int
    seed: int
    status: Status
    metric: float | None
    train_loss: float | None
    validation_loss: float | None
    epoch: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveRecord:
    """Mean curves of one arm over its pairs.

    `lo` and `hi` are the validation loss -+ one standard deviation over pairs; `lo` is never below 0.
    """

    epoch: tuple[int, ...]
    train: tuple[float, ...]
    validation: tuple[float, ...]
    lo: tuple[float, ...]
    hi: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Everything a study found: the content of `results.json`. Arm `baseline` is always in `runs` and `curves`."""

    regimen: str
    data: DataRecord
    model: ModelRecord
    design: DesignRecord
    plan: dict[str, Any]
    baseline: BaselineRecord
    techniques: tuple[TechniqueRecord, ...]
    recipe: RecipeRecord
    confirmation: ConfirmationRecord
    runs: tuple[RunRecord, ...]
    curves: dict[str, CurveRecord]
    environment: dict[str, Any]
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Return the results as indented JSON; non-finite numbers become null."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read `results.json`.

        Raises:
            StoreError: The file is missing, is no JSON, has another schema, or lacks fields.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise StoreError(f"expected the results of a study at {path}: {error.strerror}") from error
        try:
            found = msgspec.json.decode(text)
            schema = found.get("schema") if isinstance(found, dict) else None
            if schema != SCHEMA:
                raise StoreError(f"{path} has schema {schema!r}; this version of regimen reads schema {SCHEMA}")
            return msgspec.convert(found, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} is not the results of a study: {error}; run `regimen study` again") from error
