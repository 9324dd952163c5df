"""The bounds of the numbers, texts and lists of a submission, each with its reason.

Plans, forecasts and tables count with the numbers of all jobs: one without a bound could stop them for
everybody. Bounds are checked at a submission, never on reading: an older cnnctl may have stored anything.
"""

import reprlib
from collections.abc import Mapping, Sized
from dataclasses import dataclass

from service.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The least and the most that a number may be; of a text its length, of a list its entries."""

    least: float
    most: float
    why: str

    def check(self, name: str, value: object) -> None:
        """Refuse what lies outside.

        Raises:
            SpecError: with the bounds and the reason for them.
        """
        what, size = _measure(value)
        if size is not None and not self.least <= size <= self.most:
            raise SpecError(
                f"{name} must have {what}from {self.least:,.10g} to {self.most:,.10g}: {self.why}. "
                f"Received: {reprlib.repr(value)}"
            )


def _measure(value: object) -> tuple[str, float | int | None]:
    if isinstance(value, bool) or value is None:
        return "", None
    if isinstance(value, (int, float)):
        return "a value ", value
    return ("a length ", len(value)) if isinstance(value, Sized) else ("", None)


_FLOAT32 = "single precision, in which networks compute, ends at 3.4e38"
_MANY_EPOCHS = "at a second each, a million take eleven days"
_REAL = Bound(least=0, most=1e30, why=_FLOAT32)
_SHARE = Bound(least=0, most=1, why="it is a share")
_EPOCHS = Bound(least=1, most=1_000_000, why=_MANY_EPOCHS)
_SIDE = Bound(least=1, most=4096, why="a batch of larger images fits no GPU; cut them into tiles")
TEXT = Bound(least=1, most=200, why="no name with its number is longer")

OPTION = Bound(least=-(2**31), most=2**31 - 1, why="options of networks are 32-bit numbers")

# By dotted path; the texts that are not here have the bounds of TEXT. A test holds that no number is missing.
SPEC: Mapping[str, Bound] = {
    "model.l1": _REAL,
    "model.l2": _REAL,
    "data.dataset": Bound(least=1, most=1024, why="the database has that much room for it"),
    "data.image_size": _SIDE,
    "data.resize": _SIDE,
    "data.in_memory_mib": Bound(least=0, most=2**24, why="no host has more than 16 TiB"),
    "data.validation_fraction": _SHARE,
    "loss.gamma": Bound(least=0, most=100, why="beyond it only images that are quite wrong count"),
    "loss.alpha": _REAL,
    "loss.label_smoothing": _SHARE,
    "optimizer.lr": _REAL,
    "optimizer.momentum": _SHARE,
    "optimizer.weight_decay": _REAL,
    "schedule.factor": _SHARE,
    "schedule.step_epochs": _EPOCHS,
    "schedule.patience_epochs": _EPOCHS,
    "schedule.minimum_lr": _REAL,
    "training.batch_size": Bound(least=1, most=2**20, why="the largest in print have 65,536 images"),
    "training.epochs": _EPOCHS,
    "training.seed": Bound(least=0, most=2**31 - 1, why="TensorFlow's seeds have 32 bits"),
    "training.early_stopping.patience_epochs": Bound(least=0, most=1_000_000, why=_MANY_EPOCHS),
    "training.early_stopping.minimum_change": _REAL,
    "checkpoint.every_epochs": _EPOCHS,
    "checkpoint.every_steps": Bound(least=1, most=2**31 - 1, why="no job has as many steps"),
    "checkpoint.every_minutes": Bound(least=0.01, most=525_600, why="from half a second to a year"),
    "checkpoint.keep": Bound(least=1, most=100, why="each is as large as the network with its optimizer"),
    "resources.gpus": Bound(least=1, most=1024, why="no lab has a server with more"),
    "resources.time_limit_minutes": Bound(least=1, most=5_256_000, why="from a minute to ten years"),
}

AFTER = Bound(least=0, most=1000, why="each is looked up whenever the queue is planned")
HOSTS = Bound(least=1, most=64, why="all of them must meet before the first step")
NOT_BEFORE = Bound(least=0, most=3650, why="whoever waits for longer than ten years has left the lab")
