"""Networks from a module of the user's own: made with the run's key, and changed as the recipe wishes."""

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from regimen.models import Inputs, OwnModule
from regimen.models.adapting import Adapted, Wishes, adapt
from regimen.models.sizes import shape_of
from regimen.run.recipe import Recipe
from regimen.streams import Purpose, counter3, philox
from regimen.techniques import initialize

# Uses of the stream of initial weights beside those of weights (0) and biases (1).
MAKING, STEP = 2, 3
# Rows that a lazy module sees to learn its shapes, and those that are sent through a network to try it.
ROWS = 2


def wishes_of(recipe: Recipe) -> Wishes:
    """Return what a recipe wants of the layers of a network.

    Example:
        >>> wishes_of(Recipe(dropout=0.5)).dropout
        (0.5,)
    """
    return Wishes(
        dropout=recipe.rates,
        dropout_scale=recipe.dropout_scale,
        dropout_kind=recipe.dropout_kind,
        input_dropout=recipe.input_dropout,
        drop_path=recipe.drop_path,
        normalization=recipe.normalization,
    )


def own_network(model: OwnModule, recipe: Recipe, *, key: int, inputs: Inputs, whole: bool = False) -> Adapted:
    """Return a new network of a module of the user's own, with a recipe applied, and what that changed.

    The module's function draws from PyTorch's default generator, which is seeded for it by words 0 and 1 of
    Philox(key; 0, 0, 0, purpose 3 and call 2) and then put back. With `initialization = "default"` its weights stay.

    Args:
        model: The module.
        recipe: Its initialization, dropout, drop path and normalization are applied.
        key: 64-bit run key.
        inputs: Shape of one input.
        whole: Whether inputs are whole numbers (int64).

    Raises:
        OptionError: The function raises, or something that the recipe wishes has no place in the module.

    Example:
        >>> from torch import nn
        >>> from regimen.models import own_module
        >>> own = own_module(lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 3)))
        >>> own_network(own, Recipe(dropout=0.5), key=1, inputs=4).changes[0].what
        'dropout 0.5 (was 0.1), site 2'
    """
    shape = shape_of(inputs)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator_seeds(key, MAKING, first=0, count=1)[0])
        network = model.make()
        if any(is_lazy(value) for value in (*network.parameters(), *network.buffers())):
            with model.guard(f"{model.name} on {ROWS} rows of shape {list(shape)}"), torch.no_grad():
                network.eval()(zeros(shape, whole=whole))
            network.train()
    if recipe.initialization != "default":
        initialize(network, recipe.initialization, key, std=recipe.initialization_std)
    return adapt(network, wishes_of(recipe), key=key, inputs=shape, source=model.digest)


def generator_seeds(key: int, call: int, *, first: int, count: int) -> list[int]:
    """Return a seed of PyTorch's default generator for each of `count` steps from `first` on, below 2^64.

    What a module of the user's own draws beside the streams of `regimen.nn` (in recurrent layers, attention, or calls
    of its own) then depends on key and step alone.

    Example:
        >>> generator_seeds(1, STEP, first=1, count=1) == generator_seeds(1, STEP, first=0, count=2)[1:]
        True
    """
    steps = torch.arange(first, first + count)
    low, high, _, _ = philox(key, 0, 0, steps, counter3(Purpose.INITIALIZATION, call=call))
    return [up << 32 | down for up, down in zip(high.tolist(), low.tolist(), strict=True)]


def zeros(shape: tuple[int, ...], *, whole: bool) -> Tensor:
    """Return two rows of zeros as inputs of a network."""
    return torch.zeros(ROWS, *shape, dtype=torch.int64 if whole else torch.float32)
