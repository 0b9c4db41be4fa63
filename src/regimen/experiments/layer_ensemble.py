"""Part C, the ensemble in one network: predictions with dropout on, averaged, and how far they disagree."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regimen.experiments import pictures
from regimen.experiments.context import Context, Picture
from regimen.experiments.layer_rates import Trained, logits
from regimen.experiments.records import Row

RATE = 0.5
COUNTS = (1, 2, 5, 10, 20, 50)
# Share of the test digits that is looked at again because the network is least sure of them.
DOUBTED = 0.1
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubtful:
    """The digit whose predictions disagree most: its pixels, its label, and its probabilities `[samples, classes]`."""

    pixels: Floats
    label: int
    probabilities: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Ensemble:
    """Monte Carlo dropout beside eval mode on the test rows of every split.

    Attributes:
        counts: How many predictions are averaged.
        accuracy: In percent, `[splits, counts]`.
        loss: Cross-entropy in nats, `[splits, counts]`.
        eval_accuracy: In percent, `[splits]`.
        eval_loss: In nats, `[splits]`.
        entropy: Predictive entropy of each test digit, all splits together, in nats.
        wrong: Whether the averaged prediction is wrong, for each.
        doubtful: The digit with the largest entropy on the first split.
    """

    counts: tuple[int, ...]
    accuracy: Floats
    loss: Floats
    eval_accuracy: Floats
    eval_loss: Floats
    entropy: Floats
    wrong: npt.NDArray[np.bool_]
    doubtful: Doubtful

    @property
    def found(self) -> float:
        """Share of the wrong predictions among the tenth of the digits with the largest entropy."""
        ranked = self.wrong[np.argsort(-self.entropy, kind="stable")]
        return float(ranked[: round(DOUBTED * len(ranked))].sum() / max(1, ranked.sum()))


def average_predictions(trained: Trained, context: Context) -> Ensemble:
    """Predict with dropout on, many times over, by the networks with p = 0.5.

    The masks follow the stream for Monte Carlo masks: they depend on the row in the data and the number of the sample.

    Reference:
        Gal and Ghahramani (2016), "Dropout as a Bayesian approximation", arXiv:1506.02142, section 4.
    """
    counts = COUNTS[: context.choose(quick=3, standard=len(COUNTS))]
    curves, single, entropies, wrong = [], [], [], []
    doubtful = None
    for split, run in enumerate(trained.runs[RATE]):
        rows = run.split.validation
        y = trained.data.y[rows]
        model = trained.model(RATE, split)
        single.append(_scores(_softmax(logits(model, trained.data)[0][rows]), y))
        each = _softmax(logits(model, trained.data, samples=max(counts))[:, rows])
        curves.append([_scores(each[:count].mean(axis=0), y) for count in counts])
        mean = each.mean(axis=0)
        entropies.append(-(mean * np.log(np.maximum(mean, 1e-300))).sum(axis=1))
        wrong.append(mean.argmax(axis=1) != y)
        if doubtful is None:
            worst = int(entropies[0].argmax())
            pixels = trained.data.numbers[rows[worst]].reshape(8, 8)
            doubtful = Doubtful(pixels=pixels, label=int(y[worst]), probabilities=each[:, worst])
    assert doubtful is not None
    return Ensemble(
        counts=counts,
        accuracy=np.array(curves)[:, :, 0],
        loss=np.array(curves)[:, :, 1],
        eval_accuracy=np.array(single)[:, 0],
        eval_loss=np.array(single)[:, 1],
        entropy=np.concatenate(entropies),
        wrong=np.concatenate(wrong),
        doubtful=doubtful,
    )


def _softmax(values: Floats) -> Floats:
    grown = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True))


def _scores(probabilities: Floats, y: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return accuracy in percent and cross-entropy in nats."""
    right = probabilities[np.arange(len(y)), y]
    return 100 * float((probabilities.argmax(1) == y).mean()), -float(np.log(np.maximum(right, 1e-300)).mean())


