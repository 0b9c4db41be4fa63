"""What `regimen summary` shows: the network as torchinfo sees it, and what the recipe changes against the default."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen.data import hold_out, load, prepare
from regimen.data.split import Split
from regimen.errors import OptionError
from regimen.models import Model, build, parse_model
from regimen.report.quantities import plural
from regimen.run import Recipe, SavedModel, read_recipe, recipe_to_dict
from regimen.study.layout import NO_ROWS


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRequest:
    """What `regimen summary` was asked; None is what was not given."""

    model: str
    recipe: str | None = None
    data: str | None = None
    target: str | None = None
    inputs: int | None = None
    outputs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network with its sizes and its recipe."""

    model: Model
    inputs: int
    outputs: int
    recipe: Recipe


def summarize(request: SummaryRequest) -> str:
    """Return the summary as text.

    Raises:
        InputError: The request contradicts itself, or what it names can not be read.
    """
    folder = Path(request.model)
    network = _saved(folder, request) if folder.is_dir() else _described(request)
    return f"{_layers(network)}\n\n{_recipe_changes(network.recipe)}"


def _saved(folder: Path, request: SummaryRequest) -> Network:
    given = [name for name in ("data", "target", "inputs", "outputs") if getattr(request, name) is not None]
    if given:
        raise OptionError(f"--{given[0]}: the model in {folder} has its sizes; leave the option out, or name a model")
    saved = SavedModel.load(folder)
    recipe = saved.recipe if request.recipe is None else read_recipe(request.recipe)
    preparation = saved.preparation
    return Network(model=saved.model, inputs=len(preparation.feature_names), outputs=preparation.outputs, recipe=recipe)


def _described(request: SummaryRequest) -> Network:
    try:
        model = parse_model(request.model)
    except OptionError as error:
        reason = str(error).removeprefix("--model: ")
        raise OptionError(f"expected the folder of a saved model, or a model: {reason}") from error
    recipe = Recipe() if request.recipe is None else read_recipe(request.recipe)
    sizes = (request.inputs, request.outputs)
    if request.data is not None:
        if sizes != (None, None):
            raise OptionError("--inputs, --outputs: --data gives them already; leave out the one or the other")
        inputs, outputs = _sizes(request.data, request.target, recipe)
    elif request.target is not None:
        raise OptionError("--target: expected --data beside it, got no data")
    elif request.inputs is None or request.outputs is None:
        raise OptionError("expected the sizes of the network, got none; add --data DATA, or --inputs N and --outputs N")
    else:
        inputs, outputs = request.inputs, request.outputs
    return Network(model=model, inputs=inputs, outputs=outputs, recipe=recipe)


def _sizes(data: str, target: str | None, recipe: Recipe) -> tuple[int, int]:
    table = load(data, target=target)
    split = Split(train=hold_out(table).development, validation=NO_ROWS, test=NO_ROWS)
    prepared = prepare(table, split, recipe.input_scaling)
    return prepared.features, prepared.outputs


def _layers(network: Network) -> str:
    import torchinfo

    recipe, model = network.recipe, network.model
    layers = model.layers(
        network.inputs,
        network.outputs,
        dropout=recipe.rates,
        input_dropout=recipe.input_dropout,
        normalization=recipe.normalization,
    )
    # One row in eval mode: batch normalization needs no second, dropout draws nothing.
    found = torchinfo.summary(
        build(layers, key=0),
        input_size=(1, network.inputs),
        col_names=("output_size", "num_params"),
        device="cpu",
        mode="eval",
        verbose=0,
    )
    # torchinfo prints the name of its enumeration where M or G is meant.
    text = re.sub(r"Units\.(\w)\w*", r"\1", str(found))
    sizes = f"{plural(network.inputs, 'input')}, {plural(network.outputs, 'output')}"
    return f"{model.name}, {sizes}\n\n{text}"


def _recipe_changes(recipe: Recipe) -> str:
    """Return what the recipe sets otherwise than the default, one line each."""
    default = _flat(recipe_to_dict(Recipe()))
    given = _flat(recipe_to_dict(recipe))
    plain = Recipe()
    lines = []
    for name in dict.fromkeys([*given, *default]):
        if given.get(name) != default.get(name):
            usual = default.get(name, getattr(plain, name, None))
            lines.append(f"  {name:<28} {_shown(given.get(name)):<14} default {_shown(usual)}")
    if not lines:
        return "The recipe is the default: Adam without regularization."
    return "\n".join(["The recipe changes against the default:", *lines])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
