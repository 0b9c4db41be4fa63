"""Part E, the fair comparison: every technique at a learning rate chosen for it, on 6,000 images, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regimen.data import Images, Split, hold_out
from regimen.experiments import pictures
from regimen.experiments.context import Context, Outcome, Picture
from regimen.experiments.findings import mean_text
from regimen.experiments.kept import kept
from regimen.experiments.known_pictures import part_of
from regimen.experiments.records import Row
from regimen.experiments.technique_augmentation import ARMS as AUGMENTATION_ARMS
from regimen.experiments.technique_augmentation import MILD, POSTED
from regimen.models import ConvNet
from regimen.records import RunResult
from regimen.run import Recipe, Run
from regimen.stats import t_interval
from regimen.techniques import SGD, Adam, CosineLR

PLAIN = "plain SGD"
RATES, ADAM_RATES = (0.03, 0.1, 0.3), (3e-4, 1e-3, 3e-3)
CHOICE_KEY, KEYS = 1000, 5
ARMS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "L2, λ = 0.001": {"weight_decay": 1e-3},
    "L1, λ = 0.00003, proximal": {"l1": 3e-5, "l1_step": "proximal"},
    "dropout 0.2": {"dropout": 0.2, "dropout_kind": "channel"},
    "augmentation of the post": {"augmentation": POSTED},
    "mild augmentation": {"augmentation": AUGMENTATION_ARMS[MILD]},
    "He normal": {"initialization": "he_normal"},
    "standardized inputs": {"input_scaling": "standard"},
    "batch normalization": {"normalization": "batch"},
    "Adam": {"optimizer": Adam()},
}
QUICK_ARMS = (PLAIN, "batch normalization", "Adam")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """How much is trained: `rows` images, one in six of which chooses the rate, and `test` official test images."""

    rows: int
    test: int | None
    epochs: int
    batch_size: int
    keys: int
    arms: tuple[str, ...]
    rates: int

    @classmethod
    def of(cls, context: Context) -> "Design":
        """Return the design for the size of an experiment."""
        if context.size == "quick":
            return cls(rows=144, test=64, epochs=1, batch_size=8, keys=2, arms=QUICK_ARMS, rates=2)
        rows = 60_000 if context.size == "full" else 6_000
        return cls(rows=rows, test=None, epochs=5, batch_size=64, keys=KEYS, arms=tuple(ARMS), rates=len(RATES))

    @property
    def passes(self) -> str:
        """Return the epochs in words."""
        return f"{self.epochs} epoch{'s' * (self.epochs > 1)}"

    def recipes(self, arm: str) -> dict[float, Recipe]:
        """Return the recipe of an arm at each rate that it may choose."""
        rates = ADAM_RATES if arm == "Adam" else RATES
        # Without a schedule, single runs at rate 0.3 ended badly by the luck of their last steps (65 ± 29 % over keys).
        plain = Recipe(
            optimizer=SGD(),
            schedule=CosineLR(),
            epochs=self.epochs,
            batch_size=self.batch_size,
            input_scaling="none",
        )
        return {rate: plain.replace(lr=rate, **ARMS[arm]) for rate in rates[-self.rates :]}


def fair_comparison(context: Context) -> Outcome:
    """Return the test accuracy of every technique at its own rate, and its difference to none with an interval."""
    design = Design.of(context)
    data = part_of("mnist", train=design.rows, test=design.test)
    split = _split(data)
    choices = [(arm, rate, recipe) for arm in design.arms for rate, recipe in design.recipes(arm).items()]
    with kept(context) as store:
        tried = store.train([_run(recipe, data, split, CHOICE_KEY) for _, _, recipe in choices], share=0.35)
        chosen = _choose(choices, tried)
        runs = [
            _run(design.recipes(arm)[chosen[arm]], data, split, key)
            for arm in design.arms
            for key in range(1, design.keys + 1)
        ]
        results = store.train(runs, share=0.6, keep=("outputs",))
    truth = data.y[split.test]
    accuracies = {
        arm: np.array([_accuracy(r, truth) for r in results[place * design.keys : (place + 1) * design.keys]])
        for place, arm in enumerate(design.arms)
    }
    note = f" ({'quick: ' if context.size == 'quick' else ''}{design.rows:,} images, {design.passes})"
    rows = [
        row for arm, values in accuracies.items() for row in _rows(arm, chosen[arm], values, accuracies[PLAIN], note)
    ]
    shown = (_picture(accuracies, chosen, design, len(truth)),)
    context.advance(0.05)
    quick = ("Quick: far too little training for any of this to mean something.",) if context.size == "quick" else ()
    remarks = (*quick, *_remarks(accuracies, chosen, design, len(split.train), len(truth)), *store.remarks())
    return Outcome(rows=tuple(rows), pictures=shown, remarks=remarks)


def _split(data: Images) -> Split:
    """Return five parts in six to train on, one to choose the rate by, and the official test images."""
    parts = hold_out(data)
    cut = len(parts.development) * 5 // 6
    return Split(train=parts.development[:cut], validation=parts.development[cut:], test=parts.test)


def _run(recipe: Recipe, data: Images, split: Split, key: int) -> Run:
    return Run(recipe=recipe, model=ConvNet(), data=data, split=split, key=key, metric="accuracy")


def _choose(choices: Sequence[tuple[str, float, Recipe]], tried: Sequence[RunResult]) -> dict[str, float]:
    """Return the rate of each arm with the best accuracy on the validation part; of equal ones the lowest loss."""
    best: dict[str, tuple[float, float, float]] = {}
    for (arm, rate, _), result in zip(choices, tried, strict=True):
        score = (result.metric, -result.validation_loss, rate)
        best[arm] = max(best.get(arm, score), score)
    return {arm: score[2] for arm, score in best.items()}


def _accuracy(result: RunResult, truth: npt.NDArray[np.int64]) -> float:
    """Return the test accuracy in per cent."""
    if result.outputs is None:
        raise KeyError("outputs were not kept")
    return 100 * float(np.mean(result.outputs["test"].argmax(1) == truth))


def _rows(arm: str, rate: float, values: Floats, plain: Floats, note: str) -> list[Row]:
    where = f"{arm}, rate {rate:g}{note}"
    found = [_row(values, f"test accuracy, {where}", "%")]
    if arm != PLAIN:
        difference = values - plain
        low, high = t_interval(difference)
        found += [
            _row(difference, f"difference to {PLAIN}: {where}", "points"),
            _end(low, f"lower end of its 95 % interval: {where}", n=len(values)),
            _end(high, f"upper end of its 95 % interval: {where}", n=len(values)),
        ]
    return found


def _end(value: float, quantity: str, *, n: int) -> Row:
    """Return the row of one end of an interval over `n` keys."""
    return Row(part="E", variant="corrected", quantity=quantity, unit="points", posted=None, measured=value, n=n)


def _row(values: Sequence[float] | Floats, quantity: str, unit: str) -> Row:
    return Row.over([float(v) for v in values], part="E", variant="corrected", quantity=quantity, unit=unit)


def _picture(accuracies: Mapping[str, Floats], chosen: Mapping[str, float], design: Design, tested: int) -> Picture:
    plain = accuracies[PLAIN]
    ordered = sorted((arm for arm in accuracies if arm != PLAIN), key=lambda arm: float(np.mean(accuracies[arm])))
    with pictures.look():
        figure, (axes,) = pictures.canvas(1, 1, height=0.9 + 0.34 * len(ordered))
        for place, arm in enumerate(ordered):
            difference = accuracies[arm] - plain
            low, high = t_interval(difference)
            color = pictures.BLUE if low > 0 else pictures.ORANGE if high < 0 else pictures.GRAY
            axes.plot([low, high], [place, place], color=color, linewidth=pictures.THICK)
            axes.plot(difference, np.full(len(difference), place), "o", color=color, markersize=2.6, alpha=0.5)
            axes.plot([difference.mean()], [place], "o", color=color, markersize=5.5)
        axes.axvline(0, color=pictures.INK, linewidth=pictures.THIN)
        axes.set_yticks(range(len(ordered)), [f"{arm} (rate {chosen[arm]:g})" for arm in ordered])
        axes.set_ylim(-0.6, len(ordered) - 0.4)
        axes.grid(axis="x")
        pictures.label(axes, x=f"test accuracy minus that of {PLAIN} (rate {chosen[PLAIN]:g}), points, eval mode")
    return Picture(
        name="fair",
        caption=f"Every technique at the learning rate that suits it, {design.rows:,} images, {design.passes}, "
        f"{tested:,} test images in eval mode: mean difference to {PLAIN} over {design.keys} keys (large dot), each "
        "key (small dots) and the 95 % interval over these keys, not adjusted for the number of techniques.",
        figure=figure,
    )


def _remarks(
    accuracies: Mapping[str, Floats], chosen: Mapping[str, float], design: Design, trained: int, tested: int
) -> tuple[str, ...]:
    plain = accuracies[PLAIN]
    above: list[str] = []
    below: list[str] = []
    undecided: list[str] = []
    for arm, values in accuracies.items():
        if arm == PLAIN:
            continue
        low, high = t_interval(values - plain)
        words = f"{arm} {np.mean(values - plain):+.2f} ({low:+.2f} to {high:+.2f})"
        (above if low > 0 else below if high < 0 else undecided).append(words)
    at_edge = [arm for arm in design.arms if chosen[arm] in (max(design.recipes(arm)), min(design.recipes(arm)))]
    return (
        f"{PLAIN} reaches {mean_text(plain, '%', over='keys', decimals=2)}. Points of test accuracy above "
        f"it: {_listed(above)}. Below: {_listed(below)}. Not told apart: {_listed(undecided)}. 95 % intervals over "
        f"{len(plain)} keys, the same test images for all, and not adjusted for {len(accuracies) - 1} comparisons.",
        f"Each rate falls to zero on a cosine. Its start was chosen on {design.rows - trained:,} images that were not "
        f"trained on, with a key of its own; the {tested:,} test images chose nothing. At the edge of its "
        f"{design.rates} rates: {_listed(at_edge)}.",
        "This is the comparison that the posts' figures are not: there every technique ran at one rate. "
        "`regimen study mnist` goes further: more settings, more pairs, adjusted p-values.",
    )


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "none"
