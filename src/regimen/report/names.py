"""Short names for the arms of a study, made from technique and setting."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from regimen.records import TechniqueRecord
from regimen.report.quantities import clean, finite

ABBREVIATIONS = frozenset(("ema", "l1", "l2", "lr", "sgd", "swa"))


def technique_name(name: str) -> str:
    """Return a technique's name in the catalogue as words.

    Example:
        >>> technique_name("l1_proximal"), technique_name("early_stopping")
        ('L1 proximal', 'early stopping')
    """
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in clean(name).split("_"))


def strength_text(strength: float) -> str:
    """Return a strength in a few letters.

    Example:
        >>> strength_text(0.3), strength_text(1e-05)
        ('0.3', '1e-5')
    """
    return f"{strength:g}".replace("e-0", "e-").replace("e+0", "e")


def setting_text(value: Any) -> str:
    """Return a value, or a whole setting, in a few letters.

    Example:
        >>> setting_text({"l1": 1e-05, "l1_step": "proximal"}), setting_text([0.2, True])
        ('l1 = 1e-5, l1_step = proximal', '0.2 on')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float | int):
        return strength_text(value)
    if isinstance(value, list | tuple):
        return " ".join(setting_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} = {setting_text(item)}" for key, item in _leaves(value))
    return clean(value)


def setting_note(technique: TechniqueRecord) -> str:
    """Return the setting of an arm in words, empty if its short name says the same."""
    leaves = list(_leaves(technique.setting))
    told = len(leaves) == 1 and leaves[0] == (technique.name, technique.strength)
    return "" if told else setting_text(technique.setting)


def strength_key(technique: TechniqueRecord) -> str:
    """Return what the strength is called in the setting, such as `patience`; empty if that cannot be told."""
    keys = {key for key, value in _leaves(technique.setting) if value == technique.strength}
    return keys.pop().replace("_", " ") if len(keys) == 1 else ""


def labels(techniques: tuple[TechniqueRecord, ...]) -> dict[str, str]:
    """Return a short name for every arm: technique and strength, more of the setting or the arm's name if need be."""
    found: dict[str, str] = {}
    for wording in (_short, _full, _arm):
        written = {technique.arm: wording(technique) for technique in techniques if technique.arm not in found}
        used = Counter(written.values())
        found |= {arm: label for arm, label in written.items() if used[label] == 1 or wording is _arm}
    return found


def _leaves(setting: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in setting.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield clean(key), value


def _short(technique: TechniqueRecord) -> str:
    name, strength = technique_name(technique.name), finite(technique.strength)
    if strength is not None:
        # A strength that is one of several parameters says which: a patience of 10, not ten times early stopping.
        nested = any(isinstance(value, dict) for value in technique.setting.values()) and strength_key(technique)
        return f"{name} ({nested} {strength_text(strength)})" if nested else f"{name} {strength_text(strength)}"
    # A setting without a strength is a kind, such as {"normalization": "batch"}: the word is what tells the arms apart.
    kinds = [clean(value).replace("_", " ") for value in technique.setting.values() if isinstance(value, str)]
    return " ".join([name, *(kind for kind in kinds if kind not in name)])


def _full(technique: TechniqueRecord) -> str:
    return f"{technique_name(technique.name)} ({setting_text(technique.setting)})"


def _arm(technique: TechniqueRecord) -> str:
    return clean(technique.arm)
