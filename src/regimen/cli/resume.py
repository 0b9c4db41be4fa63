"""Which stored study `--resume` means, and whether the options given beside it agree with its plan."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from regimen.cli.folders import RUNS, folder_name
from regimen.cli.request import StudyRequest
from regimen.cli.study import read_command_line
from regimen.data import Data, Images, Samples, load
from regimen.engine import choose_engine
from regimen.errors import InputError, OptionError, StoreError
from regimen.models import Model, parse_model
from regimen.run import read_recipe, recipe_to_dict
from regimen.store import FILE, Store
from regimen.study import Plan, parse_budget
from regimen.study.family import candidate_arms, whole_repetitions
from regimen.study.layout import Layout
from regimen.study.own_modules import planned_model, planned_trial

DATA_OPTIONS = ("target", "task", "ignore", "test", "validation", "group", "time", "weights", "image_size")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A study's folder and the table that it is about; `request` has every option of the data."""

    path: Path
    request: StudyRequest
    table: Data


def find(request: StudyRequest) -> Found:
    """Return the study that a request with `--resume` means: that in `--out`, or the newest of the same data.

    Options of the data that are not given are those of the stored command line.

    Raises:
        StoreError: There is none, it is in use or damaged, or about other data.
        OptionError: An option contradicts the plan.
        DataError: The table cannot be read.
    """
    refusals: list[str] = []
    for path in [Path(request.out)] if request.out is not None else _candidates(request.data):
        plan = read_plan(path)
        asked = None if plan is None else read_command_line(plan.command)
        other = None if asked is None else _other_division(path, asked, request)
        if other is not None:
            refusals.append(other)
            continue
        filled = _filled(request, asked)
        try:
            table = load(filled.data, **filled.table_options)
        except InputError as error:
            if asked is None or asked.data == request.data:
                raise
            raise StoreError(
                f"--resume: the study in {path} is of {asked.data}, and {request.data} cannot be read as that was "
                f"({error}); name the data of the study, or another --out"
            ) from error
        if plan is None or plan.digest == table.digest:
            if plan is not None:
                refuse_contradictions(plan, request, asked, table)
            return Found(path=path, request=filled, table=table)
        refusals.append(_other_data(path, plan, request, asked))
    if refusals:
        raise StoreError(refusals[0])
    name = folder_name(Path(request.data).stem)
    raise StoreError(f"--resume: expected a study in {RUNS / name}-<n>, found none; start it without --resume")


def _candidates(data: str) -> list[Path]:
    """Return the default folders of a table that hold a study, the last used first."""
    name = folder_name(Path(data).stem)
    folders = RUNS.iterdir() if RUNS.is_dir() else ()
    found = [path for path in folders if re.fullmatch(re.escape(name) + r"-\d+", path.name) and (path / FILE).is_file()]
    return sorted(found, key=lambda path: (path / FILE).stat().st_mtime_ns, reverse=True)


def read_plan(path: Path) -> Plan | None:
    """Return the plan of the study in a folder, None if it has none yet.

    Raises:
        StoreError: There is no study, it is in use by another process, or damaged.
    """
    try:
        with Store(path, create=False) as store:
            stored = store.plan()
        return None if stored is None else Plan.from_dict(stored)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path / FILE} holds a plan that cannot be read ({error}); choose another --out") from error


def _filled(request: StudyRequest, asked: StudyRequest | None) -> StudyRequest:
    if asked is None:
        return request
    missing = [name for name in DATA_OPTIONS if getattr(request, name) is None]
    return replace(request, **{name: getattr(asked, name) for name in missing})


def _other_division(path: Path, asked: StudyRequest, request: StudyRequest) -> str | None:
    """Return why rows that are divided by groups cannot be divided by times now, or the other way; None if not asked.

    Each alone is no contradiction, but those of the plan are filled in beside those given, and one excludes the other.
    """
    for given, planned in (("group", "time"), ("time", "group")):
        value, kept = getattr(request, given), getattr(asked, planned)
        if value is not None and getattr(request, planned) is None and kept is not None:
            return (
                f"--resume: the study in {path} divides its rows by --{planned} {kept}, not by --{given} {value}, and "
                f"a resumed study keeps its plan; leave --{given} out, or start a new study without --resume"
            )
    return None


