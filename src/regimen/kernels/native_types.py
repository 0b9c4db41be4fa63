"""The C interface of csrc/interface.h as ctypes sees it, field by field in the same order."""

import ctypes
import struct
from ctypes import c_char_p, c_double, c_int64, c_uint32, c_uint64, c_void_p
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt


class Normalization(IntEnum):
    """What follows a linear layer."""

    NONE = 0
    BATCH = 1
    LAYER = 2


class Activation(IntEnum):
    """What follows the normalization."""

    IDENTITY = 0
    RELU = 1
    LEAKY_RELU = 2
    TANH = 3
    GELU = 4
    SILU = 5
    SIGMOID = 6


class UpdateRule(IntEnum):
    """The optimizer."""

    SGD = 0
    ADAM = 1
    RMSPROP = 2
    ADAGRAD = 3


class Criterion(IntEnum):
    """The loss."""

    CROSS_ENTROPY = 0
    SQUARED_ERROR = 1


class Ending(IntEnum):
    """How a run ended."""

    WAITING = 0
    FINISHED = 1
    STOPPED = 2
    DIVERGED = 3
    CANCELLED = 4
    NO_MEMORY = 5


class Block(ctypes.Structure):
    """Linear, normalization, activation, dropout."""

    _fields_ = (
        ("inputs", c_int64),
        ("outputs", c_int64),
        ("normalization", c_int64),
        ("activation", c_int64),
        ("threshold", c_int64),
        ("keep_scale", c_double),
        ("site", c_int64),
    )


class Part(ctypes.Structure):
    """Rows of one part, and where its results go."""

    _fields_ = (
        ("rows", c_int64),
        ("inputs", c_void_p),
        ("labels", c_void_p),
        ("targets", c_void_p),
        ("weights", c_void_p),
        ("outputs", c_void_p),
        ("every_output", c_void_p),
        ("losses", c_void_p),
        ("accuracies", c_void_p),
    )


class Update(ctypes.Structure):
    """The update rule and what acts beside it."""

    _fields_ = (
        ("kind", c_int64),
        ("momentum", c_double),
        ("dampening", c_double),
        ("beta1", c_double),
        ("beta2", c_double),
        ("epsilon", c_double),
        ("alpha", c_double),
        ("lr_decay", c_double),
        ("initial_accumulator", c_double),
        ("nesterov", c_int64),
        ("amsgrad", c_int64),
        ("centered", c_int64),
        ("weight_decay", c_double),
        ("decoupled_weight_decay", c_double),
        ("decay_all", c_int64),
        ("l1", c_double),
        ("l1_proximal", c_int64),
        ("max_norm", c_double),
        ("clip_norm", c_double),
    )


class Run(ctypes.Structure):
    """One training, and its results."""

    _fields_ = (
        ("tag", c_int64),
        ("key", c_uint64),
        ("blocks", c_int64),
        ("block", ctypes.POINTER(Block)),
        ("epochs", c_int64),
        ("batches", c_int64),
        ("starts", c_void_p),
        ("criterion", c_int64),
        ("label_smoothing", c_double),
        ("class_weights", c_void_p),
        ("update", Update),
        ("rates", c_void_p),
        ("mixing", c_void_p),
        ("shares", c_void_p),
        ("input_noise", c_double),
        ("input_threshold", c_int64),
        ("input_keep_scale", c_double),
        ("patience", c_int64),
        ("min_delta", c_double),
        ("train", Part),
        ("validation", Part),
        ("stop", Part),
        ("test", Part),
        ("parameters", c_void_p),
        ("statistics", c_void_p),
        ("keep_parameters", c_int64),
        ("status", c_int64),
        ("epochs_run", c_int64),
        ("returned_epoch", c_int64),
        ("steps_run", c_int64),
        ("seconds", c_double),
    )


# The structure RegimenDropout, packed instead of mirrored: all that does not depend on where the tensors lie, and the
# two addresses.
PASS, ADDRESSES = struct.Struct("=QIIqdddqqqqqqq"), struct.Struct("=QQ")
DROPOUT_BYTES = PASS.size + ADDRESSES.size

_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "supported": (c_int64, ()),
    "open": (c_void_p, (c_int64,)),
    "submit": (None, (c_void_p, ctypes.POINTER(Run))),
    "wait": (c_int64, (c_void_p, c_int64)),
    "cancel": (None, (c_void_p,)),
    "close": (None, (c_void_p,)),
    "words": (None, (c_uint64, c_uint32, c_uint32, c_uint32, c_int64, c_void_p)),
    "mask": (None, (c_uint64, c_uint32, c_uint32, c_int64, c_double, c_int64, c_int64, c_int64, c_void_p)),
    "engine_mask": (None, (c_uint64, c_uint32, c_uint32, c_int64, c_double, c_int64, c_int64, c_void_p, c_int64)),
    "normals": (None, (c_uint64, c_uint32, c_uint32, c_double, c_int64, c_int64, c_void_p, c_int64)),
    "dropout": (None, (c_char_p,)),
    "order": (None, (c_uint64, c_uint32, c_uint32, c_int64, c_void_p)),
}


def declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of the library's functions."""
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, f"regimen_{name}")
        function.restype, function.argtypes = result, arguments


def pointer(array: npt.NDArray[Any]) -> int:
    """Return the address of a C-contiguous array; the caller keeps the array alive.

    Raises:
        ValueError: The array is not contiguous.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"expected a contiguous array, got strides {array.strides} for shape {array.shape}")
    return array.ctypes.data


def aligned(shape: tuple[int, ...], dtype: type[Any] = np.float32) -> npt.NDArray[Any]:
    """Return an array of zeros whose first element lies on a cache line."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(count + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    values: npt.NDArray[Any] = raw[start : start + count].view(dtype).reshape(shape)
    return values
