"""Early stopping on rows that nothing else looks at."""

from dataclasses import dataclass

from regimen.limits import require_number

STOP_FRACTION = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStopping:
    """Return to the epoch with the lowest loss on the stop part; end when `patience` epochs brought no better one.

    The stop part is 15 % of the training rows, taken only from runs that use early stopping. Validation rows never
    choose an epoch: scored on the rows that chose it, early stopping "helps" even on pure noise.

    Attributes:
        patience: Epochs without improvement before the end, >= 1.
        min_delta: An improvement must exceed this, >= 0, in units of the loss.

    Reference:
        Prechelt (1998), "Early stopping - but when?", doi:10.1007/3-540-49430-8_3.
    """

    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        require_number("early_stopping.patience", self.patience, low=1, integer=True)
        require_number("early_stopping.min_delta", self.min_delta, low=0)


class StopWatch:
    """Follows the stop part's loss through a run."""

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.best = float("inf")
        self.epoch = 0

    def improved(self, epoch: int, loss: float) -> bool:
        """Take the loss after `epoch` (from 1) and return whether it is the best so far."""
        better = loss < self.best - self.rule.min_delta
        if better:
            self.best, self.epoch = loss, epoch
        return better

    def done(self, epoch: int) -> bool:
        """Return whether patience is exhausted after `epoch`."""
        return epoch - self.epoch >= self.rule.patience
