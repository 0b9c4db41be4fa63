"""Trained networks together with everything that prediction needs."""

import warnings
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
from regimen.models import Model, ModelSource, OwnModule, build, model_of, parse_model
from regimen.models.own_source import names_own_module
from regimen.records import Task
from regimen.run.own import own_network
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
        model: The network, as a description or a module of the user's own.
        recipe: What it was trained with.
        preparation: From a table or images to inputs, and from outputs to labels or amounts.
        keys: Run key of each network.
        states: Parameters and buffers of each network, by `state_dict` name.

    Raises:
        StoreError: There are not as many keys as networks, or tensors are not those of the network.

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
        # Copies, which later training cannot change, in whole-memory order, as the file has them.
        states = tuple({name: np.array(v, order="C") for name, v in state.items()} for state in self.states)
        object.__setattr__(self, "states", states)
        expected = {name: _kind(value) for name, value in self._described(0).state_dict().items()}
        for state in states:
            found = {name: _kind(value) for name, value in state.items()}
            for name in (*expected, *found):
                if expected.get(name) != found.get(name):
                    raise StoreError(
                        f"expected {name} of {self.model.name} to be {expected.get(name, 'absent')}, "
                        f"got {found.get(name, 'nothing')}; take the networks of this recipe and model"
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

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the networks with their weights, in eval mode."""
        networks = tuple(map(self._described, range(len(self.states))))
        for network, state in zip(networks, self.states, strict=True):
            # Parameters that a module of the user's own ties together stay so only if they are filled.
            described = not isinstance(self.model, OwnModule)
            tensors = {name: torch.tensor(value, device="cpu") for name, value in state.items()}
            network.load_state_dict(tensors, assign=described)
            network.eval()
        return networks

    def _described(self, index: int) -> nn.Module:
        if isinstance(self.model, OwnModule):
            inputs, whole = self.preparation.inputs, self.whole
            return own_network(self.model, self.recipe, key=self.keys[index], inputs=inputs, whole=whole).network
        layers = layers_of(self.model, self.recipe, self.preparation.inputs, self.preparation.outputs)
        # Without memory: initial weights would only be thrown away, and be drawn from the caller's generator.
        with torch.device("meta"):
            return build(layers, key=self.keys[index])

    @property
    def whole(self) -> bool:
        """Whether inputs are whole numbers (int64)."""
        return isinstance(self.preparation, SamplePreparation) and self.preparation.dtype == "int64"

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
                outputs[rows] = self._mean([self._output(network, inputs) for network in networks])
        overflown = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if len(overflown):
            raise DataError(
                f"{features.name}: expected values like those trained on, got some in row {overflown[0] + 1} that are "
                "so large that the outputs are not finite; correct the row or leave it out"
            )
        return outputs

    def _output(self, network: nn.Module, inputs: torch.Tensor) -> npt.NDArray[np.float32]:
        if not isinstance(self.model, OwnModule):
            return np.asarray(network(inputs).numpy())
        # What it may overwrite, and in plain memory: see the reference engine.
        own = inputs.clone(memory_format=torch.contiguous_format)
        with torch.random.fork_rng(devices=[]), self.model.guard(f"predicting with {self.model.name}"):
            return np.asarray(network(own).numpy())

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
            StoreError: The folder cannot be written to.
        """
        description = Description(
            model=self.model.name,
            recipe=recipe_to_toml(self.recipe),
            keys=self.keys,
            preparation=self.preparation,
            model_digest=self.model.digest if isinstance(self.model, OwnModule) else "",
        )
        write_files(Path(directory), description, self.states)

    @classmethod
    def load(cls, directory: str | Path, model: ModelSource | None = None) -> "SavedModel":
        """Read what `save` wrote.

        A folder holds no code, and none is run for it: a module of the user's own has to be given again. If its source
        has changed since, there is a warning; its tensors must have the same names and shapes.

        Args:
            directory: The folder.
            model: The module of the user's own: `FILE.py:FUNCTION`, or the function or class that makes it.

        Raises:
            StoreError: A file is missing, damaged, of another schema, or not of the same save as the other; or the
                module is not given, or another.
            OptionError: The given module cannot be made.
        """
        found, states = read_files(Path(directory))
        network = _stored_model(found, model, directory)
        try:
            return cls(
                model=network,
                recipe=recipe_from_toml(found.recipe),
                preparation=found.preparation,
                keys=found.keys,
                states=states,
            )
        except InputError as error:
            if isinstance(network, OwnModule):
                raise StoreError(
                    f"{network.name} does not take the weights in {directory}: {error}; name the one that was trained"
                ) from error
            raise StoreError(f"{directory} holds a model that cannot be read: {error}; {AGAIN}") from error


def _stored_model(found: Description, given: ModelSource | None, directory: str | Path) -> Model:
    """Return the network of a saved model; one of the user's own is the given one."""
    model = None if given is None else model_of(given)
    if not found.model_digest and not names_own_module(found.model):
        try:
            stored = parse_model(found.model)
        except InputError as error:
            raise StoreError(f"{directory} holds a model that cannot be read: {error}; {AGAIN}") from error
        if model is not None and model != stored:
            raise StoreError(f"{directory} holds the described model {found.model}, not {model.name}; leave it out")
        return stored
    if not isinstance(model, OwnModule):
        raise StoreError(
            f"{directory} holds the weights of {found.model}, a module of your own, and no code: expected the module, "
            f"got {'none' if model is None else model.name}; add --model FILE.py:FUNCTION, or model= in Python"
        )
    if model.digest != found.model_digest:
        warnings.warn(
            f"{model.name} is not as it was when the model was trained (its source, or what PyTorch makes of it, has "
            "changed); predictions are those of the weights in the module as it is now",
            stacklevel=3,
        )
    return model


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
