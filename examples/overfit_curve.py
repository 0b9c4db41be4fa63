"""Part F on the public API: a network follows pure noise, the more the wider it is, and dropout flattens it.

python examples/overfit_curve.py            eight random splits, 1000 steps: some seconds
python examples/overfit_curve.py --quick    two random splits, 100 steps
"""

import sys

import numpy as np
import torch

from regimen.data import Split, from_arrays
from regimen.engine import train
from regimen.models import MLP
from regimen.run import Recipe, Run


def main(quick: bool) -> None:
    """Train every width and rate on the same random splits and print their means."""
    torch.manual_seed(5)
    x = torch.linspace(0, 1, 100).reshape(100, 1)
    noise = from_arrays(x.numpy(), 0.01 * torch.randn(100).numpy(), task="regression", name="noise")
    splits = []
    for seed in range(2 if quick else 8):
        order = np.random.default_rng(seed).permutation(100)
        splits.append(Split(train=np.sort(order[:80]), validation=np.sort(order[80:]), test=order[:0]))

    steps = Recipe(epochs=100 if quick else 1000, batch_size=80, input_scaling="none")  # all rows at once
    cases = {f"width {width}": (width, 0.0) for width in (1, 32, 512, 2048)}
    cases |= {f"width 512, dropout {rate}": (512, rate) for rate in (0.2, 0.5, 0.8)}
    runs = [
        Run(
            recipe=steps.replace(dropout=rate),
            model=MLP(hidden=(width,)),
            data=noise,
            split=split,
            key=key,
            metric="r2",
        )
        for width, rate in cases.values()
        for key, split in enumerate(splits)
    ]
    results = train(runs)
    print(f"{'':<24}{'training loss':>14}{'test loss':>11}   (1: the variance of the training noise)")
    for place, name in enumerate(cases):
        mine = results[place * len(splits) : (place + 1) * len(splits)]
        training = np.mean([result.train_loss for result in mine])
        test = np.mean([result.validation_loss for result in mine])
        print(f"{name:<24}{training:>14.3f}{test:>11.3f}")


if __name__ == "__main__":
    main("--quick" in sys.argv)
