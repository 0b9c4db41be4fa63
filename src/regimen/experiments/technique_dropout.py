"""Part E.2: the same dropout at a small rate, at a rate that trains, and on few images for long."""

from collections.abc import Mapping, Sequence

from regimen.experiments import pictures
from regimen.experiments.context import Context, Outcome, Picture
from regimen.experiments.curve_pictures import draw_curves, over_keys
from regimen.experiments.findings import mean_text
from regimen.experiments.kept import kept
from regimen.experiments.posted_network import LR, PostedRun, posted
from regimen.experiments.records import Row
from regimen.experiments.technique_lab import Lab, Results, gain_text
from regimen.records import RunResult
from regimen.run import Recipe

RATE = 0.2
PLAIN, DROPPED = "no dropout", f"dropout {RATE:g}"


def dropout(context: Context) -> Outcome:
    """Return E.2: the same dropout in three situations."""
    situations = _situations(context)
    runs = {dropped: PostedRun.at(context.size, dropout=dropped, **_short(context)) for dropped in (False, True)}
    results: dict[str, Results] = {}
    with kept(context) as store:
        as_posted = {dropped: posted(store, run, share=0.2) for dropped, run in runs.items()}
        for name, (lab, recipe) in situations.items():
            arms = {
                PLAIN: recipe,
                DROPPED: recipe.replace(dropout=RATE, dropout_kind="channel"),
            }
            results[name] = lab.results(store, arms, share=0.55 / len(situations))
    rows = [
        Row(
            part="E.2",
            variant="as_posted",
            quantity=f"test accuracy, {DROPPED if dropped else PLAIN}, eval mode{runs[dropped].note}",
            unit="%",
            posted=None,
            measured=100 * result.metric,
        )
        for dropped, result in as_posted.items()
    ]
    for name, of_arm in results.items():
        lab = situations[name][0]
        rows += lab.accuracy_rows("E.2", {f"{name}: {arm}": of_keys for arm, of_keys in of_arm.items()})
        for arm, of_keys in of_arm.items():
            rows.append(
                Row.over(
                    [r.validation_loss - r.train_loss for r in of_keys],
                    part="E.2",
                    variant="corrected",
                    quantity=f"test minus training loss, eval mode, {name}: {arm}{lab.note}",
                    unit="nats",
                )
            )
    shown = (_picture(results, situations),)
    context.advance(0.05)
    return Outcome(rows=tuple(rows), pictures=shown, remarks=(*_remarks(results, context), *store.remarks()))


def _short(context: Context) -> dict[str, int]:
    """Return two epochs on all images: no figure was posted that more would be compared with."""
    return {} if context.size == "quick" else {"epochs": 2}


def _situations(context: Context) -> Mapping[str, tuple[Lab, Recipe]]:
    trained = Lab.of(context)
    scarce = Lab.of(context, train=300, epochs=60)
    return {
        f"rate of the post, {LR:g}": (trained, trained.recipe(lr=LR)),
        "rate 0.1": (trained, trained.recipe()),
        "few images, long training": (scarce, scarce.recipe()),
    }


def _picture(results: Mapping[str, Results], situations: Mapping[str, tuple[Lab, Recipe]]) -> Picture:
    with pictures.look():
        figure, panels = pictures.canvas(1, 3, height=3.4)
        for axes, (name, of_arm) in zip(panels, results.items(), strict=True):
            for color, (arm, of_keys) in zip((pictures.ORANGE, pictures.BLUE), of_arm.items(), strict=True):
                draw_curves(axes, of_keys, "validation_loss", label=f"test, {arm}", color=color)
                draw_curves(axes, of_keys, "train_loss", label=f"training, {arm}", color=color, training=True)
            axes.ticklabel_format(axis="y", useOffset=False)
            pictures.label(axes, x="epoch", y="cross-entropy (nats)", title=name)
        pictures.legend(panels[1])
    keys = next(iter(next(iter(results.values())).values()))
    few = situations["few images, long training"][0]
    return Picture(
        name="situations",
        caption=f"Dropout2d({RATE:g}) after each convolution and Dropout({RATE:g}) after the hidden layer, in three "
        f"situations; training and test images both in eval mode, {over_keys(keys)}. Left: the learning rate "
        f"of the post. Middle: rate 0.1. Right: {few.train} images, {few.epochs} epochs.",
        figure=figure,
    )


def _remarks(results: Mapping[str, Results], context: Context) -> tuple[str, ...]:
    changes = [
        f"{name}, where without dropout the test loss lies {_gap(of_arm[PLAIN])} above the training loss: "
        f"{gain_text(of_arm[DROPPED], of_arm[PLAIN])}"
        for name, of_arm in results.items()
    ]
    return (
        f"Test accuracy with dropout minus without: {'; '.join(changes)}"
        + (". Quick: so few steps say little." if context.size == "quick" else "."),
        "Explanation: dropout is a constraint, so it can pay where the test loss lies far above the training loss; "
        "where it does not, there is no overfitting to lose.",
        "The post gives no figure for this part. As posted it is run for two epochs on all images, one key each "
        "(n = 1).",
    )


def _gap(results: Sequence[RunResult]) -> str:
    return mean_text([r.validation_loss - r.train_loss for r in results], "nats", over="keys", decimals=3)
