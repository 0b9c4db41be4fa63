"""What the nodes of a traced forward are: activations, pools, norms, weights, in whatever form they are written."""

from typing import Any

from torch import fx, nn

from regimen.models.layers import ACTIVATIONS, Activation

# Activations as layers, functions and methods. What is not element-wise (softmax, GLU), or draws (RReLU), is none here.
ACTIVATION_LAYERS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid,
    nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink,
    nn.Hardshrink, nn.Threshold,
)  # fmt: skip
ACTIVATION_NAMES = frozenset(
    {
        "relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh", "sigmoid",
        "hardtanh", "hardswish", "hardsigmoid", "softplus", "softsign", "logsigmoid", "tanhshrink", "softshrink",
        "hardshrink", "threshold",
    }
)  # fmt: skip
NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.RMSNorm)
NORM_NAMES = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "local_response_norm", "rms_norm"})
CONVOLUTION_NAMES = frozenset({f"conv{how}{dims}d" for how in ("", "_transpose") for dims in (1, 2, 3)})
# What leaves rows of features as they are: their order in memory, and with one shape their shape.
RESHAPES = frozenset({"view", "reshape", "flatten", "contiguous", "float"})
PRODUCT_NAMES = CONVOLUTION_NAMES | {"linear", "bilinear", "embedding", "matmul", "mm", "bmm", "addmm", "einsum"}


def layer_of(node: fx.Node, network: nn.Module) -> nn.Module | None:
    """Return the layer that a node calls; None where it calls a function or a method."""
    return network.get_submodule(str(node.target)) if node.op == "call_module" else None


def name_of(node: fx.Node) -> str:
    """Return the name of the function or method that a node calls, without the mark of those that overwrite."""
    if node.op == "call_method":
        return str(node.target).rstrip("_")
    return getattr(node.target, "__name__", "").rstrip("_") if node.op == "call_function" else ""


def words_for(node: fx.Node, network: nn.Module) -> str:
    """Return what a node is called in messages: a layer by its name, the rest by function and line.

    Example:
        >>> from regimen.models.rewriting_trace import trace
        >>> net = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
        >>> [words_for(node, net) for node in trace(net, (4,)).graph.nodes if node.op == "call_module"]
        ['0', '1']
    """
    place: str = node.meta.get("place", "")
    if node.op == "call_module":
        return str(node.target)
    return f"{name_of(node) or node.op} ({place})" if place else name_of(node) or node.op


def is_activation(node: fx.Node, network: nn.Module) -> bool:
    """Return whether a node is an element-wise non-linearity."""
    layer = layer_of(node, network)
    return name_of(node) in ACTIVATION_NAMES if layer is None else isinstance(layer, ACTIVATION_LAYERS)


def is_pool(node: fx.Node, network: nn.Module) -> bool:
    """Return whether a node pools."""
    layer = layer_of(node, network)
    return "pool" in (name_of(node) if layer is None else type(layer).__name__.lower())


def is_norm(node: fx.Node, network: nn.Module) -> bool:
    """Return whether a node normalizes."""
    layer = layer_of(node, network)
    return name_of(node) in NORM_NAMES if layer is None else isinstance(layer, NORM_LAYERS)


def is_convolution(node: fx.Node, network: nn.Module) -> bool:
    """Return whether a node is a convolution."""
    layer = layer_of(node, network)
    return name_of(node) in CONVOLUTION_NAMES if layer is None else isinstance(layer, nn.modules.conv._ConvNd)


def has_weights(node: fx.Node, network: nn.Module) -> bool:
    """Return whether a node multiplies by weights: a layer that has some and is no norm or activation, or a product."""
    layer = layer_of(node, network)
    if layer is None:
        return name_of(node) in PRODUCT_NAMES and any(_is_parameter(source) for source in node.all_input_nodes)
    return any(True for _ in layer.parameters()) and not (is_norm(node, network) or is_activation(node, network))


def _is_parameter(node: fx.Node) -> bool:
    """Return whether a node is a tensor of the network, as it is or transposed, say."""
    sources = node.all_input_nodes
    return node.op == "get_attr" or (bool(sources) and all(_is_parameter(source) for source in sources))


def usual_activation(node: fx.Node, network: nn.Module) -> Activation | None:
    """Return which of the described activations a node is, with PyTorch's default slope and form; None for none."""
    layer = layer_of(node, network)
    if layer is not None:
        usual = getattr(layer, "negative_slope", 0.01) == 0.01 and getattr(layer, "approximate", "none") == "none"
        return next((kind for kind, of in ACTIVATIONS.items() if usual and type(layer) is of), None)
    given = node.kwargs
    usual = given.get("negative_slope", 0.01) == 0.01 and given.get("approximate", "none") == "none"
    return next((kind for kind in ACTIVATIONS if usual and len(node.args) == 1 and name_of(node) == kind), None)


def dropout_arguments(node: fx.Node) -> tuple[Any, Any, bool]:
    """Return rate and training flag of a call of a dropout function as they are given, and whether it overwrites."""
    given = dict(zip(("input", "p", "training", "inplace"), node.args, strict=False)) | node.kwargs
    overwrites = getattr(node.target, "__name__", "").endswith("_") or given.get("inplace") is True
    # torch.dropout has no defaults, and calls the flag train.
    return given.get("p", 0.5), given.get("training", given.get("train", True)), overwrites


def attention_rate(node: fx.Node) -> Any:
    """Return the rate of dropout that a call of `scaled_dot_product_attention` has; 0 for all other calls."""
    if name_of(node) != "scaled_dot_product_attention":
        return 0.0
    return node.args[4] if len(node.args) > 4 else node.kwargs.get("dropout_p", 0.0)
