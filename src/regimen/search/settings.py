"""What the values of a search depend on, as plain values; and in words, how two searches differ in it."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from regimen.models.own_reach import reach
from regimen.models.own_source import sha256
from regimen.run import NUMERICS, Recipe, recipe_to_dict
from regimen.search.space import Space, TechniqueSpace
from regimen.study import Plan

# Characters of a value that are shown, and how many of them before the first difference.
LONGEST, CONTEXT = 80, 20


def settings_of(plan: Plan, space: Space, names: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what the values of trials depend on: a storage with other settings is refused.

    Args:
        plan: Data, network, metric, pairs, seed, engine and baseline.
        space: What is searched.
        names: What it was called, None for a function of the user's own.
    """
    place = getattr(space, "__qualname__", type(space).__qualname__)
    shown = ",".join(sorted(names)) if names is not None else f"the function {place}"
    text = space.content if isinstance(space, TechniqueSpace) else repr(sorted(reach([("space", space)]).items()))
    return {
        "data": f"{plan.data} {plan.digest}",
        "model": f"{plan.model} {plan.model_digest}".strip(),
        "metric": plan.metric,
        "pairs": plan.pairs,
        "seed": plan.seed,
        "engine": plan.engine,
        "baseline": recipe_to_dict(plan.recipe),
        "space": f"{shown} ({sha256(text)[:12]})",
        "numerics": NUMERICS,
    }


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in words how stored settings differ from what is wanted; of a baseline only the fields that do.

    Example:
        >>> stored = {"pairs": 8, "baseline": {"lr": 0.01, "epochs": 40}}
        >>> differences(stored, {"pairs": 8, "baseline": {"lr": 0.01, "epochs": 60, "dropout": 0.5}})
        ['its baseline has epochs = 40, not 60', 'its baseline has dropout = none, not 0.5']
    """
    found = []
    for key, value in wanted.items():
        kept = stored.get(key)
        if isinstance(kept, Mapping) and isinstance(value, Mapping):
            found += [f"its {key} has {field} = {_beside(*both)}" for field, *both in _fields(kept, value)]
        elif kept != value:
            found.append(f"its {key} is {_beside(kept, value)}")
    return found


def _fields(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield in which fields two recipes differ, with both values; what is left out is at its default."""
    usual = recipe_to_dict(Recipe(), complete=True)
    for field in dict.fromkeys([*stored, *wanted]):
        yield from _differing(field, stored.get(field, usual.get(field)), wanted.get(field, usual.get(field)))


def _differing(field: str, stored: Any, wanted: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping) and stored.get("name") == wanted.get("name"):
        for part in dict.fromkeys([*stored, *wanted]):
            yield from _differing(f"{field}.{part}", stored.get(part), wanted.get(part))
    elif stored != wanted:
        yield field, stored, wanted


def _beside(stored: Any, wanted: Any) -> str:
    """Return both values; of long ones, the begin and the stretch where they begin to differ."""
    texts = [_text(stored), _text(wanted)]
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    start = len(list(same)) - CONTEXT
    if start > CONTEXT and max(map(len, texts)) > LONGEST:
        texts = [f"{text[:CONTEXT]}…{text[start:]}" for text in texts]
    cut = [text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" for text in texts]
    return f"{cut[0]}, not {cut[1]}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        return " ".join([str(value["name"]), *(f"{key}={part}" for key, part in value.items() if key != "name")])
    return "none" if value is None or value == [] else str(value)
