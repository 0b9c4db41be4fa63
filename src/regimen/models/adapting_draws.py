"""Whether a network draws random numbers that are not those of the run's stream."""

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
    for name, layer in network.named_modules():
        if draws_inside(layer):
            return f"the layer {name} has dropout inside, which the generator of PyTorch draws"
        if isinstance(layer, StreamLayer):
            if layer.seed is None and layer.p > 0.0:
                return f"the layer {name} has no seed"
        elif isinstance(layer, (*TWINS, *_DRAWING_LAYERS)):
            return f"the layer {name} is a {type(layer).__name__}, which draws by the generator of PyTorch"
    graph = training_graph(network, inputs)
    if isinstance(graph, str):
        return f"torch.fx can not tell what it draws: {graph}"
    drawing = next((node for node in graph.nodes if _draws(node)), None)
    return None if drawing is None else f"{words_for(drawing, network)} draws by the generator of PyTorch"


def _draws(node: fx.Node) -> bool:
    if "dropout" in name_of(node):
        p, training, _ = dropout_arguments(node)
        return training is not False and p != 0.0
    return name_of(node) in _DRAWING or attention_rate(node) != 0.0
