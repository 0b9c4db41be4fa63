"""Which arms are tried, and what a budget leaves of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import OptionError
from regimen.models import MLP, ConvNet, Model
from regimen.run import Recipe
from regimen.study.family import Breadth, candidate_arms, combine, fit, full_shape
from regimen.study.options import Budget, StudyOptions, fitting_batch_size, parse_budget
from regimen.study.plan import Arm, Plan
from regimen.techniques import CATALOGUE, AdamW, HorizontalFlip, MultiStepLR, Rotation, Schedule, StepLR

BASE, MODEL = Recipe(), MLP()


def arms_of(
    techniques: str | None, *, breadth: Breadth = "first", baseline: Recipe = BASE, model: MLP = MODEL
) -> list[Arm]:
    return candidate_arms(techniques, task="classification", baseline=baseline, model=model, breadth=breadth)[0]


def test_without_a_choice_ten_techniques_are_tried_at_one_setting_each() -> None:
    arms = arms_of(None)
    assert len(arms) == len({arm.technique for arm in arms}) == 10


def test_a_fast_engine_tries_the_first_ten_at_all_their_settings() -> None:
    arms = arms_of(None, breadth="settings")
    tried = {arm.technique for arm in arms_of(None)}
    assert {arm.technique for arm in arms} == tried
    assert len(arms) == sum(len(CATALOGUE[name].settings) for name in tried)


def test_named_techniques_are_tried_at_all_their_settings() -> None:
    assert {arm.strength for arm in arms_of("dropout")} == set(CATALOGUE["dropout"].strengths)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (40, (StepLR(step_size=10), MultiStepLR(milestones=(20, 30)))),
        (10, (StepLR(step_size=2), MultiStepLR(milestones=(5, 8)))),
        (200, (StepLR(step_size=50), MultiStepLR(milestones=(100, 150)))),
    ],
)
def test_schedules_are_laid_out_over_the_epochs_of_the_baseline(epochs: int, expected: tuple[Schedule, ...]) -> None:
    """A rate that would fall after the last epoch is that of the baseline, and no verdict about the technique."""
    baseline = Recipe(epochs=epochs)
    arms = arms_of("step_schedule,multistep_schedule", baseline=baseline)
    assert {arm.recipe(baseline).schedule for arm in arms} == set(expected)


def test_all_techniques_give_every_setting_once() -> None:
    arms = arms_of("all")
    assert len({arm.name for arm in arms}) == len(arms)
    assert len(arms) == sum(len(t.settings) for t in CATALOGUE.values() if not t.images_only and not t.own_only)


def test_images_are_augmented_and_a_perceptron_has_no_channels_to_drop() -> None:
    def tried(model: Model) -> tuple[list[str], list[str]]:
        arms, notes = candidate_arms(
            None, task="classification", baseline=BASE, model=model, breadth="first", images=True
        )
        return [arm.technique for arm in arms], notes

    assert {"channel_dropout", "shift", "flip", "rotation"} < set(tried(ConvNet())[0])
    arms, notes = tried(MLP())
    assert "channel_dropout" not in arms and "rotation" in arms
    assert notes == ["channel_dropout=0.2 is left out: mlp:128x128 has no convolution"]


def test_a_technique_that_is_named_and_does_not_apply_is_told() -> None:
    arms, notes = candidate_arms("l1, flip,drop_path", task="classification", baseline=BASE, model=MLP(), breadth="all")
    assert {arm.technique for arm in arms} == {"l1"}
    assert notes == ["flip is left out: it is for images", "drop_path is left out: it is for modules of your own"]
    _, notes = candidate_arms("l1,label_smoothing", task="regression", baseline=BASE, model=MLP(), breadth="all")
    assert notes == ["label_smoothing is left out: it is not for regression"]
    assert candidate_arms("all", task="regression", baseline=BASE, model=MLP(), breadth="all")[1] == []


def test_an_arm_adds_its_operations_to_those_of_the_baseline_and_replaces_its_own_kind() -> None:
    baseline = Recipe(augmentation=(HorizontalFlip(), Rotation(degrees=5.0)))
    rotation = Arm(name="r", technique="rotation", setting={"augmentation": [{"name": "rotation", "degrees": 15.0}]})
    flip = Arm(name="f", technique="flip", setting={"augmentation": ["horizontal_flip"]})
    assert rotation.recipe(baseline).augmentation == (HorizontalFlip(), Rotation(degrees=15.0))
    assert flip.recipe(baseline) == baseline
    assert combine(rotation.recipe(BASE), flip) == BASE.replace(augmentation=(Rotation(degrees=15.0), HorizontalFlip()))


def test_a_budget_widens_the_family_beyond_the_first_ten_without_reordering_them() -> None:
    assert arms_of(None, breadth="all")[:10] == arms_of(None)


def test_an_arm_the_baseline_has_already_is_left_out_and_named() -> None:
    arms, notes = candidate_arms(
        "mixup", task="classification", baseline=Recipe(mixup=0.2), model=MODEL, breadth="first"
    )
    assert all(arm.strength != 0.2 for arm in arms)
    assert notes == ["mixup=0.2 is left out: the baseline has it already"]


def test_l2_over_adamw_is_left_out_with_the_recipe_s_own_reason() -> None:
    with pytest.raises(OptionError, match=r"nothing is left to try.*decoupled"):
        arms_of("l2", baseline=Recipe(optimizer=AdamW()))


def test_a_linear_model_has_nothing_to_drop_or_normalize() -> None:
    names = {arm.technique for arm in arms_of("all", model=MLP(hidden=()))}
    assert names.isdisjoint({"dropout", "batch_norm", "layer_norm"})
    assert "input_dropout" in names


def test_batch_norm_over_single_rows_is_left_out() -> None:
    with pytest.raises(OptionError, match="at least 2 rows"):
        arms_of("batch_norm", baseline=Recipe(batch_size=1))


def test_combining_takes_both_changes() -> None:
    dropout, mixup = arms_of("dropout")[0], arms_of("mixup")[0]
    joined = combine(dropout.recipe(BASE), mixup)
    assert joined is not None
    assert (joined.rates, joined.mixup) == ((0.3,), 0.2)


def test_combining_contradicting_recipes_gives_nothing() -> None:
    assert combine(Recipe(optimizer=AdamW()), Arm(name="l2", technique="l2", setting={"weight_decay": 0.1})) is None


@given(budget=st.integers(1, 2000), count=st.integers(1, 58))
def test_a_fitted_shape_never_exceeds_its_budget_and_is_refused_only_when_nothing_fits(budget: int, count: int) -> None:
    arms = [Arm(name=f"a{i}", technique=f"a{i}", setting={}) for i in range(count)]
    smallest = 2 * 3 + 2 * 3 + 1
    if budget < smallest:
        with pytest.raises(OptionError, match="--budget"):
            fit(arms, None, lambda shape: shape.runs, budget)
        return
    shape = fit(arms, None, lambda shape: shape.runs, budget)
    assert shape.runs <= budget
    assert shape.arms == tuple(arms[: len(shape.arms)])


@given(budget=st.integers(100, 1000))
def test_a_larger_budget_never_does_less(budget: int) -> None:
    arms = [Arm(name=f"a{i}", technique=f"a{i}", setting={}) for i in range(30)]
    small, large = (fit(arms, None, lambda shape: shape.runs, amount) for amount in (budget, budget + 50))
    assert (large.pairs, len(large.arms)) >= (small.pairs, len(small.arms))


def test_pairs_that_were_asked_for_are_kept_within_a_budget() -> None:
    assert fit(arms_of(None), 12, lambda shape: shape.runs, 100).pairs == 12


def test_the_default_shape_has_ten_pairs_and_room_for_three_combinations() -> None:
    shape = full_shape(arms_of(None), None)
    assert (shape.pairs, shape.confirmation_pairs, shape.combinations) == (10, 10, 3)
    assert shape.runs == (1 + 10 + 3) * 10 + 20 + 1


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("300runs", Budget(300, "runs")),
        ("1run", Budget(1, "runs")),
        ("60s", Budget(60, "s")),
        ("2h", Budget(7200, "s")),
    ],
)
def test_budgets_are_read(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize("text", ["", "60", "sixty s", "-5s", "0runs", "1.5h", "60 seconds please", "9999999999s"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--budget: expected"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": 1}, "--pairs: expected at least 2"),
        ({"pairs": 1001}, "--pairs: expected at most 1000"),
        ({"processes": 0}, "--processes: expected at least 1"),
        ({"pairs": "2"}, "--pairs: expected a whole number, got '2'"),
        ({"smallest_effect": 0.0}, "--smallest-effect"),
        ({"smallest_effect": float("nan")}, "--smallest-effect"),
        ({"smallest_effect": float("inf")}, "--smallest-effect"),
        ({"seed": -1}, "--seed"),
        ({"seed": 1 << 64}, "--seed"),
        ({"engine": "refrence"}, "did you mean 'reference'"),
        ({"model": "mlpp"}, "--model"),
    ],
)
def test_impossible_options_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        StudyOptions(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "size"), [(1, 32), (1600, 32), (1700, 64), (10_000, 256), (10**6, 512)])
def test_batches_grow_with_the_table(rows: int, size: int) -> None:
    assert fitting_batch_size(rows) == size


def test_a_plan_survives_its_plain_form() -> None:
    plan = Plan(
        data="d", digest="x", model="mlp:8", baseline={"lr": 0.1}, arms=tuple(arms_of(None)), pairs=10,
        confirmation_pairs=10, combinations=3, metric="accuracy", smallest_effect=None, fresh="seeds", seed=2**64 - 1,
        engine="reference",
    )  # fmt: skip
    assert Plan.from_dict(plan.to_dict()) == plan
