"""The recipe: everything done to a network and its training, as one frozen, validated description."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from regimen.errors import RecipeError
from regimen.limits import require_choice, require_number
from regimen.models import DROPOUT_KINDS, NORMALIZATIONS, DropoutKind, Normalization
from regimen.techniques import (
    INITIALIZATIONS,
    Adam,
    AdamW,
    Augmentation,
    Averaging,
    EarlyStopping,
    Initialization,
    Optimizer,
    Schedule,
)

L1Step = Literal["subgradient", "proximal"]
InputScaling = Literal["standard", "minmax", "robust", "none"]
# Given numbers: the center and the scale of each numeric column or channel.
Constants = tuple[tuple[float, ...], tuple[float, ...]]
ClassWeights = Literal["none", "balanced"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything done to a network and its training. The default is Adam without regularization.

    Attributes:
        optimizer: Update rule with all its parameters.
        lr: Learning rate, > 0; the peak of the schedule.
        schedule: How the rate changes; None keeps it.
        epochs: Passes over the training rows, >= 1.
        batch_size: Rows of an optimizer step, >= 1; a last partial batch is used.
        dropout: Drop probability after each hidden layer (after its pooling), in [0, 1); one for all or one for each.
            In a module of your own it is that of each dropout that the module has, or else of dropout inserted after
            each hidden activation; 0 keeps its own rates.
        dropout_scale: In a module of your own, its dropout rates are multiplied by this, >= 0; 0 turns them off.
        dropout_kind: `element`, or `channel` to drop whole channels after convolutions.
        input_dropout: Drop probability on the inputs, in [0, 1).
        drop_path: In a module of your own, drop probability of its last residual branch, in [0, 1); it rises linearly
            from the first one.
        normalization: What stands between each hidden linear layer or convolution and its activation.
        initialization: Of weights and biases; `default` is that of PyTorch's layers.
        initialization_std: Standard deviation of `initialization = "normal"`, > 0.
        weight_decay: L2, λ of λ/2 · Σ w²; its gradient passes through the optimizer, >= 0.
        decoupled_weight_decay: λ of w ← w · (1 - lr · λ) before each step of the optimizer, >= 0.
        decay_bias_and_norm: Whether biases and norms decay too (a plain `torch.optim` call does that).
        l1: λ of λ · Σ |w| over the weights, >= 0.
        l1_step: `subgradient` adds λ · sign(w) to the gradient; `proximal` soft-thresholds after the step.
        max_norm: Largest L2 norm of a unit's incoming weights, > 0; None for no limit.
        input_scaling: Of numeric columns or channels, fitted on training rows; or given numbers, ((center, …),
            (scale, …)), of z = (x - center) / scale, for pixels from 0 to 1.
        augmentation: What is done to each training image, first to last; validation and test images stay as they are.
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1); classification only.
        mixup: alpha of the Beta distribution of mixing weights, >= 0; 0 is off.
        cutmix: The same for rectangles of another image, >= 0; 0 is off. Not with mixup: both mix the targets.
        input_noise: Standard deviation of Gaussian noise on the scaled inputs, >= 0.
        clip_norm: Largest global L2 norm of the gradient, > 0; None for no clipping.
        class_weights: `balanced` multiplies the loss of a row by n / (classes · count of its class).
        averaging: Which average of the weights is evaluated; None evaluates the last weights.
        early_stopping: Return to the best epoch on the stop part; None returns the last epoch.

    Raises:
        RecipeError: A value is of the wrong type, out of range, or contradicts another.

    Example:
        >>> Recipe(dropout=0.5).dropout
        (0.5,)
    """

    optimizer: Optimizer = field(default_factory=Adam)
    lr: float = 1e-3
    schedule: Schedule | None = None
    epochs: int = 40
    batch_size: int = 32
    dropout: tuple[float, ...] | float = ()
    dropout_scale: float = 1.0
    dropout_kind: DropoutKind = "element"
    input_dropout: float = 0.0
    drop_path: float = 0.0
    normalization: Normalization = "none"
    initialization: Initialization = "default"
    initialization_std: float = 0.02
    weight_decay: float = 0.0
    decoupled_weight_decay: float = 0.0
    decay_bias_and_norm: bool = False
    l1: float = 0.0
    l1_step: L1Step = "subgradient"
    max_norm: float | None = None
    input_scaling: InputScaling | Constants = "standard"
    augmentation: tuple[Augmentation, ...] = ()
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    input_noise: float = 0.0
    clip_norm: float | None = None
    class_weights: ClassWeights = "none"
    averaging: Averaging | None = None
    early_stopping: EarlyStopping | None = None

    def __post_init__(self) -> None:
        self._check_types()
        require_number("lr", self.lr, low=0, low_open=True)
        require_number("epochs", self.epochs, low=1, high=1_000_000, integer=True)
        require_number("batch_size", self.batch_size, low=1, high=1 << 31, integer=True)
        # One rate and a list of one mean the same; a tuple of zeros means none. One form keeps equal recipes equal.
        rates = self.dropout if isinstance(self.dropout, tuple) else (self.dropout,)
        for rate in rates:
            require_number("dropout", rate, low=0, high=1, high_open=True)
        for name in ("input_dropout", "drop_path"):
            require_number(name, getattr(self, name), low=0, high=1, high_open=True)
        require_number("dropout_scale", self.dropout_scale, low=0)
        object.__setattr__(self, "dropout", tuple(map(float, rates)) if any(rates) else ())
        for name in ("weight_decay", "decoupled_weight_decay", "l1", "mixup", "cutmix", "input_noise"):
            require_number(name, getattr(self, name), low=0)
        require_number("label_smoothing", self.label_smoothing, low=0, high=1, high_open=True)
        require_number("initialization_std", self.initialization_std, low=0, low_open=True)
        for name in ("max_norm", "clip_norm"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), low=0, low_open=True)
        require_choice("dropout_kind", self.dropout_kind, DROPOUT_KINDS)
        require_choice("normalization", self.normalization, NORMALIZATIONS)
        require_choice("initialization", self.initialization, INITIALIZATIONS)
        require_choice("l1_step", self.l1_step, ("subgradient", "proximal"))
        if isinstance(self.input_scaling, tuple):
            self._check_constants(self.input_scaling)
        else:
            require_choice("input_scaling", self.input_scaling, ("standard", "minmax", "robust", "none"))
        require_choice("class_weights", self.class_weights, ("none", "balanced"))
        if self.normalization == "batch" and self.batch_size < 2:
            raise RecipeError(
                "batch_size: batch normalization needs batches of at least 2 rows, got 1; set normalization layer"
            )
        if self.mixup and self.cutmix:
            raise RecipeError("cutmix: both it and mixup mix the targets of a batch; leave one of them out")
        if isinstance(self.optimizer, AdamW) and self.weight_decay:
            raise RecipeError(
                "weight_decay: the decay of AdamW is decoupled; set decoupled_weight_decay, or optimizer adam for L2"
            )

    def _check_types(self) -> None:
        for name, kind, example in (
            ("optimizer", Optimizer, "regimen.techniques.Adam()"),
            ("schedule", Schedule | None, "regimen.techniques.CosineLR()"),
            ("averaging", Averaging | None, "regimen.techniques.EMA()"),
            ("early_stopping", EarlyStopping | None, "regimen.techniques.EarlyStopping()"),
            ("decay_bias_and_norm", bool, "False"),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise RecipeError(f"{name}: expected something like {example}, got {value!r}")
        # One operation and a list of one mean the same.
        operations = (self.augmentation,) if isinstance(self.augmentation, Augmentation) else self.augmentation
        if not isinstance(operations, tuple) or not all(isinstance(part, Augmentation) for part in operations):
            example = "(regimen.techniques.Rotation(degrees=15.0),)"
            raise RecipeError(f"augmentation: expected something like {example}, got {operations!r}")
        object.__setattr__(self, "augmentation", operations)

    def _check_constants(self, given: Any) -> None:
        pair = len(given) == 2 and all(isinstance(part, tuple) and part for part in given)
        if not pair or len(given[0]) != len(given[1]):
            raise RecipeError(
                "input_scaling: expected one of standard, minmax, robust, none, or as many centers as scales, such as "
                f"((0.1307,), (0.3081,)), got {given!r}"
            )
        for center, scale in zip(*given, strict=True):
            require_number("input_scaling.center", center)
            require_number("input_scaling.scale", scale, low=0, low_open=True)

    @property
    def rates(self) -> tuple[float, ...]:
        """Return `dropout` in its one form, a tuple."""
        return self.dropout if isinstance(self.dropout, tuple) else (self.dropout,)

    def replace(self, **changes: object) -> "Recipe":
        """Return a copy with some fields changed, validated again.

        Example:
            >>> Recipe().replace(mixup=0.2).mixup
            0.2
        """
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
