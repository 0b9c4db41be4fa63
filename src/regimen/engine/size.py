"""Up to which size of network and of images the native engine is the better one: what `auto` goes by."""

from functools import cache

from regimen.data import Images, Table
from regimen.data.machine import free_memory
from regimen.engine.chains import layers_of
from regimen.engine.native import why_not
from regimen.models import LinearLayer
from regimen.run import Run

# A run's weights and its optimizer's moments no longer stay in a cache, and torch cuts large products into better
# blocks. Native over two processes of the reference, networks 784-w-w-w-w-10 on two Zen 4 cores: w = 1024 (4.0 million
# weights): 1.6, 1.1, 1.1 times as fast at batches of 32, 100, 512 rows; w = 1536 (8.3 million): 1.5, 1.0, 1.0;
# w = 2048 (14.2 million): 1.4, 1.0, 0.8. On two Cascade Lake cores: w = 1024, 1.0.
MOST_WEIGHTS = 4_000_000
# So small a batch leaves both engines waiting for memory, and native reads it less often.
SMALL_BATCH = 32
# Of the memory that is free as the images are first seen, their float32 inputs may take so much: there are twice as
# many while the runs of one pair end and those of the next begin, beside pixels as bytes.
MOST_MEMORY = 1 / 4
# Asked for by name, native trains what `auto` would leave to others, but not what would fill the memory: both copies.
MOST_MEMORY_ASKED = 1 / 2
# Bytes of a float32.
_FLOAT = 4


def against_native(run: Run, asked: str) -> str | None:
    """Return why this run is not trained natively, or None if it is.

    Args:
        run: What to train.
        asked: The engine asked for: `native` trains all that it can and that fits the memory, `auto` what it is
            faster at.
    """
    if asked == "auto":
        return why_not(run) or too_large(run) or too_many_pixels(run)
    return why_not(run) or too_many_pixels(run, most=MOST_MEMORY_ASKED)


def too_large(run: Run) -> str | None:
    """Return in words that the network is too large for the native engine to gain anything, or None.

    Example:
        >>> from regimen.data import load, pair_split
        >>> from regimen.models import MLP
        >>> from regimen.run import Recipe
        >>> import numpy as np
        >>> data = load("iris")
        >>> split = pair_split(data, np.arange(150), 1)
        >>> large = MLP(hidden=(2048, 2048))
        >>> run = Run(recipe=Recipe(batch_size=64), model=large, data=data, split=split, key=1, metric="accuracy")
        >>> too_large(run)
        'is no faster with 4.2 million weights in batches of 64 (at most 4 million, or batches of 32)'
    """
    count = weights(run)
    if count <= MOST_WEIGHTS or run.recipe.batch_size <= SMALL_BATCH:
        return None
    return (
        f"is no faster with {count / 1e6:.1f} million weights in batches of {run.recipe.batch_size} "
        f"(at most {MOST_WEIGHTS / 1e6:g} million, or batches of {SMALL_BATCH})"
    )


def too_many_pixels(run: Run, *, most: float = MOST_MEMORY) -> str | None:
    """Return in words that the inputs of images, which the native engine keeps as float32, want too much memory.

    Args:
        run: What to train.
        most: Share of the free memory that they may take.
    """
    if not isinstance(run.data, Images):
        return None
    # A run that stops early takes its stop part out of a copy.
    copies = 2 if run.recipe.early_stopping else 1
    wanted, free = copies * _FLOAT * run.data.pixels.size, _free_at_first(run.data.digest)
    if wanted <= most * free:
        return None
    return (
        f"would keep the images as {wanted / 2**30:.1f} GiB of float32 (at most {most:.0%} of the "
        f"{free / 2**30:.1f} GiB of memory that were free)"
    )


# Asked once for each data set: with its own pairs in memory it would seem larger, and arms of a pair part.
@cache
def _free_at_first(digest: str) -> int:
    return free_memory()


def weights(run: Run) -> int:
    """Return how many weights the linear layers have; of a table before its preparation, which may add a few inputs."""
    data, outputs = run.data, len(run.data.classes) or 1
    if isinstance(data, Table):
        inputs = data.numbers.shape[1] + sum(len(column.levels) for column in data.columns)
        layers = layers_of(run, inputs, outputs)
    else:
        layers = layers_of(run, data.shape, outputs)
    return sum(layer.in_features * layer.out_features for layer in layers if isinstance(layer, LinearLayer))
