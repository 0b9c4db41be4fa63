"""The search: an Optuna study over recipes, its trials trained in bundles and pruned, its winner confirmed."""

from regimen.search.result import SearchResult, TrialRecord
from regimen.search.search import search
from regimen.search.space import TechniqueSpace, technique_space

__all__ = ["SearchResult", "TechniqueSpace", "TrialRecord", "search", "technique_space"]
