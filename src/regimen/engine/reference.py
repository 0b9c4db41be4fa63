"""The specification of training: a plain PyTorch loop, one run at a time. Other engines must agree with it.

An optimizer step, in this order: gather the batch, scale and augment images, mixup or cutmix, input noise, forward
(dropout draws its masks), loss, backward, L1 subgradient, gradient clipping, decoupled decay, the optimizer (with L2),
proximal L1, max-norm, weight averaging.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regimen import streams
from regimen.data import METRICS, Images, Prepared, Samples, prepare, stop_split
from regimen.engine.objective import Objective, WeightedObjective, with_weights
from regimen.errors import EngineError
from regimen.models import OwnModule
from regimen.nn import step as dropout_step
from regimen.records import Curves, RunResult, Status
from regimen.run import Run
from regimen.run.own import STEP, generator_seeds
from regimen.techniques import (
    Average,
    StopWatch,
    add_l1_gradient,
    augment,
    cutmix,
    decay,
    decaying,
    input_noise,
    learning_rates,
    limit_norm,
    mix,
    mixup_partners,
    mixup_weights,
    parameter_groups,
    proximal_l1,
    reestimate_batch_norm,
)

# Rows evaluated at once: bounds memory on large tables without slowing small ones.
EVALUATION_ROWS = 8192
# Images make activations that the cache shall hold: the default convolutional network took 0.39 ms an image at 128 at a
# time, 0.60 at 512 and 0.79 at 4096.
EVALUATION_IMAGES = 128
# Larger samples are gathered batch by batch, so that no second copy of all of them is made in every epoch.
GATHERED_BYTES = 1 << 26


def batches(rows: int, batch_size: int) -> list[slice]:
    """Return the slices of one epoch; a single leftover row joins the batch before it (batch norm needs two).

    Example:
        >>> batches(7, 3)
        [slice(0, 3, None), slice(3, 7, None)]
    """
    starts = list(range(0, rows, batch_size))
    if batch_size > 1 and len(starts) > 1 and rows - starts[-1] == 1:
        starts.pop()
    ends = [*starts[1:], rows]
    return [slice(a, b) for a, b in zip(starts, ends, strict=True)]


def train_one(run: Run, *, keep: Collection[str] = (), on_epoch: Callable[[int], None] | None = None) -> RunResult:
    """Train one network and return its curves, losses and metric.

    Args:
        run: What to train.
        keep: `outputs` keeps the network outputs on the validation and test parts, `weights` the parameters and
            buffers, both at the returned epoch.
        on_epoch: Called with the number of finished epochs.

    Returns:
        The result. A run whose loss is not finite is `diverged`, scored as a constant prediction, and without weights;
        its curves end before the epoch it diverged in.
    """
    return Training(run, keep).result(on_epoch)


class Training:
    """The state of one run between epochs; other engines start from it and report through it."""

    engine = "reference"
    # Of what this thread computes: worker processes that wait for a core would make what runs beside them dear.
    clock = staticmethod(time.thread_time)

    def __init__(self, run: Run, keep: Collection[str]) -> None:
        self.run, self.recipe, self.keep = run, run.recipe, keep
        self.data: Prepared = prepare(run.data, run.split, run.recipe.input_scaling)
        # From here on: the first run of a pair prepares the rows for all others, which is no cost of its technique.
        self.started = self.clock()
        self.images = isinstance(run.data, Images)
        # A sample of several sides is as large inside of a network as an image, and a row of words larger still.
        large = self.images or (isinstance(run.data, Samples) and (run.data.whole or len(run.data.shape) > 1))
        self.evaluation_rows = EVALUATION_IMAGES if large else EVALUATION_ROWS
        self.x = self._inputs("train")
        # Targets of the parts that have a loss, beside the weights of their rows if rows have weights.
        self.targets = {part: with_weights(y, self._weights(part)) for part, y in self.data.y.items() if part != "test"}
        self.y = self.targets["train"]
        # Where each training row stands in the data: what augmentation draws by.
        self.rows = torch.from_numpy(run.split.train)
        self.stop: tuple[Tensor, Tensor] | None = None
        if self.recipe.early_stopping is not None:
            self._take_stop_part()
        kind = Objective if run.data.weights is None else WeightedObjective
        self.objective = kind.of(self.recipe, run.data.task, self.data)
        self.network = run.network(self.data.inputs, self.data.outputs)
        # A module of the user's own may draw from PyTorch's default generator, and say `view` to images.
        self.own = isinstance(run.model, OwnModule)
        self.weights = decaying(self.network)
        self.slices = batches(len(self.x), self.recipe.batch_size)
        total = self.recipe.epochs * len(self.slices)
        self.rates = learning_rates(
            self.recipe.schedule, self.recipe.lr, epochs=self.recipe.epochs, steps_per_epoch=len(self.slices)
        )
        self.average = None
        if self.recipe.averaging is not None:
            self.average = Average(self.recipe.averaging, self.network, steps_per_epoch=len(self.slices), total=total)
        self.curves: dict[str, list[float]] = {"train_loss": [], "validation_loss": [], "metric": []}
        self.epochs_run = self.returned_epoch = 0
        # Of the training rows in the epoch that was trained last.
        self.order = torch.arange(len(self.x))
        self.outputs: dict[str, Tensor] = {}
        self.state: dict[str, Tensor] = {}

    def _weights(self, part: str) -> npt.NDArray[np.float64] | None:
        """Return the weights of the rows of a part, 1 in the mean; None where all rows count alike."""
        weights = self.run.data.weights
        return None if weights is None else weights.of(getattr(self.run.split, part))

    def _inputs(self, part: str) -> Tensor:
        """Return the rows of a part as they are kept in memory; `Prepared.scaled` makes inputs of images."""
        return self.data.x[part]

    # Made when it is first used: engines with update rules of their own never do, and making the first one has PyTorch
    # import its compiler, which takes more than a second.
    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """PyTorch's optimizer of the network's parameters."""
        groups = parameter_groups(
            self.network, weight_decay=self.recipe.weight_decay, decay_all=self.recipe.decay_bias_and_norm
        )
        optimizer = self.recipe.optimizer.build(groups, self.recipe.lr)
        if self.own and isinstance(optimizer, torch.optim.SGD):
            # Fused SGD stumbles over momenta not yet there, where a parameter gets its first gradient after others.
            for group in optimizer.param_groups:
                group["fused"] = False
        return optimizer

    def _take_stop_part(self) -> None:
        labels = self.data.y["train"].numpy() if self.run.data.task == "classification" else None
        structure = None if self.run.data.structure is None else self.run.data.structure.of(self.run.split.train)
        train, stop = stop_split(np.arange(len(self.x)), labels, self.run.key, structure=structure)
        self.stop = self.x[stop], self.y[stop]
        self.x, self.y, self.rows = self.x[train], self.y[train], self.rows[train]

    def result(self, on_epoch: Callable[[int], None] | None) -> RunResult:
        """Train to the end, or until the run stops early or diverges.

        Raises:
            EngineError: The code of a module of the user's own raises.
        """
        model = self.run.model
        if not isinstance(model, OwnModule):
            return self._trained(on_epoch)
        guard = model.guard(f"training {model.name}", repair="correct it and start anew", kind=EngineError)
        with torch.random.fork_rng(devices=[]), guard:
            return self._trained(on_epoch)

    def _trained(self, on_epoch: Callable[[int], None] | None) -> RunResult:
        status: Status = "finished"
        watch = StopWatch(self.recipe.early_stopping) if self.recipe.early_stopping else None
        for epoch in range(1, self.recipe.epochs + 1):
            self._train_epoch(epoch - 1)
            self.epochs_run = epoch
            with torch.no_grad(), self._evaluated_weights():
                losses = self._evaluate()
                if not np.isfinite(losses).all():
                    return self._diverged(epoch)
                if watch.improved(epoch, losses[-1]) if watch else epoch == self.recipe.epochs:
                    self._take_snapshot(epoch)
            if on_epoch is not None:
                on_epoch(epoch)
            if watch is not None and watch.done(epoch) and epoch < self.recipe.epochs:
                status = "stopped"
                break
        chosen = self.returned_epoch - 1
        return self._record(
            status,
            metric=self.curves["metric"][chosen],
            train_loss=self.curves["train_loss"][chosen],
            validation_loss=self.curves["validation_loss"][chosen],
        )

    def _train_epoch(self, epoch: int) -> None:
        self.network.train()
        order = self.order = streams.permutation(self.run.key, len(self.x), epoch=epoch)
        y = self.y[order]
        first = epoch * len(self.slices)
        lam = np.ones(len(self.slices))
        if self.recipe.mixup:
            lam = mixup_weights(self.run.key, self.recipe.mixup, step=first, steps=len(self.slices))
        seeds = generator_seeds(self.run.key, STEP, first=first, count=len(self.slices)) if self.own else []
        for i, (rows, x) in enumerate(zip(self.slices, self._batches(order, epoch), strict=True)):
            if self.own:
                torch.default_generator.manual_seed(seeds[i])
            with dropout_step(self.network, first + i, ahead=len(self.slices) - i):
                self._step(first + i, x, y[rows], float(lam[i]))

    def _batches(self, order: Tensor, epoch: int) -> Iterator[Tensor]:
        """Yield the inputs of each batch of an epoch."""
        if not self.images:
            if isinstance(self.run.data, Samples) and self.x.nbytes > GATHERED_BYTES:
                yield from (self.x[order[rows]] for rows in self.slices)
                return
            # Gathered once: a table is small, and a slice costs less than a gather for each batch.
            x = self.x[order]
            yield from (x[rows] for rows in self.slices)
            return
        for rows in self.slices:
            batch = self.data.scaled(self.x[order[rows]])
            if self.recipe.augmentation:
                batch = augment(
                    batch,
                    self.recipe.augmentation,
                    key=self.run.key,
                    rows=self.rows[order[rows]],
                    epoch=epoch,
                    fill=self.data.black,
                )
            yield batch

    def _step(self, step: int, x: Tensor, y: Tensor, lam: float) -> None:
        recipe = self.recipe
        x, partners, lam = self._mixed(step, x, lam)
        # In plain memory, as a loop of the user's own would have it: `view` refuses channels that come last.
        outputs = self.network(x.contiguous() if self.own else x)
        loss = self.objective.training_loss(outputs, y)
        if partners is not None:
            loss = lam * loss + (1.0 - lam) * self.objective.training_loss(outputs, y[partners])
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.l1 and recipe.l1_step == "subgradient":
            add_l1_gradient(self.weights, recipe.l1)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self._update(step, float(self.rates[step]))

    def _mixed(self, step: int, x: Tensor, lam: float) -> tuple[Tensor, Tensor | None, float]:
        """Return the batch with mixup or cutmix and noise, the partners of its rows, and their own share."""
        recipe, key = self.recipe, self.run.key
        partners = None
        if recipe.mixup:
            partners = mixup_partners(key, len(x), step=step)
            x = mix(x, partners, lam)
        elif recipe.cutmix:
            x, partners, lam = cutmix(x, key=key, alpha=recipe.cutmix, step=step)
        if recipe.input_noise:
            noise = input_noise(key, recipe.input_noise, rows=len(x), features=x[0].numel(), step=step)
            x = x + noise.reshape(x.shape)
        return x, partners, lam

    def _update(self, step: int, lr: float) -> None:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = lr
            if recipe.decoupled_weight_decay and (group["decays"] or recipe.decay_bias_and_norm):
                decay(group["params"], lr * recipe.decoupled_weight_decay)
        self.optimizer.step()
        if recipe.l1 and recipe.l1_step == "proximal":
            proximal_l1(self.weights, lr * recipe.l1)
        if recipe.max_norm is not None:
            limit_norm(self.weights, recipe.max_norm)
        if self.average is not None:
            self.average.update(step)

    @contextmanager
    def _evaluated_weights(self) -> Iterator[None]:
        """Put the network in eval mode, with its averaged weights if the recipe averages."""
        if self.average is not None:
            self.average.swap()
            # In the data's own order batches may be of one class each, whose variances are too small: on iris, sorted
            # by class, batch normalization with EMA had an accuracy of 0.82 so, and has 0.96.
            batches = (self._evaluated(self.x[self.order[rows]]) for rows in self.slices)
            reestimate_batch_norm(self.network, batches)
        self.network.eval()
        yield
        if self.average is not None:
            self.average.swap()

    def _evaluate(self) -> list[float]:
        """Append to the curves; return the losses on the training, validation and stop parts that there are."""
        losses = [self.objective.plain_loss(self._forward(self.x), self.y)]
        self.curves["train_loss"].append(losses[0])
        for name in ("validation_loss", "metric"):
            self.curves[name].append(math.nan)
        if "validation" in self.data.x:
            outputs = self._forward(self._inputs("validation"))
            losses.append(self.objective.plain_loss(outputs, self.targets["validation"]))
            self.curves["validation_loss"][-1] = losses[-1]
            if math.isfinite(losses[-1]):
                self.curves["metric"][-1] = self._metric(outputs)
        if self.stop is not None:
            losses.append(self.objective.plain_loss(self._forward(self.stop[0]), self.stop[1]))
        return losses

    def _forward(self, x: Tensor) -> Tensor:
        parts = [self.network(self._evaluated(chunk)) for chunk in torch.split(x, self.evaluation_rows)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _evaluated(self, x: Tensor) -> Tensor:
        """Return rows of a part as inputs; a module of the user's own gets its copy, which it may overwrite."""
        scaled = self.data.scaled(x)
        return scaled.clone(memory_format=torch.contiguous_format) if self.own else scaled

    def _metric(self, outputs: Tensor) -> float:
        targets = self.run.data.y[self.run.split.validation]
        predictions = self.data.predictions(outputs.numpy())
        return METRICS[self.run.metric].function(targets, predictions, self._weights("validation"))

    def _take_snapshot(self, epoch: int) -> None:
        """Remember what the run returns: the network after `epoch`, as evaluated."""
        self.returned_epoch = epoch
        if "outputs" in self.keep:
            self.outputs = {part: self._forward(x) for part, x in self.data.x.items() if part != "train"}
        if "weights" in self.keep:
            self.state = {name: value.clone() for name, value in self.network.state_dict().items()}

    def _diverged(self, epoch: int) -> RunResult:
        """Score a run whose loss is not finite as the constant prediction that it is worth."""
        constant = {
            part: self.objective.constant_outputs(self.y, len(x), self.data.outputs) for part, x in self.data.x.items()
        }
        self.returned_epoch = epoch
        self.curves = {name: values[: epoch - 1] for name, values in self.curves.items()}
        if "outputs" in self.keep:
            self.outputs = {part: outputs for part, outputs in constant.items() if part != "train"}
        held_out = "validation" in constant
        return self._record(
            "diverged",
            train_loss=self.objective.plain_loss(constant["train"], self.targets["train"]),
            validation_loss=self.objective.plain_loss(constant["validation"], self.targets["validation"])
            if held_out
            else math.nan,
            metric=self._metric(constant["validation"]) if held_out else math.nan,
            message=f"the loss was not finite after epoch {epoch}; lower lr or set clip_norm",
        )

    def _record(
        self, status: Status, *, metric: float, train_loss: float, validation_loss: float, message: str = ""
    ) -> RunResult:
        curves = {name: tuple(values) for name, values in self.curves.items()}
        # A diverged run has no weights worth keeping, not even those of an earlier epoch: its score is not theirs.
        state = self.state if "weights" in self.keep and status != "diverged" else None
        return RunResult(
            identity=self.run.identity,
            status=status,
            metric=metric,
            train_loss=train_loss,
            validation_loss=validation_loss,
            epoch=self.returned_epoch,
            epochs_run=self.epochs_run,
            steps=self.epochs_run * len(self.slices),
            seconds=self.clock() - self.started,
            curves=Curves(**curves),
            message=message,
            engine=self.engine,
            outputs={part: value.numpy() for part, value in self.outputs.items()} if "outputs" in self.keep else None,
            weights=None if state is None else {name: value.numpy() for name, value in state.items()},
        )
