"""Part C on the public API: what the dropout layer does, where it belongs, and what its predictions say together.

python examples/dropout_layer.py            some seconds
python examples/dropout_layer.py --quick    with fewer epochs
"""

import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from regimen.estimators import RegimenClassifier
from regimen.nn import Dropout


def main(quick: bool) -> None:
    """Show the definition, the order with activations, and the ensemble in one network."""
    torch.manual_seed(3)
    layer, x = Dropout(p=0.9), torch.randn(10, 2)
    print("p = 0.9, train mode: most elements are dropped, the others grow by 1/(1 - p)")
    print(torch.cat((x, layer(x)), dim=1))
    print("eval mode changes nothing:", torch.equal(layer.eval()(x), x))

    # The post seeds once and draws twice: two masks. Seed before each call to compare the same mask.
    print("\ndropout(f(x)) = f(dropout(x)) for the same mask?")
    layer, x = Dropout(p=0.5), torch.randn(20, 16)
    for activation in (torch.relu, torch.tanh, torch.sigmoid):
        torch.manual_seed(2)
        after = layer(activation(x))
        torch.manual_seed(2)
        before = activation(layer(x))
        print(f"  {activation.__name__:<8} {torch.equal(after, before)}")

    # Every mask is another network: their mean, and how far they disagree (Monte Carlo dropout).
    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(pixels, labels, test_size=0.2, random_state=0)
    network = RegimenClassifier(hidden=(100, 100), dropout=0.5, epochs=3 if quick else 40, random_state=0)
    network.fit(train_x, train_y)
    print("\nsamples averaged   test accuracy")
    for samples in (0, 1, 10, 50):
        guesses = network.classes_[network.predict_proba(test_x, samples=samples).argmax(axis=1)]
        print(f"{samples or 'eval mode':>16}   {(guesses == test_y).mean():>13.1%}")


if __name__ == "__main__":
    main("--quick" in sys.argv)
