"""The native engine: whole runs in C++, one on each core. It means what `reference` specifies."""

import ctypes
import itertools
import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regimen.data import Prepared, Samples
from regimen.data.keeping import kept
from regimen.engine.chains import layers_of, own_chain
from regimen.engine.reference import Training
from regimen.engine.surroundings import undisturbed
from regimen.errors import EngineError
from regimen.kernels import keep_scale, keep_threshold, native_types
from regimen.kernels.native import Kernels, find_kernels, why_no_kernels
from regimen.kernels.native_types import Activation, Criterion, Ending, Normalization, UpdateRule, pointer
from regimen.models import MLP, ActivationLayer, DropoutLayer, Layer, LinearLayer, NormLayer, OwnModule
from regimen.records import RunResult
from regimen.run import Run
from regimen.techniques import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, mixup_weights

# Milliseconds between two looks at Ctrl-C.
PATIENCE = 50
# Runs prepared ahead of those under way, for each thread: enough that none waits, few enough for memory.
AHEAD = 2
# Bytes that runs under way and ahead hold together, what they share counted once, from which on none is prepared but
# one for each thread. A run of 100 epochs that is validated on 60,000 rows of ten classes by `log_loss` holds 240 MB.
HELD = 1 << 30
OPTIMIZERS: dict[type[Optimizer], UpdateRule] = {
    SGD: UpdateRule.SGD,
    Adam: UpdateRule.ADAM,
    AdamW: UpdateRule.ADAM,
    RMSprop: UpdateRule.RMSPROP,
    Adagrad: UpdateRule.ADAGRAD,
}
# Images scaled at a time.
PIECE = 1024
# Below this, Adam's epsilon is not above the smallest root that its estimates are made for.
SMALLEST_EPSILON = 1e-15


def why_not(run: Run) -> str | None:
    """Return why this run cannot be trained natively, or None if it can."""
    recipe = run.recipe
    if isinstance(run.model, OwnModule):
        found = own_chain(run)
        if isinstance(found, str):
            return f"trains plain chains of linear layers only: {found}"
    elif type(run.model) is not MLP:
        return f"trains multilayer perceptrons only, not {type(run.model).__name__}"
    if isinstance(run.data, Samples) and run.data.whole:
        return "trains on floats only, not on whole numbers"
    for name in ("augmentation", "cutmix"):
        if getattr(recipe, name):
            return f"has no {name}"
    if type(recipe.optimizer) not in OPTIMIZERS:
        return f"has no update rule {type(recipe.optimizer).__name__}"
    if isinstance(recipe.optimizer, Adam) and recipe.optimizer.eps < SMALLEST_EPSILON:
        return f"needs eps >= {SMALLEST_EPSILON:g}"
    if find_kernels() is None:
        return why_no_kernels()
    return None


def train_native(runs: Sequence[Run], *, threads: int, keep: Collection[str] = ()) -> Iterator[tuple[int, RunResult]]:
    """Yield the index and result of each run as it ends, in any order.

    Runs are prepared one after the other while earlier ones train. Closing the generator, or Ctrl-C, ends the runs
    under way within a step.

    Args:
        runs: What to train; `why_not` must be None for each.
        threads: Runs at a time, >= 1.
        keep: `outputs`, `weights` or both, see `train_one`.

    Raises:
        EngineError: Memory or threads ran out.
    """
    if not runs:
        return
    kernels = find_kernels()
    if kernels is None:
        raise EngineError(f"engine native: {why_no_kernels()}")
    pool = kernels.functions.regimen_open(max(1, min(threads, len(runs))))
    if not pool:
        raise EngineError(f"engine native: could not start {threads} threads")
    waiting: dict[int, NativeTraining] = {}
    try:
        following = 0
        while following < len(runs) or waiting:
            if following < len(runs) and _may_prepare(waiting.values(), threads):
                with undisturbed():
                    waiting[following] = NativeTraining(runs[following], keep, tag=following)
                waiting[following].submit(kernels, pool)
                following += 1
                tag = kernels.functions.regimen_wait(pool, 0)
            else:
                tag = kernels.functions.regimen_wait(pool, PATIENCE)
            if tag >= 0:
                with undisturbed():
                    result = waiting.pop(tag).native_result()
                yield tag, result
    finally:
        kernels.functions.regimen_close(pool)


