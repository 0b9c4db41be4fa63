"""Fast functions beside their readable reference twins."""

from regimen.kernels.dropout import dropout_mask, effective_p, keep_scale, keep_threshold, kept_elements
from regimen.kernels.dropout_autograd import is_traced, needs_tensors, noisy, relu_noisy
from regimen.kernels.dropout_noise import Form, Noise
from regimen.kernels.dropout_pass import add_noise
from regimen.kernels.words import words

__all__ = [
    "Form",
    "Noise",
    "add_noise",
    "dropout_mask",
    "effective_p",
    "is_traced",
    "keep_scale",
    "keep_threshold",
    "kept_elements",
    "needs_tensors",
    "noisy",
    "relu_noisy",
    "words",
]
