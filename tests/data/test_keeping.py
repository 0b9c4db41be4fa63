"""What was prepared is shared while something trains, and nothing of it is alive afterwards."""

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from regimen.data import (
    Data,
    Images,
    Samples,
    Table,
    from_arrays,
    from_images,
    from_samples,
    hold_out,
    pair_split,
)
from regimen.data.keeping import keep_for, keeping, kept
from regimen.data.prepared import Prepared
from regimen.engine import Trainer
from regimen.estimators import RegimenClassifier, together
from regimen.models import MLP
from regimen.run import Recipe, Run
from regimen.study import Study, StudyOptions

X = np.random.default_rng(1).normal(size=(60, 3))
Y = np.arange(60) % 2


class Squares:
    """Counts how often it computes."""

    def __init__(self) -> None:
        self.computed = 0
        self.kept = kept(4)(self.compute)

    def compute(self, number: int) -> list[int]:
        self.computed += 1
        return [number**2]


def test_what_is_made_lives_until_the_last_user_is_gone() -> None:
    squares = Squares()
    with keeping():
        first = squares.kept(3)
        with keeping():
            assert squares.kept(3) is first
        assert squares.kept(3) is first
        let_go = keep_for(squares)
    assert squares.kept(3) is first
    let_go()
    assert squares.kept(3) is not first
    assert squares.computed == 2


def test_a_user_that_is_forgotten_lets_go_too() -> None:
    class User:
        pass

    squares, user = Squares(), User()
    keep_for(user)
    first = squares.kept(3)
    del user
    gc.collect()
    assert squares.kept(3) is not first


class Inputs:
    """All inputs that were prepared, as long as they are alive."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Tensor]] = []

    @property
    def alive(self) -> int:
        return sum(inputs() is not None for inputs in self.seen)

    @property
    def all_gone(self) -> bool:
        if self.alive:
            gc.collect()
        return not self.alive


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> Inputs:
    """What is prepared from now on."""
    found, usual = Inputs(), Prepared.__post_init__

    def noting(self: Prepared) -> None:
        usual(self)
        found.seen += [weakref.ref(x) for x in self.x.values()]

    monkeypatch.setattr(Prepared, "__post_init__", noting)
    return found


def table() -> Table:
    return from_arrays(X, Y)


def samples() -> Samples:
    return from_samples(X[:, None], Y)


def images() -> Images:
    return from_images(np.random.default_rng(1).integers(0, 256, (60, 1, 8, 8)), Y)


def runs(data: Data, count: int = 2) -> list[Run]:
    development = hold_out(data).development
    recipe = Recipe(epochs=1)
    return [
        Run(
            recipe=recipe,
            model=MLP(hidden=(3,)),
            data=data,
            split=pair_split(data, development, key),
            key=key,
            metric="accuracy",
        )
        for key in range(count)
    ]


@pytest.mark.parametrize("make", [table, samples, images])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_nothing_that_was_prepared_outlives_a_trainer(make: Callable[[], Data], engine: str, inputs: Inputs) -> None:
    with Trainer([data := make()], engine=engine, processes=1) as trainer:
        trainer.train(runs(data))
        assert inputs.alive
        prepared = len(inputs.seen)
        trainer.train(runs(data)[1:])
        assert len(inputs.seen) == prepared, "the last pair is prepared already"
    assert inputs.all_gone


def test_nothing_that_was_prepared_outlives_a_study(inputs: Inputs) -> None:
    options = StudyOptions(
        model=MLP(hidden=(3,)),
        techniques="dropout",
        pairs=4,
        baseline=Recipe(epochs=1),
        processes=1,
        engine="reference",
    )
    found = Study(data=table(), options=options).run()
    assert len(inputs.seen) > 8 and inputs.all_gone
    assert found.model.predict(table()).shape == (60,)


def test_nothing_that_was_prepared_outlives_a_fit_and_it_is_prepared_once(inputs: Inputs) -> None:
    estimator = RegimenClassifier(hidden=(3,), epochs=1, random_state=0).fit(X, Y)
    assert len(inputs.seen) == 1 and inputs.all_gone
    estimator.partial_fit(X, Y)
    assert inputs.all_gone


def test_fits_side_by_side_share_the_rows_of_a_fold(inputs: Inputs) -> None:
    with together(n_jobs=1):
        for dropout in (0.1, 0.5):
            RegimenClassifier(hidden=(3,), epochs=1, dropout=dropout, random_state=0).fit(X, Y)
    assert len(inputs.seen) == 1 and inputs.all_gone
