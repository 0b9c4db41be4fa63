"""Samplers of any kind: seeded by trial and parameter, given back as they were, and ended where they begin again."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import BruteForceSampler, GridSampler, PartialFixedSampler, RandomSampler, TPESampler

from regimen.search.exhaustion import exhausted, exhaustive
from regimen.search.repeating import ENTROPY, Repeating, generators, repeating, seed


class Own(optuna.samplers.BaseSampler):
    """A sampler as a user writes it, with a generator of some kind."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return self.generator.uniform(0.0, 1.0)


KINDS: dict[str, Callable[[], Any]] = {
    "random state": lambda: np.random.RandomState(1),
    "generator": lambda: np.random.default_rng(1),
    "Philox": lambda: np.random.Generator(np.random.Philox(1)),
    "Python": lambda: random.Random(1),
}


def drawn(sampler: optuna.samplers.BaseSampler, *, skip: int = 0, names: str = "abc") -> list[float]:
    """Return what one trial draws after so many others."""
    study = optuna.create_study(sampler=sampler)
    for _ in range(skip):
        study.tell(study.ask().number, state=optuna.trial.TrialState.FAIL)
    trial = study.ask()
    return [trial.suggest_float(name, 0.0, 1.0) for name in names]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_follows_from_entropy_trial_and_parameter_alone(kind: str) -> None:
    generator = KINDS[kind]()
    first = drawn(Repeating(Own(generator), "a"))
    generator.random()
    assert drawn(Repeating(Own(generator), "a")) == first
    assert drawn(Repeating(Own(generator), "a"), names="cba") == first[::-1]
    assert len({*first, *drawn(Repeating(Own(generator), "b")), *drawn(Repeating(Own(generator), "a"), skip=1)}) == 9


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_is_seeded_evenly(kind: str) -> None:
    generator, values = KINDS[kind](), []
    for index in range(2000):
        seed(generator, f"trial {index}")
        values.append(generator.random())
    # The largest distance to the uniform distribution of 2,000 values exceeds this with a probability of 1e-6.
    assert np.abs(np.sort(values) - np.linspace(0, 1, 2000)).max() < np.sqrt(np.log(2e6) / (2 * 2000))


@pytest.mark.parametrize(
    ("sampler", "number"),
    [
        (RandomSampler(seed=1), 1),
        (RandomSampler(), 1),
        (TPESampler(seed=1), 2),
        (GridSampler({"x": [1, 2]}), 1),
        (Own(None), 0),
    ],
    ids=["seeded", "unseeded", "TPE", "grid", "none"],
)
def test_all_generators_of_a_sampler_are_found(sampler: optuna.samplers.BaseSampler, number: int) -> None:
    assert len(generators(sampler)) == number


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_generators_of_a_sampler_inside_another_are_found() -> None:
    assert len(generators(PartialFixedSampler({"x": 1}, TPESampler(seed=1)))) == 2


def entropy(sampler: optuna.samplers.BaseSampler) -> str:
    study = optuna.create_study(sampler=sampler)
    with repeating(study):
        assert isinstance(study.sampler, Repeating)
    assert study.sampler is sampler
    return study.user_attrs[ENTROPY]


def test_the_seed_of_a_sampler_decides_and_it_is_given_back_as_it_was() -> None:
    assert entropy(RandomSampler(seed=1)) == entropy(RandomSampler(seed=1)) != entropy(RandomSampler(seed=2))
    assert entropy(RandomSampler()) != entropy(RandomSampler())
    sampler = RandomSampler(seed=1)
    entropy(sampler)
    distribution: Any = FloatDistribution(0.0, 1.0)
    values = [one.sample_independent(None, None, "x", distribution) for one in (sampler, RandomSampler(seed=1))]  # type: ignore[arg-type]
    assert values[0] == values[1]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_only_samplers_that_try_everything_once_are_exhaustive() -> None:
    def study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        return optuna.create_study(sampler=sampler)

    assert exhaustive(study(GridSampler({"x": [1, 2]})))
    assert exhaustive(study(BruteForceSampler()))
    assert not exhaustive(study(RandomSampler()))
    grid = study(GridSampler({"x": [1, 2]}))
    assert not exhausted(grid)
    grid.optimize(lambda trial: trial.suggest_int("x", 1, 2), 2)
    assert exhausted(grid)
    with repeating(grid):
        assert exhausted(grid) and exhaustive(grid)
