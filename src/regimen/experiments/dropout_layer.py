"""Part C: what the dropout layer does, where it belongs, what it averages, and what it costs."""

import torch

from regimen.engine import one_thread
from regimen.experiments.context import Context, Outcome
from regimen.experiments.digits_dropout import load_digits
from regimen.experiments.layer_definition import (
    definition_remarks,
    definition_rows,
    factor_listing,
    mask_picture,
    modes_picture,
)
from regimen.experiments.layer_ensemble import (
    average_predictions,
    ensemble_picture,
    ensemble_remarks,
    ensemble_rows,
)
from regimen.experiments.layer_order import (
    ACTIVATIONS,
    compare,
    order_listing,
    order_picture,
    order_remarks,
    order_rows,
)
from regimen.experiments.layer_rates import rate_picture, rate_remarks, rate_rows, train_rates


def dropout_layer(context: Context) -> Outcome:
    """Return the definition, the order with activations, the ensemble view, and the curves for all rates."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        definition = definition_rows(context)
        orders = [compare(name) for name in ACTIVATIONS]
        layer_pictures = mask_picture(), modes_picture(), order_picture()
        factors = factor_listing()
    context.advance(0.1)
    trained = train_rates(load_digits(), context, share=0.7)
    with one_thread():
        ensemble = average_predictions(trained, context)
    context.advance(0.1)
    shown = (*layer_pictures, ensemble_picture(ensemble), rate_picture(trained))
    context.advance(0.1)
    return Outcome(
        rows=(*definition, *order_rows(orders), *ensemble_rows(ensemble), *rate_rows(trained)),
        pictures=shown,
        remarks=(
            *definition_remarks(),
            *order_remarks(orders),
            *ensemble_remarks(ensemble),
            *rate_remarks(trained),
        ),
        listings=(factors, order_listing(orders)),
    )
