"""What `regimen summary` shows: the layers of a network, and what the recipe changes against the default."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regimen.cli.predictions import load_model
from regimen.data import Data, default_metric, hold_out, load, prepare
from regimen.data.split import Split
from regimen.errors import OptionError
from regimen.models import Described, OwnModule, build, own_module, parse_model
from regimen.models.adapting import Change
from regimen.models.own_source import names_own_module
from regimen.models.summary import summarize
from regimen.report.quantities import plural
from regimen.run import Recipe, Run, read_recipe, recipe_to_dict
from regimen.run.own import own_network
from regimen.run.run import layers_of
from regimen.study.layout import NO_ROWS
from regimen.study.own_modules import Trial

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRequest:
    """What `regimen summary` was asked; None is what was not given."""

    model: str
    recipe: str | None = None
    data: str | None = None
    target: str | None = None
    inputs: Shape | None = None
    outputs: int | None = None
    own: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network with its inputs and its recipe.

    Attributes:
        title: What it is.
        module: The network, with the recipe applied.
        inputs: Shape of one input.
        recipe: The recipe.
        model: The module of the user's own that it is, or None.
        changes: What the recipe does to that.
        dtype: Of the inputs.
    """

    title: str
    module: nn.Module
    inputs: Shape
    recipe: Recipe
    model: OwnModule | None = None
    changes: tuple[Change, ...] = ()
    dtype: torch.dtype = torch.float32


def summary_text(request: SummaryRequest) -> str:
    """Return the summary as text.

    Raises:
        InputError: The request contradicts itself, or what it names cannot be read.
    """
    network = _network(request)
    if network.model is None:
        found = summarize(network.module, network.inputs)
    else:
        # Its forward is the user's code too, and the shape that it expects only the user knows.
        with network.model.guard(
            f"{network.model.name} on {_sizes(network.inputs)}", repair="correct it, or give other --inputs"
        ):
            found = summarize(network.module, network.inputs, dtype=network.dtype)
    parts = [network.title, found.text, _recipe_changes(network.recipe)]
    if network.changes:
        width = max(len(change.place) for change in network.changes)
        lines = [f"  {change.place:<{width}}  {change.what}" for change in network.changes]
        parts.append("\n".join(["With this recipe the module has:", *lines]))
    return "\n\n".join(parts)


def _network(request: SummaryRequest) -> Network:
    if names_own_module(request.model):
        if request.own is not None:
            raise OptionError("--model: names the module behind a folder's weights; leave it out")
        return _own(request)
    return _saved(Path(request.model), request) if Path(request.model).is_dir() else _described(request)


def _sizes(inputs: Shape) -> str:
    if len(inputs) == 1:
        return plural(inputs[0], "input")
    return f"{'images' if len(inputs) == 3 else 'inputs'} {'x'.join(map(str, inputs))}"


def _saved(folder: Path, request: SummaryRequest) -> Network:
    given = [name for name in ("data", "target", "inputs", "outputs") if getattr(request, name) is not None]
    if given:
        raise OptionError(f"--{given[0]}: the model in {folder} has its sizes; leave the option out, or name a model")
    saved, _ = load_model(folder, request.own)
    recipe = saved.recipe if request.recipe is None else read_recipe(request.recipe)
    if isinstance(saved.model, OwnModule):
        return _of_own(saved.model, saved.preparation.inputs, recipe, whole=saved.whole)
    return _of_model(saved.model, saved.preparation.inputs, saved.preparation.outputs, recipe)


def _described(request: SummaryRequest) -> Network:
    if request.own is not None:
        raise OptionError("--model: names the module behind a folder's weights; leave it out")
    try:
        model = parse_model(request.model)
    except OptionError as error:
        reason = str(error).removeprefix("--model: ")
        raise OptionError(f"expected the folder of a saved model, FILE.py:FUNCTION, or a model: {reason}") from error
    recipe = Recipe() if request.recipe is None else read_recipe(request.recipe)
    inputs, outputs, given = request.inputs, request.outputs, _given_data(request)
    if given is not None:
        prepared = prepare(*given, recipe.input_scaling)
        inputs, outputs = prepared.inputs, prepared.outputs
    if inputs is None or outputs is None:
        raise OptionError("expected the sizes of the network, got none; add --data DATA, or --inputs N and --outputs N")
    assert not isinstance(model, OwnModule)
    return _of_model(model, inputs, outputs, recipe)


def _of_model(model: Described, inputs: Shape, outputs: int, recipe: Recipe) -> Network:
    return Network(
        title=f"{model.name}, {_sizes(inputs)}, {plural(outputs, 'output')}",
        module=build(layers_of(model, recipe, inputs, outputs), key=0),
        inputs=inputs,
        recipe=recipe,
    )


def _own(request: SummaryRequest) -> Network:
    if request.outputs is not None:
        raise OptionError("--outputs: a module of your own has its outputs; leave the option out")
    model = own_module(request.model)
    recipe = Recipe() if request.recipe is None else read_recipe(request.recipe)
    given = _given_data(request)
    if given is None:
        if request.inputs is None:
            raise OptionError("expected the shape of one input, got none; add --data DATA, or --inputs such as 1x28x28")
        return _of_own(model, request.inputs, recipe, whole=False)
    data, split = given
    # What a study of these data would refuse is refused here, in the same words.
    trial = Trial.of(Run(recipe=recipe, model=model, data=data, split=split, key=0, metric=default_metric(data).name))
    assert trial is not None
    return _of_own(model, trial.check.inputs, recipe, whole=trial.check.whole)


def _of_own(model: OwnModule, inputs: Shape, recipe: Recipe, *, whole: bool) -> Network:
    adapted = own_network(model, recipe, key=0, inputs=inputs, whole=whole)
    return Network(
        title=f"{model.name}, {_sizes(inputs)}",
        module=adapted.network,
        inputs=inputs,
        recipe=recipe,
        model=model,
        changes=adapted.changes,
        dtype=torch.int64 if whole else torch.float32,
    )


def _given_data(request: SummaryRequest) -> tuple[Data, Split] | None:
    """Return the data of the request, with all rows that are no test rows for training; None without data."""
    if request.data is None:
        if request.target is not None:
            raise OptionError("--target: expected --data beside it, got no data")
        return None
    if (request.inputs, request.outputs) != (None, None):
        raise OptionError("--inputs, --outputs: --data gives them already; leave out the one or the other")
    data = load(request.data, target=request.target)
    return data, Split(train=hold_out(data).development, validation=NO_ROWS, test=NO_ROWS)


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
        elif name == "augmentation":
            found[name] = ", ".join(" ".join(_shown(part) for part in operation.values()) for operation in value)
        else:
            found[prefix + name] = value
    return found


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
