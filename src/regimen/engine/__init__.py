"""Engines: a list of runs in, a list of results out, in order."""

from regimen.engine.native import why_not
from regimen.engine.reference import train_one
from regimen.engine.size import against_native
from regimen.engine.surroundings import one_thread, undisturbed
from regimen.engine.trainer import ENGINES, EngineChoice, Trainer, choose_engine, train

__all__ = [
    "ENGINES",
    "EngineChoice",
    "Trainer",
    "against_native",
    "choose_engine",
    "one_thread",
    "train",
    "train_one",
    "undisturbed",
    "why_not",
]
