"""Drop-in layers whose randomness is a pure function of key, place, step, row and feature."""

from regimen.nn.dropout import Dropout, step

__all__ = ["Dropout", "step"]
