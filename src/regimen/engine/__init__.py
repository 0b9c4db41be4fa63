"""Engines: a list of runs in, a list of results out, in order."""

from regimen.engine.reference import train_one
from regimen.engine.trainer import ENGINES, EngineChoice, Trainer, choose_engine, train

__all__ = ["ENGINES", "EngineChoice", "Trainer", "choose_engine", "train", "train_one"]
