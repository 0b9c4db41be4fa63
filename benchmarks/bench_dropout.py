"""How long dropout takes, forward and with backward: regimen.nn, torch, and the plain multiply that is the floor.

2^22 floats, forward, medians of n = 9: 31 times as fast as F.dropout on one thread, 36 on two; 0.83 and 1.15 of the
time of torch.mul(out=). 2^10, with backward: 1.00 and 0.98 of the time of F.dropout. 2 cores, AMD EPYC (AVX-512),
2026-11-21.

float32 of 2^10 to 2^26 elements, bfloat16, and Dropout2d, drop probability 0.5, on 1 and 2 threads. About 3 minutes on
two cores, with 3 GB of memory; 10 s with --quick.

    python benchmarks/bench_dropout.py
    python benchmarks/bench_dropout.py --quick --exponents 10,16

Figures are microseconds per call on the same tensors over and over: up to some megabytes they stay in cache. A layer
that works in place has no backward row, since autograd refuses to overwrite the leaf that a benchmark differentiates;
and the backward of `multiply_out` is a second product into a second tensor, which is the least that any dropout could
do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from measure import Record, arguments, chosen, interleaved, numbers, ratio, seconds_of, sgemm_rate, summary
from torch import Tensor
from torch.nn import functional as F

from regimen import nn as regimen_nn

P = 0.5
CONTESTANTS = ("regimen", "torch", "regimen_inplace", "torch_inplace", "multiply", "multiply_out")
IN_PLACE = ("regimen_inplace", "torch_inplace")
EXPONENTS = (10, 12, 14, 16, 18, 20, 22, 24, 26)
# A sample lasts this long, so that clock and loop weigh nothing; a contestant that needs more gets fewer repeats.
SAMPLE_SECONDS, LONG_SECONDS, LONG_REPEATS = 0.004, 0.2, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One measurement for all contestants.

    Attributes:
        layer: `Dropout` or `Dropout2d`.
        shape: Of the input; 4 dimensions are channels_last.
        dtype: Of the input.
        threads: Of PyTorch and of the kernels.
        backward: Whether the backward pass is taken as well.
    """

    layer: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    threads: int
    backward: bool

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return an input and a mask of it."""
        rows = torch.randn(self.shape).to(self.dtype)
        if len(self.shape) == 4:
            rows = rows.contiguous(memory_format=torch.channels_last)
        return rows, F.dropout(torch.ones_like(rows), P)

    def action(self, name: str, x: Tensor, mask: Tensor) -> Callable[[], object]:
        """Return one call of a contestant on these tensors; one that works in place gets its own copy."""
        if name == "multiply_out":
            return self._multiply_out(x, mask)
        layer = getattr(regimen_nn, self.layer)(P, inplace=name in IN_PLACE).train()
        function = F.dropout2d if self.layer == "Dropout2d" else F.dropout
        forward: Callable[[Tensor], Tensor] = {
            "regimen": layer,
            "regimen_inplace": layer,
            "torch": lambda h: function(h, P),
            "torch_inplace": lambda h: function(h, P, inplace=True),
            "multiply": lambda h: torch.mul(h, mask),
        }[name]
        if not self.backward:
            own = x.clone() if name in IN_PLACE else x
            return lambda: forward(own)
        leaf = x.detach().requires_grad_()

        def both() -> None:
            forward(leaf).backward(x)
            leaf.grad = None

        return both

    def _multiply_out(self, x: Tensor, mask: Tensor) -> Callable[[], object]:
        out, back = torch.empty_like(x), torch.empty_like(x)
        if not self.backward:
            return lambda: torch.mul(x, mask, out=out)

        def both() -> None:
            torch.mul(x, mask, out=out)
            torch.mul(x, mask, out=back)

        return both


def cases(exponents: Sequence[int], *, quick: bool) -> list[Case]:
    """Return what is measured; bfloat16 and Dropout2d in one or two sizes only."""
    found = []
    half = tuple(e for e in exponents if e in ((16,) if quick else (16, 22)))
    images = (16, 16, 16, 16) if quick else (64, 64, 32, 32)  # 2^16 or 2^22 elements
    for threads in (1, 2):
        for backward in (False, True):
            shapes: list[tuple[str, tuple[int, ...], torch.dtype]] = [
                *(("Dropout", (1 << e,), torch.float32) for e in exponents),
                *(("Dropout", (1 << e,), torch.bfloat16) for e in half),
                ("Dropout2d", images, torch.float32),
            ]
            found += [
                Case(layer=layer, shape=shape, dtype=dtype, threads=threads, backward=backward)
                for layer, shape, dtype in shapes
            ]
    return found


def measured(record: Record, case: Case, names: Sequence[str], repeats: int, *, quick: bool) -> None:
    """Measure one case for all contestants, and add their rows."""
    torch.set_num_threads(case.threads)
    samples: dict[str, Callable[[], float]] = {}
    x, mask = case.tensors()
    for name in names:
        if case.backward and name in IN_PLACE:
            continue
        action = case.action(name, x, mask)
        action()
        once = min(seconds_of(action), seconds_of(action))
        if once > LONG_SECONDS:
            repeats = min(repeats, LONG_REPEATS)
        calls = max(1, round(SAMPLE_SECONDS / once))
        samples[name] = lambda action=action, calls=calls: seconds_of(action, calls=calls) * 1e6
    found = interleaved(samples, repeats=repeats)
    rate = sgemm_rate(case.threads, quick=quick)
    sgemm = summary([rate() for _ in range(3)])
    elements = torch.Size(case.shape).numel()
    for name, values in found.items():
        record.add(
            layer=case.layer,
            dtype=str(case.dtype).removeprefix("torch."),
            elements=elements,
            threads=case.threads,
            **{"pass": "forward_backward" if case.backward else "forward"},
            contestant=name,
            microseconds=summary(values),
            **{f"ratio_to_{base}": ratio(values, found[base]) for base in ("torch", "multiply_out") if base in found},
            billion_per_second=elements / summary(values)["median"] / 1e3,
            sgemm_gflops=sgemm["median"],
        )


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    parser = arguments(__doc__ or "", CONTESTANTS, repeats=9)
    parser.add_argument("--exponents", type=numbers, help="of 2, of the number of elements; default 10,12,…,26")
    options = chosen(parser, given)
    record = Record("dropout", "microseconds per call of dropout with p = 0.5", options)
    default = (10, 16, 20) if options.quick else EXPONENTS
    for case in cases(options.exponents or default, quick=options.quick):
        measured(record, case, options.contestants, options.repeats, quick=options.quick)
    record.store(p=P)


if __name__ == "__main__":
    main()
