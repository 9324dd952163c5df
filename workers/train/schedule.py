"""Decides at an epoch's end: learning rate, early stopping and best epoch, with a state to save."""

import math
from dataclasses import asdict, dataclass

from service.domain.spec import Spec
from service.domain.stored import read_stored


@dataclass(slots=True)
class EpochState:
    """The state of the decisions between epochs; a checkpoint contains all of it."""

    lr: float
    """The learning rate of the current epoch."""
    best_value: float = math.inf
    """The monitored value of the best epoch, smaller is better: an accuracy is negated. Infinite before."""
    best_epoch: int = 0
    """The best epoch, from 1; 0 before the first has ended."""
    plateau_value: float = math.inf
    """The smallest validation loss so far. Infinite before."""
    plateau_epochs: int = 0
    """Epochs since the validation loss was smallest, or since the learning rate was last lowered."""

    def to_json(self) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


def read_epoch_state(values: dict[str, float | None]) -> EpochState:
    """Read a state back from a checkpoint; null stands for no value yet."""
    return read_stored(EpochState, {n: math.inf if value is None else value for n, value in values.items()})


class EpochSchedule:
    """Decides after each epoch. Epochs count from 1; a decision needs only the spec and the state."""

    def __init__(self, spec: Spec) -> None:
        self._schedule = spec.schedule
        self._early = spec.training.early_stopping
        self._lr = spec.optimizer.lr
        self._epochs = spec.training.epochs
        self.state = EpochState(lr=spec.optimizer.lr)

    def start_epoch(self, epoch: int) -> float:
        """The learning rate of an epoch."""
        rule = self._schedule
        if rule.name == "step":
            self.state.lr = self._lr * rule.factor ** ((epoch - 1) // rule.step_epochs)
        elif rule.name == "cosine":
            share = 0.5 * (1 + math.cos(math.pi * (epoch - 1) / self._epochs))
            self.state.lr = rule.minimum_lr + (self._lr - rule.minimum_lr) * share
        return self.state.lr

    def end_epoch(self, epoch: int, values: dict[str, float]) -> bool:
        """Record an epoch's metrics; True if it is the best so far.

        Without validation images, the training loss decides.
        """
        self._drop_on_plateau(values.get("val_loss", math.nan))
        better = self._is_better(values)
        if better:
            self.state.best_epoch = epoch
        return better

    def stop_reason(self, epoch: int) -> str:
        """Why training should end early after this epoch; empty if it should continue."""
        waited = epoch - self.state.best_epoch
        patience = self._early.patience_epochs
        if not patience or waited < patience or epoch >= self._epochs:
            return ""
        return (
            f"stopped early after epoch {epoch}: no better {self._early.monitor} "
            f"for {waited} epochs, the best was epoch {self.state.best_epoch}"
        )

    def _is_better(self, values: dict[str, float]) -> bool:
        monitor = self._early.monitor if self._early.monitor in values else "loss"
        value = values[monitor] if monitor != "val_accuracy" else -values[monitor]
        if not value < self.state.best_value - self._early.minimum_change:
            return False
        self.state.best_value = value
        return True

    def _drop_on_plateau(self, val_loss: float) -> None:
        if self._schedule.name != "plateau":
            return
        self.state.plateau_epochs += 1
        if val_loss < self.state.plateau_value:
            self.state.plateau_value, self.state.plateau_epochs = val_loss, 0
        elif self.state.plateau_epochs >= self._schedule.patience_epochs:
            self.state.lr = max(self.state.lr * self._schedule.factor, self._schedule.minimum_lr)
            self.state.plateau_epochs = 0
