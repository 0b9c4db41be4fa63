"""What a plain-PyTorch script says of a module of the user's own: its import, and what the recipe does to it."""

import re
import sys
from dataclasses import dataclass

from torch import nn

from regimen.models import Inputs, OwnModule
from regimen.models.adapting import Adapted
from regimen.models.adapting_existing import TWINS
from regimen.nn import StreamLayer
from regimen.run.code_text import literal
from regimen.run.own import own_network
from regimen.run.recipe import Recipe

# Fields that set rates of dropout layers that are there.
RATES = ("dropout", "dropout_scale")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnCode:
    """The lines for one module and recipe.

    Attributes:
        model: The module.
        recipe: What it is trained with.
        inputs: Shape of one input.
        whole: Whether inputs are whole numbers (int64).

    Raises:
        OptionError: The recipe does not fit the module.
    """

    model: OwnModule
    recipe: Recipe
    inputs: Inputs
    whole: bool = False

    @property
    def batch_norm(self) -> bool:
        """Whether the network, with the recipe applied, has batch normalization."""
        layers = self._adapted(self.recipe).network.modules()
        return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in layers)

    def lines(self) -> list[str]:
        """Return the lines that make the network, in `model`."""
        set_rates = self._set_rates()
        return [*self._by_hand(bool(set_rates)), *self._import(), f"model = {self._call()}", *set_rates]

    def _adapted(self, recipe: Recipe) -> Adapted:
        return own_network(self.model, recipe, key=0, inputs=self.inputs, whole=self.whole)

    def _changes(self, recipe: Recipe) -> list[str]:
        """Return what a recipe does to the module, without the places in the random streams, which a script has not."""
        return [
            f"{change.place}: {re.sub(r', (site|sites) [0-9, and]+$', '', change.what)}"
            for change in self._adapted(recipe).changes
        ]

    def _by_hand(self, rates_are_set: bool) -> list[str]:
        """Return in comments what the script cannot do to the module from outside."""
        done = Recipe(**{name: getattr(self.recipe, name) for name in RATES}) if rates_are_set else Recipe()
        known = self._changes(done)
        changes = [change for change in self._changes(self.recipe) if change not in known]
        if not changes:
            return []
        where = self.model.path.name if self.model.path else "its source"
        return [f"# What the recipe puts into the module; write it into {where}:", *(f"# - {c}" for c in changes)]

    def _import(self) -> list[str]:
        found = self._place()
        if found is None:
            return ["# make_model: your own function that makes the network."]
        return [f"from {found[0]} import {found[1]}"]

    def _call(self) -> str:
        found = self._place()
        return "make_model()" if found is None else f"{found[1]}()"

    def _place(self) -> tuple[str, str] | None:
        """Return module and name of the function, None where no script could import it."""
        name = self.model.name.rpartition(":")[2]
        if self.model.path is not None:
            module = self.model.path.stem
            return (module, name) if module.isidentifier() and name.isidentifier() else None
        factory = getattr(self.model.factory, "_factory", None)
        place = getattr(factory, "__module__", None) or "__main__"
        imported = getattr(sys.modules.get(place), name, None)
        return (place, name) if place != "__main__" and factory is not None and imported is factory else None

    def _set_rates(self) -> list[str]:
        """Return the lines that set rates; none where the rates are not all those of layers of torch.nn."""
        if not any(getattr(self.recipe, name) != getattr(Recipe(), name) for name in RATES):
            return []
        plain = self._adapted(Recipe())
        twins = [layer for layer in plain.network.modules() if type(layer) in TWINS.values()]
        rated = [change for change in plain.changes if not change.what.startswith("not looked into")]
        if not twins or len(twins) != len(rated):
            return []
        only_rates = Recipe(**{name: getattr(self.recipe, name) for name in RATES})
        layers = [layer for layer in self._adapted(only_rates).network.modules() if type(layer) in TWINS.values()]
        rates = [layer.p for layer in layers if isinstance(layer, StreamLayer)]
        kinds = sorted({f"nn.{type(layer).__name__}" for layer in twins})
        found = f"[layer for layer in model.modules() if isinstance(layer, {' | '.join(kinds)})]"
        if len(set(rates)) == 1:
            return [f"for layer in {found}:", f"    layer.p = {literal(rates[0])}"]
        return [f"for layer, rate in zip({found}, {[float(rate) for rate in rates]}):", "    layer.p = rate"]
