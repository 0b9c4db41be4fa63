"""What stands before the training loop of a plain-PyTorch script: network, criterion, optimizer, schedule, average."""

import dataclasses
from typing import Any

from regimen.data import Data, Samples
from regimen.models import (
    ActivationLayer,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    Inputs,
    Layer,
    LinearLayer,
    Model,
    NormLayer,
    OwnModule,
    PoolLayer,
)
from regimen.models.layers import ACTIVATIONS
from regimen.records import Task
from regimen.run.code_division import division_lines, stop_lines
from regimen.run.code_images import BLACK, needs_black
from regimen.run.code_own import OwnCode
from regimen.run.code_text import LINE_LENGTH, call, literal
from regimen.run.code_weights import weighted_criterion, weights_comment
from regimen.run.recipe import Recipe
from regimen.run.run import layers_of
from regimen.techniques import (
    EMA,
    Adam,
    AdamW,
    CosineLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    StepLR,
)

SCALINGS = {
    "standard": "numeric columns scaled to mean 0 and variance 1 over these rows",
    "minmax": "numeric columns scaled to the range from 0 to 1 over these rows",
    "robust": "numeric columns minus their median, over their interquartile range",
    "none": "numeric columns as they are",
}
IMAGE_SCALINGS = {
    "standard": "each channel scaled to mean 0 and variance 1 over these rows",
    "minmax": "each channel scaled to the range from 0 to 1 over these rows",
    "robust": "each channel minus its median, over its interquartile range",
    "none": "pixels from 0 to 1",
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
INITIALIZERS = {
    "he_normal": 'kaiming_normal_(layer.weight, nonlinearity="relu")',
    "he_uniform": 'kaiming_uniform_(layer.weight, nonlinearity="relu")',
    "xavier_normal": "xavier_normal_(layer.weight)",
    "xavier_uniform": "xavier_uniform_(layer.weight)",
}


class Setup:
    """What the loop has to know of a recipe, and the lines before it; a part that is not needed has no lines.

    Args:
        recipe: What to train with.
        model: The network.
        inputs: Columns of the input, or channels, height and width of images.
        outputs: Classes, or 1 for regression.
        task: Chooses the criterion.
        data: What was trained on, where that is known.
    """

    def __init__(
        self, recipe: Recipe, model: Model, *, inputs: Inputs, outputs: int, task: Task, data: Data | None = None
    ) -> None:
        self.recipe, self.task, self.outputs = recipe, task, outputs
        self.shape = inputs if isinstance(inputs, tuple) else (inputs,)
        self.images = len(self.shape) == 3
        self.samples = data if isinstance(data, Samples) else None
        self.structure = None if data is None else data.structure
        self.weights = None if data is None else data.weights
        self.own: OwnCode | None = None
        self.layers: tuple[Layer, ...] = ()
        if isinstance(model, OwnModule):
            whole = self.samples is not None and self.samples.whole
            self.own = OwnCode(model=model, recipe=recipe, inputs=inputs, whole=whole)
        else:
            self.layers = layers_of(model, recipe, inputs, outputs)
        self.convolutions = any(isinstance(layer, ConvLayer) for layer in self.layers)
        self.batch_norm = any(isinstance(layer, NormLayer) and layer.kind == "batch" for layer in self.layers)
        if self.own is not None:
            self.batch_norm = self.own.batch_norm
        self.smoothing = recipe.label_smoothing if task == "classification" else 0.0
        self.balanced = task == "classification" and recipe.class_weights == "balanced"
        # torch.optim.AdamW is the one optimizer that decays beside its step; the others need lines of their own.
        adam = isinstance(recipe.optimizer, Adam) and not recipe.weight_decay
        self.adamw = isinstance(recipe.optimizer, AdamW) or (adam and recipe.decoupled_weight_decay > 0)
        self.decay = recipe.decoupled_weight_decay if self.adamw else recipe.weight_decay
        self.own_decay = 0.0 if self.adamw else recipe.decoupled_weight_decay
        self.grouped = self.decay > 0 and not recipe.decay_bias_and_norm

    def lines(self) -> list[str]:
        """Return everything before the loop."""
        return [
            *self._header(),
            *self._network(),
            *self._initialization(),
            *self._criterion(),
            *self._stop_part(),
            *([BLACK] if needs_black(self.recipe.augmentation) else []),
            *self._optimizer(),
            *self._cuts(),
            *self._scheduler(),
            *self._average(),
        ]

    def _header(self) -> list[str]:
        target = (
            f"int64 [rows], class codes from 0 to {self.outputs - 1}."
            if self.task == "classification"
            else "float32 [rows], the target scaled to mean 0 and variance 1 over these rows."
        )
        averaging = "AveragedModel, update_bn" if self.batch_norm else "AveragedModel"
        scaling = self._scaling() if self.samples is None else "fed as they are"
        kind = "int64" if self.samples is not None and self.samples.whole else "float32"
        sizes = ", ".join(map(str, self.shape))
        return [
            f"# x_train: {kind} [rows, {sizes}], {scaling}.",
            f"# y_train: {target}",
            *weights_comment(self.weights),
            *division_lines(self.structure, stops=self.recipe.early_stopping is not None),
            *(["import copy", "import math", ""] if self.recipe.early_stopping else []),
            "import torch",
            "from torch import nn",
            *([f"from torch.optim.swa_utils import {averaging}"] if self.recipe.averaging else []),
            "",
        ]

    def _scaling(self) -> str:
        """Return how the inputs are scaled, in words."""
        given = self.recipe.input_scaling
        if isinstance(given, str):
            return (IMAGE_SCALINGS if self.images else SCALINGS)[given]
        what = "pixels from 0 to 1" if self.images else "numeric columns"
        # The numbers of many columns would fill pages.
        numbers = f"minus {literal(given[0])}, over {literal(given[1])}" if len(given[0]) < 4 else "centered and scaled"
        return f"{what} {numbers}"

    def _network(self) -> list[str]:
        if self.own is not None:
            return self.own.lines()
        rows: list[list[str]] = [[]]
        for layer in self.layers:
            # One line for each weight layer and what follows it; flattening begins the line of the next.
            begins = isinstance(layer, LinearLayer | ConvLayer | FlattenLayer)
            if begins and rows[-1] and rows[-1] != ["nn.Flatten()"]:
                rows.append([])
            rows[-1].append(_module(layer))
        fast = ["model.to(memory_format=torch.channels_last)  # faster convolutions"] if self.convolutions else []
        if len(rows) == 1:
            return call("model = nn.Sequential", rows[0])
        lines = [line for row in rows for line in _filled(row)]
        return ["model = nn.Sequential(", *(f"    {line}" for line in lines), ")", *fast]

    def _initialization(self) -> list[str]:
        kind = self.recipe.initialization
        if kind == "default":
            return []
        fill = INITIALIZERS.get(kind, f"normal_(layer.weight, std={literal(self.recipe.initialization_std)})")
        if self.own is not None:
            return [
                "for layer in model.modules():",
                "    weighted = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)",
                "    if weighted and layer.weight.requires_grad:",
                f"        nn.init.{fill}",
                "        if layer.bias is not None:",
                "            nn.init.zeros_(layer.bias)",
            ]
        return [
            "for layer in model:",
            f"    if isinstance(layer, {'nn.Conv2d | nn.Linear' if self.convolutions else 'nn.Linear'}):",
            f"        nn.init.{fill}",
            "        nn.init.zeros_(layer.bias)",
        ]

    def _criterion(self) -> list[str]:
        if self.task == "regression" and self.weights is None:
            return ["criterion = nn.MSELoss()"]
        arguments = ["weight=len(y_train) / (len(counts) * counts)"] if self.balanced else []
        arguments += [f"label_smoothing={literal(self.smoothing)}"] if self.smoothing else []
        # Without the clamp a class that is absent would weigh infinitely in the smoothed loss.
        counts = f"counts = torch.bincount(y_train, minlength={self.outputs}).clamp(min=1)"
        before = [counts] if self.balanced else []
        if self.weights is not None:
            return [*before, *weighted_criterion(self.task, smoothing=self.smoothing, balanced=self.balanced)]
        return [*before, f"criterion = nn.CrossEntropyLoss({', '.join(arguments)})"]

    def _stop_part(self) -> list[str]:
        if self.recipe.early_stopping is None:
            return []
        weights = ["w_stop, w_train = w_train[stop], w_train[train]"] if self.weights else []
        return [
            *stop_lines(self.structure),
            *weights,
            "x_stop, y_stop, x_train, y_train = x_train[stop], y_train[stop], x_train[train], y_train[train]",
        ]

    def _optimizer(self) -> list[str]:
        recipe, lines = self.recipe, list[str]()
        own_groups = self.own_decay > 0 and not recipe.decay_bias_and_norm
        if self.grouped or own_groups or recipe.l1 or recipe.max_norm:
            learned = " and p.requires_grad" if self.own else ""
            lines.append(f"weights = [p for p in model.parameters() if p.dim() > 1{learned}]")
        if self.grouped:
            lines += [
                "others = [p for p in model.parameters() if p.dim() < 2]  # biases and norms do not decay",
                f'groups = [{{"params": weights, "weight_decay": {literal(self.decay)}}}, '
                '{"params": others, "weight_decay": 0.0}]',
            ]
        arguments = ["groups" if self.grouped else "model.parameters()", f"lr={literal(recipe.lr)}"]
        # AdamW must always name its decay: its own default of 0.01 would be one that the recipe does not have.
        if not self.grouped and (self.decay or self.adamw):
            arguments.append(f"weight_decay={literal(self.decay)}")
        name = "AdamW" if self.adamw else OPTIMIZERS[recipe.optimizer.name]
        return lines + call(f"optimizer = torch.optim.{name}", [*arguments, *_changed(recipe.optimizer)])

    def _cuts(self) -> list[str]:
        size = self.recipe.batch_size
        if size == 1:
            return ["cuts = [*range(1, len(x_train))]"]
        return [f"cuts = [*range({size}, len(x_train) - 1, {size})]  # a lone last row joins the batch before it"]

    def _scheduler(self) -> list[str]:
        epochs, lr = self.recipe.epochs, literal(self.recipe.lr)
        match self.recipe.schedule:
            case None:
                return []
            case StepLR(step_size=size, gamma=gamma):
                name, arguments = "StepLR", [f"step_size={size}", f"gamma={literal(gamma)}"]
            case MultiStepLR(milestones=milestones, gamma=gamma):
                name, arguments = "MultiStepLR", [f"milestones={list(milestones)}", f"gamma={literal(gamma)}"]
            case ExponentialLR(gamma=gamma):
                name, arguments = "ExponentialLR", [f"gamma={literal(gamma)}"]
            case CosineLR(end=end):
                floor = [f"eta_min={literal(end)} * {lr}"] if end else []
                name, arguments = "CosineAnnealingLR", [f"T_max={epochs}", *floor]
            case OneCycleLR() as cycle:
                steps = [f"max_lr={lr}", f"total_steps={epochs} * (len(cuts) + 1)", "cycle_momentum=False"]
                name, arguments = "OneCycleLR", [*steps, *_changed(cycle)]
            case other:
                raise TypeError(f"no plain PyTorch for the schedule {other!r}")
        return call(f"scheduler = torch.optim.lr_scheduler.{name}", ["optimizer", *arguments])

    def _average(self) -> list[str]:
        averaging = self.recipe.averaging
        if averaging is None:
            return []
        arguments = ["model"]
        if isinstance(averaging, EMA):
            share = f"1 - min({literal(averaging.decay)}, (1 + t) / (10 + t))"
            arguments.append(f"avg_fn=lambda mean, new, t: mean.lerp(new, {share})")
        lines = call("averaged = AveragedModel", arguments)
        kinds = sorted({_dropout(layer) for layer in self.layers if isinstance(layer, DropoutLayer)})
        if self.own is not None:
            kinds = ["nn.modules.dropout._DropoutNd"]
        if self.batch_norm and kinds:
            lines += [
                f"for layer in averaged.module{'.modules()' if self.own else ''}:",
                f"    if isinstance(layer, {' | '.join(kinds)}):",
                "        layer.p = 0.0  # update_bn is to see no dropout",
            ]
        return [*lines, "averaged.eval()"] if self.recipe.early_stopping else lines


def _changed(described: Any) -> list[str]:
    """Return the keyword arguments that differ from the defaults, which are those of PyTorch's class."""
    changed = [field for field in dataclasses.fields(described) if getattr(described, field.name) != field.default]
    return [f"{field.name}={literal(getattr(described, field.name))}" for field in changed]


def _module(layer: Layer) -> str:
    match layer:
        case LinearLayer():
            return f"nn.Linear({layer.in_features}, {layer.out_features})"
        case ConvLayer(in_channels=inputs, out_channels=outputs, kernel=kernel):
            stride = f", stride={layer.stride}" if layer.stride > 1 else ""
            padding = f", padding={layer.padding}" if layer.padding else ""
            return f"nn.Conv2d({inputs}, {outputs}, {kernel}{stride}{padding})"
        case PoolLayer():
            return f"nn.{'MaxPool2d' if layer.kind == 'max' else 'AvgPool2d'}({layer.size})"
        case FlattenLayer():
            return "nn.Flatten()"
        case NormLayer(kind="batch"):
            return f"nn.BatchNorm{layer.dims}d({layer.features})"
        case NormLayer():
            return f"nn.{'LayerNorm(' if layer.dims == 1 else 'GroupNorm(1, '}{layer.features})"
        case ActivationLayer():
            return f"nn.{ACTIVATIONS[layer.kind].__name__}()"
        case DropoutLayer():
            return f"{_dropout(layer)}({literal(layer.p)})"


def _dropout(layer: DropoutLayer) -> str:
    return "nn.Dropout2d" if layer.kind == "channel" else "nn.Dropout"


def _filled(row: list[str]) -> list[str]:
    """Return the modules of a row as one line, or as two where they are too many for that."""
    line = f"{', '.join(row)},"
    if len(line) + 4 <= LINE_LENGTH:
        return [line]
    half = -(-len(row) // 2)
    return [f"{', '.join(row[:half])},", f"{', '.join(row[half:])},"]
