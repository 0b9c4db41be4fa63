"""Whether a network can be stacked at all with others of its structure, see `regimen.models.structure`."""

from torch import nn

from regimen.models.structure import HOOKS
from regimen.nn import StreamLayer
from regimen.nn.keyed import KEYED


def why_not_stackable(network: nn.Module) -> str | None:
    """Return why a network cannot be stacked with others of its kind, or None if nothing speaks against it.

    Example:
        >>> why_not_stackable(nn.Linear(3, 2).requires_grad_(False))
        'has nothing to learn'
    """
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not learned:
        return "has nothing to learn"
    if len({parameter.dtype for parameter in learned}) > 1:
        return "has parameters of several types"
    if not learned[0].is_floating_point():
        return "has parameters that are no real numbers"
    for name, module in network.named_modules():
        if isinstance(module, StreamLayer) and type(module) not in KEYED and type(module) not in KEYED.values():
            return f"has a noisy layer of its own kind ({name})"
        if any(vars(module).get(hooks) for hooks in HOOKS):
            return f"has hooks ({name or type(module).__name__})"
    return None
