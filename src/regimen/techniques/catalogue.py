"""The catalogue: every technique a study can try, with its strengths as changes to a recipe (`catalogue.toml`)."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

from regimen.errors import OptionError, nearest
from regimen.records import Task

Changes = Mapping[str, Any]
# The epochs for which the schedules of the catalogue are laid out: those of a study by default.
CATALOGUE_EPOCHS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Technique:
    """One published technique.

    Attributes:
        name: As in `--techniques` and `results.json`.
        family: What kind of thing it is.
        summary: What it does, in a few words.
        reference: Where it was published.
        settings: Changes to a recipe, as in its TOML; the first is the one tried when there is time for only one.
            Schedules are laid out over 40 epochs, see `fitted`.
        strengths: The settings as numbers for a response curve, or empty.
        tasks: Tasks it applies to.
        images_only: Whether it needs images, so that no study of a table tries it.
        own_only: Whether it changes what only a module of the user's own has, so that no study of a described network
            tries it.
    """

    name: str
    family: str
    summary: str
    reference: str
    settings: tuple[Changes, ...]
    strengths: tuple[float, ...] = ()
    tasks: tuple[Task, ...] = ("classification", "regression")
    images_only: bool = False
    own_only: bool = False

    def strength(self, setting: int) -> float | None:
        """Return the number of the setting at that index, None if it has none."""
        return self.strengths[setting] if self.strengths else None


def _read_catalogue() -> dict[str, Technique]:
    tables = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return {name: msgspec.convert({"name": name, **table}, type=Technique) for name, table in tables.items()}


CATALOGUE: dict[str, Technique] = _read_catalogue()


def fitted(setting: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """Return the setting with the epochs of a schedule scaled: the catalogue writes them for 40.

    Example:
        >>> fitted({"schedule": {"name": "step", "step_size": 10}}, 20)
        {'schedule': {'name': 'step', 'step_size': 5}}
    """
    schedule = dict(setting.get("schedule") or {})
    share = epochs / CATALOGUE_EPOCHS
    if "step_size" in schedule:
        schedule["step_size"] = max(1, round(schedule["step_size"] * share))
    if "milestones" in schedule:
        # Each at least one epoch after the one before, so that very short runs have a schedule too.
        milestones: list[int] = []
        for milestone in schedule["milestones"]:
            milestones.append(max(round(milestone * share), 1, *(earlier + 1 for earlier in milestones)))
        schedule["milestones"] = milestones
    return {**setting, "schedule": schedule} if schedule else dict(setting)


def choose_techniques(
    names: str | Iterable[str], task: Task, *, images: bool = False, own: bool = False
) -> tuple[Technique, ...]:
    """Return the techniques that a comma-separated list or `all` names, in the order of the catalogue.

    Args:
        names: The list.
        task: Techniques that do not apply to it are left out.
        images: Whether techniques that need images are taken too.
        own: Whether techniques that need a module of the user's own are taken too.

    Raises:
        OptionError: A name is unknown, or none of the named techniques applies to the data.

    Example:
        >>> [t.name for t in choose_techniques("mixup, dropout", "regression")]
        ['dropout', 'mixup']
    """
    wanted = [part.strip() for part in (names.split(",") if isinstance(names, str) else names)]
    wanted = [name for name in wanted if name]
    if not wanted:
        raise OptionError(f"--techniques: expected all or names from: {', '.join(CATALOGUE)}")
    for name in wanted:
        if name != "all" and name not in CATALOGUE:
            raise OptionError(f"--techniques: no such technique {name!r}{nearest(name, ['all', *CATALOGUE])}")
    named = [t for t in CATALOGUE.values() if "all" in wanted or t.name in wanted]
    chosen = tuple(t for t in named if task in t.tasks and (images or not t.images_only) and (own or not t.own_only))
    if not chosen:
        needs = "" if images or not any(t.images_only for t in named) else " without images"
        if not own and any(t.own_only for t in named):
            needs += " without a module of your own"
        raise OptionError(f"--techniques: none of {', '.join(wanted)} applies to {task}{needs}")
    return chosen
