"""Networks as plain descriptions, and the modules made from them."""

from regimen.models.convnet import ConvNet, Convolution
from regimen.models.layers import (
    DROPOUT_KINDS,
    NORMALIZATIONS,
    ActivationLayer,
    ConvLayer,
    DropoutKind,
    DropoutLayer,
    FlattenLayer,
    Layer,
    LinearLayer,
    Normalization,
    NormLayer,
    PoolLayer,
    build,
)
from regimen.models.mlp import MLP
from regimen.models.names import Model, parse_model
from regimen.models.sizes import Inputs

__all__ = [
    "DROPOUT_KINDS",
    "MLP",
    "NORMALIZATIONS",
    "ActivationLayer",
    "ConvLayer",
    "ConvNet",
    "Convolution",
    "DropoutKind",
    "DropoutLayer",
    "FlattenLayer",
    "Inputs",
    "Layer",
    "LinearLayer",
    "Model",
    "NormLayer",
    "Normalization",
    "PoolLayer",
    "build",
    "parse_model",
]
