"""Modules of the user's own in a study: tried before anything is trained, and found again when it is resumed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from regimen.data import Data, Table, prepare
from regimen.data.naming import counted
from regimen.errors import OptionError, StoreError
from regimen.models import Model, OwnModule, parse_model
from regimen.models.adapting import Change, Wishes
from regimen.models.own_source import names_own_module
from regimen.models.rewriting_functional import ALWAYS_ON
from regimen.run import Recipe, Run
from regimen.run.own import wishes_of
from regimen.run.own_check import OwnCheck
from regimen.study.layout import Layout
from regimen.study.plan import Plan

# Why a recipe cannot be applied to the network, None if it can.
Refusal = Callable[[Recipe], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Tries recipes on a module of the user's own, each way to change it once.

    Attributes:
        check: Tries one recipe.
        baseline: The recipe that others change.
        notes: What is to be said of the module, in words.
    """

    check: OwnCheck
    baseline: Recipe
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Run) -> "Trial | None":
        """Return the trial of a run's network and recipe, None for a described network.

        Raises:
            OptionError: The module cannot be trained, with the recipe or at all.
        """
        if not isinstance(run.model, OwnModule):
            return None
        prepared = prepare(run.data, run.split, run.recipe.input_scaling)
        example = prepared.scaled(prepared.x["train"][:1])
        check = OwnCheck(
            model=run.model,
            inputs=prepared.inputs,
            outputs=prepared.outputs,
            task=run.data.task,
            whole=not example.is_floating_point(),
            reasons=_reasons(run.data, prepared.features),
        )
        notes = check.require(run.recipe)
        changes = check.adapted(run.recipe).changes
        told = [f"{check.model.name}, {one.place}: {one.what}" for one in changes if _is_told(one)]
        return cls(check=check, baseline=run.recipe, notes=(*notes, *told))

    def refusal(self, recipe: Recipe) -> str | None:
        """Return why a recipe cannot be applied, or changes nothing against the baseline; None if it does."""
        wishes, baseline = wishes_of(recipe), wishes_of(self.baseline)
        if wishes == baseline:
            return None
        changes = _changes(self.check, wishes)
        if isinstance(changes, str):
            return changes
        name = self.check.model.name
        if changes == _changes(self.check, baseline):
            return f"it changes nothing in {name}"
        if wishes.dropout_kind != baseline.dropout_kind:
            other = replace(wishes, dropout_kind=baseline.dropout_kind)
            if changes == _changes(self.check, other):
                return f"nothing is inserted behind a convolution of {name}, whose channels could be dropped"
        return None


def _reasons(data: Data, inputs: int) -> str:
    """Return why a table has so many inputs, where they are not all its columns: its notes are told only later."""
    if not isinstance(data, Table):
        return ""
    left_out = [note for note in data.notes if note.startswith("left out column ")]
    if data.structure is not None:
        left_out.append(f"column {data.structure.column!r} gives the {data.structure.by}s")
    made = f"{data.name} has {counted(inputs, 'input')} from {counted(len(data.columns), 'column')}"
    if inputs != len(data.columns):
        made += ", where each level of a category is an input, and so is whether a number is missing"
    elif not left_out:
        return ""
    return "; ".join([made, *left_out])


def _is_told(change: Change) -> bool:
    """Return whether a change, which the baseline makes too, is news to whoever wrote the module."""
    return ALWAYS_ON in change.what or change.what.startswith("not looked into")


# A command plans twice, once for nothing: see `cli.study_session.require_plan`.
@lru_cache(maxsize=256)
def _changes(check: OwnCheck, wishes: Wishes) -> tuple[Change, ...] | str:
    """Return what wishes change in a module, or why they cannot be fulfilled."""
    try:
        return check.adapted(Recipe(**asdict(wishes))).changes
    except OptionError as error:
        return str(error)


def planned_trial(layout: Layout, plan: Plan, model: Model) -> Trial | None:
    """Return the trial of a stored plan's network and baseline, None for a described network.

    Raises:
        OptionError: The module cannot be trained.
    """
    split = layout.search_pair(plan.seed, 0)[1]
    probe = Run(recipe=plan.recipe, model=model, data=layout.table, split=split, key=0, metric=plan.metric)
    return Trial.of(probe)


def planned_model(plan: Plan, given: Model | None) -> Model:
    """Return the network of a stored plan; one of the user's own has to be given again.

    Raises:
        StoreError: The network is one of the user's own, and it is not given, or has another source now.
    """
    # A stored name alone runs no file: whoever resumes names it.
    if not plan.model_digest and not names_own_module(plan.model):
        return parse_model(plan.model)
    if not isinstance(given, OwnModule):
        raise StoreError(
            f"the stored study is of the module {plan.model}: expected it again, got "
            f"{'none' if given is None else given.name}; give model= in Python, or --model FILE.py:FUNCTION"
        )
    if given.digest != plan.model_digest:
        raise StoreError(
            f"the stored study is of the module {plan.model} with another source than {given.name} has now: it cannot "
            "go on; restore the source, or start a new study, without --resume"
        )
    return given
