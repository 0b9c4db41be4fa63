"""The studies in which a report can go wrong: pilots, empty ones, diverged arms, hostile and very long names."""

import math
from dataclasses import replace

from regimen.records import ConfirmationRecord, CurveRecord, ModelRecord, RecipeRecord, Results, TestRecord

from .studies import PLAIN_CODE, curve, digits, regression, technique

NAN = math.nan
HOSTILE = "<script>alert('regimen')</script>"


def pilot() -> Results:
    """Four pairs: every verdict unclear, wide intervals."""
    base = without_recipe(digits(pairs=4))
    arms = tuple(replace(one, verdict="unclear") for one in base.techniques)
    return replace(base, techniques=arms)


def one_pair() -> Results:
    """A single pair gives effects without intervals."""
    base = digits(pairs=1)
    arms = tuple(
        replace(one, verdict="unclear", ci=(NAN, NAN), ci_new_rows=(NAN, NAN), p=1.0, p_adjusted=1.0)
        for one in base.techniques
    )
    lost = replace(base.confirmation, pairs=1, ci=(NAN, NAN))
    return replace(base, techniques=arms, confirmation=lost, baseline=replace(base.baseline, gap_ci=(NAN, NAN), sd=NAN))


def without_recipe(base: Results) -> Results:
    """The same study with nothing to recommend, hence nothing to confirm."""
    nothing = ConfirmationRecord(
        pairs=0,
        baseline=NAN,
        recipe=NAN,
        delta=NAN,
        ci=(NAN, NAN),
        search_delta=NAN,
        test=TestRecord(rows=0, baseline=NAN, recipe=NAN, delta=NAN, ci=(NAN, NAN)),
    )
    curves = {arm: each for arm, each in base.curves.items() if arm != "recipe"}
    baseline = RecipeRecord(toml="lr = 0.001\nepochs = 60\nbatch_size = 32\n", code=PLAIN_CODE)
    return replace(base, recipe=baseline, confirmation=nothing, curves=curves)


def empty() -> Results:
    """No technique at all: only the baseline was trained."""
    base = without_recipe(digits())
    return replace(base, techniques=(), curves={"baseline": base.curves["baseline"]}, runs=base.runs[:10])


def all_equivalent(*, overfits: bool = False) -> Results:
    """Nothing makes a difference beyond the smallest effect of interest."""
    base = without_recipe(digits())
    arms = tuple(
        replace(one, delta=0.0, ci=(-0.001, 0.001), ci_new_rows=(-0.002, 0.002), verdict="equivalent", p_adjusted=1.0)
        for one in base.techniques
    )
    if overfits:
        return replace(base, techniques=arms)
    calm = replace(
        base.baseline, train_loss=0.098, validation_loss=0.107, gap=0.009, gap_ci=(0.008, 0.010), overfits=False
    )
    calm = replace(calm, late_loss=0.02, late_loss_ci=(-0.01, 0.05))
    curves = base.curves | {"baseline": curve(60, 0.105, 0.098)}
    return replace(base, techniques=arms, baseline=calm, curves=curves)


def diverged() -> Results:
    """One arm never trained (all null), one lost a few runs, and one ruins the network."""
    base = digits()
    lost = replace(
        technique("lr", {"lr": 10.0}, 10.0, NAN, NAN, p_adjusted=NAN),
        mean=NAN,
        probability_of_improvement=NAN,
        gap=NAN,
        cost=NAN,
        pairs_needed=None,
        diverged=10,
    )
    some = replace(base.techniques[0], diverged=3)
    ruin = technique("lr", {"lr": 1.0}, 1.0, -0.71, 0.12, "hurts", 0.002, mean=0.958)
    gone = CurveRecord(epoch=(1, 2, 3), train=(9.0, NAN, NAN), validation=(1e9, NAN, NAN), lo=(NAN,) * 3, hi=(NAN,) * 3)
    runs = tuple(
        replace(run, arm=lost.arm, status="diverged", metric=None, train_loss=None, validation_loss=None)
        for run in base.runs[:10]
    )
    curves = base.curves | {lost.arm: gone, ruin.arm: replace(base.curves["baseline"], train=(5.0,) * 60)}
    return replace(base, techniques=(some, *base.techniques[1:], ruin, lost), runs=base.runs + runs, curves=curves)


def letters() -> Results:
    """Forty arms with long names, twenty-six classes and hostile names throughout."""
    base = digits()
    arms = tuple(
        technique(
            f"{HOSTILE if index == 3 else 'stochastic_depth_with_a_very_long_descriptive_name'}_{index // 8}",
            {"rate": index % 8 / 10, "schedule": HOSTILE},
            index % 8 / 10,
            (index - 20) / 2500,
            0.002 + index / 20000,
            ("hurts", "unclear", "equivalent", "helps")[index // 10],
            0.01,
            mean=0.9,
            arm=f"arm-{index}-{HOSTILE}",
        )
        for index in range(40)
    )
    classes = (
        HOSTILE,
        "a" * 120,
        "名前のとても長いクラス",
        "\u202egnp.exe",
        "nul\x00byte",
        "lone\udc80",
        *"ABCDEFGHIJKLMNOPQRST",
    )
    return replace(
        base,
        data=replace(
            base.data,
            name=f"{HOSTILE}.csv",
            classes=classes,
            target=HOSTILE,
            notes=(f"Column {HOSTILE} is constant.", "x" * 200),
        ),
        model=ModelRecord(name=f"{HOSTILE}.py:build", parameters=1),
        design=replace(base.design, engine=HOSTILE, metric="balanced_accuracy"),
        techniques=arms,
        recipe=RecipeRecord(toml=f'name = "{HOSTILE}"\n', code=f"# {HOSTILE}\n</code></pre>\n", arms=(arms[-1].arm,)),
        plan={"command": f"regimen study '{HOSTILE}.csv'", HOSTILE: [HOSTILE], "none": None},
        environment={HOSTILE: HOSTILE, "list": [1, 2], "none": None},
        curves={one.arm: curve(12, 0.2, 0.1) for one in arms} | {"baseline": curve(12, 0.3, 0.01)},
    )


STUDIES = {
    "digits": digits,
    "regression": regression,
    "pilot": pilot,
    "one_pair": one_pair,
    "empty": empty,
    "all_equivalent": all_equivalent,
    "diverged": diverged,
    "letters": letters,
}
