"""Whether a network draws random numbers that are not those of the run's stream."""

from collections.abc import Iterator

from torch import fx, nn

from regimen.models.adapting_existing import TWINS, draws_inside
from regimen.models.rewriting_nodes import attention_rate, dropout_arguments, name_of, words_for
from regimen.models.rewriting_trace import training_graph
from regimen.nn import StreamLayer

# Functions and methods that draw from PyTorch's default generator.
_DRAWING = frozenset(
    {
        "rand", "randn", "randint", "randperm", "normal", "rand_like", "randn_like", "randint_like", "bernoulli",
        "multinomial", "poisson", "exponential", "geometric", "cauchy", "log_normal", "uniform", "random",
        "gumbel_softmax", "rrelu", "fractional_max_pool2d", "fractional_max_pool3d", "binomial",
    }
)  # fmt: skip
_DRAWING_LAYERS = (nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)


def draws_elsewhere(network: nn.Module, inputs: tuple[int, ...] | None = None) -> str | None:
    """Return why a training forward draws from PyTorch's default generator, or may do so; None if it does not.

    Such a network trains reproducibly only where that generator is seeded for each step.

    Args:
        network: The network, adapted.
        inputs: Shape of one input, without rows; without it nothing can be told of a forward that looks at sizes.

    Example:
        >>> draws_elsewhere(nn.Sequential(nn.Linear(4, 2), nn.RReLU()))
        'the layer 1 is a RReLU, which draws by the generator of PyTorch'
        >>> draws_elsewhere(nn.Linear(4, 2)) is None
        True
    """
    graph = training_graph(network, inputs)
    if isinstance(graph, str):
        return next(_drawing(network, ""), f"torch.fx cannot tell what it draws: {graph}")
    for node in graph.nodes:
        if node.op == "call_module":
            name = str(node.target)
            for reason in _drawing(network.get_submodule(name), name):
                return reason
        elif _draws(node):
            return f"{words_for(node, network)} draws by the generator of PyTorch"
    return None


def _drawing(network: nn.Module, prefix: str) -> Iterator[str]:
    """Yield why a layer, or one inside of it, draws from the default generator."""
    for name, layer in network.named_modules(prefix=prefix):
        if draws_inside(layer):
            yield f"the layer {name} has dropout inside, which the generator of PyTorch draws"
        elif isinstance(layer, StreamLayer):
            if layer.seed is None and layer.p > 0.0:
                yield f"the layer {name} has no seed"
        elif isinstance(layer, (*TWINS, *_DRAWING_LAYERS)):
            yield f"the layer {name} is a {type(layer).__name__}, which draws by the generator of PyTorch"


def _draws(node: fx.Node) -> bool:
    if "dropout" in name_of(node):
        p, training, _ = dropout_arguments(node)
        return training is not False and p != 0.0
    return name_of(node) in _DRAWING or attention_rate(node) != 0.0
