"""Part A on the public API: does dropout help on digits, or batch normalization, or both?

python examples/digits_dropout.py            ten splits, 100 epochs: some seconds
python examples/digits_dropout.py --quick    two splits, five epochs
"""

import sys

import numpy as np

from regimen.data import load, pair_split
from regimen.engine import train
from regimen.models import MLP
from regimen.run import Recipe, Run


def main(quick: bool) -> None:
    """Train the four recipes on the same splits and print their means."""
    digits = load("digits")
    network = MLP(hidden=(100, 100, 100, 100))
    plain = Recipe(epochs=5 if quick else 100, batch_size=32, input_scaling="none")
    recipes = {
        "neither": plain,
        "dropout": plain.replace(dropout=0.5),
        "batch norm": plain.replace(normalization="batch"),
        "both": plain.replace(dropout=0.5, normalization="batch"),
    }
    keys = range(2 if quick else 10)
    # The same splits for every recipe: 80 % of the rows train, 20 % test.
    splits = [pair_split(digits, np.arange(digits.n), key, validation_fraction=0.2) for key in keys]
    print(
        f"{'':<12}{'training loss':>14}{'test loss':>11}{'test accuracy':>15}   (eval mode, mean of {len(keys)} splits)"
    )
    for name, recipe in recipes.items():
        results = train(
            [
                Run(recipe=recipe, model=network, data=digits, split=split, key=key, metric="accuracy")
                for key, split in zip(keys, splits, strict=True)
            ]
        )
        training = np.mean([result.train_loss for result in results])
        test = np.mean([result.validation_loss for result in results])
        accuracy = np.mean([result.metric for result in results])
        print(f"{name:<12}{training:>14.5f}{test:>11.3f}{accuracy:>14.1%}")


if __name__ == "__main__":
    main("--quick" in sys.argv)
