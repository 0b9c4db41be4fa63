"""Trained networks together with everything that prediction needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regimen.data import (
    Features,
    ImageFeatures,
    ImagePreparation,
    Preparation,
    SampleFeatures,
    SamplePreparation,
    prepare,
)
from regimen.data.tables import Rows
from regimen.errors import DataError, InputError, OptionError, StoreError
from regimen.models import Model, build, parse_model
from regimen.records import Task
from regimen.run.recipe import Recipe
from regimen.run.recipe_file import recipe_from_toml, recipe_to_toml
from regimen.run.run import Run, layers_of
from regimen.run.saved_files import AGAIN, Description, State, read_files, write_files
from regimen.streams import check_key

# Rows predicted at once, as many as the engines evaluate: bounds memory on large tables without slowing small ones.
CHUNK = 8192

Outputs = npt.NDArray[np.float64]
AnyFeatures = Features | ImageFeatures | SampleFeatures


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SavedModel:
    """One or more trained networks of one recipe, which predict together.

    Attributes:
        model: The network, as a description.
        recipe: What it was trained with.
        preparation: From a table or images to inputs, and from outputs to labels or amounts.
        keys: Run key of each network.
        states: Parameters and buffers of each network, by `state_dict` name.

    Raises:
        StoreError: There are not as many keys as networks, or tensors are not those of the described network.

    Example:
        >>> from regimen.data import hold_out, load, pair_split
        >>> from regimen.models import MLP
        >>> iris = load("iris")
        >>> split = pair_split(iris, hold_out(iris).development, key=1)
        >>> run = Run(recipe=Recipe(), model=MLP(hidden=(8,)), data=iris, split=split, key=1, metric="accuracy")
        >>> state = {name: value.numpy() for name, value in run.network(4, 3).state_dict().items()}
        >>> SavedModel.of(run, [state]).save("iris-model")
        >>> SavedModel.load("iris-model").probabilities(iris).shape
        (150, 3)
    """

    model: Model
    recipe: Recipe
    preparation: Preparation | ImagePreparation | SamplePreparation
    keys: tuple[int, ...]
    states: tuple[State, ...]

    def __post_init__(self) -> None:
        if not self.states or len(self.keys) != len(self.states):
            raise StoreError(
                f"expected a key for each of one or more networks, got {len(self.keys)} keys and "
                f"{len(self.states)} networks"
            )
        for key in self.keys:
            check_key(key, "key")
        # Copies, which later training can not change, in whole-memory order, as the file has them.
        states = tuple({name: np.array(v, order="C") for name, v in state.items()} for state in self.states)
        object.__setattr__(self, "states", states)
        expected = {name: _kind(value) for name, value in self._described(0).state_dict().items()}
        for state in states:
            found = {name: _kind(value) for name, value in state.items()}
            for name in (*expected, *found):
                if expected.get(name) != found.get(name):
                    raise StoreError(
                        f"expected {name} of {self.model.name} to be {expected.get(name, 'absent')}, "
                        f"got {found.get(name, 'nothing')}; save the networks of this recipe and model"
                    )

    @classmethod
    def of(cls, run: Run, states: Sequence[State], *, keys: Sequence[int] | None = None) -> "SavedModel":
        """Return the model that runs have trained.

        Args:
            run: The run, or any of several that differ in nothing but their key.
            states: `RunResult.weights` of each.
            keys: The key of each; None for one network: that of the run.
        """
        return cls(
            model=run.model,
            recipe=run.recipe,
            preparation=prepare(run.data, run.split, run.recipe.input_scaling).preparation,
            keys=(run.key,) if keys is None else tuple(keys),
            states=tuple(states),
        )

    @property
    def task(self) -> Task:
        """What the networks were trained for."""
        return self.preparation.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels as in the data, in the order of the outputs; empty for regression."""
        return self.preparation.classes

    def networks(self) -> tuple[nn.Sequential, ...]:
        """Return the networks with their weights, in eval mode."""
        networks = tuple(map(self._described, range(len(self.states))))
        for network, state in zip(networks, self.states, strict=True):
            network.load_state_dict({name: torch.tensor(value) for name, value in state.items()}, assign=True)
            network.eval()
        return networks

    def _described(self, index: int) -> nn.Sequential:
        layers = layers_of(self.model, self.recipe, self.preparation.inputs, self.preparation.outputs)
        # Without memory: initial weights would only be thrown away, and be drawn from the caller's generator.
        with torch.device("meta"):
            return build(layers, key=self.keys[index])

    def predict_outputs(self, features: AnyFeatures) -> Outputs:
        """Return what metrics take, float64 `[rows, outputs]`: logits, or amounts in the target's unit.

        Several networks are averaged: amounts as they are; for classes the probabilities, returned as logarithms.

        Args:
            features: A table, images, samples, or rows read by `regimen.data.read_features`.

        Raises:
            DataError: The columns or the size are not those trained on, one kind of data is given where another was
                trained on, or values are so large that the outputs overflow.
        """
        networks = self.networks()
        outputs = np.empty((features.n, self.preparation.outputs))
        chunk = max(1, CHUNK // self._weight_of_a_row())
        for start in range(0, features.n, chunk):
            rows = np.arange(start, min(start + chunk, features.n))
            inputs = self._inputs(features, rows)
            with torch.no_grad():
                outputs[rows] = self._mean([network(inputs).numpy() for network in networks])
        overflown = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if len(overflown):
            raise DataError(
                f"{features.name}: expected values like those trained on, got some in row {overflown[0] + 1} that are "
                "so large that the outputs are not finite; correct the row or leave it out"
            )
        return outputs

    def _inputs(self, features: AnyFeatures, rows: Rows) -> torch.Tensor:
        match self.preparation, features:
            case ImagePreparation(), ImageFeatures():
                inputs = torch.from_numpy(self.preparation.apply(features, rows))
                return inputs.contiguous(memory_format=torch.channels_last)
            case Preparation(), Features():
                return torch.from_numpy(self.preparation.apply(features, rows))
            case SamplePreparation(), SampleFeatures():
                return torch.from_numpy(self.preparation.apply(features, rows))
        raise DataError(
            f"{features.name}: expected {_WHAT[type(self.preparation)]}, which the model was trained on, got "
            f"{next(what for kind, what in _FEATURES.items() if isinstance(features, kind))}"
        )

    def _weight_of_a_row(self) -> int:
        """Return how many rows of a table an image counts for: a hidden layer of a convolution is as large as it is."""
        return 1 if isinstance(self.preparation, Preparation) else 32

    def _mean(self, outputs: Sequence[npt.NDArray[np.float32]]) -> Outputs:
        if len(outputs) == 1:
            return self.preparation.predictions(outputs[0])
        each = np.stack([self.preparation.predictions(output) for output in outputs])
        if self.task == "regression":
            return np.asarray(each.mean(axis=0), dtype=np.float64)
        return np.asarray(np.logaddexp.reduce(_log_softmax(each), axis=0) - np.log(len(each)), dtype=np.float64)

    def predict(self, features: AnyFeatures) -> npt.NDArray[Any]:
        """Return for each row its label, as text as in the data trained on, or its amount in the target's unit."""
        outputs = self.predict_outputs(features)
        return (
            outputs[:, 0] if self.task == "regression" else np.array(self.classes, dtype=object)[outputs.argmax(axis=1)]
        )

    def probabilities(self, features: AnyFeatures) -> Outputs:
        """Return the probability of each class, float64 `[rows, classes]`, in the order of `classes`.

        Raises:
            OptionError: The model predicts amounts.
        """
        if self.task == "regression":
            raise OptionError("probabilities: expected a model of classes, got one of amounts; use predict")
        return np.exp(_log_softmax(self.predict_outputs(features)))

    def save(self, directory: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into a folder, which is made if need be.

        Tensors of one network have their `state_dict` names, so that plain PyTorch loads them; those of several have
        the network's index before, as in `2.0.weight`.

        Raises:
            StoreError: The folder can not be written to.
        """
        description = Description(
            model=self.model.name,
            recipe=recipe_to_toml(self.recipe),
            keys=self.keys,
            preparation=self.preparation,
        )
        write_files(Path(directory), description, self.states)

    @classmethod
    def load(cls, directory: str | Path) -> "SavedModel":
        """Read what `save` wrote.

        Raises:
            StoreError: A file is missing, damaged, of another schema, or not of the same save as the other.
        """
        found, states = read_files(Path(directory))
        try:
            return cls(
                model=parse_model(found.model),
                recipe=recipe_from_toml(found.recipe),
                preparation=found.preparation,
                keys=found.keys,
                states=states,
            )
        except InputError as error:
            raise StoreError(f"{directory} holds a model that can not be read: {error}; {AGAIN}") from error


_WHAT = {Preparation: "a table", ImagePreparation: "images", SamplePreparation: "samples"}
_FEATURES = {Features: "a table", ImageFeatures: "images", SampleFeatures: "samples"}


def _kind(tensor: torch.Tensor | npt.NDArray[Any]) -> str:
    """Return dtype and shape in words.

    Example:
        >>> _kind(np.zeros((2, 3), dtype=np.float32))
        'float32 [2, 3]'
    """
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _log_softmax(logits: Outputs) -> Outputs:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float64)
