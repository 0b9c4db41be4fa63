"""The layers of a run's network as the native engine takes them: described, or recognised in a module of one's own."""

from dataclasses import fields
from functools import lru_cache

import torch
from torch import nn

from regimen.data import Table
from regimen.models import Inputs, Layer, OwnModule
from regimen.models.adapting import Wishes
from regimen.models.recognition import Chain, chain
from regimen.models.rewriting_trace import takes
from regimen.models.sizes import shape_of
from regimen.run import Recipe, Run
from regimen.run.own import own_network

# What of a recipe decides about the layers: runs that differ in the rest have the same.
_DECISIVE = tuple(part.name for part in fields(Wishes))


def own_chain(run: Run) -> Chain | str:
    """Return the layers of a run's own module with the recipe applied, or in words why they are no plain chain.

    Raises:
        OptionError: The recipe does not fit the module.
    """
    assert isinstance(run.model, OwnModule)
    recipe = Recipe(**{name: getattr(run.recipe, name) for name in _DECISIVE})
    return _recognised(run.model, recipe, None if isinstance(run.data, Table) else run.data.shape)


# As many as a study has arms that differ in their layers, and some more.
@lru_cache(maxsize=256)
def _recognised(model: OwnModule, recipe: Recipe, inputs: tuple[int, ...] | None) -> Chain | str:
    if inputs is None:
        # How many columns a table has is known once it is prepared; a chain's first linear layer says what it expects.
        with torch.random.fork_rng(devices=[]):
            network = model.make()
        widths = {layer.in_features for layer in network.modules() if isinstance(layer, nn.Linear)}
        fitting = [(width,) for width in sorted(widths, reverse=True) if takes(network, (width,))]
        if not fitting:
            return "none of its linear layers takes the columns of a table"
        inputs = fitting[0]
    return chain(own_network(model, recipe, key=0, inputs=inputs).network, inputs)


def layers_of(run: Run, inputs: Inputs, outputs: int) -> tuple[Layer, ...]:
    """Return the layers of a run that can be trained natively; `inputs` is the shape of one input."""
    if not isinstance(run.model, OwnModule):
        return run.layers(shape_of(inputs), outputs)
    found = own_chain(run)
    assert not isinstance(found, str)
    return found.layers
