"""What a budget in seconds leaves of a study, on a clock that the test winds."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import pytest

from regimen.data import Table, load
from regimen.errors import OptionError
from regimen.models import MLP
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.study.family import candidate_arms, full_shape
from regimen.study.layout import Layout
from regimen.study.options import StudyOptions
from regimen.study.plan import BASELINE, Plan
from regimen.study.planning import calibrate, make_plan, seconds_of

SETUP, EPOCH, START = 0.2, 0.5, 30.0
OPTIONS = StudyOptions(model=MLP(hidden=(4,)), baseline=Recipe(epochs=40))


class Wound:
    """A trainer that takes START once, and SETUP + EPOCH · epochs for each run; mixup takes twice as long."""

    def __init__(self) -> None:
        self.now = 0.0
        self.started = False

    def seconds(self, run: Run) -> float:
        return (2.0 if run.recipe.mixup else 1.0) * (SETUP + EPOCH * run.recipe.epochs)

    def train(
        self,
        runs: Sequence[Run],
        *,
        keep: Collection[str] = (),
        on_result: Callable[[int, RunResult], None] | None = None,
    ) -> list[RunResult]:
        self.now += 0.0 if self.started else START
        self.started = True
        self.now += sum(map(self.seconds, runs))
        return [
            RunResult(
                identity=run.identity, status="finished", metric=0.0, train_loss=0.0, validation_loss=0.0, epoch=1,
                epochs_run=1, steps=1, seconds=self.seconds(run),
            )
            for run in runs
        ]  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Wound:
    wound = Wound()
    monkeypatch.setattr("regimen.study.planning.time.perf_counter", lambda: wound.now)
    return wound


@pytest.fixture(scope="module")
def iris() -> Table:
    return load("iris")


def planned(table: Table, clock: Wound, budget: str, **changes: object) -> Plan:
    options = replace(OPTIONS, budget=budget, **changes)
    return make_plan(Layout.of(table), options, clock, processes=2, started=clock.now)


def test_a_run_s_cost_is_that_of_all_its_epochs_and_start_up_is_not_in_it(iris: Table, clock: Wound) -> None:
    layout = Layout.of(iris)
    split = layout.search_pair(0, 0)[1]
    probe = Run(
        recipe=OPTIONS.recipe(90), model=OPTIONS.network(iris), data=iris, split=split, key=0, metric="accuracy"
    )
    arms, _ = candidate_arms(
        "mixup,dropout", task="classification", baseline=probe.recipe, model=probe.model, breadth="all"
    )
    costs = calibrate(probe, arms, clock)
    assert costs[BASELINE] == pytest.approx(SETUP + 40 * EPOCH)
    assert {name: costs[name] for name in costs if name.startswith("mixup")} == pytest.approx(
        dict.fromkeys(("mixup=0.1", "mixup=0.2", "mixup=0.4", "mixup=1"), 2 * (SETUP + 40 * EPOCH))
    )


@pytest.mark.parametrize("allowance", [0.0, 1.0, 4.0, 20.0, 60.0, 1000.0])
def test_calibration_spends_no_more_than_its_allowance_after_the_first_epoch(
    iris: Table, clock: Wound, allowance: float
) -> None:
    layout = Layout.of(iris)
    split = layout.search_pair(0, 0)[1]
    probe = Run(
        recipe=OPTIONS.recipe(90), model=OPTIONS.network(iris), data=iris, split=split, key=0, metric="accuracy"
    )
    arms, _ = candidate_arms("all", task="classification", baseline=probe.recipe, model=probe.model, breadth="all")
    costs = calibrate(probe, arms, clock, allowance=allowance)
    first = START + SETUP + EPOCH
    assert first <= clock.now <= first + allowance
    assert set(costs) == {BASELINE} | {arm.name for arm in arms}
    # Those not reached are not taken for cheaper than the baseline; with time enough all are reached.
    dear = [arm.name for arm in arms if costs[arm.name] == pytest.approx(3 * costs[BASELINE])]
    assert len(dear) == (0 if allowance == 1000 else len(arms) if allowance < 10 else len(dear))
    assert min(costs.values()) == pytest.approx(costs[BASELINE])


@pytest.mark.parametrize("budget", [3000, 6000, 12_000])
def test_a_plan_for_a_time_takes_no_longer_and_uses_most_of_it(iris: Table, clock: Wound, budget: int) -> None:
    plan = planned(iris, clock, f"{budget}s")
    run = SETUP + 40 * EPOCH
    mixups = sum(arm.technique == "mixup" for arm in plan.arms)
    search = (1 + len(plan.arms) + mixups) * plan.pairs * run
    worst = clock.now + search + 2 * run * (plan.combinations * plan.pairs + 2 * plan.confirmation_pairs + 1)
    assert 0.8 * budget < worst < 1.1 * budget


def test_more_time_never_does_less(iris: Table, clock: Wound) -> None:
    sizes = [planned(iris, clock, f"{seconds}s").runs for seconds in (2000, 5000, 20_000)]
    assert sizes == sorted(set(sizes))


def test_too_little_time_is_refused_with_what_one_technique_takes(iris: Table, clock: Wound) -> None:
    with pytest.raises(OptionError, match=r"--budget: one technique alone takes [\d.]+ (s|min).*raise it"):
        planned(iris, clock, "100s")


def test_a_shape_costs_at_least_its_parts(iris: Table) -> None:
    plan = make_plan(Layout.of(iris), OPTIONS, Wound(), processes=2, started=0.0)
    shape = full_shape(plan.arms, None)
    costs = {BASELINE: 1.0} | {arm.name: 1.0 for arm in plan.arms}
    assert seconds_of(shape, costs, 2) >= shape.runs
