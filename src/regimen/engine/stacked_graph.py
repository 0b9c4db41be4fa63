"""Forward and backward pass of a bundle as one CUDA graph for each shape of batch, instead of kernel by kernel.

What a graph gives is at first compared with what the operations give; where it differs, or cannot be recorded, the
operations go on.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Inputs = tuple[Tensor | None, ...]
Results = tuple[Tensor, ...]
Compute = Callable[..., Results]
# From a computation to a function that repeats it on the same memory, and the results that this writes.
Record = Callable[[Callable[[], Results]], tuple[Callable[[], None], Results]]
# Times that a shape is computed before it is recorded: the last batch of an epoch comes once in each.
SEEN = 3
# Shapes that are recorded. A bundle has two: full batches and the last one, each with and without mixing.
MOST = 4
WARM_UP = 2
# Replays that are compared with the operations: the second has another step, and so other masks, than was recorded.
CHECKS = 2
# Of the largest value: a graph has the kernels of the operations, which may add up in another order.
CLOSE = 1e-4


def record_on_cuda(compute: Callable[[], Results]) -> tuple[Callable[[], None], Results]:
    """Record a computation as a CUDA graph, after a warm-up on another stream, as PyTorch's notes on CUDA graphs ask.

    Raises:
        RuntimeError: It cannot be recorded.
    """
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = compute()
    return graph.replay, results


class Graphs:
    """A computation that is recorded when inputs of one shape come again and again, and replayed from then on.

    Args:
        state: Tensors that the computation changes in place.
        record: How it is recorded.
    """

    def __init__(self, state: Sequence[Tensor], record: Record = record_on_cuda) -> None:
        self.state, self.record = list(state), record
        self._seen: dict[tuple[object, ...], int] = {}
        self._recorded: dict[tuple[object, ...], _Recorded | None] = {}

    def __call__(self, compute: Compute, inputs: Inputs) -> Results:
        """Return what `compute` makes of the inputs; the next call may overwrite it.

        Args:
            compute: It may write into `state` and into nothing else, reads no number back, and what it reads beside its
                inputs stays where it is in memory; what it is beside that must be the same in every call.
            inputs: Tensors, or None.
        """
        shape = tuple(None if one is None else (one.shape, one.dtype) for one in inputs)
        if shape not in self._recorded:
            seen = self._seen[shape] = self._seen.get(shape, 0) + 1
            if seen <= SEEN or len(self._recorded) >= MOST:
                return compute(*inputs)
            self._recorded[shape] = self._recording(compute, inputs)
        recorded = self._recorded[shape]
        if recorded is None:
            return compute(*inputs)
        if recorded.checked == CHECKS:
            return recorded(inputs)
        results, right = self._compared(recorded, compute, inputs)
        recorded.checked += 1
        if not right:
            self._recorded[shape] = None
        return results

    def _recording(self, compute: Compute, inputs: Inputs) -> "_Recorded | None":
        """Return a recording, None if there can be none; the state is as before."""
        before = [tensor.clone() for tensor in self.state]
        try:
            return _Recorded(compute, inputs, self.record)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            return None
        finally:
            self._put_back(before)

    def _compared(self, recorded: "_Recorded", compute: Compute, inputs: Inputs) -> tuple[Results, bool]:
        """Return what the operations give, and whether the recording gives the same."""
        before = [tensor.clone() for tensor in self.state]
        found = [value.clone() for value in (*recorded(inputs), *self.state)]
        self._put_back(before)
        results = compute(*inputs)
        return results, all(_close(one, other) for one, other in zip(found, (*results, *self.state), strict=True))

    def _put_back(self, before: Sequence[Tensor]) -> None:
        for tensor, value in zip(self.state, before, strict=True):
            tensor.copy_(value)


class _Recorded:
    """A recording: places for the inputs, and results where the replay writes them."""

    checked = 0

    def __init__(self, compute: Compute, inputs: Inputs, record: Record) -> None:
        self.inputs = tuple(None if one is None else one.clone() for one in inputs)
        self.replay, self.results = record(lambda: compute(*self.inputs))

    def __call__(self, inputs: Inputs) -> Results:
        for place, value in zip(self.inputs, inputs, strict=True):
            if place is not None and value is not None:
                place.copy_(value)
        self.replay()
        return self.results


def _close(found: Tensor, expected: Tensor) -> bool:
    """Tell whether two results agree; what is not finite is no reason against a recording."""
    if not expected.is_floating_point():
        return torch.equal(found, expected)
    if not expected.numel() or not bool(expected.isfinite().all()):
        return True
    return bool((found - expected).abs().max() <= CLOSE * expected.abs().max())
