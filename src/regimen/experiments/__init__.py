"""The experiments of the five posts that regimen grew from, each a named entry of `regimen reproduce`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regimen.experiments.catalogue import ENTRIES, Entry, find_entries
    from regimen.experiments.context import Context, Outcome, Picture
    from regimen.experiments.records import Numbers, Row

__all__ = ["ENTRIES", "Context", "Entry", "Numbers", "Outcome", "Picture", "Row", "find_entries"]

# Where each name lives: `regimen reproduce --list` needs the catalogue alone, and neither matplotlib nor torch.
_HOMES = {
    "catalogue": ("ENTRIES", "Entry", "find_entries"),
    "context": ("Context", "Outcome", "Picture"),
    "records": ("Numbers", "Row"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"regimen.experiments.{module}"), name)
    raise AttributeError(f"module 'regimen.experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
