"""Which device trains: so far the processor, and a clear word to whoever asks for another."""

from regimen.errors import OptionError


def require_device(name: str | None) -> None:
    """Refuse a device that there is not, or that no engine of this version trains on.

    Args:
        name: auto, cpu or cuda; None is auto.

    Raises:
        OptionError: The device can not be used.
    """
    if name != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise OptionError(
            f"--device: cuda was asked for, but PyTorch {torch.__version__} finds no CUDA device; leave --device out"
        )
    raise OptionError(
        "--device: cuda was asked for, but the engines of this version train on the processor; leave --device out"
    )