def _may_prepare(waiting: Collection["NativeTraining"], threads: int) -> bool:
    """Tell whether one more run may be prepared beside those under way and ahead."""
    if not threads <= len(waiting) < (1 + AHEAD) * threads:
        return len(waiting) < threads
    arrays = {pointer(array): array.nbytes for training in waiting for array in training.memory.arrays}
    return sum(arrays.values()) < HELD


@dataclass(slots=True)
class _Memory:
    """Arrays that the library reads and writes: kept alive until the run has ended."""

    arrays: list[npt.NDArray[Any]] = field(default_factory=list)

    def address(self, array: npt.NDArray[Any] | Tensor | None, dtype: type[Any]) -> int | None:
        """Return the address of the values as a contiguous array of that type."""
        if array is None:
            return None
        values = np.ascontiguousarray(array.numpy() if isinstance(array, Tensor) else array, dtype=dtype)
        self.arrays.append(values)
        return pointer(values)

    def room(self, *shape: int, dtype: type[Any] = np.float64) -> npt.NDArray[Any]:
        """Return zeros for results."""
        self.arrays.append(np.zeros(shape, dtype))
        return self.arrays[-1]


def flat_inputs(data: Prepared, part: str) -> Tensor:
    """Return the inputs of images, float32 `[rows, features]`, each row a channel after the other.

    They are shared by later calls until those of another pair or scaling are asked for.
    """
    parts = _flat_parts(data)
    if part not in parts:
        x = data.x[part]
        parts[part] = torch.empty(len(x), data.features, dtype=torch.float32)
        # In pieces, so that no copy of all rows in another order of memory is made on the way.
        for piece, rows in zip(torch.split(parts[part], PIECE), torch.split(x, PIECE), strict=True):
            piece.copy_(data.scaled(rows).flatten(1))
    return parts[part]


# Of one pair, because they take four times the memory of the pixels: 220 MB those of MNIST. Pairs come one after the
# other, and all arms of a pair share them.
@kept(1)
def _flat_parts(data: Prepared) -> dict[str, Tensor]:
    return {}


