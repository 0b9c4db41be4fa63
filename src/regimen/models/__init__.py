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
from regimen.models.names import Described, Model, ModelSource, model_of, parse_model
from regimen.models.own import OwnModule, own_module
from regimen.models.sizes import Inputs

__all__ = [
    "DROPOUT_KINDS",
    "MLP",
    "NORMALIZATIONS",
    "ActivationLayer",
    "ConvLayer",
    "ConvNet",
    "Convolution",
    "Described",
    "DropoutKind",
    "DropoutLayer",
    "FlattenLayer",
    "Inputs",
    "Layer",
    "LinearLayer",
    "Model",
    "ModelSource",
    "NormLayer",
    "Normalization",
    "OwnModule",
    "PoolLayer",
    "build",
    "model_of",
    "own_module",
    "parse_model",
]
