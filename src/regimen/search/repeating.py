"""A sampler whose random numbers follow from trial and parameter: an interrupted search draws as an undisturbed one.

Imported only where Optuna is needed.
"""

import copy
import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

Generator = np.random.RandomState | np.random.Generator | random.Random

# With a study: what the random numbers of its sampler follow from.
ENTROPY = "regimen:sampler"


class Repeating(BaseSampler):
    """Puts every question to another sampler, after seeding its generators from trial, question and parameter.

    A sampler of Optuna keeps what it learns in the storage, and otherwise has only generators, whose state depends on
    all that was drawn before. Seeded anew for each question, it answers alike in the process that began a search and in
    one that goes on with it, even between two parameters of a trial.

    Args:
        inner: The sampler that is asked.
        entropy: What the seeds follow from, beside trial, question and parameter.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> def third(passed):
        ...     sampler = Repeating(optuna.samplers.RandomSampler(seed=passed), "a")
        ...     study = optuna.create_study(sampler=sampler)
        ...     return [study.ask().suggest_float("rate", 0, 1) for _ in range(3)][2]
        >>> third(passed=0) == third(passed=1)
        True
    """

    def __init__(self, inner: BaseSampler, entropy: str) -> None:
        self.inner, self.entropy = inner, entropy

    def _seed(self, trial: FrozenTrial, question: str) -> None:
        for index, generator in enumerate(generators(self.inner)):
            seed(generator, f"{self.entropy} {trial.number} {index} {question}")

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Ask which parameters are drawn together."""
        self._seed(trial, "space")
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask for the parameters that are drawn together."""
        self._seed(trial, "together")
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask for one parameter."""
        self._seed(trial, f"alone {param_name}")
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell of a trial that begins."""
        self._seed(trial, "before")
        self.inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell of a trial that ended."""
        self._seed(trial, "after")
        self.inner.after_trial(study, trial, state, values)


@contextmanager
def repeating(study: Study) -> Iterator[None]:
    """Let a study ask its sampler repeatably; afterwards it has its sampler again.

    What the random numbers follow from is drawn from the generators of the sampler when the study is first searched,
    and kept with the study: a sampler with a seed gives the same search again, and any one goes on as it began.
    """
    inner = study.sampler
    entropy = study.user_attrs.get(ENTROPY)
    if entropy is None:
        entropy = hashlib.sha256(b"".join(map(_drawn, generators(inner)))).hexdigest()
        study.set_user_attr(ENTROPY, entropy)
    study.sampler = Repeating(inner, entropy)
    try:
        yield
    finally:
        study.sampler = inner


def generators(sampler: BaseSampler) -> list[Generator]:
    """Return the random generators that are attributes of a sampler, or of samplers that it asks in its turn.

    Example:
        >>> from optuna.samplers import TPESampler
        >>> len(generators(TPESampler()))
        2
    """
    found: list[Generator] = []
    for _, value in sorted(vars(sampler).items()):
        if isinstance(value, BaseSampler):
            found += generators(value)
        else:
            # Optuna makes a generator when it is first asked for, behind an attribute of that name.
            found += [one for one in (value, getattr(value, "rng", None)) if isinstance(one, Generator)]
    return found


def seed(generator: Generator, text: str) -> None:
    """Bring a generator into the state that follows from a text.

    Example:
        >>> generator = random.Random()
        >>> seed(generator, "some")
        >>> first = generator.random()
        >>> seed(generator, "some")
        >>> generator.random() == first
        True
    """
    content = hashlib.sha256(text.encode()).digest()
    words = np.frombuffer(content, dtype="<u4").tolist()
    if isinstance(generator, random.Random):
        generator.seed(content)
    elif isinstance(generator, np.random.RandomState):
        generator.seed(words)
    else:
        kind: Any = type(generator.bit_generator)
        generator.bit_generator.state = kind(words).state


def _drawn(generator: Generator) -> bytes:
    """Return what a generator would draw next."""
    twin = copy.deepcopy(generator)
    return twin.randbytes(16) if isinstance(twin, random.Random) else twin.bytes(16)
