"""Tables, images and samples, splits, preparation and metrics: files in, tensors out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regimen.data.anything import as_data
    from regimen.data.batches import from_batches, from_dataset
    from regimen.data.duplicates import near_duplicates
    from regimen.data.image_arrays import from_images
    from regimen.data.image_preparation import ImagePreparation
    from regimen.data.images import ImageFeatures, Images
    from regimen.data.kinds import Data
    from regimen.data.loading import from_arrays, from_frame, load, read_features
    from regimen.data.metrics import METRICS, Metric, default_metric, find_metric, smallest_effect
    from regimen.data.preparation import Constants, Preparation, Scaling
    from regimen.data.prepared import Prepared, prepare
    from regimen.data.row_weights import RowWeights
    from regimen.data.sample_arrays import from_samples, sample_features
    from regimen.data.sample_preparation import SamplePreparation
    from regimen.data.samples import SampleFeatures, Samples
    from regimen.data.sources import BUNDLED
    from regimen.data.split import (
        Parts,
        Split,
        fold_split,
        hold_out,
        pair_split,
        set_aside,
        stop_split,
    )
    from regimen.data.structure import Structure
    from regimen.data.tables import Column, Features, Table

__all__ = [
    "BUNDLED",
    "METRICS",
    "Column",
    "Constants",
    "Data",
    "Features",
    "ImageFeatures",
    "ImagePreparation",
    "Images",
    "Metric",
    "Parts",
    "Preparation",
    "Prepared",
    "RowWeights",
    "SampleFeatures",
    "SamplePreparation",
    "Samples",
    "Scaling",
    "Split",
    "Structure",
    "Table",
    "as_data",
    "default_metric",
    "find_metric",
    "fold_split",
    "from_arrays",
    "from_batches",
    "from_dataset",
    "from_frame",
    "from_images",
    "from_samples",
    "hold_out",
    "load",
    "near_duplicates",
    "pair_split",
    "prepare",
    "read_features",
    "sample_features",
    "set_aside",
    "smallest_effect",
    "stop_split",
]

# Where each name lives: polars and scikit-learn together take a second to import, and prediction needs only one.
_HOMES = {
    "image_arrays": ("from_images",),
    "image_preparation": ("ImagePreparation",),
    "anything": ("as_data",),
    "batches": ("from_batches", "from_dataset"),
    "duplicates": ("near_duplicates",),
    "images": ("ImageFeatures", "Images"),
    "kinds": ("Data",),
    "loading": ("from_arrays", "from_frame", "load", "read_features"),
    "metrics": ("METRICS", "Metric", "default_metric", "find_metric", "smallest_effect"),
    "preparation": ("Constants", "Preparation", "Scaling"),
    "prepared": ("Prepared", "prepare"),
    "row_weights": ("RowWeights",),
    "sample_arrays": ("from_samples", "sample_features"),
    "sample_preparation": ("SamplePreparation",),
    "samples": ("SampleFeatures", "Samples"),
    "sources": ("BUNDLED",),
    "split": (
        "Parts",
        "Split",
        "fold_split",
        "hold_out",
        "pair_split",
        "set_aside",
        "stop_split",
    ),
    "structure": ("Structure",),
    "tables": ("Column", "Features", "Table"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"regimen.data.{module}"), name)
    raise AttributeError(f"module 'regimen.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
