"""How much faster a small convolutional network trains with regimen.nn's dropout than with torch.nn's.

2.09 times (217 against 108 ms, medians of n = 15), 2.3 with ReLUDropout. 2 cores, AMD EPYC (AVX-512), 2026-11-21.

Network: conv 1-16, ReLU, conv 16-32, ReLU, pool, conv 32-64, ReLU, pool, 3136-100, ReLU, 100-10, all 3 x 3, with
element dropout 0.2 after each ReLU; 256 pictures of 28 x 28, channels_last, SGD, two threads. About 1 minute on two
cores; 10 s with --quick.

    python benchmarks/bench_cnn.py
    python benchmarks/bench_cnn.py --quick --batch 32

The figure is milliseconds of a training step: forward, loss, backward, optimizer. `no_dropout` is the floor of layers
that come after a ReLU; `regimen_fused` is `regimen.nn.ReLUDropout`, which takes the ReLU's place too. `torch` with
dropout in place is no contestant: ReLU needs its output for the backward pass, so PyTorch refuses to overwrite it.
"""

from collections.abc import Callable, Sequence

import torch
from measure import Record, arguments, chosen, interleaved, ratio, seconds_of, sgemm_rate, summary
from torch import nn
from torch.nn import functional as F

from regimen import nn as regimen_nn

P, LR = 0.2, 2e-4
# What stands after each convolution and hidden layer. ReLU works in place everywhere, which is faster for everybody.
ACTIVATIONS: dict[str, Callable[[], list[nn.Module]]] = {
    "regimen": lambda: [nn.ReLU(inplace=True), regimen_nn.Dropout(P)],
    "regimen_fused": lambda: [regimen_nn.ReLUDropout(P, inplace=True)],
    "torch": lambda: [nn.ReLU(inplace=True), nn.Dropout(P)],
    "no_dropout": lambda: [nn.ReLU(inplace=True)],
}


def network(activation: Callable[[], list[nn.Module]]) -> nn.Sequential:
    """Return the network with these layers after each hidden one, the same initial weights for all contestants."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for inputs, channels, pooled in ((1, 16, False), (16, 32, True), (32, 64, True)):
        layers += [nn.Conv2d(inputs, channels, 3, padding=1), *activation()]
        if pooled:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(64 * 7 * 7, 100), *activation(), nn.Linear(100, 10)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def sample(name: str, *, batch: int, steps: int) -> Callable[[], float]:
    """Return a contestant: milliseconds of a training step, over `steps` of them."""
    model = network(ACTIVATIONS[name])
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)
    pictures = torch.rand(batch, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    targets = torch.arange(batch) % 10

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(pictures), targets).backward()
        optimizer.step()

    return lambda: seconds_of(step, calls=steps) * 1e3


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    parser = arguments(__doc__ or "", tuple(ACTIVATIONS), repeats=15)
    parser.add_argument("--batch", type=int, default=256, help="pictures of a step; default 256")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch and the kernels; default 2")
    options = chosen(parser, given)
    torch.set_num_threads(options.threads)
    record = Record("cnn", "milliseconds of a training step", options)
    steps = 1 if options.quick else 2
    samples = {name: sample(name, batch=options.batch, steps=steps) for name in options.contestants}
    found = interleaved(samples | {"sgemm": sgemm_rate(options.threads, quick=options.quick)}, repeats=options.repeats)
    for name in options.contestants:
        ratios = {f"ratio_to_{base}": ratio(found[name], found[base]) for base in ("torch", "regimen") if base in found}
        record.add(contestant=name, milliseconds=summary(found[name]), **ratios)
    record.store(batch=options.batch, threads=options.threads, p=P, sgemm_gflops=summary(found["sgemm"]))


if __name__ == "__main__":
    main()
