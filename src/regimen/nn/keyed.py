"""Noisy layers whose key and rate are buffers: one network then serves many runs under `torch.vmap`, each its own."""

import math

import torch
from torch import Tensor, nn

from regimen.errors import OptionError
from regimen.kernels import Form
from regimen.kernels.dropout_bundle import Place, noisy_by_run, pack_noise
from regimen.nn.alpha import AlphaDropout, FeatureAlphaDropout
from regimen.nn.drop_connect import DropConnectLinear
from regimen.nn.drop_path import DropPath
from regimen.nn.dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from regimen.nn.gaussian import GaussianDropout
from regimen.nn.relu_dropout import ReLUDropout
from regimen.nn.stream_layer import StreamLayer

# Any rate strictly between the two that need no random numbers.
_SOME_RATE = 0.5


class _Keyed(StreamLayer):
    """A seeded layer whose key and rate are the buffers `stream_key` and `stream_noise`, not Python numbers.

    The buffers are not in the state dict, which stays that of the layer before.
    """

    stream_key: Tensor
    stream_noise: Tensor
    _form: Form
    _shifted: bool
    _counter: Tensor | None = None

    def _perturb(self, input: Tensor) -> Tensor:
        """Return `input` with this layer's noise if it is in train mode."""
        if not self.training or input.numel() == 0:
            return input
        if not input.is_floating_point():
            raise OptionError(f"{type(self).__name__}: expected a floating-point input in training, got {input.dtype}")
        moment = self._moment
        if moment is None:
            raise OptionError(
                f"{type(self).__name__} needs the step in training: wrap forward and backward in `with step(model, n):`"
            )
        site = self._ordinal if self.site is None else self.site
        third = self.purpose << 24 | self._call(moment) << 16 | site
        n = moment.step if self._counter is None else self._counter
        place = Place(n, self._form, third, self._first_row(moment.first_row), moment.ahead, self._shifted)
        y = noisy_by_run(input, self.stream_key, self.stream_noise, place)
        return input.copy_(y) if self.inplace else y

    def _first_row(self, first_row: int) -> int:
        return first_row


class _KeyedDropout(_Keyed, Dropout):
    pass


class _KeyedDropout1d(_Keyed, Dropout1d):
    pass


class _KeyedDropout2d(_Keyed, Dropout2d):
    pass


class _KeyedDropout3d(_Keyed, Dropout3d):
    pass


class _KeyedAlphaDropout(_Keyed, AlphaDropout):
    pass


class _KeyedFeatureAlphaDropout(_Keyed, FeatureAlphaDropout):
    pass


class _KeyedGaussianDropout(_Keyed, GaussianDropout):
    pass


class _KeyedDropPath(_Keyed, DropPath):
    pass


class _KeyedReLUDropout(_Keyed, ReLUDropout):
    pass


class _KeyedDropConnectLinear(_Keyed, DropConnectLinear):
    def _first_row(self, first_row: int) -> int:
        return 0  # the weights belong to the step, not to a row


KEYED: dict[type[nn.Module], type[_Keyed]] = {
    Dropout: _KeyedDropout,
    Dropout1d: _KeyedDropout1d,
    Dropout2d: _KeyedDropout2d,
    Dropout3d: _KeyedDropout3d,
    AlphaDropout: _KeyedAlphaDropout,
    FeatureAlphaDropout: _KeyedFeatureAlphaDropout,
    GaussianDropout: _KeyedGaussianDropout,
    DropPath: _KeyedDropPath,
    ReLUDropout: _KeyedReLUDropout,
    DropConnectLinear: _KeyedDropConnectLinear,
}


def keep_keys_in_buffers(network: nn.Module) -> None:
    """Move key and rate of every seeded noisy layer of `network` into its buffers, in place.

    What the network computes, its places in the stream and its state dict stay the same. Networks that are equal but
    for their keys and rates can then be stacked: `torch.func.stack_module_state`, `functional_call` and `torch.vmap`
    give each run the masks that it has alone, to the bit. Later changes of `p` and `seed` have no effect.

    Args:
        network: With noisy layers of `regimen.nn` only where they have a seed.

    Raises:
        OptionError: A noisy layer has no seed, or is of a class of its own.

    Example:
        >>> from regimen.nn import step
        >>> layers = [nn.Sequential(Dropout(p, seed=seed)) for p, seed in ((0.5, 1), (0.2, 2))]
        >>> x = torch.ones(4, 8)
        >>> alone = []
        >>> for layer in layers:
        ...     with step(layer, 3):
        ...         alone.append(layer(x))
        ...     keep_keys_in_buffers(layer)
        >>> _, buffers = torch.func.stack_module_state(layers)
        >>> with step(layers[0], 3):
        ...     both = torch.vmap(lambda own: torch.func.functional_call(layers[0], own, (x,)))(buffers)
        >>> torch.equal(both, torch.stack(alone))
        True
    """
    for name, module in network.named_modules():
        if not isinstance(module, StreamLayer) or isinstance(module, _Keyed):
            continue
        kind = KEYED.get(type(module))
        if kind is None or module.seed is None:
            what = f"of the class {type(module).__name__}" if kind is None else "without a seed"
            raise OptionError(f"{name or 'network'}: expected a seeded layer of regimen.nn, got one {what}")
        _keep_key_in_buffer(module, kind, module.seed)


def count_steps_in(network: nn.Module, counter: Tensor) -> None:
    """Let the keyed layers of `network` read the step from a tensor: a CUDA graph draws anew at each replay.

    `step` is still needed around forward and backward. The processor's kernels read the number back.

    Args:
        network: After `keep_keys_in_buffers`.
        counter: The optimizer step, int64 without dimensions, on the device of the inputs; whoever steps sets it.
    """
    for module in network.modules():
        if isinstance(module, _Keyed):
            module._counter = counter


def _keep_key_in_buffer(layer: StreamLayer, kind: type[_Keyed], seed: int) -> None:
    p = layer.p
    # At 0 and 1 nothing is drawn, and `_noise` is not made for them: another run of the bundle has another rate.
    layer.p = p if 0.0 < p < 1.0 else _SOME_RATE
    noise = layer._noise(0, 0, False)
    layer.__class__ = kind
    assert isinstance(layer, _Keyed)
    layer._form = noise.form
    layer._shifted = noise.kept_shift != 0.0 or noise.dropped_shift != 0.0
    # No rate: whatever would still ask for it finds neither "none" nor "all".
    layer.p = math.nan
    key = torch.tensor(seed - (1 << 64) if seed >> 63 else seed, device="cpu")
    layer.register_buffer("stream_key", key, persistent=False)
    layer.register_buffer("stream_noise", pack_noise(p, noise), persistent=False)
