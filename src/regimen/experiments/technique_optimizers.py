"""Part E.8: SGD, Adagrad, RMSprop and Adam with each of their parameters, side by side."""

from collections.abc import Mapping

from regimen.experiments import pictures
from regimen.experiments.context import Context, Outcome, Picture
from regimen.experiments.curve_pictures import NAMES, draw_curves, over_keys
from regimen.experiments.findings import highest_text
from regimen.experiments.kept import kept
from regimen.experiments.technique_lab import Lab, Results, accuracy_text
from regimen.run import Recipe
from regimen.techniques import SGD, Adagrad, Adam, RMSprop

# A usual rate for each: the same for all variants of one rule, so that only the named parameter differs.
RATES = {"SGD": 0.02, "Adagrad": 0.01, "RMSprop": 0.001, "Adam": 0.001}


def optimizers(context: Context) -> Outcome:
    """Return E.8: the learning curves of each optimizer and of its variants."""
    lab = Lab.of(context)
    families = {name: _variants(lab, name) for name in RATES}
    if context.size == "quick":
        families = {name: dict(list(variants.items())[:2]) for name, variants in families.items()}
    arms = {f"{name}, {variant}": recipe for name, variants in families.items() for variant, recipe in variants.items()}
    with kept(context) as store:
        results = lab.results(store, arms, share=0.95)
    shown = (_families_picture(families, results, lab), _side_by_side(results, lab))
    context.advance(0.05)
    return Outcome(
        rows=tuple(lab.accuracy_rows("E.8", results)),
        pictures=shown,
        remarks=(*_remarks(results, context), *store.remarks()),
    )


def _variants(lab: Lab, name: str) -> dict[str, Recipe]:
    def arm(optimizer: object, **changes: object) -> Recipe:
        return lab.recipe(optimizer=optimizer, lr=RATES[name], **changes)

    if name == "SGD":
        return {
            "plain": arm(SGD()),
            "momentum 0.9": arm(SGD(momentum=0.9)),
            "momentum 0.9, dampening 0.5": arm(SGD(momentum=0.9, dampening=0.5)),
            "momentum 0.9, Nesterov": arm(SGD(momentum=0.9, nesterov=True)),
            "weight decay 0.01": arm(SGD(), weight_decay=0.01),
        }
    if name == "Adagrad":
        return {
            "plain": arm(Adagrad()),
            "lr_decay 0.01": arm(Adagrad(lr_decay=0.01)),
            "initial_accumulator_value 0.1": arm(Adagrad(initial_accumulator_value=0.1)),
        }
    if name == "RMSprop":
        return {
            "alpha 0.99": arm(RMSprop()),
            "alpha 0.9": arm(RMSprop(alpha=0.9)),
            "eps 0.001": arm(RMSprop(eps=1e-3)),
            "centered": arm(RMSprop(centered=True)),
            "momentum 0.9": arm(RMSprop(momentum=0.9)),
        }
    return {
        "betas 0.9, 0.999": arm(Adam()),
        "betas 0.5, 0.999": arm(Adam(betas=(0.5, 0.999))),
        "eps 0.001": arm(Adam(eps=1e-3)),
        "AMSGrad": arm(Adam(amsgrad=True)),
    }


def _families_picture(families: Mapping[str, Mapping[str, Recipe]], results: Results, lab: Lab) -> Picture:
    with pictures.look():
        figure, panels = pictures.canvas(2, 2, height=6.0, sharex=True, sharey=True)
        for axes, (name, variants) in zip(panels, families.items(), strict=True):
            for color, variant in zip(pictures.SERIES, variants, strict=False):
                draw_curves(
                    axes, results[f"{name}, {variant}"], "train_loss", label=variant, color=color, training=False
                )
            below = "epoch" if axes in panels[2:] else ""
            pictures.label(axes, x=below, y=NAMES["train_loss"], title=f"{name}, learning rate {RATES[name]:g}")
            pictures.legend(axes)
    return Picture(
        name="families",
        caption="Training loss of each optimizer with its parameters, one changed at a time. MNIST, "
        f"{lab.train:,} images, batch {lab.batch_size}, {over_keys(next(iter(results.values())))}; eval mode.",
        figure=figure,
    )


def _side_by_side(results: Results, lab: Lab) -> Picture:
    chosen = {arm.partition(",")[0]: arm for arm in reversed(list(results))}
    momentum = {"SGD with momentum": "SGD, momentum 0.9"} if "SGD, momentum 0.9" in results else {}
    ordered = {**{name: chosen[name] for name in RATES}, **momentum}
    return lab.curve_picture(
        "side-by-side",
        {name: results[arm] for name, arm in ordered.items()},
        "The optimizers with their defaults, each at its usual rate.",
        optimizer="each optimizer",
    )


def _remarks(results: Results, context: Context) -> tuple[str, ...]:
    accuracies = {arm: [100 * r.metric for r in of_keys] for arm, of_keys in results.items()}
    ranked = sorted(results, key=lambda arm: -sum(accuracies[arm]))
    words = (
        f"From {accuracy_text(results[ranked[0]])} with {ranked[0]} to {accuracy_text(results[ranked[-1]])} with "
        f"{ranked[-1]}. The mean test accuracy is {highest_text(accuracies, 'points', over='keys')}."
    )
    few = " Quick: so few steps say little about any of them." if context.size == "quick" else ""
    return (
        "Adagrad, RMSprop and Adam divide each weight's gradient by its own size so far, so their rates mean something "
        "else than that of SGD, and one rate for all would compare rates, not optimizers.",
        words + few + " The post shows no figures for this part.",
    )
