"""One training of one network, described completely and identified by a hash of that description."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from regimen.data import Split, Table, find_metric
from regimen.errors import RecipeError
from regimen.models import MLP, Layer, build
from regimen.run.recipe import Recipe
from regimen.run.recipe_file import recipe_to_dict
from regimen.streams import check_key
from regimen.techniques import initialize

# Raise this when a change alters what a run computes: stored work of an older version is then never taken for new.
NUMERICS = 1


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of one network: nothing outside these fields influences its result.

    Attributes:
        recipe: Everything done to the network and its training.
        model: The network, as a description.
        data: The table.
        split: Which rows train, validate and test.
        key: 64-bit run key of all its random streams.
        metric: Name of the metric that is followed on the validation part.

    Raises:
        OptionError: The key is out of range, the metric unknown, or the recipe does not fit the model.
        RecipeError: The recipe does something with classes, and the task is regression.
    """

    recipe: Recipe
    model: MLP
    data: Table
    split: Split
    key: int
    metric: str

    def __post_init__(self) -> None:
        check_key(self.key, "key")
        self.layers(1, 1)
        find_metric(self.metric, self.data.task)
        if self.data.task == "regression":
            for name, off in (("label_smoothing", 0.0), ("class_weights", "none")):
                if getattr(self.recipe, name) != off:
                    raise RecipeError(f"{name}: needs classes, and {self.data.name} is regression; leave it out")

    def layers(self, in_features: int, out_features: int) -> tuple[Layer, ...]:
        """Return the network's layers with the recipe applied."""
        return self.model.layers(
            in_features,
            out_features,
            dropout=self.recipe.rates,
            input_dropout=self.recipe.input_dropout,
            normalization=self.recipe.normalization,
        )

    def network(self, in_features: int, out_features: int) -> nn.Sequential:
        """Return the network with its initial weights."""
        # torch.nn fills its layers from the default generator, whose state is the caller's.
        with torch.random.fork_rng(devices=[]):
            network = build(self.layers(in_features, out_features), key=self.key)
        initialize(network, self.recipe.initialization, self.key, std=self.recipe.initialization_std)
        return network

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the canonical JSON of all fields and the numerics version, as hex."""
        described = {
            "numerics": NUMERICS,
            "recipe": _canonical(recipe_to_dict(self.recipe, complete=True)),
            "model": self.model.name,
            "data": self.data.digest,
            "split": self.split.digest,
            "key": self.key,
            "metric": self.metric,
        }
        text = json.dumps(described, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Write every number as a float without negative zero: recipes with lr = 1 and lr = 1.0 are equal."""
    if isinstance(value, dict):
        return {key: _canonical(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value
