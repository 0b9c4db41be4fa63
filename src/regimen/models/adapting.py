"""A recipe's wishes applied to a network of the user's own: its dropout follows the run and takes its rates."""

from collections.abc import Iterator

from torch import nn

from regimen.errors import OptionError
from regimen.models.adapting_draws import draws_elsewhere
from regimen.models.adapting_existing import Existing, follow_stream
from regimen.models.adapting_insertion import insert, needed, path_rate
from regimen.models.adapting_wishes import Adapted, Change, Wishes
from regimen.models.rewriting import Rewriting
from regimen.models.rewriting_cache import trace_once
from regimen.models.rewriting_functional import as_layers, take_site_of_input
from regimen.models.sizes import rates_for
from regimen.streams import check_key

__all__ = ["Adapted", "Change", "Wishes", "adapt", "draws_elsewhere"]


def adapt(network: nn.Module, wishes: Wishes, *, key: int, inputs: tuple[int, ...], source: str = "") -> Adapted:
    """Apply a recipe's wishes to a network, which is changed.

    Every dropout layer of torch.nn becomes its twin of `regimen.nn`, whose masks are those of the run: `seed` is `key`,
    `site` its ordinal in `network.modules()`, or 0 where it stands on the inputs and nowhere else. So does dropout that
    the forward calls as a function, where torch.fx can trace it. Dropout that torch.nn has inside other layers (of
    recurrent layers between their layers, of attention on its weights) takes rates too where it is above 0 as written;
    PyTorch's default generator draws it.

    A network without dropout gets it behind its hidden activations (and the pools and norms that follow them): all that
    are on the way to a further layer with weights, but for gates and for those behind a residual sum; outputs of
    recurrent layers count. Normalization is inserted between linear or convolutional layers and their activation where
    there is none. Drop path is inserted on the residual branches, at rates that grow linearly to `drop_path` (Huang et
    al. 2016, arXiv:1603.09382, eq. 4). All this needs a forward that torch.fx can trace, and replaces it by one with
    the first argument alone; names of parameters and of layers stay.

    Args:
        network: The network; what is returned is this one.
        wishes: What is wanted.
        key: 64-bit run key.
        inputs: Shape of one input, without rows.
        source: What the network was made by, such as the digest of its source: networks of one source that are alike
            but for their numbers are traced once. Empty traces each.

    Raises:
        OptionError: Something wished for has no place in the network, or the number of rates does not fit.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 2))
        >>> adapt(net, Wishes(dropout=(0.5,)), key=1, inputs=(8,)).changes
        (Change(place='2', what='dropout 0.5 (was 0.1), site 3'),)
        >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> adapt(net, Wishes(dropout=(0.5,)), key=1, inputs=(8,)).changes
        (Change(place='after 1', what='dropout 0.5, site 4'),)
    """
    check_key(key, "key")
    name = type(network).__name__
    existing = list(follow_stream(network, key))
    traced = trace_once(network, inputs, source)
    rewriting = Rewriting(network, None if isinstance(traced, str) else traced, key)
    if rewriting.traced is not None:
        existing += as_layers(rewriting)
        if not wishes.input_dropout:
            take_site_of_input(rewriting)
    dropouts, paths = [one for one in existing if one.is_dropout], [one for one in existing if one.is_path]
    names = needed(wishes, has_dropout=bool(dropouts), has_paths=bool(paths))
    beyond = [wish for wish in names if wish != "input_dropout"]
    if isinstance(traced, str) and beyond:
        raise OptionError(
            f"{beyond[0]}: nothing can be inserted into {name}, since torch.fx cannot trace it: {traced}; leave "
            f"{beyond[0]} out, or write it into the network itself; dropout layers that it has take rates all the same"
        )
    changes = [*_with_rates(name, wishes, dropouts), *_with_path_rates(wishes, paths)]
    changes += insert(rewriting, wishes, names)
    changes += _not_looked_into(name, traced if isinstance(traced, str) else traced.opaque)
    rewriting.finish()
    return Adapted(network=network, changes=tuple(changes))


def _with_rates(name: str, wishes: Wishes, dropouts: list[Existing]) -> Iterator[Change]:
    """Set the rates of dropout that the network has, and scale them; yield what they are now."""
    if not dropouts:
        if wishes.dropout_scale != 1.0 and not wishes.dropout:
            raise OptionError(f"dropout_scale: {name} has no dropout whose rate could be scaled; set dropout")
        return
    written = [one.rate for one in dropouts]
    wished = rates_for(wishes.dropout, {"dropout layer": len(dropouts)}, name) if wishes.dropout else written
    for one, before, rate in zip(dropouts, written, wished, strict=True):
        one.set_rate(wishes.scaled(rate))
        yield Change(place=one.place, what=one.described(before))


def _with_path_rates(wishes: Wishes, paths: list[Existing]) -> Iterator[Change]:
    for number, one in enumerate(paths, start=1):
        before = one.rate
        if wishes.drop_path:
            one.set_rate(path_rate(wishes.drop_path, number, len(paths)))
        yield Change(place=one.place, what=one.described(before))


def _not_looked_into(name: str, why: str | dict[str, str]) -> Iterator[Change]:
    """Yield what could not be traced: dropout that is called as a function there draws by PyTorch's generator."""
    for place, reason in ({name: why} if isinstance(why, str) else why).items():
        yield Change(place=place, what=f"not looked into ({reason}): dropout that it calls as a function is as written")
