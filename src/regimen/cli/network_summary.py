"""What `regimen summary` shows: the layers of a network, and what the recipe changes against the default."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from regimen.data import hold_out, load, prepare
from regimen.data.split import Split
from regimen.errors import OptionError
from regimen.models import Model, build, own_module, parse_model
from regimen.models.own_source import UserCode, names_own_module
from regimen.models.summary import summarize
from regimen.report.quantities import plural
from regimen.run import Recipe, SavedModel, read_recipe, recipe_to_dict
from regimen.run.run import layers_of
from regimen.study.layout import NO_ROWS

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network with the shape of one input and its recipe."""

    title: str
    module: nn.Module
    inputs: Shape
    recipe: Recipe


def summary_text(request: SummaryRequest) -> str:
    """Return the summary as text.

    Raises:
        InputError: The request contradicts itself, or what it names can not be read.
    """
    if names_own_module(request.model):
        network = _own(request)
        # Its forward is the user's code too, and the shape that it expects only the user knows.
        path = Path(request.model.rpartition(":")[0])
        repair = "correct it, or give other --inputs"
        with UserCode(f"{request.model} on {_sizes(network.inputs)}", path, repair=repair):
            found = summarize(network.module, network.inputs)
    else:
        network = _saved(Path(request.model), request) if Path(request.model).is_dir() else _described(request)
        found = summarize(network.module, network.inputs)
    return f"{network.title}\n\n{found.text}\n\n{_recipe_changes(network.recipe)}"


def _sizes(inputs: Shape) -> str:
    if len(inputs) == 1:
        return plural(inputs[0], "input")
    return "images " + "x".join(map(str, inputs))


def _saved(folder: Path, request: SummaryRequest) -> Network:
    given = [name for name in ("data", "target", "inputs", "outputs") if getattr(request, name) is not None]
    if given:
        raise OptionError(f"--{given[0]}: the model in {folder} has its sizes; leave the option out, or name a model")
    saved = SavedModel.load(folder)
    recipe = saved.recipe if request.recipe is None else read_recipe(request.recipe)
    return _of_model(saved.model, saved.preparation.inputs, saved.preparation.outputs, recipe)


def _described(request: SummaryRequest) -> Network:
    try:
        model = parse_model(request.model)
    except OptionError as error:
        reason = str(error).removeprefix("--model: ")
        raise OptionError(f"expected the folder of a saved model, FILE.py:FUNCTION, or a model: {reason}") from error
    recipe = Recipe() if request.recipe is None else read_recipe(request.recipe)
    inputs, outputs = _given_sizes(request, recipe)
    if inputs is None or outputs is None:
        raise OptionError("expected the sizes of the network, got none; add --data DATA, or --inputs N and --outputs N")
    return _of_model(model, inputs, outputs, recipe)


def _of_model(model: Model, inputs: Shape, outputs: int, recipe: Recipe) -> Network:
    return Network(
        title=f"{model.name}, {_sizes(inputs)}, {plural(outputs, 'output')}",
        module=build(layers_of(model, recipe, inputs, outputs), key=0),
        inputs=inputs,
        recipe=recipe,
    )


def _own(request: SummaryRequest) -> Network:
    if request.outputs is not None:
        raise OptionError("--outputs: a module of your own has its outputs; leave the option out")
    module = own_module(request.model).make()
    recipe = Recipe() if request.recipe is None else read_recipe(request.recipe)
    inputs, _ = _given_sizes(request, recipe)
    if inputs is None:
        raise OptionError("expected the shape of one input, got none; add --data DATA, or --inputs such as 1x28x28")
    return Network(title=f"{request.model}, {_sizes(inputs)}", module=module, inputs=inputs, recipe=recipe)


def _given_sizes(request: SummaryRequest, recipe: Recipe) -> tuple[Shape | None, int | None]:
    """Return the shape of one input and the outputs as far as the request has them."""
    if request.data is None:
        if request.target is not None:
            raise OptionError("--target: expected --data beside it, got no data")
        return request.inputs, request.outputs
    if (request.inputs, request.outputs) != (None, None):
        raise OptionError("--inputs, --outputs: --data gives them already; leave out the one or the other")
    data = load(request.data, target=request.target)
    split = Split(train=hold_out(data).development, validation=NO_ROWS, test=NO_ROWS)
    prepared = prepare(data, split, recipe.input_scaling)
    return prepared.inputs, prepared.outputs


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
