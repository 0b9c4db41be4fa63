"""Outputs of trained networks for rows, in float64: as they are, or with dropout left on, many times over."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regimen.data import Features
from regimen.errors import OptionError
from regimen.estimators.inputs import preparation_of
from regimen.kernels import keep_scale, keep_threshold
from regimen.nn import Dropout
from regimen.run import SavedModel
from regimen.streams import Purpose, counter3, philox

Floats = npt.NDArray[np.float64]
# Rows, or rows times samples, that go through a network at once: bounds memory without slowing small tables.
CHUNK = 8192


def forward(
    model: SavedModel, features: Features, *, samples: int = 0
) -> Iterator[tuple[npt.NDArray[np.int64], Floats]]:
    """Yield rows and their outputs `[members, rows, outputs]`: logits, or amounts in the target's unit.

    Computed in float64, so that a row's prediction does not depend on the rows beside it in any digit that matters.

    Args:
        model: The networks.
        features: The rows.
        samples: 0 gives one member for each network; else as many for each, with dropout drawn anew for each: the mask
            of a row depends on its number among `features`, not on the chunks.

    Raises:
        OptionError: `samples` is below 0.
    """
    if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or samples < 0:
        raise OptionError(f"samples: expected a whole number >= 0, got {samples!r}")
    networks = [network.double() for network in model.networks()]
    size = max(1, CHUNK // max(1, samples))
    for start in range(0, features.n, size):
        rows = np.arange(start, min(start + size, features.n))
        x = torch.from_numpy(preparation_of(model).apply(features, rows)).double()
        with torch.no_grad():
            each = [
                _sampled(network, x, key, start, samples) if samples else network(x)[None]
                for network, key in zip(networks, model.keys, strict=True)
            ]
        # Inputs and weights are finite float32 numbers: their products do not overflow in float64.
        yield rows, model.preparation.predictions(torch.cat(each).numpy())


def _sampled(network: nn.Module, x: Tensor, key: int, start: int, samples: int) -> Tensor:
    """Return outputs `[samples, rows, outputs]` of a network whose dropout layers stay on.

    Reference:
        Gal and Ghahramani (2016), "Dropout as a Bayesian approximation: representing model uncertainty in deep
        learning", arXiv:1506.02142, section 4.
    """
    values = x.expand(samples, *x.shape)
    for layer in network.children():
        if isinstance(layer, Dropout):
            assert layer.site is not None
            values = values * monte_carlo_mask(
                key, layer.p, row=start, rows=x.shape[0], features=values.shape[2], samples=samples, site=layer.site
            )
        else:
            values = layer(values.flatten(0, 1)).unflatten(0, (samples, x.shape[0]))
    return values


def monte_carlo_mask(key: int, p: float, *, row: int, rows: int, features: int, samples: int, site: int) -> Tensor:
    """Return scaled masks `[samples, rows, features]`, float64: 0 where an element is dropped, else 1/(1 - p).

    Counter: c0 = feature // 8, c1 = row in the data set, c2 = sample, c3 = (Monte Carlo mask, site); values and
    threshold as in training.

    Args:
        key: Run key of the network.
        p: Drop probability in (0, 1).
        row: Number of the first row.
        rows: How many rows follow it.
        features: Elements of one row.
        samples: Number of masks for each row.
        site: Weight layers before the dropout.

    Example:
        >>> whole = monte_carlo_mask(1, 0.5, row=0, rows=4, features=9, samples=3, site=1)
        >>> torch.equal(whole[:, 2:], monte_carlo_mask(1, 0.5, row=2, rows=2, features=9, samples=3, site=1))
        True
    """
    c0 = torch.arange(-(-features // 8), dtype=torch.int64, device="cpu")
    c1 = torch.arange(row, row + rows, dtype=torch.int64, device="cpu")[:, None]
    c2 = torch.arange(samples, dtype=torch.int64, device="cpu")[:, None, None]
    four = torch.stack(philox(key, c0, c1, c2, counter3(Purpose.MONTE_CARLO_MASK, site=site)), dim=-1)
    values = torch.stack((four & 0xFFFF, four >> 16), dim=-1).flatten(-3)[..., :features]
    return (values >= keep_threshold(p)).double() * keep_scale(p)


def log_mean_probabilities(logits: Floats) -> Floats:
    """Return the logarithm of the softmax of logits `[members, rows, classes]`, averaged over the members."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - np.log(len(logs)))
