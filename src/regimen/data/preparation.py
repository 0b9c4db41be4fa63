"""What turns a table into the inputs of a network: fitted by scikit-learn on training rows, kept as plain numbers."""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from regimen.data.tables import MAX_LEVELS, Column, Features, Floats, Rows, Table
from regimen.errors import DataError, OptionError, StoreError, nearest
from regimen.records import Task

Scaling = Literal["standard", "minmax", "robust", "none"]
# Given numbers: the center and the scale of each number or channel.
Constants = tuple[tuple[float, ...], tuple[float, ...]]
Kind = TypeVar("Kind")
# Class in scikit-learn, and its attribute that is subtracted.
_SCALERS = {
    "standard": ("StandardScaler", "mean_"),
    "minmax": ("MinMaxScaler", "data_min_"),
    "robust": ("RobustScaler", "center_"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """Everything needed to turn rows into network inputs, and outputs into predictions; JSON in and out, no pickle.

    Inputs stand in this order: the scaled numbers, z = (x - center) / scale with missing x filled; one 0-1 indicator
    for each number that had missing cells in training; for each category one 0-1 input a level (one-hot).

    Attributes:
        columns: What each column of the table was, so that other files are read the same way.
        scaling: How numbers were scaled; `constants` for given numbers.
        fill: What stands for a missing number: the median.
        center: Subtracted from each number.
        scale: Divides each number.
        indicators: Which numbers have an indicator of being missing.
        levels: For each category the levels with an input of their own, None for the missing cell.
        rare: For each category whether all other levels, unseen ones too, share one more input; else they give zeros.
        task: `classification` or `regression`.
        target: Name of the target column.
        classes: Label of each output; empty for regression.
        target_mean: Mean of the training targets; 0 for classification.
        target_scale: Their standard deviation; 1 for classification.
    """

    columns: tuple[Column, ...]
    scaling: Scaling | Literal["constants"]
    fill: tuple[float, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    indicators: tuple[int, ...]
    levels: tuple[tuple[str | None, ...], ...]
    rare: tuple[bool, ...]
    task: Task
    target: str
    classes: tuple[str, ...]
    target_mean: float
    target_scale: float

    def __post_init__(self) -> None:
        numbers = sum(len(column.number_names) for column in self.columns)
        categories = sum(column.kind == "category" for column in self.columns)
        lengths = [len(self.fill), len(self.center), len(self.scale), len(self.levels), len(self.rare)]
        if lengths != [numbers] * 3 + [categories] * 2 or any(not 0 <= i < numbers for i in self.indicators):
            raise ValueError(f"expected numbers for {numbers} numeric and {categories} category columns, got {lengths}")

    @classmethod
    def fit(cls, table: Table, rows: Rows, scaling: Scaling | Constants = "standard") -> "Preparation":
        """Fit on the given rows: medians, scales, levels, and the scale of a regression target.

        Args:
            table: The table.
            rows: Training rows.
            scaling: `standard` (mean 0, standard deviation 1), `minmax` (0 to 1), `robust` (median 0, interquartile
                range 1), `none`, or given numbers: (center of each number, scale of each number).

        Raises:
            OptionError: There is no such scaling, or the numbers do not fit.

        Example:
            >>> from regimen.data import load
            >>> iris = load("iris")
            >>> Preparation.fit(iris, np.arange(150)).feature_names[0]
            'sepal length (cm)'
        """
        numbers = table.numbers[rows]
        require_scaling(scaling, numbers.shape[1])
        levels, rare = _fit_categories(table, rows)
        mean, spread = 0.0, 1.0
        if table.task == "regression":
            mean, spread = float(table.y[rows].mean()), float(table.y[rows].std()) or 1.0
        return cls(
            columns=tuple(replace(column, levels=()) for column in table.columns),
            scaling=scaling if isinstance(scaling, str) else "constants",
            indicators=tuple(np.flatnonzero(np.isnan(numbers).any(axis=0)).tolist()),
            levels=levels,
            rare=rare,
            task=table.task,
            target=table.target,
            classes=table.classes,
            target_mean=mean,
            target_scale=spread,
            **_fit_numbers(numbers, scaling),
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each input of the network."""
        numbers = [name for column in self.columns for name in column.number_names]
        categories = [column.name for column in self.columns if column.kind == "category"]
        names = [*numbers, *(f"{numbers[i]} is missing" for i in self.indicators)]
        for name, levels, rare in zip(categories, self.levels, self.rare, strict=True):
            names += [f"{name} is missing" if level is None else f"{name} = {level}" for level in levels]
            names += [f"{name} = other"] * rare
        return tuple(names)

    @property
    def inputs(self) -> tuple[int]:
        """Shape of one input of the network."""
        return (len(self.feature_names),)

    @property
    def outputs(self) -> int:
        """Number of network outputs: one a class, or 1."""
        return len(self.classes) or 1

    def apply(self, features: Features, rows: Rows | None = None) -> npt.NDArray[np.float32]:
        """Return network inputs, float32 `[rows, inputs]`, computed in float64.

        Args:
            features: A table, or rows to predict, with the columns that the preparation was fitted on.
            rows: Which rows; None for all, in order.

        Raises:
            DataError: The columns are others than those fitted on.
        """
        found = [(column.name, column.kind) for column in features.columns]
        expected = [(column.name, column.kind) for column in self.columns]
        if found != expected:
            raise DataError(f"expected the columns {expected}, got {found}; read the rows with read_features")
        chosen = slice(None) if rows is None else rows
        numbers, codes = features.numbers[chosen], features.codes[chosen]
        missing = np.isnan(numbers)
        inputs = np.zeros((len(numbers), len(self.feature_names)), dtype=np.float32)
        scaled = (np.where(missing, np.array(self.fill), numbers) - np.array(self.center)) / np.array(self.scale)
        largest = float(np.finfo(np.float32).max)
        start, end = numbers.shape[1], numbers.shape[1] + len(self.indicators)
        inputs[:, :start] = scaled.clip(-largest, largest)
        inputs[:, start:end] = missing[:, list(self.indicators)]
        for j, column in enumerate(features.category_columns):
            levels, rare = self.levels[j], self.rare[j]
            place = {level: end + i for i, level in enumerate(levels)}
            elsewhere = end + len(levels) if rare else -1
            # The last entry is what the code -1 of a missing cell picks.
            places = np.array([place.get(level, elsewhere) for level in (*column.levels, None)])[codes[:, j]]
            inputs[np.flatnonzero(places >= 0), places[places >= 0]] = 1.0
            end += len(levels) + rare
        return inputs

    def predictions(self, outputs: npt.NDArray[Any]) -> Floats:
        """Return network outputs as metrics take them, float64: logits as they are, amounts in the target's unit.

        Args:
            outputs: `[rows, outputs]`.
        """
        return outputs.astype(np.float64) * self.target_scale + self.target_mean

    def to_json(self) -> str:
        """Return the record as JSON; numbers are written so that they read back exactly."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "Preparation":
        """Read the JSON that `to_json` wrote.

        Raises:
            StoreError: It is not such JSON.
        """
        return read_preparation(text, cls, "a saved model")


def read_preparation(text: str | bytes, kind: type[Kind], what: str) -> Kind:
    """Return the preparation of that kind which JSON describes.

    Args:
        text: What `to_json` wrote.
        kind: What it shall be.
        what: Whose preparation it is, for the message.

    Raises:
        StoreError: It is other JSON, or none.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"expected the preparation of {what}, got other JSON: {error}; save again") from error


def require_scaling(scaling: Scaling | Constants, numbers: int) -> None:
    """Refuse what is no scaling of that many numbers or channels.

    Raises:
        OptionError: There is no such name, or not one finite center and one finite scale above 0 for each.
    """
    if isinstance(scaling, str):
        if scaling not in (*_SCALERS, "none"):
            raise OptionError(f"scaling: no such value {scaling!r}{nearest(scaling, [*_SCALERS, 'none'])}")
        return
    if [len(values) for values in scaling] != [numbers, numbers] or not (
        np.isfinite(scaling).all() and (np.array(scaling[1]) > 0).all()
    ):
        raise OptionError(
            f"scaling: expected (centers, scales), a finite center and a finite scale above 0 for each of {numbers}, "
            f"got {scaling}"
        )


def _fit_numbers(x: Floats, scaling: Scaling | Constants) -> dict[str, tuple[float, ...]]:
    """Return fill, center and scale of every number."""
    from sklearn import preprocessing
    from sklearn.impute import SimpleImputer

    if not x.shape[1]:
        return {"fill": (), "center": (), "scale": ()}
    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(x)
    center, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if not isinstance(scaling, str):
        center, scale = np.array(scaling, dtype=np.float64)
    elif scaling != "none":
        scaler_name, center_name = _SCALERS[scaling]
        scaler = getattr(preprocessing, scaler_name)().fit(imputer.transform(x))
        # MinMaxScaler alone multiplies: x * scale_ + min_ = (x - data_min_) / (1 / scale_).
        center = getattr(scaler, center_name)
        scale = 1.0 / scaler.scale_ if scaling == "minmax" else scaler.scale_
    return {
        name: tuple(values.tolist())
        for name, values in (("fill", imputer.statistics_), ("center", center), ("scale", scale))
    }


def _fit_categories(table: Table, rows: Rows) -> tuple[tuple[tuple[str | None, ...], ...], tuple[bool, ...]]:
    """Return the levels with an input of their own, and whether the others share one."""
    from sklearn.preprocessing import OneHotEncoder

    if not table.codes.shape[1]:
        return (), ()
    columns = table.category_columns
    # Codes stand for texts in their order, a missing cell last, as the encoder would put None.
    codes = np.where(table.codes < 0, [len(column.levels) for column in columns], table.codes)[rows]
    encoder = OneHotEncoder(max_categories=MAX_LEVELS, handle_unknown="infrequent_if_exist").fit(codes)
    levels, rare = [], []
    for column, known, infrequent in zip(columns, encoder.categories_, encoder.infrequent_categories_, strict=True):
        few = [] if infrequent is None else infrequent.tolist()
        names: tuple[str | None, ...] = (*column.levels, None)
        levels.append(tuple(names[code] for code in known.tolist() if code not in few))
        rare.append(bool(few))
    return tuple(levels), tuple(rare)
