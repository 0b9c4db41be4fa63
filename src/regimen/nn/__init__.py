"""Drop-in layers whose randomness is a pure function of key, place, step, row and feature."""

from regimen.nn.alpha import AlphaDropout, FeatureAlphaDropout
from regimen.nn.drop_connect import DropConnectLinear
from regimen.nn.drop_path import DropPath
from regimen.nn.dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from regimen.nn.gaussian import GaussianDropout
from regimen.nn.relu_dropout import ReLUDropout
from regimen.nn.stream_layer import StreamLayer, step

__all__ = [
    "AlphaDropout",
    "DropConnectLinear",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "ReLUDropout",
    "StreamLayer",
    "step",
]
