"""Networks as plain descriptions, and the modules made from them."""

from regimen.models.layers import (
    NORMALIZATIONS,
    ActivationLayer,
    DropoutLayer,
    Layer,
    LinearLayer,
    Normalization,
    NormLayer,
    build,
)
from regimen.models.mlp import MLP, parse_model

__all__ = [
    "MLP",
    "NORMALIZATIONS",
    "ActivationLayer",
    "DropoutLayer",
    "Layer",
    "LinearLayer",
    "NormLayer",
    "Normalization",
    "build",
    "parse_model",
]
