"""Finds numbers that are not finite, so that no such network is trained on, kept, or called a success."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from models.finiteness import list_not_finite
from workers.train.checkpoints.files import Snapshot
from workers.train.loop import LOSS, NUM_MEANS, PENALTY

MOST_NAMED = 4
LARGEST_NORM = math.sqrt(2 * float(np.finfo(np.float32).max))  # half the square of a larger norm is infinite
ADVICE = (
    "training diverged. Try a smaller learning rate than {lr:g} (--lr), another --init, "
    "or weaker --l1 and --l2"
)


class DivergedError(Exception):
    """A number of a run is not finite; the message says which, since when, and what to change."""


class Finiteness:
    """Checks every step's report and every snapshot of one network.

    Shapes: R numbers that a step reports, see `workers.train.loop`.
    """

    def __init__(self, network: keras.Model, *, lr: float) -> None:
        layers = {id(variable): layer.name for layer in network.layers for variable in layer.variables}
        self._trained = [layers[id(variable)] for variable in network.trainable_variables]
        self._stored = [layers[id(variable)] for variable in network.variables]
        self._lr = lr
        self._before: npt.NDArray[np.float32] | None = None  # the report of the step before

    def check_step(self, report_R: npt.NDArray[np.float32], *, step: int, epoch: int) -> None:
        """Raise DivergedError if the loss or a gradient is not finite."""
        if np.isfinite(report_R).all():
            self._before = report_R
            return
        loss, squares_T = report_R[LOSS] + report_R[PENALTY], report_R[NUM_MEANS:]
        where = f"at step {step} (epoch {epoch})"
        if math.isfinite(loss):
            wrong = [self._trained[number] for number in np.flatnonzero(~np.isfinite(squares_T))]
            size = f"is not finite, or its norm is above {LARGEST_NORM:.1e}"
            raise self._diverged(f"the gradient of {_name_some(wrong)} {size}, {where}")
        raise self._diverged(f"the loss is {loss} {where}{self._largest_before()}")

    def check_snapshot(self, snapshot: Snapshot) -> None:
        """Raise DivergedError if a weight, a moving statistic or a moment is not finite."""
        wrong = [self._stored[number] for number in list_not_finite(snapshot.network)]
        where = f"after step {snapshot.position.step} (epoch {snapshot.position.epoch})"
        if wrong:
            raise self._diverged(f"a weight of {_name_some(wrong)} is not finite {where}")
        if list_not_finite(snapshot.optimizer):
            raise self._diverged(f"the optimizer's state is not finite {where}")

    def _largest_before(self) -> str:
        if self._before is None:
            return ""
        squares_T = self._before[NUM_MEANS:]
        largest = int(squares_T.argmax())
        name, norm = self._trained[largest], math.sqrt(2 * squares_T[largest])
        return f"; in the step before, {name} had the largest gradient, with a norm of about {norm:.2g}"

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(f"{what}: {ADVICE.format(lr=self._lr)}")


def _name_some(layers: Sequence[str]) -> str:
    names = list(dict.fromkeys(layers))
    more = f" and {len(names) - MOST_NAMED} more layers" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
