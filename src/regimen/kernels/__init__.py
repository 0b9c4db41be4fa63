"""Fast functions beside their readable reference twins."""

from regimen.kernels.dropout import dropout_mask, effective_p, keep_scale, keep_threshold
from regimen.kernels.words import words

__all__ = ["dropout_mask", "effective_p", "keep_scale", "keep_threshold", "words"]