def _other_data(path: Path, plan: Plan, request: StudyRequest, asked: StudyRequest | None) -> str:
    """Say what makes the data another than that of the stored study."""
    differing = [
        _differs(name, getattr(asked, name), getattr(request, name))
        for name in DATA_OPTIONS
        if asked is not None and getattr(request, name) not in (None, getattr(asked, name))
    ]
    if differing:
        return f"--resume: the study in {path} has {'; '.join(differing)}; leave these options out, or --resume"
    return (
        f"--resume: the study in {path} is about {plan.data} with other content than {request.data} has now; "
        "restore the data, or start a new study without --resume"
    )


def refuse_contradictions(plan: Plan, request: StudyRequest, asked: StudyRequest | None, table: Data) -> None:
    """Refuse options that would have made another plan; those not given follow the plan.

    Args:
        plan: What was planned.
        request: The options that are given now.
        asked: Those that were given when the study began, where they are known.
        table: The data.

    Raises:
        OptionError: At least one option contradicts the plan; the message names all of them.
        StoreError: The network is a module of the user's own, and it is not given, or has changed.
    """
    differing = [*_other_values(plan, request), *_other_baseline(plan, request, asked)]
    differing += _other_techniques(plan, request, table)
    if differing:
        raise OptionError(
            f"--resume: the stored plan has {'; '.join(differing)}; leave these options out to follow the plan, or "
            "start a new study without --resume"
        )
    planned_model(plan, _given_model(request))


def _other_values(plan: Plan, request: StudyRequest) -> Iterator[str]:
    recipe = plan.recipe
    planned: dict[str, Any] = {
        "model": plan.model,
        "lr": recipe.lr,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "pairs": plan.pairs,
        "folds": plan.folds or None,
        "budget": plan.budget or None,
        "metric": plan.metric,
        "smallest_effect": plan.smallest_effect,
        "engine": plan.engine,
        "seed": plan.seed,
    }
    # Spellings that mean the same: mlp and mlp:128x128, 1min and 60s, auto and the engine it stands for.
    meaning: dict[str, Callable[[Any], Any]] = {
        "pairs": lambda count: whole_repetitions(count, plan.folds),
        "model": lambda text: parse_model(text).name,
        "budget": lambda text: str(parse_budget(text)),
        "engine": lambda text: choose_engine(text, request.device or plan.device).name,
    }
    for name, value in planned.items():
        given = getattr(request, name)
        meant = meaning[name](given) if given is not None and name in meaning else given
        if given is not None and meant != value:
            yield _differs(name, value, given)


def _given_model(request: StudyRequest) -> Model | None:
    return None if request.model is None else parse_model(request.model)


def _other_baseline(plan: Plan, request: StudyRequest, asked: StudyRequest | None) -> Iterator[str]:
    if request.baseline is None:
        return
    given, recipe = read_recipe(request.baseline), plan.recipe
    for name in ("lr", "batch_size", "epochs"):
        # Given now: compared on its own. Given when the study began: the plan's value, which is not the file's.
        if getattr(request, name) is not None or (asked is not None and getattr(asked, name) is not None):
            given = given.replace(**{name: getattr(recipe, name)})
    if given != recipe:
        yield f"another --baseline ({_recipe_difference(recipe_to_dict(recipe), recipe_to_dict(given))})"


def _other_techniques(plan: Plan, request: StudyRequest, table: Data) -> Iterator[str]:
    if request.techniques is None:
        return
    model = planned_model(plan, _given_model(request))
    trial = planned_trial(Layout.of(table, folds=plan.folds), plan, model)
    arms, _ = candidate_arms(
        request.techniques,
        task=table.task,
        baseline=plan.recipe,
        model=model,
        breadth="all",
        images=isinstance(table, Images),
        samples=table if isinstance(table, Samples) else None,
        refusal=None if trial is None else trial.refusal,
    )
    names = [arm.name for arm in plan.arms]
    # A budget may have left fewer arms than were asked for, always the first ones.
    if [arm.name for arm in arms][: len(names) if plan.budget else None] != names:
        yield _differs("techniques", tuple(dict.fromkeys(arm.technique for arm in plan.arms)), request.techniques)


def _recipe_difference(planned: dict[str, Any], given: dict[str, Any]) -> str:
    names = [name for name in {**planned, **given} if planned.get(name) != given.get(name)]
    return ", ".join(f"{name} {planned.get(name, 'default')}, not {given.get(name, 'default')}" for name in names)


def _differs(name: str, planned: Any, given: Any) -> str:
    option = "--" + name.replace("_", "-")
    return f"no {option}, not {given}" if planned is None else f"{option} {_shown(planned)}, not {_shown(given)}"


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
