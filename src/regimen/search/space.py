"""The space of recipes, the cocktail: for each part of a training which technique, and at what strength."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regimen.errors import OptionError, nearest
from regimen.run import Recipe
from regimen.study import Arm
from regimen.techniques import CATALOGUE, Technique, fitted

if TYPE_CHECKING:
    from optuna.trial import Trial

# From an Optuna trial and the baseline to the recipe that is trained.
Space = Callable[["Trial", Recipe], Recipe]

OFF = "off"
LR = "lr"
# The learning rate is searched up to this factor to both sides.
LR_FACTOR = 10.0

# Techniques that set the same part of a recipe: one of them at most. All others have a part of their own.
PARTS: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("sgd", "adamw", "rmsprop", "adagrad"),
    "schedule": ("cosine", "onecycle", "step_schedule", "multistep_schedule", "exponential_schedule"),
    "decay": ("l2", "decoupled_decay"),
    "dropout": ("dropout", "channel_dropout"),
    "normalization": ("batch_norm", "layer_norm"),
    "initialization": ("he", "xavier", "normal"),
    "l1": ("l1", "l1_proximal"),
    "mixing": ("mixup", "cutmix"),
    "averaging": ("ema", "swa"),
    "erasing": ("cutout", "erasing"),
}
# Without names all techniques are searched but this one: Adam beside decoupled decay is AdamW.
REDUNDANT = frozenset({"adamw"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Strengths from `low` to `high`, evenly on a logarithmic scale if `log`; whole numbers if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


# Wider than the catalogue's settings, whose strengths lie inside.
RANGES: Mapping[str, Range] = {
    "dropout": Range(low=0.02, high=0.8),
    "channel_dropout": Range(low=0.02, high=0.6),
    "mixup": Range(low=0.03, high=2.0, log=True),
    "label_smoothing": Range(low=0.01, high=0.4, log=True),
    "l2": Range(low=1e-6, high=0.1, log=True),
    "shift": Range(low=0.02, high=0.3),
    "dropout_scale": Range(low=0.0, high=2.0),
    "drop_path": Range(low=0.02, high=0.4),
    "rotation": Range(low=2.0, high=45.0),
    "decoupled_decay": Range(low=1e-3, high=3.0, log=True),
    "cutmix": Range(low=0.1, high=2.0, log=True),
    "cutout": Range(low=2, high=16, whole=True),
    "erasing": Range(low=0.1, high=0.8),
    "input_dropout": Range(low=0.02, high=0.6),
    "early_stopping": Range(low=3, high=20, whole=True),
    "input_noise": Range(low=0.03, high=1.5, log=True),
    "ema": Range(low=0.8, high=0.999),
    "max_norm": Range(low=0.5, high=8.0, log=True),
    "l1": Range(low=1e-6, high=1e-2, log=True),
    "l1_proximal": Range(low=1e-5, high=0.1, log=True),
    "swa": Range(low=0.3, high=0.9),
    "normal": Range(low=5e-3, high=0.3, log=True),
    "clipping": Range(low=0.03, high=10.0, log=True),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TechniqueSpace:
    """Every combination of some techniques at every strength; call it with a trial and the baseline.

    A trial's parameters are one choice for each part of a recipe (`decay`: off, l2 or decoupled_decay), the strength of
    what was chosen (`l2.strength`), and the learning rate. What is off stays as in the baseline.

    Attributes:
        parts: Techniques of each part, at least one.
        lr: Whether the learning rate is searched too, a factor of 10 to both sides. An optimizer that the catalogue
            gives a rate of its own has a parameter of its own for it, such as `lr_sgd`.

    Reference:
        Kadra, Lindauer, Hutter and Grabocka (2021), "Well-tuned simple nets excel on tabular datasets",
        arXiv:2106.11189: every regularizer may be on or off, each with its strength.
    """

    parts: Mapping[str, tuple[Technique, ...]]
    lr: bool = True

    def __call__(self, trial: "Trial", baseline: Recipe) -> Recipe:
        """Return the recipe of a trial.

        Raises:
            RecipeError: The trial's techniques contradict each other, or the baseline.
        """
        recipe = baseline
        for part, techniques in self.parts.items():
            name = trial.suggest_categorical(part, (OFF, *(technique.name for technique in techniques)))
            if name != OFF:
                setting = fitted(_setting(trial, CATALOGUE[name]), baseline.epochs)
                recipe = Arm(name=name, technique=name, setting=setting).recipe(recipe)
        if self.lr:
            name, middle = _rate_name(recipe.optimizer.name, recipe.lr, baseline), recipe.lr
            recipe = recipe.replace(lr=trial.suggest_float(name, middle / LR_FACTOR, middle * LR_FACTOR, log=True))
        return recipe

    @property
    def content(self) -> str:
        """Return what tells the space from others: what may be chosen in each part, and at what strengths."""
        parts = [
            (part, [(one.name, one.settings, one.strengths, RANGES.get(one.name)) for one in techniques])
            for part, techniques in self.parts.items()
        ]
        return repr((parts, LR_FACTOR if self.lr else None))

    def starts(self, baseline: Recipe) -> list[dict[str, Any]]:
        """Return the parameters of the trials to begin with: the baseline itself, then each technique alone."""
        off: dict[str, Any] = dict.fromkeys(self.parts, OFF)
        found = [off | ({LR: baseline.lr} if self.lr else {})]
        for part, techniques in self.parts.items():
            for technique in techniques:
                setting = technique.settings[0]
                alone = off | {part: technique.name}
                if technique.strengths:
                    alone[_name(technique)] = technique.strengths[0]
                if self.lr:
                    rate = setting.get(LR, baseline.lr)
                    optimizer = setting.get("optimizer", {}).get("name", baseline.optimizer.name)
                    alone[_rate_name(optimizer, rate, baseline)] = rate
                found.append(alone)
        return found


def technique_space(names: str | Iterable[str] | None, possible: Sequence[str]) -> TechniqueSpace:
    """Return the space of some techniques.

    Args:
        names: Techniques of the catalogue and `lr`, as a list or separated by commas; None or `all` for the learning
            rate and all techniques.
        possible: Techniques that fit data, network and baseline, in the order in which they are offered; each is
            offered once.

    Raises:
        OptionError: A name is unknown, or nothing is left to search.

    Example:
        >>> space = technique_space("l2, decoupled_decay, lr", ["dropout", "l2", "decoupled_decay"])
        >>> list(space.parts), space.lr
        (['decay'], True)
    """
    wanted = wanted_names(names)
    lr = LR in wanted or "all" in wanted
    # A study names a technique once for each of its settings; twice among the choices it would be twice as likely.
    offered = dict.fromkeys(possible)
    chosen = [name for name in offered if name in wanted or ("all" in wanted and name not in REDUNDANT)]
    if not chosen and not lr:
        raise OptionError(f"space: none of {', '.join(wanted)} can be tried with this network, baseline and data")
    part_of = {name: part for part, members in PARTS.items() for name in members}
    parts: dict[str, tuple[Technique, ...]] = {}
    for name in chosen:
        part = part_of.get(name, name)
        parts[part] = (*parts.get(part, ()), CATALOGUE[name])
    return TechniqueSpace(parts=parts, lr=lr)


def wanted_names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the names of a space, each once.

    Raises:
        OptionError: A name is unknown, or there is none.

    Example:
        >>> wanted_names("dropout, lr,dropout"), wanted_names(None)
        (('dropout', 'lr'), ('all',))
    """
    given = "all" if names is None else names
    found = [str(part).strip() for part in (given.split(",") if isinstance(given, str) else given)]
    wanted = tuple(dict.fromkeys(name for name in found if name))
    if not wanted:
        raise OptionError(f"space: expected all, or names from: {', '.join(['lr', *CATALOGUE])}")
    for name in wanted:
        if name not in ("all", LR) and name not in CATALOGUE:
            raise OptionError(f"space: no such technique {name!r}{nearest(name, ['all', LR, *CATALOGUE])}")
    return wanted


