"""One training of one network, described completely and identified by a hash of that description."""

import hashlib
import json
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from regimen.data import Data, Samples, Split, find_metric
from regimen.data.kinds import shape_of_rows
from regimen.errors import OptionError, RecipeError
from regimen.models import Described, Inputs, Layer, Model, OwnModule, build
from regimen.run.inputs import require_inputs, require_model
from regimen.run.own import own_network
from regimen.run.recipe import Recipe
from regimen.run.recipe_file import recipe_to_dict
from regimen.streams import check_key
from regimen.techniques import initialize

# Raise this when a change alters what a run computes: stored work of an older version is then never taken for new.
NUMERICS = 1

# Fields that recipes did not have at first. At their defaults they do not enter the identity, so that work stored
# before is found again.
ADDED = ("dropout_kind", "augmentation", "cutmix", "dropout_scale", "drop_path")

_drawing = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of one network: nothing outside these fields influences its result.

    Attributes:
        recipe: Everything done to the network and its training.
        model: The network, as a description; or a module of the user's own.
        data: The table, images or samples.
        split: Which rows train, validate and test.
        key: 64-bit run key of all its random streams.
        metric: Name of the metric that is followed on the validation part.

    Raises:
        OptionError: The key is out of range, the metric unknown, or the recipe does not fit the model.
        RecipeError: The recipe does something with classes, and the task is regression; or to inputs that are not for
            it, see `require_inputs`.
    """

    recipe: Recipe
    model: Model
    data: Data
    split: Split
    key: int
    metric: str

    def __post_init__(self) -> None:
        check_key(self.key, "key")
        require_inputs(self.recipe, self.data)
        require_model(self.model, self.data)
        if not isinstance(self.model, OwnModule):
            self._refuse_what_is_for_own_modules(self.model)
            self.layers(shape_of_rows(self.data) or 1, 1)
        find_metric(self.metric, self.data.task)
        if self.data.task == "regression":
            for name, off in (("label_smoothing", 0.0), ("class_weights", "none")):
                if getattr(self.recipe, name) != off:
                    raise RecipeError(f"{name}: needs classes, and {self.data.name} is regression; leave it out")

    def _refuse_what_is_for_own_modules(self, model: Described) -> None:
        if self.recipe.dropout_scale != 1.0:
            raise RecipeError(
                f"dropout_scale: scales the rates that a module of one's own has, and {model.name} has none of its "
                "own; leave it out, and set dropout"
            )
        if self.recipe.drop_path:
            raise RecipeError(f"drop_path: needs residual branches, and {model.name} has none; leave it out")

    def layers(self, inputs: Inputs, outputs: int) -> tuple[Layer, ...]:
        """Return the network's layers with the recipe applied; `inputs` is the shape of one input, see `Prepared`.

        Raises:
            OptionError: The network is a module of the user's own, whose layers are not described.
        """
        return layers_of(self.model, self.recipe, inputs, outputs)

    def network(self, inputs: Inputs, outputs: int) -> nn.Module:
        """Return the network with its initial weights; those of an own module are as its function makes them."""
        if isinstance(self.model, OwnModule):
            whole = isinstance(self.data, Samples) and self.data.whole
            return own_network(self.model, self.recipe, key=self.key, inputs=inputs, whole=whole).network
        return self.sequential(inputs, outputs)

    def sequential(self, inputs: Inputs, outputs: int) -> nn.Sequential:
        """Return the network of a described model with its initial weights.

        Raises:
            OptionError: The network is a module of the user's own.
        """
        # torch.nn fills its layers from the default generator, whose state is the caller's; a thread beside this one
        # would put back what this one has drawn from.
        with _drawing, torch.random.fork_rng(devices=[]):
            network = build(self.layers(inputs, outputs), key=self.key)
        initialize(network, self.recipe.initialization, self.key, std=self.recipe.initialization_std)
        return network

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the canonical JSON of all fields and the numerics version, as hex."""
        recipe = recipe_to_dict(self.recipe, complete=True)
        usual = recipe_to_dict(Recipe(), complete=True)
        described = {
            "numerics": NUMERICS,
            "recipe": _canonical({k: v for k, v in recipe.items() if k not in ADDED or v != usual[k]}),
            "model": _described(self.model),
            "data": self.data.digest,
            "split": self.split.digest,
            "key": self.key,
            "metric": self.metric,
        }
        # Their statistics were once estimated over rows in the data's order: such a result must not be taken for one of
        # these. No other run has changed.
        if self.recipe.averaging is not None and (
            isinstance(self.model, OwnModule) or self.recipe.normalization == "batch"
        ):
            described["statistics"] = "of shuffled batches"
        # What is frozen was once overwritten too.
        if isinstance(self.model, OwnModule) and self.recipe.initialization != "default":
            described["initialized"] = "what is learned"
        text = json.dumps(described, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def layers_of(model: Model, recipe: Recipe, inputs: Inputs, outputs: int) -> tuple[Layer, ...]:
    """Return the layers of a model with a recipe applied.

    Args:
        model: The network.
        recipe: Its dropout and normalization are put in.
        inputs: Shape of one input: columns, or channels, height and width.
        outputs: Logits, or 1 for regression.

    Raises:
        OptionError: The recipe or the inputs do not fit the model, or its layers are not described.
    """
    if isinstance(model, OwnModule):
        raise OptionError(f"model: expected a described network such as mlp:8, got the module {model.name}")
    return model.layers(
        inputs,
        outputs,
        dropout=recipe.rates,
        input_dropout=recipe.input_dropout,
        normalization=recipe.normalization,
        dropout_kind=recipe.dropout_kind,
    )


def _described(model: Model) -> str:
    """Return what a model is: the name says all, but for a module of the user's own."""
    return f"{model.name} {model.digest}" if isinstance(model, OwnModule) else model.name


def _canonical(value: Any) -> Any:
    """Write every number as a float without negative zero: recipes with lr = 1 and lr = 1.0 are equal."""
    if isinstance(value, dict):
        return {key: _canonical(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value