def ensemble_rows(ensemble: Ensemble) -> list[Row]:
    """Return accuracy and loss of one, of many, and of eval mode."""
    last = f"mean of {ensemble.counts[-1]} predictions, dropout on"
    rows = []
    for name, accuracy, loss in (
        ("eval mode", ensemble.eval_accuracy, ensemble.eval_loss),
        ("one prediction, dropout on", ensemble.accuracy[:, 0], ensemble.loss[:, 0]),
        (last, ensemble.accuracy[:, -1], ensemble.loss[:, -1]),
    ):
        for what, values, unit in (("accuracy", accuracy, "%"), ("loss", loss, "nats")):
            told = f"test {what}, p = {RATE:g}, {name}"
            rows.append(Row.over(values.tolist(), part="C.3", variant="corrected", quantity=told, unit=unit))
    splits = len(ensemble.eval_loss)
    told = f"wrong predictions among the {100 * DOUBTED:.0f} % most uncertain digits, all splits together"
    found = 100 * ensemble.found
    rows.append(Row(part="C.3", variant="corrected", quantity=told, unit="%", posted=None, measured=found, n=splits))
    return rows


def ensemble_remarks(ensemble: Ensemble) -> tuple[str, ...]:
    """Return what averaging gives, as measured."""
    one, many = ensemble.accuracy[:, 0].mean(), ensemble.accuracy[:, -1].mean()
    return (
        f"Every mask picks another network out of the one that was trained. A single one is right on {one:.1f} % of "
        f"the test digits, the mean of {ensemble.counts[-1]} on {many:.1f} %, and eval mode, which stands for that "
        f"mean in one pass, on {ensemble.eval_accuracy.mean():.1f} % (means of {len(ensemble.eval_loss)} splits).",
        f"Where the predictions disagree, the network is to be doubted: the {100 * DOUBTED:.0f} % of the digits with "
        f"the largest predictive entropy hold {100 * ensemble.found:.0f} % of the {int(ensemble.wrong.sum())} wrong "
        f"predictions, {len(ensemble.eval_loss)} splits together.",
    )


def ensemble_picture(ensemble: Ensemble) -> Picture:
    """Return loss over the number of predictions, the uncertainty of right and wrong ones, and one digit in doubt."""
    doubtful = ensemble.doubtful
    with pictures.look():
        figure, (left, middle, digit, right) = pictures.canvas(
            1, 4, width=9.6, height=3.4, width_ratios=(1.25, 1.25, 0.7, 1.2)
        )
        left.set_xscale("log")
        pictures.spread(left, ensemble.counts, ensemble.loss, label="dropout on, averaged", color=pictures.BLUE)
        level = float(ensemble.eval_loss.mean())
        pictures.line(
            left, [1, ensemble.counts[-1]], [level, level], label="eval mode, one pass", color=pictures.ORANGE
        )
        left.set_xticks(ensemble.counts, [str(count) for count in ensemble.counts])
        left.minorticks_off()
        pictures.label(
            left, x="predictions averaged", y="test cross-entropy (nats)", title="an ensemble in one network"
        )
        pictures.legend(left)
        edges = np.linspace(0, np.log(10), 24)
        for label, chosen, color in (
            ("right", ~ensemble.wrong, pictures.BLUE),
            ("wrong", ensemble.wrong, pictures.ORANGE),
        ):
            told = f"{label} (n = {int(chosen.sum())})"
            weights = np.full(int(chosen.sum()), 100 / max(1, chosen.sum()))
            middle.hist(
                ensemble.entropy[chosen], bins=edges.tolist(), weights=weights, color=color, alpha=0.6, label=told
            )
        pictures.label(middle, x="predictive entropy (nats)", y="share of the predictions (%)", title="uncertainty")
        pictures.legend(middle)
        pictures.image(
            digit, doubtful.pixels, title=f"the most uncertain\ntest digit, label {doubtful.label}", high=16.0
        )
        samples, classes = doubtful.probabilities.shape
        shift = np.random.default_rng(0).uniform(-0.22, 0.22, size=samples)
        for name in range(classes):
            pictures.points(right, name + shift, doubtful.probabilities[:, name], color=pictures.BLUE)
        pictures.points(right, range(classes), doubtful.probabilities.mean(0), filled=False, color=pictures.ORANGE)
        right.set_xticks(range(classes))
        pictures.label(right, x="class", y="predicted probability", title=f"its {samples} predictions")
    return Picture(
        name="ensemble",
        caption="Monte Carlo dropout, p = 0.5: predictions with dropout on, averaged, beside the single one in eval "
        "mode (band: one standard deviation over splits). Middle: how sure right and wrong predictions are. On the "
        "right each point is the prediction of one mask, open points are their mean.",
        figure=figure,
    )