def setting_at(technique: Technique, strength: float) -> dict[str, Any]:
    """Return the changes to a recipe that apply a technique at any strength.

    Example:
        >>> setting_at(CATALOGUE["l2"], 0.05)
        {'weight_decay': 0.05}
    """
    replaced: dict[str, Any] = _replaced(dict(technique.settings[0]), technique.strengths[0], strength)
    return replaced


def _rate_name(optimizer: str, rate: float, baseline: Recipe) -> str:
    return LR if rate == baseline.lr else f"{LR}_{optimizer}"


def _name(technique: Technique) -> str:
    return f"{technique.name}.strength"


def _setting(trial: "Trial", technique: Technique) -> Mapping[str, Any]:
    """Return the setting that a trial takes: at any strength of the range, or one of the catalogue's without one."""
    if not technique.strengths:
        return technique.settings[0]
    name, place = _name(technique), RANGES.get(technique.name)
    if place is None:
        return technique.settings[technique.strengths.index(trial.suggest_categorical(name, technique.strengths))]
    if place.whole:
        return setting_at(technique, trial.suggest_int(name, int(place.low), int(place.high)))
    return setting_at(technique, trial.suggest_float(name, place.low, place.high, log=place.log))


def _replaced(value: Any, old: float, new: float) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(part, old, new) for key, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, old, new) for part in value]
    return new if isinstance(value, int | float) and not isinstance(value, bool) and value == old else value
