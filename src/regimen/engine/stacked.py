"""The stacked engine: parameters of many runs in one matrix, one step of `torch.vmap` for all of them.

It means what `reference` specifies: order, augmentation, mixing and noise of each run come from the reference's own
functions, masks from the run's own key. Results agree up to rounding, also when a run has other neighbours.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from regimen.engine.devices import CPU, full_float32, switches
from regimen.engine.stacked_graph import Graphs
from regimen.engine.stacked_objective import StackedObjective
from regimen.engine.stacked_parameters import Constraints, Layout, StackedAverage
from regimen.engine.stacked_training import StackedTraining, State
from regimen.engine.stacked_update import stacked_optimizer
from regimen.nn import step as dropout_step
from regimen.nn.keyed import count_steps_in, keep_keys_in_buffers
from regimen.records import RunResult, Status


class Bundle:
    """Runs that are trained together, and all that is stacked of them.

    Args:
        members: At least one; equal in `structure`, `lengths` and what `regimen.engine.stacked_bundles.family` says.
        device: Where steps and evaluations are computed. Rows, order, augmentation and records stay on the processor.
    """

    def __init__(self, members: Sequence[StackedTraining], device: torch.device = CPU) -> None:
        self.members, self.device = list(members), device
        first, recipes = members[0], [member.recipe for member in members]
        self.slices = first.slices
        for member in members:
            keep_keys_in_buffers(member.network)
        self.base: nn.Module = first.network
        self.layout = Layout.of(self.base, first.weights)
        self.parameters = torch.stack([self.layout.row(member.network) for member in members]).to(device)
        self.parameters.requires_grad_()
        kept = [_not_learned(member.network) for member in members]
        self.buffers: State = {name: torch.stack([one[name] for one in kept]).to(device) for name in kept[0]}
        self.objective = StackedObjective.of([member.objective for member in members], first.data.outputs, device)
        self.constraints = Constraints(recipes, self.layout, device)
        self.optimizer = stacked_optimizer([recipe.optimizer for recipe in recipes], self.parameters.detach())
        self.average = StackedAverage(recipes, len(self.slices), device) if recipes[0].averaging else None
        self.norms = [module for module in self.base.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for member in members:
            member.network = self.base
            del member.weights, member.average
        self.counter = torch.zeros((), dtype=torch.int64, device=device)
        if device != CPU:
            count_steps_in(self.base, self.counter)
        self.graphs = self._graphs()

    def results(self) -> Iterator[tuple[StackedTraining, RunResult]]:
        """Train; yield each run as it ends, whereupon it leaves the bundle."""
        # The processor waits for a graphics card without computing.
        clock = StackedTraining.clock if self.device == CPU else time.perf_counter
        for epoch in range(1, max(member.recipe.epochs for member in self.members) + 1):
            started = clock()
            for _ in self.steps(epoch - 1):
                pass
            with torch.no_grad():
                ended = self._evaluate(epoch)
            for member in self.members:
                member.spent += (clock() - started) / len(self.members)
            for run, status in ended.items():
                yield self.members[run], self.members[run].stacked_result(status)
            if len(ended) == len(self.members):
                return
            if ended:
                self._select([run for run in range(len(self.members)) if run not in ended])

    def steps(self, epoch: int = 0) -> Iterator[None]:
        """Take the steps of an epoch (from 0), one before each yield."""
        self.base.train()
        first = epoch * len(self.slices)
        feeds = [member.epoch(epoch) for member in self.members]
        for i, batches in enumerate(zip(*feeds, strict=True)):
            self.train_step(first + i, batches, ahead=len(self.slices) - i)
            yield

    def train_step(
        self, step: int, batches: Sequence[tuple[Tensor, Tensor, Tensor | None, float]], *, ahead: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Take one optimizer step of all runs.

        Args:
            step: Counted from 0.
            batches: What each run's `StackedTraining.epoch` gives.
            ahead: Steps that are sure to follow, this one included.

        Returns:
            The loss of each run, and the gradients as the optimizers get them, `[runs, P]`.
        """
        partners, shares = _mixing(batches)
        x, y, shares = (
            values.to(self.device)
            for values in (
                torch.stack([batch[0].contiguous() for batch in batches]),
                torch.stack([batch[1] for batch in batches]),
                shares,
            )
        )
        partners = None if partners is None else partners.to(self.device)
        self.counter.fill_(step)
        batch, compute = (x, y, partners, shares), partial(self._gradients, step, ahead)
        losses, gradients = self.graphs(compute, batch) if self.graphs else compute(*batch)
        with torch.no_grad():
            self.constraints.finish_gradients(self.parameters, gradients)
            self._update(step, gradients.clone())
        return losses, gradients

    def _graphs(self) -> Graphs | None:
        """Return what records `_gradients`; to be made anew when a run has left, since the tensors are others then."""
        return Graphs(list(self.buffers.values())) if self.device.type == "cuda" else None

    def _gradients(
        self, step: int, ahead: int, x: Tensor, y: Tensor, partners: Tensor | None, shares: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of all runs, and their gradients, `[runs, P]`, without the constraints'."""
        with dropout_step(self.base, step, ahead=ahead), full_float32(self.device):
            outputs = self.forward(self.parameters, self.buffers, x)
            losses = self.objective.mixed_losses(outputs, y, partners, shares)
            (gradients,) = torch.autograd.grad(losses.sum(), self.parameters)
        return losses.detach(), gradients

    def _update(self, step: int, gradients: Tensor) -> None:
        parameters = self.parameters
        # A run that ends before its neighbours has no rate for later steps, and is not there any more.
        rates = torch.tensor([[float(member.rates[step])] for member in self.members], dtype=torch.float64)
        rates = rates.to(self.device)
        self.constraints.before_step(parameters, gradients, rates)
        self.optimizer.step(parameters, gradients, rates)
        self.constraints.after_step(parameters, rates)
        if self.average is not None:
            self.average.update(parameters, step)

    def forward(self, parameters: Tensor, buffers: State, x: Tensor) -> Tensor:
        """Return the outputs `[runs, rows, outputs]`.

        Args:
            parameters: `[runs, P]`.
            buffers: Of the same runs.
            x: Inputs `[runs, rows, …]`.
        """
        with _as_written(), full_float32(self.device):
            outputs: Tensor = torch.vmap(self._forward_one)(self.layout.split(parameters), buffers, x)
        return outputs

    def _forward_one(self, parameters: State, buffers: State, x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self.base, (parameters, buffers), (x,))
        return outputs

    def _evaluate(self, epoch: int) -> dict[int, Status]:
        """Judge all runs after an epoch; return the status of those that end."""
        parameters = self.parameters
        if self.average is not None:
            parameters = self.average.evaluated(parameters)
            self._reestimate_batch_norm(parameters)
        self.base.eval()
        everyone = range(len(self.members))
        outputs = {
            name: self.outputs(parameters, self.buffers, name, everyone)
            for name in ("train", "validation", "stop")
            if self.members[0].part(name) is not None
        }
        ended: dict[int, Status] = {}
        best: list[int] = []
        for run, member in enumerate(self.members):
            status, returns = member.judged(epoch, {name: values[run] for name, values in outputs.items()})
            if status is not None:
                ended[run] = status
            if returns:
                best.append(run)
        if best:
            self._take_snapshots(epoch, parameters, best)
        return ended

    def outputs(self, parameters: Tensor, buffers: State, part: str, runs: Sequence[int]) -> Tensor:
        """Return the outputs on a part, `[runs, rows, outputs]`, on the processor; the network is in eval mode.

        Args:
            parameters: `[runs, P]`.
            buffers: Those of the same runs.
            part: `train`, `validation`, `stop` or `test`.
            runs: Whose rows.
        """
        parts = [self.members[run].part(part) for run in runs]
        x = [rows for rows, _ in filter(None, parts)]
        # Few rows at a time of 32 runs took three times as long as the training epoch; four batches without a backward
        # pass need about the memory of a step.
        most = self.members[0].evaluation_rows
        at_once = min(most, max(most // len(runs), 4 * self.slices[0].stop))
        chunks = zip(*(torch.split(rows, at_once) for rows in x), strict=True)
        scaled = (
            torch.stack(
                [self.members[run].data.scaled(rows).contiguous() for run, rows in zip(runs, chunk, strict=True)]
            ).to(self.device)
            for chunk in chunks
        )
        return torch.cat([self.forward(parameters, buffers, chunk) for chunk in scaled], dim=1).cpu()

    def _take_snapshots(self, epoch: int, parameters: Tensor, runs: list[int]) -> None:
        members, keep = [self.members[run] for run in runs], self.members[0].keep
        parameters, buffers = parameters[runs], {name: values[runs] for name, values in self.buffers.items()}
        outputs: State = {}
        if "outputs" in keep:
            parts = [name for name in members[0].data.x if name != "train"]
            outputs = {name: self.outputs(parameters, buffers, name, runs) for name in parts}
        state = self._state(parameters, buffers) if "weights" in keep else {}
        for i, member in enumerate(members):
            member.take_snapshot(
                epoch,
                {name: values[i].clone() for name, values in outputs.items()},
                {name: values[i].to("cpu", copy=True) for name, values in state.items()},
            )

    def _state(self, parameters: Tensor, buffers: State) -> State:
        """Return parameters and buffers by the names of the network's state dict, tied ones under each of theirs."""
        stacked = self.layout.split(parameters.detach()) | buffers
        tensors = [*self.base.named_parameters(), *self.base.named_buffers()]
        names = {id(tensor): name for name, tensor in tensors}
        return {name: stacked[names[id(value)]] for name, value in self.base.state_dict(keep_vars=True).items()}

    def _reestimate_batch_norm(self, parameters: Tensor) -> None:
        """Replace the running statistics by the mean over the batches of the last epoch, see `Training`."""
        norms = [norm for norm in self.norms if norm.training and norm.track_running_stats]
        if not norms:
            return
        self.base.eval()
        momenta = [norm.momentum for norm in norms]
        for name, module in self.base.named_modules():
            if module in norms:
                for kind, start in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
                    self.buffers[f"{name}.{kind}" if name else kind].fill_(start)
                module.train()
        for i, rows in enumerate(self.slices):
            for norm in norms:
                norm.momentum = 1.0 / (i + 1)  # the cumulative mean, which PyTorch reads off a counter
            x = torch.stack([member.data.scaled(member.x[member.order[rows]]) for member in self.members])
            self.forward(parameters, self.buffers, x.to(self.device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _select(self, runs: list[int]) -> None:
        """Let all other runs go."""
        kept = torch.tensor(runs)
        self.members = [self.members[run] for run in runs]
        self.parameters = self.parameters.detach()[kept].requires_grad_()
        self.buffers = {name: values[kept] for name, values in self.buffers.items()}
        for part in (self.objective, self.constraints, self.optimizer, self.average):
            if part is not None:
                part.select(kept)
        self.graphs = self._graphs()


def _not_learned(network: nn.Module) -> State:
    """Return what is stacked beside the parameters that are learned: buffers, and parameters that are frozen."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return frozen | dict(network.named_buffers())


@contextmanager
def _as_written() -> Iterator[None]:
    """Compute inside as a network is written, or not at all.

    Without the fused forms that torch.nn takes for attention, for which `torch.vmap` has no rules, and without the
    loops over single runs by which it stands in for a rule that it lacks.
    """
    functorch: Any = torch._C._functorch
    with switches:
        fast, loops = torch.backends.mha.get_fastpath_enabled(), functorch._is_vmap_fallback_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        functorch._set_vmap_fallback_enabled(False)
        try:
            with sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            functorch._set_vmap_fallback_enabled(loops)


def _mixing(batches: Sequence[tuple[Tensor, Tensor, Tensor | None, float]]) -> tuple[Tensor | None, Tensor]:
    """Return the partners of each run's rows, its own rows where it does not mix, and the shares."""
    shares = torch.tensor([share for _, _, _, share in batches], dtype=torch.float32)
    if all(partners is None for _, _, partners, _ in batches):
        return None, shares
    own = torch.arange(len(batches[0][1]))
    return torch.stack([own if partners is None else partners for _, _, partners, _ in batches]), shares