class NativeTraining(Training):
    """A run on its way through the library: described there, and recorded as the reference records it."""

    engine = "native"

    def __init__(self, run: Run, keep: Collection[str], *, tag: int) -> None:
        super().__init__(run, keep)
        self.memory = _Memory()
        self.every_output: npt.NDArray[Any] | None = None
        self.kept: dict[str, npt.NDArray[Any]] = {}
        self.losses: dict[str, npt.NDArray[Any]] = {}
        self.accuracies: npt.NDArray[Any] | None = None
        self.parameters = self._parameters()
        statistics = sum(buffer.numel() for buffer in self.network.buffers() if buffer.is_floating_point())
        self.statistics = self.memory.room(statistics, dtype=np.float32)
        self.native = self._described(tag)
        self.preparation_seconds = time.thread_time() - self.started

    def submit(self, kernels: Kernels, pool: int) -> None:
        """Queue the run."""
        kernels.functions.regimen_submit(pool, ctypes.byref(self.native))

    def _parameters(self) -> npt.NDArray[Any]:
        own = dict(self.network.named_parameters())
        flat = [own[name].detach().numpy().ravel() for name in self._names()[0]]
        self.memory.arrays.append(np.concatenate(flat))
        return self.memory.arrays[-1]

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of parameters and of running statistics in the order of the layers."""
        if isinstance(self.run.model, OwnModule):
            found = own_chain(self.run)
            assert not isinstance(found, str)
            return found.parameters, found.buffers
        buffers = (name for name, buffer in self.network.named_buffers() if buffer.is_floating_point())
        return tuple(name for name, _ in self.network.named_parameters()), tuple(buffers)

    def _described(self, tag: int) -> native_types.Run:
        recipe, memory, steps = self.recipe, self.memory, self.recipe.epochs * len(self.slices)
        layers = layers_of(self.run, self.data.inputs, self.data.outputs)
        blocks, dropped = _blocks(layers), _input_rate(layers)
        weights = self.objective.class_weights
        mixing = mixup_weights(self.run.key, recipe.mixup, step=0, steps=steps) if recipe.mixup else None
        watch = recipe.early_stopping
        return native_types.Run(
            tag=tag,
            key=self.run.key,
            blocks=len(blocks),
            block=(native_types.Block * len(blocks))(*blocks),
            epochs=recipe.epochs,
            batches=len(self.slices),
            starts=memory.address(np.array([0, *(rows.stop for rows in self.slices)]), np.int64),
            criterion=Criterion.CROSS_ENTROPY if self._classifies else Criterion.SQUARED_ERROR,
            label_smoothing=self.objective.label_smoothing,
            class_weights=memory.address(weights, np.float32),
            update=self._update_rule(),
            rates=memory.address(self.rates, np.float64),
            mixing=memory.address(mixing, np.float64),
            shares=memory.address(self._shares(steps), np.float64),
            input_noise=recipe.input_noise,
            input_threshold=keep_threshold(dropped) if dropped else 0,
            input_keep_scale=keep_scale(dropped) if dropped else 1.0,
            patience=watch.patience if watch else 0,
            min_delta=watch.min_delta if watch else 0.0,
            train=self._part("train", self.x, self.y),
            validation=self._held_out("validation"),
            stop=self._part("stop", *(self.stop or (None, None))),
            test=self._held_out("test"),
            parameters=pointer(self.parameters),
            statistics=pointer(self.statistics),
            keep_parameters="weights" in self.keep,
        )

    @property
    def _classifies(self) -> bool:
        return self.run.data.task == "classification"

    def _update_rule(self) -> native_types.Update:
        recipe, optimizer = self.recipe, self.recipe.optimizer
        update = native_types.Update(
            kind=OPTIMIZERS[type(optimizer)],
            weight_decay=recipe.weight_decay,
            decoupled_weight_decay=recipe.decoupled_weight_decay,
            decay_all=recipe.decay_bias_and_norm,
            l1=recipe.l1,
            l1_proximal=recipe.l1_step == "proximal",
            max_norm=recipe.max_norm or 0.0,
            clip_norm=recipe.clip_norm or 0.0,
        )
        match optimizer:
            case SGD():
                update.momentum, update.dampening = optimizer.momentum, optimizer.dampening
                update.nesterov = optimizer.nesterov
            case Adam():
                update.beta1, update.beta2 = optimizer.betas
                update.epsilon, update.amsgrad = optimizer.eps, optimizer.amsgrad
            case RMSprop():
                update.alpha, update.epsilon = optimizer.alpha, optimizer.eps
                update.centered, update.momentum = optimizer.centered, optimizer.momentum
            case Adagrad():
                update.lr_decay, update.epsilon = optimizer.lr_decay, optimizer.eps
                update.initial_accumulator = optimizer.initial_accumulator_value
        return update

    def _shares(self, steps: int) -> npt.NDArray[np.float64] | None:
        rule, steps_per_epoch = self.recipe.averaging, len(self.slices)
        if rule is None:
            return None
        shares = (rule.share(step=step, steps_per_epoch=steps_per_epoch, total=steps) for step in range(steps))
        return np.array([-1.0 if share is None else share for share in shares])

    def _inputs(self, part: str) -> Tensor:
        """Return the rows of a part as the library reads them: images scaled and flattened."""
        return flat_inputs(self.data, part) if self.images else self.data.x[part]

    def _held_out(self, name: str) -> native_types.Part:
        if name not in self.data.x:
            return native_types.Part()
        return self._part(name, self._inputs(name), self.targets.get(name, self.data.y[name]))

    def _part(self, name: str, x: Tensor | None, y: Tensor | None) -> native_types.Part:
        if x is None or y is None:
            return native_types.Part()
        memory, epochs, wide = self.memory, self.recipe.epochs, self.data.outputs
        part = native_types.Part(rows=len(x), inputs=memory.address(x, np.float32))
        weighted = y.dim() == 2
        if weighted:
            y, weights = y.unbind(1)
            part.weights = memory.address(weights, np.float32)
        if self._classifies:
            part.labels = memory.address(y, np.int64)
        else:
            part.targets = memory.address(y, np.float32)
        if name != "test":
            self.losses[name] = memory.room(epochs)
            part.losses = pointer(self.losses[name])
        # The library counts which rows are right, and knows no other metric.
        if name == "validation" and self.run.metric == "accuracy" and not weighted:
            self.accuracies = memory.room(epochs)
            part.accuracies = pointer(self.accuracies)
        elif name == "validation":
            self.every_output = memory.room(epochs, len(x), wide, dtype=np.float32)
            part.every_output = pointer(self.every_output)
        if name in ("validation", "test") and "outputs" in self.keep:
            self.kept[name] = memory.room(len(x), wide, dtype=np.float32)
            part.outputs = pointer(self.kept[name])
        return part

    def native_result(self) -> RunResult:
        """Return what the library found, recorded as the reference does.

        Raises:
            EngineError: Memory ran out.
        """
        ending = Ending(self.native.status)
        if ending not in (Ending.FINISHED, Ending.STOPPED, Ending.DIVERGED):
            raise EngineError(f"engine native: a run ended with {ending.name.lower().replace('_', ' ')}")
        # Not the time spent in the queue.
        self.started = time.thread_time() - self.preparation_seconds - self.native.seconds
        self.epochs_run, self.returned_epoch = self.native.epochs_run, self.native.returned_epoch
        finite = self.epochs_run - (ending == Ending.DIVERGED)
        nothing = np.full(finite, math.nan)
        self.curves = {
            "train_loss": self.losses["train"][:finite].tolist(),
            "validation_loss": self.losses.get("validation", nothing)[:finite].tolist(),
            "metric": self._metrics(finite),
        }
        if ending == Ending.DIVERGED:
            return self._diverged(self.epochs_run)
        self.outputs = {part: _tensor(values) for part, values in self.kept.items()}
        if "weights" in self.keep:
            self.state = self._state()
        chosen = self.returned_epoch - 1
        return self._record(
            "finished" if ending == Ending.FINISHED else "stopped",
            metric=self.curves["metric"][chosen],
            train_loss=self.curves["train_loss"][chosen],
            validation_loss=self.curves["validation_loss"][chosen],
        )

    def _metrics(self, epochs: int) -> list[float]:
        if "validation" not in self.data.x:
            return [math.nan] * epochs
        if self.accuracies is not None:
            values: list[float] = self.accuracies[:epochs].tolist()
            return values
        assert self.every_output is not None
        return [self._metric(_tensor(outputs)) for outputs in self.every_output[:epochs]]

    def _state(self) -> dict[str, Tensor]:
        """Return parameters and buffers by their names in the reference's network."""
        counted = 1 if self.average else self.returned_epoch
        state = {name: value.new_tensor(counted * len(self.slices)) for name, value in self.network.named_buffers()}
        own = self.network.state_dict()
        for names, values in zip(self._names(), (self.parameters, self.statistics), strict=True):
            ends = np.cumsum([own[name].numel() for name in names])
            for name, part in zip(names, np.split(values, ends[:-1]), strict=False):
                state[name] = _tensor(part).reshape(own[name].shape)
        return {name: state[name] for name in own}


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(values)


def _blocks(layers: tuple[Layer, ...]) -> list[native_types.Block]:
    """Gather the layers, in which every linear one begins a block."""
    blocks: list[native_types.Block] = []
    for layer in layers:
        match layer:
            case LinearLayer():
                blocks.append(native_types.Block(inputs=layer.in_features, outputs=layer.out_features, keep_scale=1.0))
            case NormLayer():
                blocks[-1].normalization = Normalization[layer.kind.upper()]
            case ActivationLayer():
                blocks[-1].activation = Activation[layer.kind.upper()]
            case DropoutLayer() if blocks:
                blocks[-1].threshold, blocks[-1].keep_scale = keep_threshold(layer.p), keep_scale(layer.p)
                # The third counter word of the masks has both: the call above the site.
                blocks[-1].site = layer.call << 16 | layer.site
    return blocks


def _input_rate(layers: tuple[Layer, ...]) -> float:
    """Return the rate of dropout on the inputs: what is dropped before the first linear layer."""
    before = itertools.takewhile(lambda layer: not isinstance(layer, LinearLayer), layers)
    return sum(layer.p for layer in before if isinstance(layer, DropoutLayer))
